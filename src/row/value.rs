//! Values in the target's types, and how they stand in the ledger.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// A value in the target's types.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Value {
    /// Clears the column.
    Null,
    /// Text.
    Text(String),
    /// A whole number, or a choice by its number.
    Integer(i64),
    /// An exact decimal; trailing zeros are kept.
    Decimal(Decimal),
    /// Yes or no.
    Boolean(bool),
    /// A date without a time.
    Date(Date),
    /// A moment, in UTC, whole seconds or finer.
    Time(Timestamp),
    /// An id.
    Guid(Uuid),
    /// Several choices by their numbers, ascending.
    Choices(Vec<i32>),
    /// A reference to a row of another table, by that row's business key.
    Lookup(Lookup),
}

/// A reference by business key, possibly over several hops.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Lookup {
    /// The table referred to.
    pub table: Arc<str>,
    /// Conditions that name exactly one row of it. The first part is the path: one column for a plain
    /// alternate key, `lookup column … column` where the key is that of a parent.
    pub by: Vec<(Vec<Arc<str>>, Value)>,
    /// What is done when there is no such row.
    #[serde(default, rename = "else", skip_serializing_if = "is_park")]
    pub missing: Missing,
}

/// What is done when a lookup finds no row.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Missing {
    /// The row waits for it.
    #[default]
    Park,
    /// The column is cleared.
    Null,
    /// The row is poisoned.
    Poison,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference")]
fn is_park(missing: &Missing) -> bool {
    *missing == Missing::Park
}

/// Shows the bare value, as it would stand in a message or a table.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Text(text) => f.write_str(text),
            Self::Integer(number) => number.fmt(f),
            Self::Decimal(number) => number.fmt(f),
            Self::Boolean(yes) => yes.fmt(f),
            Self::Date(date) => date.fmt(f),
            Self::Time(time) => time.fmt(f),
            Self::Guid(id) => id.fmt(f),
            Self::Choices(choices) => {
                let texts: Vec<String> = choices.iter().map(ToString::to_string).collect();
                f.write_str(&texts.join(","))
            }
            Self::Lookup(lookup) => {
                write!(f, "{}(", lookup.table)?;
                for (index, (path, value)) in lookup.by.iter().enumerate() {
                    let comma = if index > 0 { "," } else { "" };
                    write!(f, "{comma}{}={value}", path.join("."))?;
                }
                f.write_char(')')
            }
        }
    }
}

/// How a value stands in the ledger: native JSON where JSON has the type, a one-member object where
/// it has not.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Stored {
    Null(()),
    Boolean(bool),
    Integer(i64),
    Text(String),
    Tagged(Tagged),
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tagged {
    Decimal(String),
    Date(Date),
    Time(Timestamp),
    Guid(Uuid),
    Choices(Vec<i32>),
    Lookup(Lookup),
}

impl Serialize for Value {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tagged = match self {
            Self::Null => return serializer.serialize_unit(),
            Self::Text(text) => return serializer.serialize_str(text),
            Self::Integer(number) => return serializer.serialize_i64(*number),
            Self::Boolean(yes) => return serializer.serialize_bool(*yes),
            Self::Decimal(number) => Tagged::Decimal(number.to_string()),
            Self::Date(date) => Tagged::Date(*date),
            Self::Time(time) => Tagged::Time(*time),
            Self::Guid(id) => Tagged::Guid(*id),
            Self::Choices(choices) => Tagged::Choices(choices.clone()),
            Self::Lookup(lookup) => Tagged::Lookup(lookup.clone()),
        };
        tagged.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Null(()) => Self::Null,
            Stored::Boolean(yes) => Self::Boolean(yes),
            Stored::Integer(number) => Self::Integer(number),
            Stored::Text(text) => Self::Text(text),
            Stored::Tagged(Tagged::Decimal(text)) => {
                Self::Decimal(text.parse().map_err(serde::de::Error::custom)?)
            }
            Stored::Tagged(Tagged::Date(date)) => Self::Date(date),
            Stored::Tagged(Tagged::Time(time)) => Self::Time(time),
            Stored::Tagged(Tagged::Guid(id)) => Self::Guid(id),
            Stored::Tagged(Tagged::Choices(choices)) => Self::Choices(choices),
            Stored::Tagged(Tagged::Lookup(lookup)) => Self::Lookup(lookup),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every_value() -> Vec<Value> {
        vec![
            Value::Null,
            Value::Text("a\"b".into()),
            Value::Integer(-3),
            Value::Decimal("20000.0000".parse().unwrap()),
            Value::Boolean(true),
            Value::Date(jiff::civil::date(2024, 2, 29)),
            Value::Time(Timestamp::UNIX_EPOCH),
            Value::Guid(Uuid::nil()),
            Value::Choices(vec![1, 3]),
            Value::Lookup(Lookup {
                table: "contact".into(),
                by: vec![(vec!["acme_number".into()], Value::Text("C-1".into()))],
                missing: Missing::Null,
            }),
        ]
    }

    #[test]
    fn a_stored_value_comes_back_as_it_was() {
        for value in every_value() {
            let json = serde_json::to_string(&value).unwrap();
            let back: Value = serde_json::from_str(&json).unwrap();
            assert_eq!(back, value, "{json}");
            assert_eq!(back.to_string(), value.to_string());
        }
    }
}
