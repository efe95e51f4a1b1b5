//! The canaries of `concord.toml`: for each map that has one, which row carries the stamp, and how often.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::row::Value;

/// Canaries by the name of their map.
pub type Config = IndexMap<String, Canary>;

/// A row of the source that is stamped again and again, and looked for at the target.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["key", "stamp"]))]
pub struct Canary {
    /// The row, by an alternate key of the source's table: column = value. It is made when it is not
    /// there.
    pub key: IndexMap<String, Cell>,
    /// The text column of the source that carries the stamp, and that the map reads.
    pub stamp: String,
    /// What else the row needs for the map to take it: column = value.
    pub set: IndexMap<String, Cell>,
    /// A stamp is written every so many minutes, as often as the sweep comes.
    pub minutes: u32,
    /// A stamp that is not at the target after so many seconds is lost.
    pub seconds: u32,
    /// For how many days results are kept.
    pub days: u32,
}

impl Default for Canary {
    fn default() -> Self {
        let (key, set) = (IndexMap::new(), IndexMap::new());
        Self { key, stamp: String::new(), set, minutes: 15, seconds: 300, days: 30 }
    }
}

/// A value as `concord.toml` has it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Cell {
    /// Yes or no.
    Boolean(bool),
    /// A whole number, or a choice by its number.
    Integer(i64),
    /// Text.
    Text(String),
}

impl Cell {
    /// The value that is written.
    pub fn value(&self) -> Value {
        match self {
            Self::Boolean(yes) => Value::Boolean(*yes),
            Self::Integer(number) => Value::Integer(*number),
            Self::Text(text) => Value::Text(text.clone()),
        }
    }
}

impl Canary {
    /// What is wrong with it by itself: key and message.
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let wrong = [
            (
                self.key.is_empty(),
                ("key", "`key` names no column: say which row carries the stamp"),
            ),
            (
                self.stamp.is_empty(),
                ("stamp", "`stamp` is missing: a text column that the map reads"),
            ),
            (!(1..=1_440).contains(&self.minutes), ("minutes", "between a minute and a day")),
            (!(1..=86_400).contains(&self.seconds), ("seconds", "between a second and a day")),
            (!(1..=366).contains(&self.days), ("days", "between a day and a year")),
        ];
        wrong.into_iter().filter(|(is, _)| *is).map(|(_, problem)| problem).collect()
    }
}
