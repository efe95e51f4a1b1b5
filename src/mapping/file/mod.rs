//! A map as a person writes it: the sections of one `maps/*.toml` file.
//!
//! These structures are the language: their documentation becomes the help of editors, and every key
//! that is not named here is refused. What is required is checked when a map is compiled, so that one
//! reading finds everything. Nothing of this is used at run time.

mod condition;
mod parts;
mod steps;
mod word;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

pub use condition::Condition;
pub use parts::{Parts, Rule};
pub use steps::{
    Boolean, Case, Code, Country, CountryForm, Currency, Date, Decimal, Direction, Edge, Fact,
    Join, Language, Lookup, Number, Over, Phone, PhonePart, Pick, Replace, Split, Words,
};
pub use word::{Constant, Day, Empty, Names, OnError, Policy, ScalarTable};

use crate::row::{Gone, Keep, Mode, State};

/// One map: which entity of which source becomes which table of which target.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Concord map")]
#[schemars(extend("required" = ["map", "version", "from", "to", "key"]))]
pub struct MapFile {
    /// The map's name. Rows in the ledger are remembered under it.
    pub map: String,
    /// The map's version, stored with every row written. Raise it with every change of meaning.
    pub version: u32,
    /// What the map is for, in a sentence.
    pub description: Option<String>,
    /// Where changes come from.
    pub from: From,
    /// Where rows go.
    pub to: To,
    /// The key columns, in this order: an alternate key of the table.
    pub key: IndexMap<String, Rule>,
    /// Column = rule. A bare text is short for `{ from = "…" }`.
    pub fields: IndexMap<String, Rule>,
    /// Which changes the map is about.
    pub filter: Option<Filter>,
    /// What becomes of the row when the source removes the thing.
    pub removed: Option<Removed>,
    /// The row's state and status.
    pub state: Option<StateRule>,
    /// The row's owner.
    pub owner: Option<Owner>,
    /// What is done when the source or the target is no longer as the map knows it.
    pub drift: Drift,
    /// What the ledger keeps.
    pub ledger: Option<Ledger>,
    /// Decisions that people made about this map.
    pub decision: Vec<Decision>,
    /// What must hold before a row is written.
    pub validate: Vec<Validate>,
    /// Columns whose values are shown nowhere but in quarantine.
    pub secured: Vec<String>,
}

/// Where changes come from.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["system", "entity"]))]
pub struct From {
    /// The source system of `concord.toml`.
    pub system: String,
    /// The kind of thing: `/Customer`, `account`, an event type. Compared without case; the leading
    /// slash does not matter.
    pub entity: String,
    /// The payload versions this map reads, such as `">=1 <3"`. All when absent.
    pub schema: Option<String>,
    /// For a Dataverse environment: whether a row is mapped as its event shows it, or read again first.
    /// The system's own `read` when absent.
    pub read: Option<Read>,
    /// For a Dataverse environment: the entity is a many-to-many relationship, by its schema name, and
    /// each thing a pair of rows.
    pub pairs: bool,
}

/// Where the rows of a Dataverse environment are taken from when something happens to them.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Deserialize, serde::Serialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Read {
    /// From the environment: many rows in one call, always as they are now, whatever the order of
    /// events. Costs calls.
    #[default]
    Fetch,
    /// From the event and its images. What they do not hold is read again all the same.
    Image,
}

/// Where rows go.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["system", "table"]))]
pub struct To {
    /// The target system of `concord.toml`.
    pub system: String,
    /// The table's logical name.
    pub table: String,
    /// What may be done to its rows. Default `upsert`; to mirror the source is `upsert` together with
    /// `[removed]`. A map that inserts removes nothing.
    pub mode: Mode,
    /// The table is a many-to-many relationship, by its schema name: rows are associated and parted, and
    /// the key names both.
    pub pairs: bool,
}

/// Which changes the map is about.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["when", "leaves"]))]
pub struct Filter {
    /// All of these must hold.
    pub when: Vec<Condition>,
    /// What becomes of a row that was written and no longer passes.
    pub leaves: Option<Leaves>,
}

/// What becomes of a row that left the filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Leaves {
    /// It stays as it is.
    Keep,
    /// It is deleted.
    Delete,
    /// It is deactivated, with the pair of `[removed]`.
    Deactivate,
    /// It waits as `[removed]` says.
    Hold,
}

