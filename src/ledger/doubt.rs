//! Entries one after the other, and doubt in what they say: for comparing them with the target.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::entry::Entry;
use super::revise::Revision;
use super::{Depth, Ledger, PLACE, Slot, slot};
use crate::fault::Fault;
use crate::row::{Key, RowHash};
use crate::store::Operation;

/// A place among the entries of a map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    bucket: u32,
    from: String,
}

/// Entries of a map, and where to go on.
#[derive(Debug)]
pub struct Page {
    /// Keys and what is known of them.
    pub entries: Vec<(Key, Entry)>,
    /// The place of the next page; none at the end.
    pub next: Option<Place>,
}

impl Ledger {
    /// The entries of a map, bucket by bucket, at most a thousand at once.
    pub async fn page(&self, map: &str, after: Option<&Place>) -> Result<Page, Fault> {
        let Place { bucket, from } = after.cloned().unwrap_or_default();
        let partition = slot::partition(map, bucket);
        let page = self.table.scan(&partition, &from, "\u{10ffff}", 1_000).await;
        let page = page.map_err(|error| error.fault(PLACE))?;
        let mut entries = Vec::with_capacity(page.rows.len());
        for stored in page.rows.iter().filter(|stored| !stored.entity.row.starts_with('~')) {
            if let Some(key) = Self::decode_key(&stored.entity)? {
                entries.push((key, self.decode(&stored.entity, Depth::Whole).await?.0));
            }
        }
        let more = (bucket + 1 < self.config.buckets)
            .then(|| Place { bucket: bucket + 1, from: String::new() });
        let next = page.next.map(|from| Place { bucket, from }).or(more);
        Ok(Page { entries, next })
    }

    /// Stops believing that the target holds what was applied, for rows at which something else was
    /// seen: the same content is then written once more. What is under way is left alone. Answers in
    /// order whether the entry is doubted now.
    pub async fn doubt(&self, map: &str, keys: Vec<Key>) -> Vec<Result<bool, Fault>> {
        let doubting = keys.into_iter().map(|key| {
            let slot = self.slot(map, &key);
            self.cache.forget(&slot);
            (Doubting { slot, key, doubted: false }, None)
        });
        let revised = self.revise(doubting.collect()).await;
        revised.into_iter().map(|one| one.result.map(|_| one.revision.doubted)).collect()
    }
}

struct Doubting {
    slot: Slot,
    key: Key,
    doubted: bool,
}

impl Revision for Doubting {
    fn slot(&self) -> &Slot {
        &self.slot
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn revise(&mut self, entry: &Entry, _: Timestamp) -> Option<Entry> {
        let applied = entry.applied.as_ref().filter(|_| entry.is_quiet())?;
        self.doubted = true;
        if applied.version.hash == RowHash::DOUBTED || applied.version.wrote_nothing() {
            return None;
        }
        let mut entry = entry.clone();
        if let Some(applied) = &mut entry.applied {
            Arc::make_mut(applied).version.hash = RowHash::DOUBTED;
        }
        Some(entry)
    }

    fn batch(&self) -> Option<&str> {
        None
    }

    fn rows(&self) -> usize {
        1
    }

    fn index(_: &mut [Self], _: u64) -> Vec<Operation> {
        Vec::new()
    }
}
