//! One step of a rule: a value in, the same value changed or converted out.

use std::borrow::Cow;

use super::country::Countries;
use super::date::Calendar;
use super::lookup::Reference;
use super::number::{self, Notation};
use super::phone::Phones;
use super::values::{Choices, Table, YesNo};
use super::{currency, inconvertible, language, text};
use crate::fault::Fault;
use crate::mapping::datum::Datum;
use crate::mapping::file::{Currency, Language};
use crate::row::Value;

/// A step and how it is shown.
#[derive(Debug)]
pub struct Part {
    /// As it stands in the map.
    pub shown: String,
    /// What it does.
    pub act: Act,
}

/// What a step does.
#[derive(Debug)]
pub enum Act {
    /// Changes a text.
    Text(text::Step),
    /// Takes an empty text for null.
    Blank,
    /// Stands in for what is missing, null or empty.
    Default(Value),
    /// To ISO 3166.
    Country(Countries),
    /// To ISO 4217.
    Currency(Currency),
    /// To ISO 639.
    Language(Language),
    /// To E.164, or its extension.
    Phone(Phones),
    /// Through a value table.
    Table(Table),
    /// To a day.
    Date(Calendar),
    /// To a moment.
    Time(Calendar),
    /// To a decimal.
    Decimal(Notation),
    /// To a whole number.
    Integer,
    /// To yes or no.
    Boolean(YesNo),
    /// To a choice.
    Choice(Choices),
    /// To several choices.
    Choices(Choices),
    /// To an id.
    Guid,
    /// To a reference.
    Lookup(Reference),
}

impl Act {
    /// Whether `on_error = "passthrough"` concerns it.
    pub fn converts(&self) -> bool {
        !matches!(self, Self::Text(_) | Self::Blank | Self::Default(_))
    }

    /// Whether it does not concern this value. Nothing but a default touches what is not there, and a
    /// default is in the target's words already.
    pub fn passes_over(&self, value: &Datum<'_>, defaulted: bool) -> bool {
        match self {
            Self::Default(_) => !value.is_absent(),
            Self::Blank => !value.is_blank() || value.is_absent(),
            Self::Country(_)
            | Self::Currency(_)
            | Self::Language(_)
            | Self::Phone(_)
            | Self::Table(_) => defaulted || value.is_absent(),
            Self::Text(_)
            | Self::Date(_)
            | Self::Time(_)
            | Self::Decimal(_)
            | Self::Integer
            | Self::Boolean(_)
            | Self::Choice(_)
            | Self::Choices(_)
            | Self::Guid
            | Self::Lookup(_) => value.is_absent(),
        }
    }

    /// Applies it; `None` leaves the value as it is.
    pub fn apply(&self, value: &Datum<'_>) -> Result<Option<Datum<'static>>, Fault> {
        Ok(Some(match self {
            Self::Blank => Datum::Null,
            Self::Default(default) => Datum::from(default.clone()),
            Self::Text(step) => return changed(step, value),
            Self::Table(table) => Datum::from(table.find(&single(value)?)?),
            Self::Country(to) => Datum::Text(to.convert(&single(value)?)?.into()),
            Self::Currency(to) => Datum::Text(currency::convert(&single(value)?, *to)?.into()),
            Self::Language(to) => Datum::Text(language::convert(&single(value)?, *to)?.into()),
            Self::Phone(to) => match to.convert(&single(value)?)? {
                Some(text) => Datum::Text(text.into()),
                None => Datum::Null,
            },
            Self::Choices(choices) => Datum::Typed(several(choices, value)?),
            Self::Lookup(reference) => return referred(reference, value).map(Some),
            Self::Date(calendar) => Datum::Typed(Value::Date(calendar.date(&single(value)?)?)),
            Self::Time(_) if matches!(value, Datum::Typed(Value::Time(_))) => return Ok(None),
            Self::Time(calendar) => Datum::Typed(Value::Time(calendar.moment(&single(value)?)?)),
            Self::Decimal(notation) => Datum::Typed(Value::Decimal(decimal(notation, value)?)),
            Self::Integer => Datum::Typed(Value::Integer(number::integer(&single(value)?)?)),
            Self::Boolean(words) => Datum::Typed(Value::Boolean(words.read(&single(value)?)?)),
            Self::Choice(choices) => {
                Datum::Typed(Value::Integer(choices.one(&single(value)?)?.into()))
            }
            Self::Guid => Datum::Typed(Value::Guid(guid(&single(value)?)?)),
        }))
    }
}

fn single<'v>(value: &'v Datum<'_>) -> Result<Cow<'v, str>, Fault> {
    value.text().ok_or_else(|| inconvertible("it is a list, an object or no text at all"))
}

/// Text steps concern texts and what is written as one; `true` and lists stay as they are.
fn changed(step: &text::Step, value: &Datum<'_>) -> Result<Option<Datum<'static>>, Fault> {
    let (Datum::Text(text) | Datum::Number(text)) = value else { return Ok(None) };
    Ok(Some(match step.apply(text) {
        Some(changed) if changed == **text => return Ok(None),
        Some(changed) => Datum::Text(changed.into_owned().into()),
        None => Datum::Null,
    }))
}

/// A text is in the map's notation; a JSON number is in JSON's.
fn decimal(notation: &Notation, value: &Datum<'_>) -> Result<rust_decimal::Decimal, Fault> {
    if let Datum::Text(text) = value {
        return notation.read(text);
    }
    notation.read_json(&single(value)?)
}

fn guid(text: &str) -> Result<uuid::Uuid, Fault> {
    uuid::Uuid::try_parse(text).map_err(|_| inconvertible("it is not a GUID"))
}

fn several(choices: &Choices, value: &Datum<'_>) -> Result<Value, Fault> {
    let numbers = match value {
        Datum::Json(json) => {
            let listed: Vec<&serde_json::value::RawValue> =
                serde_json::from_str(json).map_err(|_| inconvertible("it is not a list"))?;
            let items: Vec<Datum<'_>> = listed.iter().map(|item| Datum::read(item)).collect();
            let words = items.iter().map(single).collect::<Result<Vec<_>, _>>()?;
            choices.several(words.iter().map(|word| &**word))?
        }
        Datum::Missing
        | Datum::Null
        | Datum::Text(_)
        | Datum::Number(_)
        | Datum::Boolean(_)
        | Datum::Typed(_) => choices.several(single(value)?.split([';', ',']))?,
    };
    Ok(if numbers.is_empty() { Value::Null } else { Value::Choices(numbers) })
}

fn referred(reference: &Reference, value: &Datum<'_>) -> Result<Datum<'static>, Fault> {
    let text = "it is a list or an object and cannot be a key";
    let key = value.clone().into_owned().into_value().ok_or_else(|| inconvertible(text))?;
    Ok(Datum::Typed(reference.to(key)))
}
