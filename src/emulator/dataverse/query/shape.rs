//! What may be asked of a subject: the names a condition uses exist, and what it compares can be compared.
//! Refused with the service's own words otherwise.

use super::expression::{Expression, Related, TextTest};
use super::operand::Family;
use crate::emulator::dataverse::refusal::Refusal;

/// The names that a kind of subject has.
pub trait Shape {
    /// What the values at a path are. Refused when there is no such name.
    fn family(&self, path: &[String]) -> Result<Family, Refusal>;

    /// The shape of one member of the collection at a path. Refused when there is no such name.
    fn element(&self, path: &[String]) -> Result<Box<dyn Shape + '_>, Refusal>;
}

/// Checks a whole condition. A value alone is none, unless it is a truth.
pub fn check(expression: &Expression, shape: &dyn Shape) -> Result<(), Refusal> {
    match family(expression, shape)? {
        Family::Boolean | Family::Any => Ok(()),
        Family::Text | Family::Number | Family::Time | Family::Guid => {
            let message = "The $filter expression must evaluate to a single boolean value.";
            Err(Refusal::bad("0x80060888", message))
        }
    }
}

fn family(expression: &Expression, shape: &dyn Shape) -> Result<Family, Refusal> {
    match expression {
        Expression::Value(value) => Ok(value.family()),
        Expression::Path(path) => shape.family(path),
        Expression::Compare(_, left, right) => {
            let (left, right) = (family(left, shape)?, family(right, shape)?);
            if left == right || left == Family::Any || right == Family::Any {
                return Ok(Family::Boolean);
            }
            let message = format!(
                "A binary operator with incompatible types was detected. Found operand types '{}' and \
                 '{}' for operator kind 'Equal'.",
                left.edm(),
                right.edm()
            );
            Err(Refusal::bad("0x0", message))
        }
        Expression::And(parts) | Expression::Or(parts) => {
            for part in parts {
                family(part, shape)?;
            }
            Ok(Family::Boolean)
        }
        Expression::Not(part) => family(part, shape),
        Expression::Text(test, of, with) => {
            for part in [of, with] {
                let found = family(part, shape)?;
                if *test != TextTest::Like && !matches!(found, Family::Text | Family::Any) {
                    return Err(Refusal::bad(
                        "0x0",
                        "No function signature for a text function matches the specified arguments.",
                    ));
                }
            }
            Ok(Family::Boolean)
        }
        Expression::In(of, _) | Expression::Holds(of, _) => {
            family(of, shape).map(|_| Family::Boolean)
        }
        Expression::Related(related) => of_related(related, shape),
    }
}

fn of_related(related: &Related, shape: &dyn Shape) -> Result<Family, Refusal> {
    let member = shape.element(&related.path)?;
    if let Some(test) = &related.test {
        family(test, &Scoped { variable: &related.variable, member: &*member, outer: shape })?;
    }
    Ok(Family::Boolean)
}

/// The shape inside a condition on a collection.
struct Scoped<'a> {
    variable: &'a str,
    member: &'a dyn Shape,
    outer: &'a dyn Shape,
}

impl<'a> Scoped<'a> {
    fn pick<'p>(&self, path: &'p [String]) -> (&'a dyn Shape, &'p [String]) {
        match path.split_first() {
            Some((first, rest)) if first == self.variable => (self.member, rest),
            _ => (self.outer, path),
        }
    }
}

impl Shape for Scoped<'_> {
    fn family(&self, path: &[String]) -> Result<Family, Refusal> {
        let (shape, path) = self.pick(path);
        shape.family(path)
    }

    fn element(&self, path: &[String]) -> Result<Box<dyn Shape + '_>, Refusal> {
        let (shape, path) = self.pick(path);
        shape.element(path)
    }
}
