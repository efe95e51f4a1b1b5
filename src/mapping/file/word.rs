//! The small words of the map language: constants, names, days and policies.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de::Error as _};

/// A fixed value in the target's words.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    untagged,
    expecting = "expected a text, a whole number, true or false; write a decimal in quotes"
)]
pub enum Constant {
    /// Yes or no.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A text; also exact decimals, dates and GUIDs, with the conversion that reads them.
    Text(String),
}

/// Label or source value = what it becomes.
pub type ScalarTable = IndexMap<String, Constant>;

/// One property, or several of which the first that is not empty counts.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(untagged, expecting = "expected a property name or a list of property names")]
pub enum Names {
    /// One property.
    One(String),
    /// The first that is there and is neither null nor empty.
    First(Vec<String>),
}

/// What happens to a column whose value is null, or whose property is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// The column is not touched.
    Omit,
    /// The column is cleared.
    Clear,
    /// The row is poisoned.
    Reject,
}

/// What an empty text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Empty {
    /// It is a value.
    Keep,
    /// The same as null.
    Null,
}

/// What happens when a value cannot be converted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The row is poisoned.
    #[default]
    Poison,
    /// The value is taken for null.
    Null,
    /// The text is written as it came, after the text steps.
    Passthrough,
}

/// A day, written as `2026-03-01` with or without quotes.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Day(pub String);

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match toml::Value::deserialize(deserializer)? {
            toml::Value::String(text) => text,
            toml::Value::Datetime(day) => day.to_string(),
            toml::Value::Integer(_)
            | toml::Value::Float(_)
            | toml::Value::Boolean(_)
            | toml::Value::Array(_)
            | toml::Value::Table(_) => return Err(D::Error::custom("expected a day, 2026-03-01")),
        };
        let day: Result<jiff::civil::Date, _> = text.parse();
        day.map(|_| Self(text)).map_err(|_| D::Error::custom("expected a day, 2026-03-01"))
    }
}
