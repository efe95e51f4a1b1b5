//! One intended write, in the target's own words.
//!
//! A [`Row`] is what a map makes of a [`Change`](crate::change::Change): table, key and columns, or a
//! removal. It is plain data that the ledger keeps as readable JSON and any target can write.

mod destination;
mod json;
mod value;

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use self::destination::{Ask, Destination, Gone, HandOff, Keep, MASK, Mode};
pub use self::value::{Lookup, Missing, Value};
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
    pub action: Arc<Action>,
    /// Which of two writes of this row is newer.
    pub order: Order,
    /// Follows the change to the target.
    pub correlation: Correlation,
    /// Leave the target alone unless this system wrote the row: set for removals.
    pub only_if_known: bool,
    /// Which thing of the source the row is of, where a thing may change its key.
    pub thing: Option<Thing>,
}

/// A thing of the source, by the source's own id, and what it has to do with a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Thing {
    /// The row is of it.
    Of(Uuid),
    /// The row was of it, until it took another key or went: the row is removed unless it is of
    /// another thing by now.
    Left(Uuid),
}

impl Thing {
    /// The thing's id.
    pub fn id(self) -> Uuid {
        match self {
            Self::Of(id) | Self::Left(id) => id,
        }
    }
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

impl Row {
    /// The value of a column, if the row sets it.
    pub fn column(&self, name: &str) -> Option<&Value> {
        let Action::Upsert(columns) = &*self.action else { return None };
        let found = columns.values.iter().find(|(column, _)| &**column == name);
        found.map(|(_, value)| value)
    }

    /// Every lookup with its column: those of the key, then those of the columns.
    pub fn lookups(&self) -> impl Iterator<Item = (&Arc<str>, &Lookup)> {
        let columns = match &*self.action {
            Action::Upsert(columns) => columns.values.as_slice(),
            Action::Remove(_) | Action::Hold { .. } => &[],
        };
        let cells = self.key.0.iter().chain(columns);
        cells.filter_map(|(column, value)| Some((column, value.lookup()?)))
    }

    /// A hash over what would be written, and by which contract: equal hashes, equal rows.
    pub fn hash(&self) -> RowHash {
        self.hashed().0
    }

    /// The same, and the action as JSON, from which it is made.
    pub fn hashed(&self) -> (RowHash, String) {
        let (key, action) = (self.key.json(), self.action.json());
        let parts = [self.to.table.as_bytes(), key.as_bytes(), action.as_bytes()];
        (RowHash(digest::of(parts)), action)
    }
}

/// The first 128 bits of a SHA-256 over a row; hexadecimal as text.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct RowHash([u8; 16]);

impl RowHash {
    /// Stands where a hash was that is no longer believed. No row has it.
    pub const DOUBTED: Self = Self([0xff; 16]);

    /// Its hexadecimal digits.
    pub fn digits(self) -> [u8; 32] {
        let mut digits = [0; 32];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair.copy_from_slice(&[digest::digit(byte >> 4), digest::digit(byte & 15)]);
        }
        digits
    }
}

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
        f.write_str(std::str::from_utf8(&self.digits()).unwrap_or_default())
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
        f.write_str(&self.shown())
    }
}

impl Key {
    /// What is shown of it.
    pub fn shown(&self) -> String {
        let mut shown = String::with_capacity(64);
        for (index, (_, value)) in self.0.iter().enumerate() {
            if index > 0 {
                shown.push(',');
            }
            if let Value::Text(text) = value {
                push_escaped(text, &mut shown);
            } else {
                push_escaped(&value.to_string(), &mut shown);
            }
        }
        shown
    }
}

fn push_escaped(text: &str, to: &mut String) {
    let mut rest = text;
    while let Some(at) = memchr::memchr2(b',', b'\\', rest.as_bytes()) {
        let (start, end) = rest.split_at_checked(at).unwrap_or_default();
        to.push_str(start);
        to.push('\\');
        let (special, after) = end.split_at_checked(1).unwrap_or_default();
        to.push_str(special);
        rest = after;
    }
    to.push_str(rest);
}

#[cfg(test)]
mod tests {
    use super::*;

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
            })
            .into(),
            order: Order::emitted_at(Timestamp::UNIX_EPOCH),
            correlation: Correlation::default(),
            only_if_known: false,
            thing: None,
        };
        assert_eq!(row("A").hash(), row("A").hash());
        assert_ne!(row("A").hash(), row("B").hash());
    }
}
