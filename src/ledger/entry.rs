//! What the ledger remembers of one (map, key).

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::change::Correlation;
use crate::order::Order;
use crate::row::{Action, Removal, RowHash, State};

/// The memory of one row. An entry that was never stored is the default one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Entry {
    /// What the target holds, as far as settled claims tell.
    pub applied: Option<Arc<Applied>>,
    /// A write under way.
    pub intent: Option<Arc<Intent>>,
    /// Claims that were overtaken before they settled: their writes may lie over newer ones.
    pub loose: Vec<Loose>,
    /// A removal that waits for its time.
    pub held: Option<Box<Held>>,
    /// Rows are parked until this one is there: whoever finds it there wakes them.
    pub awaited: bool,
    /// Things of the source that had this key and left it.
    pub left: Vec<Left>,
    /// A write may have landed of which nothing is remembered any more: the row may be there by it.
    pub touched: bool,
}

/// A thing of the source that had a key and left it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Left {
    /// Which.
    pub thing: Uuid,
    /// What it said of the key until then counts no more.
    pub order: Order,
}

/// One version of the row: what the target holds or is to hold.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Version {
    /// Its place among the versions of the row.
    pub order: Order,
    /// The hash of what is written.
    pub hash: RowHash,
    /// What is written; absent where the map lets the ledger keep hashes alone.
    #[serde(rename = "row", default, skip_serializing_if = "Option::is_none")]
    pub action: Option<Arc<Action>>,
    /// The version of the map that made it.
    #[serde(rename = "map")]
    pub map_version: u32,
    /// The change it came from.
    pub correlation: Correlation,
    /// Which thing of the source it is of, where that is told.
    #[serde(rename = "of", default, skip_serializing_if = "Option::is_none")]
    pub thing: Option<Uuid>,
}

/// The version that the target holds.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Applied {
    /// Which.
    #[serde(flatten)]
    pub version: Version,
    /// The target's own id of the row.
    #[serde(rename = "id", default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<Uuid>,
    /// When it was settled.
    #[serde(rename = "settled")]
    pub at: Timestamp,
}

/// A write under way.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Intent {
    /// What is being written.
    #[serde(flatten)]
    pub version: Version,
    /// By whom.
    pub claim: Claim,
    /// When its write has certainly landed or died.
    pub lease: Timestamp,
}

/// Names one attempt to write a batch of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Claim(pub Uuid);

/// A claim that was overtaken before it settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Loose {
    /// Whose write may still be about.
    pub claim: Claim,
    /// When that write has certainly landed or died.
    pub lease: Timestamp,
}

/// A removal that waits for its time.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Held {
    /// The place of the removal among the versions of the row.
    pub order: Order,
    /// When it is carried out.
    pub due: Timestamp,
    /// How.
    pub then: Removal,
    /// The change it came from.
    pub correlation: Correlation,
}

impl Entry {
    /// Whether this system wrote the row, may have, or is about to, and has not removed it since.
    pub fn is_known(&self) -> bool {
        self.intent.is_some() || !self.loose.is_empty() || self.touched || self.is_written()
    }

    /// Whether what was settled last is a write of the row.
    pub fn is_written(&self) -> bool {
        self.applied.as_ref().is_some_and(|applied| {
            let removed = matches!(applied.version.action.as_deref(), Some(Action::Remove(_)));
            !removed && !applied.version.wrote_nothing()
        })
    }

    /// Whether the target holds the row, active or not, as far as settled writes tell: others can refer
    /// to it.
    pub fn is_there(&self) -> bool {
        self.applied.as_ref().is_some_and(|applied| {
            let Applied { version, .. } = &**applied;
            let deleted =
                matches!(version.action.as_deref(), Some(Action::Remove(Removal::Delete)));
            // A row that was kept as it is was there before.
            let absent = version.wrote_nothing() && version.action.is_some();
            !deleted && !absent
        })
    }

    /// Whether others wait for this row and need not wait longer.
    pub fn is_awaited(&self) -> bool {
        self.awaited && self.is_there()
    }

    /// The state that the row was last given, if any.
    pub fn state(&self) -> Option<State> {
        let written = self.applied.as_ref().filter(|applied| !applied.version.wrote_nothing());
        match written?.version.action.as_deref()? {
            Action::Upsert(columns) => columns.state,
            Action::Remove(Removal::Deactivate(state)) => Some(*state),
            Action::Remove(Removal::Delete) | Action::Hold { .. } => None,
        }
    }

    /// Whether nothing is under way and nothing is loose.
    pub fn is_quiet(&self) -> bool {
        self.intent.is_none() && self.loose.is_empty()
    }
}

impl Version {
    /// Whether this one is strictly newer.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.order.is_newer_than(&other.order)
    }

    /// A row was there already and was left as it is, so nothing is known of what it holds.
    #[must_use]
    pub fn kept(&self) -> Self {
        Self { hash: RowHash::default(), action: None, ..self.clone() }
    }

    /// There was no row to update. What was to be written is remembered, should an older version land
    /// late; the same content is tried again whenever it comes.
    #[must_use]
    pub fn absent(&self) -> Self {
        Self { hash: RowHash::default(), ..self.clone() }
    }

    /// Whether nothing of this version was written, because the map's mode left the target alone. No
    /// row has the hash of nothing.
    pub fn wrote_nothing(&self) -> bool {
        self.hash == RowHash::default()
    }
}
