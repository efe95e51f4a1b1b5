//! The emulated environment's data: tables, their definitions, and rows of typed cells.
//!
//! Everything above (the HTTP surface, queries, metadata) reads and writes these types; they know
//! nothing of HTTP or OData.

use std::collections::BTreeMap;

use indexmap::IndexMap;
use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// All tables, by logical name.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The tables, in the order they were defined.
    pub tables: IndexMap<String, Table>,
    /// Global choices by name.
    pub choices: IndexMap<String, Vec<OptionValue>>,
    /// The last row version handed out; one counter for the whole environment.
    pub version: i64,
}

/// A table: its definition and its rows.
#[derive(Clone, Debug)]
pub struct Table {
    /// What it is.
    pub definition: Definition,
    /// Its rows by primary id, in the order they were created.
    pub rows: IndexMap<Uuid, Record>,
    /// Deleted rows with the version of their deletion, for change tracking.
    pub deleted: Vec<(i64, Uuid)>,
}

/// What a table is. The schema file holds a list of these.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    /// `account`
    pub logical_name: String,
    /// `Account`; made from the logical name when absent.
    #[serde(default)]
    pub schema_name: String,
    /// `accounts`
    pub entity_set: String,
    /// Shown to people; the schema name when absent.
    #[serde(default)]
    pub display_name: String,
    /// `accountid`
    pub primary_id: String,
    /// `name`
    pub primary_name: String,
    /// Owned by users and teams, or by the organization.
    #[serde(default)]
    pub ownership: Ownership,
    /// Change tracking is on.
    #[serde(default)]
    pub change_tracking: bool,
    /// Whether CreateMultiple, UpdateMultiple and UpsertMultiple are offered.
    #[serde(default = "yes")]
    pub bulk: bool,
    /// Whether `If-Match` with a version is allowed.
    #[serde(default = "yes")]
    pub optimistic_concurrency: bool,
    /// Its own columns. Primary id, owner, state, status, created/modified and version number are
    /// added to each table when absent.
    pub columns: Vec<ColumnDefinition>,
    /// Alternate keys.
    #[serde(default)]
    pub keys: Vec<KeyDefinition>,
    /// Stable id of the definition.
    #[serde(default = "Uuid::new_v4")]
    pub metadata_id: Uuid,
}

fn yes() -> bool {
    true
}

/// Who owns the rows of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ownership {
    /// Users and teams.
    #[default]
    User,
    /// The organization: no owner column.
    Organization,
    /// System tables without state either.
    None,
}

/// A column.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ColumnDefinition {
    /// `address1_country`
    pub logical_name: String,
    /// `Address1_Country`; made from the logical name when absent.
    #[serde(default)]
    pub schema_name: String,
    /// Its type.
    pub kind: Kind,
    /// Longest text, in characters.
    #[serde(default)]
    pub max_length: Option<u32>,
    /// Digits after the point.
    #[serde(default)]
    pub precision: Option<u32>,
    /// Lowest value of a number.
    #[serde(default, with = "rust_decimal::serde::str_option")]
    pub min: Option<Decimal>,
    /// Highest value of a number.
    #[serde(default, with = "rust_decimal::serde::str_option")]
    pub max: Option<Decimal>,
    /// The choices, or the states, or the statuses.
    #[serde(default)]
    pub options: Vec<OptionValue>,
    /// The name of a global choice instead of `options`.
    #[serde(default)]
    pub global_choice: Option<String>,
    /// The tables that a lookup may refer to, and the navigation property of each.
    #[serde(default)]
    pub targets: Vec<LookupTarget>,
    /// `ApplicationRequired` or `SystemRequired`.
    #[serde(default)]
    pub required: Required,
    /// Set by the system only.
    #[serde(default)]
    pub read_only: bool,
    /// Column security is on.
    #[serde(default)]
    pub secured: bool,
    /// For date columns: `DateOnly`, `UserLocal` or `TimeZoneIndependent`.
    #[serde(default)]
    pub behavior: Option<String>,
    /// Stable id of the definition.
    #[serde(default = "Uuid::new_v4")]
    pub metadata_id: Uuid,
}

/// Whether a column must be filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Required {
    /// No.
    #[default]
    None,
    /// Forms ask for it; the API does not.
    ApplicationRequired,
    /// The API insists.
    SystemRequired,
    /// Forms hint at it.
    Recommended,
}

/// One choice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OptionValue {
    /// Its number.
    pub value: i32,
    /// Its label.
    pub label: String,
    /// For statuses: the state they belong to.
    #[serde(default)]
    pub state: Option<i32>,
}

/// A table that a lookup may refer to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LookupTarget {
    /// The logical name.
    pub table: String,
    /// The single-valued navigation property, case-sensitive.
    pub navigation: String,
    /// The collection-valued navigation property on the other side.
    #[serde(default)]
    pub collection: String,
    /// What happens to this row when that one is deleted.
    #[serde(default)]
    pub on_delete: OnDelete,
}

/// What the deletion of a parent does to its children.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnDelete {
    /// The lookup is cleared.
    #[default]
    RemoveLink,
    /// The children go too.
    Cascade,
    /// The deletion is refused.
    Restrict,
}

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[allow(missing_docs, reason = "the names are the service's own attribute types")]
pub enum Kind {
    String,
    Memo,
    Integer,
    BigInt,
    Decimal,
    Double,
    Money,
    Boolean,
    DateTime,
    Uniqueidentifier,
    Picklist,
    MultiSelectPicklist,
    State,
    Status,
    Lookup,
    Customer,
    Owner,
    Image,
    File,
}

/// An alternate key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyDefinition {
    /// `acme_numberkey`
    pub schema_name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// `Active`, `Pending`, `InProgress` or `Failed`.
    #[serde(default = "active")]
    pub status: String,
    /// Stable id of the definition.
    #[serde(default = "Uuid::new_v4")]
    pub metadata_id: Uuid,
}

fn active() -> String {
    "Active".to_owned()
}

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its primary id.
    pub id: Uuid,
    /// Its version: `@odata.etag` is `W/"<version>"`.
    pub version: i64,
    /// Its cells by logical name; a column without a cell is null.
    pub cells: BTreeMap<String, Cell>,
}

/// The value of one column of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Text and memo.
    Text(String),
    /// Whole numbers, choices, states.
    Integer(i64),
    /// Decimal and money, digits kept.
    Decimal(Decimal),
    /// Floating point.
    Double(f64),
    /// Yes or no.
    Boolean(bool),
    /// A moment, whole seconds.
    Time(Timestamp),
    /// A date alone.
    Date(Date),
    /// An id that is no lookup.
    Guid(Uuid),
    /// Chosen numbers, ascending.
    Choices(Vec<i32>),
    /// A reference.
    Lookup {
        /// The table referred to.
        table: String,
        /// The row referred to.
        id: Uuid,
    },
    /// The bytes of a file or image column.
    Bytes {
        /// The id shown on read.
        id: Uuid,
        /// The file's name.
        name: String,
        /// Its content.
        content: bytes::Bytes,
    },
}
