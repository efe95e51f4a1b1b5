//! The emulated environment's data: tables, their definitions, and rows of typed cells.
//!
//! Everything above (the HTTP surface, queries, metadata) reads and writes these types; they know
//! nothing of HTTP or OData.

use indexmap::{IndexMap, IndexSet};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use super::record::{Cell, Record};

/// All tables, by logical name.
#[derive(Clone, Debug, Default)]
pub struct Environment {
    /// The tables, in the order they were defined.
    pub tables: IndexMap<String, Table>,
    /// Global choices by name.
    pub choices: IndexMap<String, Vec<OptionValue>>,
    /// The last row version handed out; one counter for the whole environment.
    pub version: i64,
    /// Relationships between two tables with rows on both sides, in the order they were defined.
    pub many_to_many: Vec<ManyToMany>,
    /// Raised by every change of a definition.
    pub metadata_version: i64,
    /// Whether callers lack the permissions for secured columns: these read as null and refuse writes.
    pub column_security: bool,
    /// Privileges that callers lack, such as `prvDeleteAccount`.
    pub denied: std::collections::BTreeSet<String>,
}

impl Environment {
    /// The table with this entity set name, case-sensitive.
    pub fn by_set(&self, set: &str) -> Option<&Table> {
        self.tables.values().find(|table| table.definition.entity_set == set)
    }

    /// The choices of a column: its own, or those of its global choice.
    pub fn options<'a>(&'a self, column: &'a ColumnDefinition) -> &'a [OptionValue] {
        let global = column.global_choice.as_ref().and_then(|name| self.choices.get(name));
        global.map_or(column.options.as_slice(), Vec::as_slice)
    }
}

/// A relationship of many rows with many rows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ManyToMany {
    /// `acme_customer_hotel`
    pub schema_name: String,
    /// The table that holds the pairs, by logical name.
    pub intersect: String,
    /// One side.
    pub first: Side,
    /// The other side; may be of the same table.
    pub second: Side,
    /// Stable id of the definition.
    #[serde(default = "Uuid::new_v4")]
    pub metadata_id: Uuid,
    /// The associated rows: first id, second id.
    #[serde(skip)]
    pub pairs: IndexSet<(Uuid, Uuid)>,
}

/// One side of a many-to-many relationship.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Side {
    /// The logical name of its table.
    pub table: String,
    /// The collection-valued navigation property that leads from this table to the other one.
    pub navigation: String,
}

/// A table: its definition and its rows.
#[derive(Clone, Debug)]
pub struct Table {
    /// What it is.
    pub definition: Definition,
    /// Its rows by primary id, in the order they were created until one is deleted.
    pub rows: IndexMap<Uuid, Record>,
    /// Deleted rows with the version of their deletion, for change tracking.
    pub deleted: Vec<(i64, Uuid)>,
}

impl Table {
    /// A table without rows.
    pub fn new(definition: Definition) -> Self {
        Self { definition, rows: IndexMap::new(), deleted: Vec::new() }
    }
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

impl Definition {
    /// The column with this logical name.
    pub fn column(&self, logical_name: &str) -> Option<&ColumnDefinition> {
        self.columns.iter().find(|column| column.logical_name == logical_name)
    }

    /// The lookup column behind a single-valued navigation property (case-sensitive), and the target
    /// it stands for.
    pub fn navigation(&self, name: &str) -> Option<(&ColumnDefinition, &LookupTarget)> {
        self.columns.iter().find_map(|column| {
            let target = column.targets.iter().find(|target| target.navigation == name)?;
            Some((column, target))
        })
    }
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
    /// Shown to people; the schema name when absent.
    #[serde(default)]
    pub display_name: String,
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
    /// Never shown: a secret that can only be set.
    #[serde(default)]
    pub write_only: bool,
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

impl ColumnDefinition {
    /// A column of a kind, with nothing else said of it.
    pub fn of(logical_name: &str, kind: Kind) -> Self {
        Self {
            logical_name: logical_name.to_owned(),
            schema_name: logical_name.to_owned(),
            display_name: logical_name.to_owned(),
            kind,
            max_length: None,
            precision: None,
            min: None,
            max: None,
            options: Vec::new(),
            global_choice: None,
            targets: Vec::new(),
            required: Required::None,
            read_only: false,
            write_only: false,
            secured: false,
            behavior: None,
            metadata_id: Uuid::new_v4(),
        }
    }
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

impl Kind {
    /// Whether cells of this kind refer to a row: such a column reads as `_name_value`.
    pub fn is_lookup(self) -> bool {
        matches!(self, Self::Lookup | Self::Customer | Self::Owner)
    }

    /// Whether cells of this kind are numbers with a label.
    pub fn is_choice(self) -> bool {
        matches!(self, Self::Picklist | Self::State | Self::Status | Self::MultiSelectPicklist)
    }
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
