//! Values in the target's types, and how they stand in the ledger.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
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

impl Value {
    /// The reference, if it is one.
    pub fn lookup(&self) -> Option<&Lookup> {
        match self {
            Self::Lookup(lookup) => Some(lookup),
            Self::Null
            | Self::Text(_)
            | Self::Integer(_)
            | Self::Decimal(_)
            | Self::Boolean(_)
            | Self::Date(_)
            | Self::Time(_)
            | Self::Guid(_)
            | Self::Choices(_) => None,
        }
    }
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

/// A value that JSON has no type for, as it stands in the ledger: an object with one member.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Tagged {
    Decimal(String),
    Date(Date),
    Time(Timestamp),
    Guid(Uuid),
    Choices(Vec<i32>),
    Lookup(Lookup),
}

/// How a value stands in the ledger: native JSON where JSON has the type, a one-member object where
/// it has not.
impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Null => serializer.serialize_unit(),
            Self::Text(text) => serializer.serialize_str(text),
            Self::Integer(number) => serializer.serialize_i64(*number),
            Self::Boolean(yes) => serializer.serialize_bool(*yes),
            Self::Decimal(number) => tagged(serializer, "decimal", &format_args!("{number}")),
            Self::Date(date) => tagged(serializer, "date", date),
            Self::Time(time) => tagged(serializer, "time", time),
            Self::Guid(id) => tagged(serializer, "guid", id),
            Self::Choices(choices) => tagged(serializer, "choices", choices),
            Self::Lookup(lookup) => tagged(serializer, "lookup", lookup),
        }
    }
}

fn tagged<S: Serializer, T: Serialize + ?Sized>(
    serializer: S,
    tag: &'static str,
    value: &T,
) -> Result<S::Ok, S::Error> {
    serializer.serialize_newtype_variant("Value", 0, tag, value)
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Stored)
    }
}

struct Stored;

impl<'de> Visitor<'de> for Stored {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value as the ledger keeps it")
    }

    fn visit_unit<E: Error>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, yes: bool) -> Result<Value, E> {
        Ok(Value::Boolean(yes))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value, E> {
        Ok(Value::Integer(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value, E> {
        i64::try_from(number).map(Value::Integer).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value, E> {
        Ok(Value::Text(text.to_owned()))
    }

    fn visit_string<E: Error>(self, text: String) -> Result<Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Value, A::Error> {
        Ok(match Tagged::deserialize(MapAccessDeserializer::new(map))? {
            Tagged::Decimal(text) => Value::Decimal(text.parse().map_err(A::Error::custom)?),
            Tagged::Date(date) => Value::Date(date),
            Tagged::Time(time) => Value::Time(time),
            Tagged::Guid(id) => Value::Guid(id),
            Tagged::Choices(choices) => Value::Choices(choices),
            Tagged::Lookup(lookup) => Value::Lookup(lookup),
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
