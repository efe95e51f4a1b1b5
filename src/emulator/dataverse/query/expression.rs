//! Conditions: what `$filter`, FetchXML and SQL are all read into, and their truth for one subject.
//!
//! A comparison with null is true only for equality with null; `ne` is the opposite of `eq`, as the
//! service's own SQL has it (a null column is not equal to `'x'`).

use std::cmp::Ordering;

use super::like;
use super::operand::Operand;

/// A condition, or a part of one.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// A literal.
    Value(Operand),
    /// A column, or one of a related row: the names between slashes.
    Path(Vec<String>),
    /// Left against right.
    Compare(Comparison, Box<Expression>, Box<Expression>),
    /// All of them hold.
    And(Vec<Expression>),
    /// One of them holds.
    Or(Vec<Expression>),
    /// The opposite.
    Not(Box<Expression>),
    /// A test of text: what is tested, and with what.
    Text(TextTest, Box<Expression>, Box<Expression>),
    /// It is one of the values.
    In(Box<Expression>, Vec<Operand>),
    /// A multi-choice column has one of the numbers.
    Holds(Box<Expression>, Vec<i32>),
    /// A condition on the rows of a collection.
    Related(Related),
}

/// A condition on the rows of a collection: `contact_customer_accounts/any(c:c/lastname eq 'X')`.
#[derive(Clone, Debug, PartialEq)]
pub struct Related {
    /// The collection.
    pub path: Vec<String>,
    /// `all` instead of `any`.
    pub every: bool,
    /// The name of one row of it inside the condition.
    pub variable: String,
    /// The condition; without one, `any` asks whether there are rows.
    pub test: Option<Box<Expression>>,
}

/// How two values are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are OData's")]
pub enum Comparison {
    Eq,
    Ne,
    Gt,
    Ge,
    Lt,
    Le,
}

/// How a text is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextTest {
    /// Has the other in it.
    Contains,
    /// Begins with it.
    Begins,
    /// Ends with it.
    Ends,
    /// Fits a pattern with `%`, `_` and `[a-z]`.
    Like,
}

/// What a condition is asked about.
pub trait Subject {
    /// The value at a path, null when there is none.
    fn value(&self, path: &[String]) -> Operand;

    /// The rows of the collection at a path.
    fn members(&self, path: &[String]) -> Vec<Box<dyn Subject + '_>>;
}

impl Expression {
    /// `left op right`
    pub fn compare(op: Comparison, left: Self, right: Self) -> Self {
        Self::Compare(op, Box::new(left), Box::new(right))
    }

    /// A column of the row itself.
    pub fn column(name: &str) -> Self {
        Self::Path(vec![name.to_owned()])
    }

    /// It is null.
    #[must_use]
    pub fn is_null(self) -> Self {
        Self::compare(Comparison::Eq, self, Self::Value(Operand::Null))
    }

    /// The opposite.
    #[must_use]
    pub fn negated(self) -> Self {
        Self::Not(Box::new(self))
    }

    /// Whether it is true of the subject.
    pub fn holds(&self, subject: &dyn Subject) -> bool {
        match self {
            Self::Value(_) | Self::Path(_) => self.value(subject) == Operand::Boolean(true),
            Self::Compare(op, left, right) => op.holds(&left.value(subject), &right.value(subject)),
            Self::And(parts) => parts.iter().all(|part| part.holds(subject)),
            Self::Or(parts) => parts.iter().any(|part| part.holds(subject)),
            Self::Not(part) => !part.holds(subject),
            Self::Text(test, of, with) => test.holds(&of.value(subject), &with.value(subject)),
            Self::In(of, values) => {
                let value = of.value(subject);
                values.iter().any(|one| one.same(&value))
            }
            Self::Holds(of, numbers) => match of.value(subject) {
                Operand::Choices(chosen) => chosen.iter().any(|one| numbers.contains(one)),
                Operand::Null
                | Operand::Text(_)
                | Operand::Number(_)
                | Operand::Double(_)
                | Operand::Boolean(_)
                | Operand::Time(_)
                | Operand::Date(_)
                | Operand::Guid(_) => false,
            },
            Self::Related(related) => related.holds(subject),
        }
    }

    fn value(&self, subject: &dyn Subject) -> Operand {
        match self {
            Self::Value(value) => value.clone(),
            Self::Path(path) => subject.value(path),
            Self::Compare(..)
            | Self::And(_)
            | Self::Or(_)
            | Self::Not(_)
            | Self::Text(..)
            | Self::In(..)
            | Self::Holds(..)
            | Self::Related(_) => Operand::Boolean(self.holds(subject)),
        }
    }
}

impl Related {
    fn holds(&self, subject: &dyn Subject) -> bool {
        let members = subject.members(&self.path);
        let Some(test) = &self.test else { return !members.is_empty() };
        let holds = |member: &dyn Subject| {
            test.holds(&Scoped { variable: &self.variable, member, outer: subject })
        };
        let mut results = members.iter().map(|member| holds(&**member));
        if self.every { results.all(|one| one) } else { results.any(|one| one) }
    }
}

impl Comparison {
    fn holds(self, left: &Operand, right: &Operand) -> bool {
        let order = left.compare(right);
        match self {
            Self::Eq => left.same(right),
            Self::Ne => !left.same(right),
            Self::Gt => order == Some(Ordering::Greater),
            Self::Lt => order == Some(Ordering::Less),
            Self::Ge => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            Self::Le => matches!(order, Some(Ordering::Less | Ordering::Equal)),
        }
    }
}

impl TextTest {
    fn holds(self, of: &Operand, with: &Operand) -> bool {
        if *of == Operand::Null || *with == Operand::Null {
            return false;
        }
        let (text, part) = (of.text().to_lowercase(), with.text().to_lowercase());
        match self {
            Self::Contains => text.contains(&part),
            Self::Begins => text.starts_with(&part),
            Self::Ends => text.ends_with(&part),
            Self::Like => like::fits(&text, &part),
        }
    }
}

/// A subject inside a condition on a collection: paths that begin with the variable are the member's.
struct Scoped<'a> {
    variable: &'a str,
    member: &'a dyn Subject,
    outer: &'a dyn Subject,
}

impl<'a> Scoped<'a> {
    fn pick<'p>(&self, path: &'p [String]) -> (&'a dyn Subject, &'p [String]) {
        match path.split_first() {
            Some((first, rest)) if first == self.variable => (self.member, rest),
            _ => (self.outer, path),
        }
    }
}

impl Subject for Scoped<'_> {
    fn value(&self, path: &[String]) -> Operand {
        let (subject, path) = self.pick(path);
        subject.value(path)
    }

    fn members(&self, path: &[String]) -> Vec<Box<dyn Subject + '_>> {
        let (subject, path) = self.pick(path);
        subject.members(path)
    }
}
