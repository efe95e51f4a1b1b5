//! Where the rows of one map go, what may be done to them there, and what is remembered and shown.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Action, Key, State, Value};

/// Where the rows of one map go, and what of the map every row must carry. Shared by all of them.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Destination {
    /// The map's name.
    pub map: Arc<str>,
    /// The map's version, stored with every row written.
    pub version: u32,
    /// The hash of the map's contract: what it reads and what it writes.
    pub contract: String,
    /// The target system of `concord.toml`.
    pub system: String,
    /// The table's logical name.
    pub table: String,
    /// The key columns, in the order of the map.
    pub key: Vec<String>,
    /// Columns whose values are shown nowhere but in quarantine.
    pub secured: Vec<String>,
    /// Whether the ledger keeps the row or its hash alone.
    pub keep: Keep,
    /// What may be done to the rows of the table.
    pub mode: Mode,
    /// Whether the table is a many-to-many relationship: a row of it is a pair of rows.
    pub pairs: bool,
    /// What becomes of a row when the target no longer has a column of it.
    pub gone: Gone,
    /// How many removals are carried out without asking.
    pub ask: Ask,
    /// The column that is written instead of state and status.
    pub hand_off: Option<HandOff>,
}

/// A column that is written with the row instead of its state and status: a process of the target's own
/// reads it there and carries it out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HandOff {
    /// The column.
    pub column: String,
    /// What it takes for each pair; when none is listed the pair's status, or else its state.
    pub values: Vec<(State, i32)>,
}

impl HandOff {
    /// What the column takes for a pair; none when it is not listed.
    pub fn value(&self, pair: State) -> Option<i32> {
        if self.values.is_empty() {
            return Some(pair.status.unwrap_or(pair.state));
        }
        self.values.iter().find(|(listed, _)| *listed == pair).map(|(_, value)| *value)
    }
}

/// How many removals of one hour are carried out without asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// So many; more wait for approval.
    pub above: u32,
    /// Below this share of all rows written, in percent; from it on they wait for approval.
    pub percent: u32,
}

impl Default for Ask {
    fn default() -> Self {
        Self { above: 1_000, percent: 50 }
    }
}

/// What stands where a secured value would.
pub const MASK: &str = "•••";

impl Destination {
    /// A key as it may be shown: masked when one of its columns is secured.
    pub fn shown(&self, key: &Key) -> String {
        let secured = key.0.iter().any(|(column, _)| self.secures(column));
        if secured { MASK.to_owned() } else { key.shown() }
    }

    /// An action as it may be shown: values of secured columns are masked.
    #[must_use]
    pub fn masked(&self, action: &Action) -> Action {
        let mut action = action.clone();
        if let Action::Upsert(columns) = &mut action {
            for (_, value) in columns.values.iter_mut().filter(|(name, _)| self.secures(name)) {
                *value = Value::Text(MASK.to_owned());
            }
        }
        action
    }

    fn secures(&self, column: &str) -> bool {
        self.secured.iter().any(|secured| secured == column)
    }
}

/// What the ledger remembers of a row.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Keep {
    /// The row itself: it can be asserted again, compared and shown.
    #[default]
    Row,
    /// Its hash: nothing of the data stays, and a lost race heals only with the next change.
    Hash,
}

/// What a map may do to the rows of its table. To mirror the source is `upsert` together with
/// `[removed]`.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Rows that are not there are created, rows that are there updated.
    #[default]
    Upsert,
    /// Rows are created only: one that is there, whoever created it, is left as it is and counts as
    /// unchanged.
    Insert,
    /// Rows that are there are updated only: one that is not there counts as filtered.
    Update,
}

/// What becomes of a row when the target no longer has a column that it writes.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Gone {
    /// Nothing is written until somebody mends the table or the map; the source is asked to redeliver.
    #[default]
    Halt,
    /// It is written without that column, which is told once in the log and counted.
    Drop,
    /// It is set aside; rows that do not write the column go on.
    Poison,
}
