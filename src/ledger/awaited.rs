//! Marks on the entries of rows that others wait for.
//!
//! A child marks the entry of the parent it misses, and whoever settles the parent's write finds the
//! mark in the entry that it had to look at anyway: waiting costs a parent's write nothing. No wake-up
//! is lost, because the mark and the settling are conditional changes of one entry, and one of the two
//! comes first: either the child finds the parent there, or the parent's writer finds the mark. The mark
//! goes only after the children were woken, so that a crash in between wakes them again.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;

use super::entry::Entry;
use super::revise::Revision;
use super::{Ledger, Slot};
use crate::fault::Fault;
use crate::row::Key;
use crate::store::Operation;

impl Ledger {
    /// Marks the entries of these rows (map and key), but those that are there already. Answers in
    /// order whether each is there.
    pub async fn expect(&self, rows: &[(Arc<str>, Key)]) -> Result<Vec<bool>, Fault> {
        self.mark(rows, true).await
    }

    /// Takes the marks away from those of these rows (map and key) that are there.
    pub async fn met(&self, rows: &[(Arc<str>, Key)]) -> Result<(), Fault> {
        self.mark(rows, false).await.map(drop)
    }

    async fn mark(&self, rows: &[(Arc<str>, Key)], expected: bool) -> Result<Vec<bool>, Fault> {
        let slot = |(map, key): &(Arc<str>, Key)| self.slot(map, key);
        let once: BTreeMap<Slot, &(Arc<str>, Key)> =
            rows.iter().map(|row| (slot(row), row)).collect();
        let marks = once.into_iter().map(|(slot, (_, key))| {
            let mark = Mark { slot, key: key.clone(), expected, there: false };
            (mark, None)
        });
        let mut there = BTreeMap::new();
        for revised in self.revise(marks.collect()).await {
            revised.result?;
            there.insert(revised.revision.slot, revised.revision.there);
        }
        Ok(rows.iter().map(|row| there.get(&slot(row)).copied().unwrap_or_default()).collect())
    }
}

/// A mark to be set or taken away, on its way through the rounds.
struct Mark {
    slot: Slot,
    key: Key,
    expected: bool,
    there: bool,
}

impl Revision for Mark {
    fn slot(&self) -> &Slot {
        &self.slot
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn batch(&self) -> Option<&str> {
        None
    }

    fn rows(&self) -> usize {
        1
    }

    fn revise(&mut self, entry: &Entry, _: Timestamp) -> Option<Entry> {
        self.there = entry.is_there();
        let changes = entry.awaited != self.expected && self.there != self.expected;
        changes.then(|| Entry { awaited: self.expected, ..entry.clone() })
    }

    fn index(_: &mut [Self], _: u64) -> Vec<Operation> {
        Vec::new()
    }
}
