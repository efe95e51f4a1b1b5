//! Both ends are systems, one folder per kind, and these are the seams they share.
//!
//! [`Source`] reads rows. [`Target`] writes rows. It is told nothing of maps, ledgers or queues, and decides nothing about
//! order or retries beyond one call: it says, row by row, what became of each.

pub mod dataverse;
pub mod source;

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use uuid::Uuid;

use crate::fault::Fault;
use crate::row::{Key, Row, State, Value};

pub use self::source::Source;

/// A system that rows are written to.
///
/// Calls may run concurrently, also on the same rows from several instances.
#[async_trait]
pub trait Target: Debug + Send + Sync {
    /// What the pipeline must know before it claims rows.
    fn limits(&self) -> Limits;

    /// Fails when a write could not even be tried now: no credential, or nobody there. Called before
    /// rows are claimed, so that a halted target claims nothing. Cheap when all is well.
    async fn ready(&self) -> Result<(), Fault>;

    /// Writes rows of one map, each key at most once, and answers for every row, in order. Retries
    /// inside until `deadline` what was certainly not written (throttled, deadlock, a refused chunk is
    /// taken apart so that one bad row harms one row); after the deadline starts no call. Where calls
    /// are limited, bulk work waits for live work.
    async fn write(&self, writes: &[Write], until: Until) -> Vec<Answer>;

    /// Reads rows back by key, in the order asked: the columns named, `None` where there is no row.
    async fn fetch(
        &self,
        table: &str,
        keys: &[Key],
        columns: &[String],
    ) -> Result<Vec<Option<Fetched>>, Fault>;

    /// Describes a table as it stands now, for checking maps. `None` when there is no such table.
    async fn describe(&self, table: &str) -> Result<Option<TableSchema>, Fault>;
}

/// How long calls may start, and whether somebody waits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Until {
    /// After this no call starts.
    pub deadline: Instant,
    /// Who goes first.
    pub lane: Lane,
}

impl From<Instant> for Until {
    /// For live work.
    fn from(deadline: Instant) -> Self {
        Self { deadline, lane: Lane::Live }
    }
}

/// Who goes first where calls are limited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Changes as they happen: somebody waits for them.
    Live,
    /// Deferred and long work: it takes what live work leaves.
    Bulk,
}

/// What a target can bear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest that a write sent before its deadline may still land after it. A claim's lease is
    /// the deadline plus this.
    pub longest: Duration,
}

/// A row to write and what the ledger knows of it.
#[derive(Clone, Debug)]
pub struct Write {
    /// The row.
    pub row: Arc<Row>,
    /// What is known of the row; `None` when it was never written.
    pub before: Option<Before>,
}

/// What the ledger knows of a row that was written before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Before {
    /// The target's own id of it.
    pub target_id: Option<Uuid>,
    /// The state it was given last; `None` when that is not certain.
    pub state: Option<State>,
}

/// What became of one row.
#[derive(Clone, Debug)]
pub enum Answer {
    /// The target holds it (a removed row: no longer).
    Written {
        /// The target's own id, when the answer told it.
        target_id: Option<Uuid>,
    },
    /// A row with this key was there already and stays as it is, because the map only creates rows.
    Kept {
        /// The target's own id, when it is known.
        target_id: Option<Uuid>,
    },
    /// There is no row with this key, and none is made, because the map only updates rows.
    Absent,
    /// The target does not hold it, and it will not land later.
    Not(Fault),
    /// Sent, but whether it landed, or still will, is not known.
    Unknown(Fault),
}

/// A row as the target holds it.
#[derive(Clone, Debug, PartialEq)]
pub struct Fetched {
    /// The target's own id.
    pub id: Option<Uuid>,
    /// The target's version of it, opaque.
    pub version: Option<String>,
    /// The columns that were asked for.
    pub columns: BTreeMap<String, Value>,
}

/// A table as a target describes it, and as a saved copy keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct TableSchema {
    /// The logical name.
    pub name: String,
    /// The name in addresses (`accounts`).
    pub set: String,
    /// The primary id column.
    pub id: String,
    /// Whether UpsertMultiple is there.
    pub bulk: bool,
    /// Whether change tracking is on.
    #[serde(default)]
    pub tracked: bool,
    /// The columns by logical name.
    pub columns: BTreeMap<String, Column>,
    /// The alternate keys.
    pub keys: Vec<AlternateKey>,
    /// The lookups.
    #[serde(default)]
    pub lookups: Vec<Reference>,
}

/// A column of a table.
#[allow(
    clippy::struct_excessive_bools,
    reason = "five independent facts, as the target states them"
)]
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Column {
    /// What it holds.
    pub kind: ColumnKind,
    /// The longest text, in characters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<u32>,
    /// Digits after the point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub precision: Option<u32>,
    /// Label and number of each choice; for status columns with the state it belongs to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<Choice>,
    /// Must be there.
    #[serde(default)]
    pub required: bool,
    /// Can be set on create.
    pub creatable: bool,
    /// Can be set on update.
    pub updatable: bool,
    /// Column security is on.
    #[serde(default)]
    pub secured: bool,
}

/// A choice of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// Its number.
    pub value: i32,
    /// Its label.
    pub label: String,
    /// The state that a status belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<i32>,
}

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the names are the target's own words")]
pub enum ColumnKind {
    #[default]
    Text,
    Integer,
    Decimal,
    Double,
    Money,
    Boolean,
    Date,
    Time,
    Guid,
    Choice,
    Choices,
    State,
    Status,
    Lookup,
    Owner,
    File,
    Image,
    Other,
}

/// An alternate key of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AlternateKey {
    /// Its name.
    pub name: String,
    /// Its columns.
    pub columns: Vec<String>,
    /// Whether its index is built; a key works only then.
    pub active: bool,
}

/// A lookup column and one table that it may refer to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The lookup column.
    pub column: String,
    /// The table referred to.
    pub table: String,
    /// The name to use in `@odata.bind`, case-sensitive.
    pub navigation: String,
}
