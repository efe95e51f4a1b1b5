//! One intended write, in the target's own words.
//!
//! A [`Row`] is what a map makes of a [`Change`](crate::change::Change): table, key and columns, or a
//! removal. It is plain data that the ledger keeps as readable JSON and any target can write.

mod destination;

use std::fmt::{self, Write as _};
use std::sync::Arc;

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::destination::{Destination, Gone, Keep, MASK, Mode};
use crate::change::Correlation;
use crate::digest;
use crate::order::Order;

/// One intended write.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The map, table and system.
    pub to: Arc<Destination>,
    /// Which row.
    pub key: Key,
    /// What is to become of it.
    pub action: Action,
    /// Which of two writes of this row is newer.
    pub order: Order,
    /// Follows the change to the target.
    pub correlation: Correlation,
    /// Leave the target alone unless this system wrote the row: set for rows that left a filter.
    pub only_if_known: bool,
}

/// The key columns with their values, in the order of the map.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub Vec<(Arc<str>, Value)>);

/// What is to become of a row.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is there with these columns.
    Upsert(Columns),
    /// It is gone.
    Remove(Removal),
    /// It was removed at the source: wait until `due`, and then remove it unless it came back.
    Hold {
        /// When the hold ends.
        due: Timestamp,
        /// What is done then.
        then: Removal,
    },
}

/// The mapped columns of a row. Columns that are not named are never touched.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, Hash)]
pub struct Columns {
    /// Column and value, in the order of the map, without the key's columns.
    #[serde(rename = "set")]
    pub values: Vec<(Arc<str>, Value)>,
    /// The row's state, when the map sets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// The row's owner, when the map sets one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<Owner>,
}

/// A state and status pair (`statecode`, `statuscode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema, Hash)]
#[serde(deny_unknown_fields)]
pub struct State {
    /// `statecode`.
    pub state: i32,
    /// `statuscode`; the state's default when absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<i32>,
}

/// Who owns a row: a user or a team, by GUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Owner {
    /// A system user.
    User(Uuid),
    /// A team.
    Team(Uuid),
}

/// How a row is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, Hash)]
#[serde(rename_all = "lowercase")]
pub enum Removal {
    /// The row is deleted.
    Delete,
    /// The row stays and takes this state.
    Deactivate(State),
}

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

impl Row {
    /// The value of a column, if the row sets it.
    pub fn column(&self, name: &str) -> Option<&Value> {
        let Action::Upsert(columns) = &self.action else { return None };
        let found = columns.values.iter().find(|(column, _)| &**column == name);
        found.map(|(_, value)| value)
    }

    /// A hash over what would be written, and by which contract: equal hashes, equal rows.
    pub fn hash(&self) -> RowHash {
        let key = serde_json::to_vec(&self.key).unwrap_or_default();
        let action = serde_json::to_vec(&self.action).unwrap_or_default();
        RowHash(digest::of([self.to.table.as_bytes(), &*key, &*action]))
    }
}

/// The first 128 bits of a SHA-256 over a row; hexadecimal as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RowHash([u8; 16]);

impl Serialize for RowHash {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for RowHash {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'_, str>>::deserialize(deserializer)?;
        let number = u128::from_str_radix(&text, 16).map_err(serde::de::Error::custom)?;
        Ok(Self(number.to_be_bytes()))
    }
}

impl fmt::Display for RowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&digest::hex(&self.0))
    }
}

impl fmt::Debug for RowHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Shows the key as people write it: the values, joined by commas; commas and backslashes inside a
/// value are escaped with a backslash. Two keys of one map are equal exactly when these texts are.
impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, (_, value)) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_char(',')?;
            }
            for char in value.to_string().chars() {
                if matches!(char, ',' | '\\') {
                    f.write_char('\\')?;
                }
                f.write_char(char)?;
            }
        }
        Ok(())
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

    #[test]
    fn keys_that_differ_show_differently() {
        let key = |parts: &[&str]| {
            Key(parts.iter().map(|text| ("k".into(), Value::Text((*text).into()))).collect())
                .to_string()
        };
        assert_eq!(key(&["US01", "C-1"]), "US01,C-1");
        assert_ne!(key(&["a,b", "c"]), key(&["a", "b,c"]));
        assert_ne!(key(&["a\\", "b"]), key(&["a\\,b"]));
    }

    #[test]
    fn two_rows_have_one_hash_exactly_when_they_write_the_same() {
        let row = |name: &str| Row {
            to: Arc::default(),
            key: Key(vec![("n".into(), Value::Text("1".into()))]),
            action: Action::Upsert(Columns {
                values: vec![("name".into(), Value::Text(name.into()))],
                ..Columns::default()
            }),
            order: Order::emitted_at(Timestamp::UNIX_EPOCH),
            correlation: Correlation::default(),
            only_if_known: false,
        };
        assert_eq!(row("A").hash(), row("A").hash());
        assert_ne!(row("A").hash(), row("B").hash());
    }
}