/// What becomes of the row when the source removes the thing. Default: hold for 24 hours, then
/// deactivate with state 1 and status 2.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Removed {
    /// What is done.
    pub action: Option<RemovedAction>,
    /// With `hold`: how long to wait for the thing to come back.
    pub hours: Option<u32>,
    /// With `hold`: what is done afterwards.
    pub then: Option<Then>,
    /// The state a deactivated row takes (`statecode`).
    pub state: Option<i32>,
    /// The status a deactivated row takes (`statuscode`).
    pub status: Option<i32>,
    /// More removals than this within an hour wait for approval. Default 1000.
    pub ask_above: Option<u32>,
    /// At this share of all rows written within an hour, in percent, removals wait for approval, if they
    /// are 100 or more. Default 50; 101 asks for no share.
    pub ask_percent: Option<u32>,
}

/// What is done with a removed row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum RemovedAction {
    /// The row is deleted.
    Delete,
    /// The row stays and is deactivated.
    Deactivate,
    /// Nothing.
    Ignore,
    /// Wait, because removals of a source are often no removals (a merge, a filter, a resend).
    Hold,
}

/// What is done when a hold is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Then {
    /// The row is deleted.
    Delete,
    /// The row stays and is deactivated.
    Deactivate,
}

/// The row's state: one pair for all (`state`, `status`), or by a value (`by`, `values`).
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct StateRule {
    /// The state every row takes (`statecode`).
    pub state: Option<i32>,
    /// The status every row takes (`statuscode`).
    pub status: Option<i32>,
    /// The rule whose value decides.
    pub by: Option<Rule>,
    /// Value = pair.
    pub values: IndexMap<String, State>,
    /// The pair when the value is missing, null or empty; without it the state is left alone.
    pub default: Option<State>,
    /// The column that is written instead, for a process of the target's own.
    pub hand_off: Option<HandOff>,
}

/// Who drives the state: instead of state and status, a column is written with the row, and a process of
/// the target's own carries it out.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["column"]))]
pub struct HandOff {
    /// The column: a choice or a whole number.
    pub column: String,
    /// What is written for each pair; its status, or else its state, when none is listed.
    pub values: Vec<Handed>,
}

/// What is written for one pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Handed {
    /// `statecode`.
    pub state: i32,
    /// `statuscode`; absent where the pair has none.
    pub status: Option<i32>,
    /// The number that the column takes.
    pub value: i32,
}

/// The row's owner, by id or by business key: a GUID, the name of a setting (`"${SALES_TEAM}"`), a rule
/// that yields a GUID, or a rule with a lookup, such as `{ from = "team", lookup = "team.name" }`.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Owner {
    /// A user. A bare text is a GUID or `${NAME}`.
    pub user: Option<Rule>,
    /// A team. A bare text is a GUID or `${NAME}`.
    pub team: Option<Rule>,
    /// The owning business unit, where the environment allows it to differ from the owner's own. A bare
    /// text is a GUID or `${NAME}`.
    pub unit: Option<Rule>,
}

/// What is done when the source or the target is no longer as the map knows it.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Drift {
    /// When the target says that a column which the map writes is gone. Default `halt`.
    pub target: Gone,
    /// When the source sends a property that no rule of the map reads. Default `ignore`.
    pub source: Unread,
}

/// What is done about a property that no rule of a map reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Unread {
    /// Nothing.
    #[default]
    Ignore,
    /// Its name is told in the log, once for each process.
    Warn,
}

/// What the ledger keeps.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Ledger {
    /// The row itself, or its hash alone.
    pub keep: Keep,
}

/// A decision that somebody made and must be able to explain.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["reason", "owner", "date"]))]
pub struct Decision {
    /// What it is about.
    pub about: Option<String>,
    /// Who wins when two maps write one column.
    pub winner: Option<Winner>,
    /// The columns it is about; all when absent.
    pub columns: Vec<String>,
    /// Why.
    pub reason: Option<String>,
    /// Who decided.
    pub owner: Option<String>,
    /// When, as `2026-03-01`.
    pub date: Option<Day>,
}

/// Who wins when two maps write one column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Winner {
    /// Whoever writes last.
    LastWrite,
}

/// A rule that a change must pass before its row is written.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["message"]))]
pub struct Validate {
    /// A jq program that must yield `true`.
    pub expr: Option<String>,
    /// Or: conditions that must all hold.
    pub when: Vec<Condition>,
    /// What the operator reads when it does not hold.
    pub message: String,
}
