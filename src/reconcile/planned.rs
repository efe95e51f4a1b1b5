//! What a plan says: what would be done with each row, why, and what cannot be known beforehand.

use std::collections::BTreeMap;

use serde::Serialize;

use super::shape::Differs;

/// What would be done with one row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Does {
    /// The target gets a row.
    Create,
    /// Columns of a row change.
    Update,
    /// A row is deleted.
    Delete,
    /// A row is deactivated.
    Deactivate,
    /// A removal is noted and waits for its time.
    Hold,
    /// It waits for a row that it refers to.
    Wait,
    /// It goes to quarantine.
    Refuse,
    /// Nothing.
    Nothing,
    /// The change has only a part of its row, which cannot be read again.
    Unknown,
}

impl Does {
    /// The word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Delete => "delete",
            Self::Deactivate => "deactivate",
            Self::Hold => "hold",
            Self::Wait => "wait",
            Self::Refuse => "refuse",
            Self::Nothing => "nothing",
            Self::Unknown => "unknown",
        }
    }

    /// Whether the target would change.
    pub fn changes(self) -> bool {
        match self {
            Self::Create | Self::Update | Self::Delete | Self::Deactivate => true,
            Self::Hold | Self::Wait | Self::Refuse | Self::Nothing | Self::Unknown => false,
        }
    }
}

/// What would become of one row, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The map.
    pub map: String,
    /// The row's key, masked when it is secured.
    pub key: String,
    /// What would be done.
    pub does: Does,
    /// The columns that would change, or that a new row gets.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Differs>,
    /// Why, where that is not plain.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What cannot be known beforehand.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unsure: Option<String>,
}

/// What would be done with many changes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// Rows by map and by what would be done with them.
    pub counts: BTreeMap<String, BTreeMap<Does, u64>>,
    /// The rows with which something would be done, up to a limit.
    pub rows: Vec<Planned>,
}

/// Rows that a plan lists; all are counted.
const LISTED: usize = 5_000;
impl Plan {
    /// Whether the target would change.
    pub fn changes(&self) -> bool {
        self.counts.values().flat_map(BTreeMap::keys).any(|does| does.changes())
    }

    pub(super) fn add(&mut self, planned: Planned) {
        let counts = self.counts.entry(planned.map.clone()).or_default();
        *counts.entry(planned.does).or_default() += 1;
        if planned.does != Does::Nothing && self.rows.len() < LISTED {
            self.rows.push(planned);
        }
    }
}

/// A row with nothing but what would be done with it.
pub(super) fn plain(map: &str, key: &str, does: Does, why: Option<String>) -> Planned {
    Planned {
        map: map.to_owned(),
        key: key.to_owned(),
        does,
        columns: Vec::new(),
        why,
        unsure: None,
    }
}
