//! Rules at run time: one compiled plan per column, and the one interpreter of them.
//!
//! In comes a change, out goes a value for the column, or nothing when the column is not to be touched,
//! or the fault that the map's policies let through. A fault names the rule and never the value; the
//! value goes to its detail, which only the error record shows, unless it is secured.

pub mod code;
pub mod compile;
pub mod condition;
pub mod convert;
pub mod country;
pub mod currency;
pub mod date;
pub mod edge;
pub mod expr;
pub mod language;
pub mod lookup;
pub mod number;
pub mod phone;
pub mod source;
pub mod text;
pub mod values;

use std::borrow::Cow;

pub use convert::{Act, Part};
pub use source::Source;

use super::datum::Datum;
use super::file::{OnError, Over, Policy};
use super::scene::Scene;
use super::trace::Trail;
use crate::fault::{Fault, Kind};
use crate::row::Value;
use crate::system::ColumnKind;

/// How much of a value the detail of a fault shows.
const SHOWN: usize = 200;

/// The compiled rule of one column.
#[derive(Debug)]
pub struct Plan {
    /// Where the value comes from.
    pub source: Source,
    /// How the source is shown.
    pub shown: String,
    /// The steps, in the order of the language.
    pub parts: Vec<Part>,
    /// The longest text, and what happens to a longer one.
    pub max: Option<(u32, Over)>,
    /// When the property is missing.
    pub absent: Policy,
    /// When the value is null.
    pub null: Policy,
    /// When it cannot be converted.
    pub on_error: OnError,
    /// Whether the value is shown nowhere.
    pub secured: bool,
    /// What the rule yields, as far as it can be known without a change.
    pub shape: Shape,
}

/// What a rule yields.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape {
    /// The type; none when it depends on the change.
    pub kind: Option<ColumnKind>,
    /// The numbers a choice can take, when they are listed.
    pub numbers: Vec<i32>,
    /// The length of the longest constant or table entry, when there is nothing else.
    pub longest: Option<u32>,
    /// The table and key paths a lookup uses.
    pub lookup: Option<(String, Vec<Vec<String>>)>,
}

impl Plan {
    /// The column's value; none when the column is not to be touched.
    pub fn value(&self, scene: &Scene<'_>, trail: &mut Trail) -> Result<Option<Value>, Fault> {
        let datum = self.datum(scene, trail)?;
        let (policy, what) = match datum {
            Datum::Missing => (self.absent, "missing"),
            Datum::Null | Datum::Typed(Value::Null) => (self.null, "null"),
            Datum::Json(_) => {
                let text = "it is a list or an object; take a part of it with `expr`";
                return self.or_policy(inconvertible(text));
            }
            value @ (Datum::Text(_) | Datum::Number(_) | Datum::Boolean(_) | Datum::Typed(_)) => {
                return Ok(value.into_value());
            }
        };
        self.nothing(policy, what)
    }

    fn nothing(&self, policy: Policy, what: &str) -> Result<Option<Value>, Fault> {
        match policy {
            Policy::Omit => Ok(None),
            Policy::Clear => Ok(Some(Value::Null)),
            Policy::Reject => {
                let text = format!("the value of {} is {what} but must be there", self.shown);
                Err(Fault::new(Kind::ValueMissing, text))
            }
        }
    }

    fn or_policy(&self, fault: Fault) -> Result<Option<Value>, Fault> {
        match self.on_error {
            OnError::Null => self.nothing(self.null, "not convertible"),
            OnError::Poison | OnError::Passthrough => Err(fault),
        }
    }

    /// The value before the policies for missing and null, after everything else.
    pub fn datum<'c>(&self, scene: &Scene<'c>, trail: &mut Trail) -> Result<Datum<'c>, Fault> {
        let read = self.source.read(scene);
        trail.step(&self.shown, read.as_ref().unwrap_or(&Datum::Missing), "read", read.as_ref());
        let steps = match read {
            Ok(datum) => self.steps(datum, trail),
            Err(fault) => Err(fault),
        };
        match (steps.and_then(|datum| self.fitted(datum, trail)), self.on_error) {
            (Err(_), OnError::Null) => Ok(Datum::Null),
            (Err(fault), OnError::Poison | OnError::Passthrough) => Err(fault),
            (Ok(datum), _) => Ok(datum),
        }
    }

    fn steps<'c>(&self, read: Datum<'c>, trail: &mut Trail) -> Result<Datum<'c>, Fault> {
        let mut now = read;
        let mut defaulted = false;
        let mut plain = None;
        for part in &self.parts {
            let converts = part.act.converts();
            if part.act.passes_over(&now, defaulted) {
                continue;
            }
            if converts && plain.is_none() && self.on_error == OnError::Passthrough {
                plain = now.text().map(|text| Datum::Text(text.into_owned().into()));
            }
            let after = part.act.apply(&now).map_err(|fault| self.explained(fault, part, &now));
            let seen = after.as_ref().map(|after| after.as_ref().unwrap_or(&now));
            trail.step(&self.shown, &now, &part.shown, seen);
            defaulted = defaulted || matches!(part.act, Act::Default(_));
            match (after, &mut plain) {
                (Ok(after), _) => now = after.unwrap_or(now),
                (Err(_), Some(text)) if converts => return Ok(text.clone()),
                (Err(fault), _) => return Err(fault),
            }
        }
        Ok(now)
    }

    /// Names the source and the step, and keeps the value for the error record.
    fn explained(&self, mut fault: Fault, part: &Part, value: &Datum<'_>) -> Fault {
        fault.message = format!("{} of {}: {}", part.shown, self.shown, fault.message).into();
        let shown: String = value.show().chars().take(SHOWN).collect();
        if self.secured { fault } else { fault.detail(format!("the value is {shown}")) }
    }

    fn fitted<'c>(&self, datum: Datum<'c>, trail: &mut Trail) -> Result<Datum<'c>, Fault> {
        let Some((max, over)) = self.max else { return Ok(datum) };
        let Some(text) = datum.text() else { return Ok(datum) };
        let Some(cut) = text::cut(&text, max) else { return Ok(datum) };
        let after = match over {
            Over::Cut => Ok(Datum::Text(cut.to_owned().into())),
            Over::Error => {
                let length = text.chars().count();
                let text = format!("{} has {length} characters; the map allows {max}", self.shown);
                Err(Fault::new(Kind::TooLong, text))
            }
        };
        trail.step(&self.shown, &datum, &format!("max = {max}"), after.as_ref());
        after
    }

    /// Calls `see` with this rule and every rule inside it.
    pub fn visit<'p>(&'p self, see: &mut dyn FnMut(&'p Self)) {
        see(self);
        self.source.visit(see);
    }
}

/// A value that cannot become what the column holds.
pub fn inconvertible(message: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(Kind::Inconvertible, message)
}

/// A value that stands in no table.
pub fn value_unknown(message: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(Kind::ValueUnknown, message)
}
