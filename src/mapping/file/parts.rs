//! The parts of one field's rule, as a person writes them.
//!
//! However they are ordered in the file, they are applied in the order of the fields of [`Parts`]:
//! source, text steps, default, standard code, value table, conversion, lookup, length.

use schemars::JsonSchema;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer};

use super::steps::{
    Boolean, Case, Code, Country, Currency, Date, Decimal, Edge, Fact, Join, Language, Lookup,
    Number, Over, Phone, Replace, Split,
};
use super::{Condition, Constant, Empty, Names, OnError, Policy, ScalarTable};
use crate::row::Missing;

/// How one column gets its value: the name of a property, or parts.
#[derive(Clone, Debug, JsonSchema)]
#[schemars(untagged)]
pub enum Rule {
    /// Short for `{ from = "…" }`.
    Property(String),
    /// The parts.
    Parts(Box<Parts>),
}

impl<'de> Deserialize<'de> for Rule {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Rule;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a property name or a table of rule parts")
            }

            fn visit_str<E>(self, text: &str) -> Result<Rule, E> {
                Ok(Rule::Property(text.to_owned()))
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Rule, A::Error> {
                let parts = Parts::deserialize(MapAccessDeserializer::new(map))?;
                Ok(Rule::Parts(Box::new(parts)))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// The parts of a rule: one source, then any of the steps. They are applied in the order in which they
/// are listed here.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Parts {
    /// Source: a property, or a list of which the first that is not empty counts.
    pub from: Option<Names>,
    /// Source: one of the change's own facts.
    pub fact: Option<Fact>,
    /// Source: a constant.
    pub value: Option<Constant>,
    /// Source: the value part of the CluedIn code with this origin.
    pub code: Option<Code>,
    /// Source: the code at the other end of an edge.
    pub edge: Option<Edge>,
    /// Source: several properties in one text; those that are missing or empty are left out.
    pub join: Option<Join>,
    /// Source: the first branch whose condition holds.
    pub when: Option<Vec<Condition>>,
    /// Source: a jq program. Its input is the object of all properties, `$change` holds the change's
    /// facts, codes and edges; it yields one value. No definitions, no unbounded loops.
    pub expr: Option<String>,
    /// Take one piece of the text.
    pub split: Option<Split>,
    /// Bring the text to Unicode form NFC.
    pub nfc: Option<bool>,
    /// Make one space of every run of white space.
    pub collapse: Option<bool>,
    /// Take white space off both ends.
    pub trim: Option<bool>,
    /// Take these characters off the start.
    pub trim_start: Option<String>,
    /// Take these characters off the end.
    pub trim_end: Option<String>,
    /// Replace what regular expressions find, one after the other.
    pub replace: Option<Vec<Replace>>,
    /// Change the case.
    pub case: Option<Case>,
    /// What an empty text means here.
    pub empty: Option<Empty>,
    /// Stands in for a value that is missing, null or empty. In the target's words: value tables and
    /// standard codes are skipped, conversions are not.
    pub default: Option<Constant>,
    /// To an ISO 3166 form; any form is read.
    pub country: Option<Country>,
    /// To an ISO 4217 form; both forms are read.
    pub currency: Option<Currency>,
    /// To an ISO 639 form; both forms, language tags and English names are read.
    pub language: Option<Language>,
    /// To E.164; numbers without a country code are read as of this region.
    pub phone: Option<Phone>,
    /// Value table: source value = target value. What is not listed is refused.
    pub values: Option<ScalarTable>,
    /// Value table from a CSV file under `vocabularies/`.
    pub vocabulary: Option<String>,
    /// The vocabulary's column to find the value in; its first column when absent.
    pub column: Option<String>,
    /// The vocabulary's column to take the result from.
    pub to: Option<String>,
    /// To a date: `true` takes the day as it is written; a time zone (`"Europe/Copenhagen"`) converts a
    /// moment to that zone first.
    pub date: Option<Date>,
    /// To a moment: the time zone of values without an offset, or `true` to refuse those.
    pub datetime: Option<Date>,
    /// How dates and times are written, when not in ISO 8601 (`"%d.%m.%Y"`); the first that fits.
    pub formats: Option<Vec<String>>,
    /// To an exact decimal number.
    pub decimal: Option<Decimal>,
    /// To a whole number.
    pub integer: Option<bool>,
    /// To yes or no.
    pub boolean: Option<Boolean>,
    /// To a choice: `true` reads a number, a table reads labels (and its numbers).
    pub choice: Option<Number>,
    /// To several choices, from a list or a text separated by `;` or `,`.
    pub choices: Option<Number>,
    /// To an id.
    pub guid: Option<bool>,
    /// To a reference: `table.key_column`, `table.lookup_column.key_column` over hops, or a table with
    /// several key columns.
    pub lookup: Option<Lookup>,
    /// When the row referred to is not there: wait for it, clear the column, or poison the row.
    pub missing: Option<Missing>,
    /// The longest text, in characters.
    pub max: Option<u32>,
    /// What happens to a longer text.
    pub over: Option<Over>,
    /// When the value is null.
    pub null: Option<Policy>,
    /// When the property is missing.
    pub absent: Option<Policy>,
    /// When the value cannot be converted.
    pub on_error: Option<OnError>,
    /// Show the value nowhere but in quarantine.
    pub secured: Option<bool>,
}
