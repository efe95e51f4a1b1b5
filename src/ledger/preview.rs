//! What the ledger knows of a row and would say to it, for people.
//!
//! In comes a row, or a key as it is shown; out come the entry and a word. Everything is read afresh;
//! nothing is claimed, written or remembered.

use serde::Serialize;

use super::decide::{self, Candidate, Decision};
use super::{Depth, Entry, Ledger, PLACE, Slot};
use crate::fault::Fault;
use crate::outcome::Outcome;
use crate::row::{Key, Row};

/// What would be done with a row if it came now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Preview {
    /// It would be written to the target.
    Write,
    /// The target holds it already.
    Unchanged,
    /// The target holds, or is to lose, something newer.
    Superseded,
    /// The removal would wait for its time.
    Hold,
    /// It is to be removed, and this system never wrote it.
    Filtered,
    /// Another instance is writing the row: ask again.
    Busy,
}

impl Preview {
    /// The word, as commands show it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Write => "write",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
            Self::Hold => "hold",
            Self::Filtered => "filtered",
            Self::Busy => "busy",
        }
    }
}

impl Ledger {
    /// The entry of a row, and what would be decided about the row now.
    pub async fn preview(&self, row: &Row) -> Result<(Entry, Preview), Fault> {
        let entry = self.entry(&row.to.map, &row.key).await?;
        let (hash, claim, now) = (row.hash(), self.new_claim(), self.now());
        let candidate = Candidate { row, hash, claim, lease: now, patient: true };
        let preview = match decide::decide(&entry, &candidate, now) {
            Decision::Superseded => Preview::Superseded,
            Decision::Unchanged | Decision::Record(_, Outcome::Unchanged) => Preview::Unchanged,
            Decision::Record(_, Outcome::Held) => Preview::Hold,
            Decision::Record(..) => Preview::Filtered,
            Decision::Claim(_) => Preview::Write,
            Decision::Mine | Decision::Busy => Preview::Busy,
        };
        Ok((entry, preview))
    }

    /// The entry of a key as it is shown (values joined by commas), with the key in its types; `None`
    /// when nothing is known of it.
    pub async fn find(&self, map: &str, key: &str) -> Result<Option<(Entry, Option<Key>)>, Fault> {
        let slot = Slot::of_text(map, key, self.config.buckets);
        let rows = [slot.row];
        let read = self.table.get_many(&slot.partition, &rows).await;
        let found = read.map_err(|error| error.fault(PLACE))?.into_iter().next().flatten();
        let Some(stored) = found else { return Ok(None) };
        let key = Self::decode_key(&stored.entity)?;
        let (entry, _) = self.decode(&stored.entity, Depth::Whole).await?;
        Ok(Some((entry, key)))
    }
}
