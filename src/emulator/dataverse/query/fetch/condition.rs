//! FetchXML operators as conditions. Literals take the type of their column; dates relative to now are
//! spans of UTC. An operator that is not offered, too few values and values of a wrong type are refused.

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ToSpan};

use super::plan::Condition;
use crate::emulator::dataverse::model::Kind;
use crate::emulator::dataverse::query::expression::{Comparison, Expression, TextTest};
use crate::emulator::dataverse::query::operand::Operand;
use crate::emulator::dataverse::refusal::Refusal;

/// A condition being compiled: where its column is found, and what that holds.
pub(super) struct Compiling<'a> {
    pub(super) condition: &'a Condition,
    pub(super) path: Vec<String>,
    pub(super) kind: Kind,
    pub(super) now: Timestamp,
}

impl Compiling<'_> {
    /// The condition against literals.
    pub(super) fn literal(&self) -> Result<Expression, Refusal> {
        let operator = self.condition.operator.as_str();
        if let Some(op) = comparison(operator) {
            return Ok(self.against(op, self.value(0)?));
        }
        if let Some((test, negated, pattern)) = text_test(operator) {
            let with = Operand::Text(pattern.replace('$', &self.raw(0)?));
            let found = Expression::Text(test, self.of().into(), Expression::Value(with).into());
            return Ok(turned(found, negated));
        }
        let found = match operator {
            "null" => self.of().is_null(),
            "not-null" => self.of().is_null().negated(),
            "in" | "not-in" => {
                let values = (0..self.condition.values.len()).map(|at| self.value(at));
                let found = Expression::In(self.of().into(), values.collect::<Result<_, _>>()?);
                turned(found, operator == "not-in")
            }
            "between" | "not-between" => {
                let low = self.against(Comparison::Ge, self.value(0)?);
                let high = self.against(Comparison::Le, self.value(1)?);
                turned(Expression::And(vec![low, high]), operator == "not-between")
            }
            "contain-values" | "not-contain-values" => {
                let number =
                    |text: &String| text.trim().parse::<i32>().map_err(|_| self.wrong(text));
                let numbers = self.condition.values.iter().map(number).collect::<Result<_, _>>()?;
                turned(Expression::Holds(self.of().into(), numbers), operator.starts_with("not-"))
            }
            _ => return self.dates(),
        };
        Ok(found)
    }

    /// The condition against another column of the same line.
    pub(super) fn column(&self, other: Vec<String>) -> Result<Expression, Refusal> {
        let op = comparison(&self.condition.operator).ok_or_else(|| self.unknown())?;
        Ok(Expression::compare(op, self.of(), Expression::Path(other)))
    }

    fn dates(&self) -> Result<Expression, Refusal> {
        match self.condition.operator.as_str() {
            "on" => self.on(),
            "not-on" => self.on().map(Expression::negated),
            "on-or-after" => Ok(self.against(Comparison::Ge, Operand::Date(self.day()?))),
            "on-or-before" => {
                let after = self.after(self.day()?, 1)?;
                Ok(self.against(Comparison::Lt, Operand::Date(after)))
            }
            operator => match self.span(operator)? {
                Some((from, to)) => Ok(self.within(from, to)),
                None => self.relative(),
            },
        }
    }

    fn on(&self) -> Result<Expression, Refusal> {
        let day = self.day()?;
        Ok(self.within(day, self.after(day, 1)?))
    }

    /// The days that an operator without a value stands for: from the first, up to before the last.
    fn span(&self, operator: &str) -> Result<Option<(Date, Date)>, Refusal> {
        let today = self.now.to_zoned(TimeZone::UTC).date();
        let (from, to) = match operator {
            "today" => (today, self.after(today, 1)?),
            "yesterday" => (self.after(today, -1)?, today),
            "tomorrow" => (self.after(today, 1)?, self.after(today, 2)?),
            "last-seven-days" => (self.after(today, -7)?, self.after(today, 1)?),
            "next-seven-days" => (self.after(today, 1)?, self.after(today, 8)?),
            "this-month" => (today.first_of_month(), self.after(today.last_of_month(), 1)?),
            "this-year" => (today.first_of_year(), self.after(today.last_of_year(), 1)?),
            _ => return Ok(None),
        };
        Ok(Some((from, to)))
    }

    fn after(&self, date: Date, days: i64) -> Result<Date, Refusal> {
        date.checked_add(days.days()).map_err(|_| self.refuse("is out of range"))
    }

    /// `last-x-days`, `next-x-hours`, `olderthan-x-months` and their kin.
    fn relative(&self) -> Result<Expression, Refusal> {
        let (before, unit) =
            self.condition.operator.split_once("-x-").ok_or_else(|| self.unknown())?;
        let text = self.raw(0)?;
        let count: i32 = text.trim().parse().map_err(|_| self.wrong(&text))?;
        let span = Span::new();
        let span = match unit {
            "minutes" => span.try_minutes(count),
            "hours" => span.try_hours(count),
            "days" => span.try_days(count),
            "weeks" => span.try_weeks(count),
            "months" => span.try_months(count),
            "years" => span.try_years(count),
            _ => return Err(self.unknown()),
        };
        let far = |_| self.refuse("is out of range");
        let span = span.map_err(far)?;
        let now = self.now.to_zoned(TimeZone::UTC);
        let moment = |span: Span| now.checked_add(span).map(|time| Operand::Time(time.timestamp()));
        let now = Operand::Time(self.now);
        let (from, to) = match before {
            "last" => (moment(-span).map_err(far)?, now),
            "next" => (now, moment(span).map_err(far)?),
            "olderthan" => {
                return Ok(self.against(Comparison::Lt, moment(-span).map_err(far)?));
            }
            _ => return Err(self.unknown()),
        };
        let from = self.against(Comparison::Ge, from);
        Ok(Expression::And(vec![from, self.against(Comparison::Le, to)]))
    }

    fn within(&self, from: Date, to: Date) -> Expression {
        let from = self.against(Comparison::Ge, Operand::Date(from));
        Expression::And(vec![from, self.against(Comparison::Lt, Operand::Date(to))])
    }

    fn day(&self) -> Result<Date, Refusal> {
        let text = self.raw(0)?;
        match Operand::read_time(text.trim()) {
            Some(Operand::Date(date)) => Ok(date),
            Some(Operand::Time(time)) => Ok(time.to_zoned(TimeZone::UTC).date()),
            _ => Err(self.wrong(&text)),
        }
    }

    fn of(&self) -> Expression {
        Expression::Path(self.path.clone())
    }

    fn against(&self, op: Comparison, value: Operand) -> Expression {
        Expression::compare(op, self.of(), Expression::Value(value))
    }

    fn raw(&self, at: usize) -> Result<String, Refusal> {
        let missing = || self.refuse("has too few values");
        self.condition.values.get(at).cloned().ok_or_else(missing)
    }

    fn value(&self, at: usize) -> Result<Operand, Refusal> {
        let text = self.raw(at)?;
        Operand::read(self.kind, &text).ok_or_else(|| self.wrong(&text))
    }

    fn unknown(&self) -> Refusal {
        self.refuse("has an operator that is not valid")
    }

    fn wrong(&self, text: &str) -> Refusal {
        self.refuse(&format!("has a value of the wrong type: '{text}'"))
    }

    fn refuse(&self, what: &str) -> Refusal {
        let Condition { column, operator, .. } = self.condition;
        Refusal::bad("0x80040203", format!("The condition '{column} {operator}' {what}."))
    }
}

fn turned(found: Expression, negated: bool) -> Expression {
    if negated { found.negated() } else { found }
}

fn comparison(operator: &str) -> Option<Comparison> {
    match operator {
        "eq" => Some(Comparison::Eq),
        "ne" | "neq" => Some(Comparison::Ne),
        "gt" => Some(Comparison::Gt),
        "ge" => Some(Comparison::Ge),
        "lt" => Some(Comparison::Lt),
        "le" => Some(Comparison::Le),
        _ => None,
    }
}

/// The test of a text operator, whether it is negated, and its pattern with `$` for the value. `%` in the
/// value is a wildcard for all of them.
fn text_test(operator: &str) -> Option<(TextTest, bool, &'static str)> {
    match operator {
        "like" => Some((TextTest::Like, false, "$")),
        "not-like" => Some((TextTest::Like, true, "$")),
        "begins-with" => Some((TextTest::Like, false, "$%")),
        "not-begin-with" => Some((TextTest::Like, true, "$%")),
        "ends-with" => Some((TextTest::Like, false, "%$")),
        "not-end-with" => Some((TextTest::Like, true, "%$")),
        _ => None,
    }
}
