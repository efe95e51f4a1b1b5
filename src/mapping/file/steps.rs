//! What stands behind the keys of a rule: one structure or word list for each.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::Rule;

/// A fact of the change itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// The source's id of the thing.
    Key,
    /// The same.
    Id,
    /// The source's version.
    Version,
    /// When the source sent it.
    Emitted,
    /// The correlation id.
    Correlation,
    /// The event's own id.
    EventId,
    /// `upsert` or `remove`.
    Operation,
    /// The kind of thing.
    Entity,
}

/// A CluedIn code: `/Customer#SAP:0000104711` has the origin `SAP` and the value `0000104711`.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected an origin, or a table with origin and pick"
)]
pub enum Code {
    /// The origin.
    Origin(String),
    /// The origin, and what to do with several codes of it.
    #[serde(rename_all = "snake_case")]
    Pick {
        /// The origin.
        origin: String,
        /// Which of several.
        #[serde(default)]
        pick: Pick,
    },
}

/// Which of several values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Pick {
    /// There must be one only; several are ambiguous and poison the row.
    #[default]
    Only,
    /// The first in the order they were sent.
    First,
    /// The last in the order they were sent.
    Last,
    /// The least by text: the same whatever the order.
    Least,
}

/// A reference from one thing to another.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["type", "origin"]))]
pub struct Edge {
    /// The kind of edge, `/WorksFor`.
    pub r#type: String,
    /// The origin of the code at the other end.
    pub origin: String,
    /// Only edges that leave this thing, or only those that reach it; found out by comparing both ends
    /// with the thing's own codes.
    pub direction: Option<Direction>,
    /// Which of several.
    pub pick: Pick,
}

/// The direction of an edge, seen from the thing itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// From this thing to another.
    Out,
    /// From another to this thing.
    In,
}

/// Several properties in one text.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["from"]))]
pub struct Join {
    /// The properties.
    pub from: Vec<String>,
    /// What stands between them.
    pub with: String,
}

/// One piece of a text.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["on"]))]
pub struct Split {
    /// What stands between the pieces.
    pub on: String,
    /// Which piece, from 0; negative numbers count from the end. A piece that is not there is null.
    pub at: i32,
}

/// A replacement.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["pattern"]))]
pub struct Replace {
    /// The regular expression to find.
    pub pattern: String,
    /// What to put there; `$1` or `${name}` stands for a group.
    pub with: String,
}

/// Upper or lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Case {
    /// ALL UPPER.
    Upper,
    /// all lower.
    Lower,
    /// First Letter Of Each Word.
    Title,
}

/// To an ISO 3166 form.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected alpha2, alpha3, numeric or name, or a table with to and overlay"
)]
pub enum Country {
    /// The form.
    Form(CountryForm),
    /// The form, with a CSV file (columns `input`, `alpha2`, `alpha3`, `numeric`, `name`) of own inputs.
    With {
        /// The form.
        to: CountryForm,
        /// The file under `vocabularies/`; asked before ISO.
        overlay: String,
    },
}

/// A form of ISO 3166-1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum CountryForm {
    /// `DK`.
    Alpha2,
    /// `DNK`.
    Alpha3,
    /// `208`; three digits with leading zeros.
    Numeric,
    /// `Denmark`.
    Name,
}

/// A form of ISO 4217.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Currency {
    /// `DKK`.
    Alpha,
    /// `208`; three digits with leading zeros.
    Numeric,
}

/// A form of ISO 639.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Language {
    /// `da`.
    #[serde(rename = "639-1")]
    Two,
    /// `dan`.
    #[serde(rename = "639-3")]
    Three,
}

/// To a phone number.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected a region such as \"DK\", or a table with region and part"
)]
pub enum Phone {
    /// The region of numbers without a country code; the extension is dropped.
    Region(String),
    /// The region, and which part to take.
    Part {
        /// The region.
        region: String,
        /// The part.
        #[serde(default)]
        part: PhonePart,
    },
}

/// A part of a phone number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum PhonePart {
    /// The number in E.164, without extension.
    #[default]
    Number,
    /// The extension alone; null when there is none.
    Extension,
}

/// `true`, or a time zone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected true or a time zone such as \"Europe/Copenhagen\""
)]
pub enum Date {
    /// Without a zone.
    Plain(bool),
    /// The zone.
    Zone(String),
}

/// To an exact decimal number.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected true or a table with point, group, digits and round"
)]
pub enum Decimal {
    /// As JSON writes numbers.
    Plain(bool),
    /// As described.
    #[serde(rename_all = "snake_case")]
    Written {
        /// The decimal separator, `.` when absent.
        point: Option<char>,
        /// The separator of thousands; none when absent.
        group: Option<char>,
        /// At most so many digits after the point; more are refused.
        digits: Option<u32>,
        /// Round to `digits` (half away from zero) instead.
        #[serde(default)]
        round: bool,
    },
}

/// To yes or no.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected true or a table with lists named true and false"
)]
pub enum Boolean {
    /// The usual words: true/false, yes/no, y/n, 1/0, on/off.
    Plain(bool),
    /// Own words.
    Words(Words),
}

/// Own words for yes and no, compared without case.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["true", "false"]))]
pub struct Words {
    /// Words for yes.
    pub r#true: Vec<String>,
    /// Words for no.
    pub r#false: Vec<String>,
}

/// Choices by number, or by label.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(untagged, deny_unknown_fields, expecting = "expected true or a table of label = number")]
pub enum Number {
    /// The number itself.
    Plain(bool),
    /// Label = number.
    Labels(IndexMap<String, i32>),
}

/// To a reference to a row of another table.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(
    untagged,
    deny_unknown_fields,
    expecting = "expected \"table.key_column\", or a table with table and by"
)]
pub enum Lookup {
    /// `table.key_column` or `table.lookup_column.key_column`.
    Path(String),
    /// By a key of several columns; a column may be a path over lookups.
    Composite {
        /// The table.
        table: String,
        /// Key column = rule.
        by: IndexMap<String, Rule>,
    },
}

/// What happens to a text that is too long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Over {
    /// The row is poisoned.
    #[default]
    Error,
    /// The rest is cut off.
    Cut,
}
