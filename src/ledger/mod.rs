//! The ledger: what was written where, and who is writing now.
//!
//! Per batch the path is **look** (remembered entries first) → **decide** (a pure function of entry and
//! row) → **claim** (a conditional write of the intent, one transaction per bucket) → write to the
//! target (not here) → **settle** (conditional: the intent becomes what is applied). Two instances may
//! hold the same key at once: a claim may overtake another, and the overtaken one, which cannot know
//! whether its write landed first or last, re-asserts the newest version once more.
//!
//! One assumption carries it all: a write sent before its deadline has landed or died when its lease
//! ends. A lease is that deadline plus the longest a target may still take.
//!
//! | table row | stands for |
//! |---|---|
//! | `<key>` | the [`Entry`] of one key |
//! | `~l<lease end>~<claim>` | a claimed batch: what the sweep visits when the lease is over |
//! | `~h<due>~<key hash>` | a held removal: what the sweep carries out when it is due |
//! | `layout` of partition `~ledger` | how many buckets each map has |
//!
//! An entry may carry a mark that rows wait for this one (`awaited`): who settles it wakes them; and one that
//! a write may have landed of which nothing else is remembered (`touched`).
//!
//! Left out on purpose: an index row per key. One row per claimed batch and bucket, written and removed
//! in the transactions that are needed anyway, finds abandoned and overtaken claims alike.

mod awaited;
#[cfg(test)]
mod bench;
mod brief;
mod cache;
mod claim;
pub mod decide;
mod doubt;
pub mod entry;
mod head;
mod index;
pub mod layout;
mod leave;
mod novelty;
mod place;
mod preview;
mod revise;
mod settle;
mod slot;
mod stored;
mod sweep;

use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use object_store::ObjectStore;
use serde::Deserialize;

pub use self::claim::{Claimed, Request, Ticket};
pub use self::doubt::{Page, Place};
pub use self::entry::{Claim, Entry, Version};
pub use self::preview::Preview;
pub use self::settle::{Assertion, Conclusion, Landing, Settlement};
pub use self::slot::Slot;
pub use self::sweep::Due;
use crate::chance::Chance;
use crate::clock::SharedClock;
use crate::fault::Fault;
use crate::row::Key;
use crate::store::{Etag, Table};

/// How the ledger is laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Into how many partitions the entries of one map are spread (1 to 99). More buckets take more
    /// writes a second, fewer make fewer storage operations. Fixed once there are entries ([`layout`]).
    pub buckets: u32,
    /// How many entries an instance remembers between deliveries; each takes about 400 bytes.
    pub cache: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self { buckets: 4, cache: 30_000 }
    }
}

/// The memory of every row, over one table.
#[derive(Debug)]
pub struct Ledger {
    table: Arc<dyn Table>,
    blobs: Arc<dyn ObjectStore>,
    clock: SharedClock,
    chance: Chance,
    config: Config,
    cache: cache::Cache,
    novelty: novelty::Novelty,
}

/// An entry as it was looked at; no etag when there is none stored yet.
#[derive(Clone, Debug, Default)]
struct Looked {
    entry: Entry,
    etag: Option<Etag>,
    /// Where its rows stand.
    places: place::Places,
}

/// How much of an entry is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Depth {
    /// All of it.
    Whole,
    /// What a decision needs: a quiet entry without the columns of its row.
    Brief,
}

/// How many storage requests of one call are under way at once.
const PARALLEL: usize = 16;

impl Ledger {
    /// A ledger over a table; rows too large for the table go to `blobs`.
    pub fn new(
        (table, blobs): (Arc<dyn Table>, Arc<dyn ObjectStore>),
        config: Config,
        clock: SharedClock,
        chance: Chance,
    ) -> Self {
        let cache = cache::Cache::new(config.cache);
        let novelty = novelty::Novelty::default();
        Self { table, blobs, clock, chance, config, cache, novelty }
    }

    /// Where the entry of a key stands.
    pub fn slot(&self, map: &str, key: &Key) -> Slot {
        Slot::of(map, key, self.config.buckets)
    }

    /// The entry of one key, read afresh.
    pub async fn entry(&self, map: &str, key: &Key) -> Result<Entry, Fault> {
        let slot = self.slot(map, key);
        self.cache.forget(&slot);
        let mut looked = self.look(&[slot], Depth::Whole).await?;
        Ok(looked.pop().map(|looked| looked.entry).unwrap_or_default())
    }

    /// Looks at many entries; remembered ones cost nothing, and are brief.
    async fn look(&self, slots: &[Slot], depth: Depth) -> Result<Vec<Looked>, Fault> {
        let mut looked: Vec<Option<Looked>> =
            slots.iter().map(|slot| self.cache.get(slot)).collect();
        let mut missing = std::collections::BTreeMap::<&str, Vec<usize>>::new();
        for (index, (slot, known)) in slots.iter().zip(&looked).enumerate() {
            if known.is_none() {
                missing.entry(&slot.partition).or_default().push(index);
            }
        }
        let reads: Vec<_> =
            missing.into_iter().map(|(p, indices)| self.read(p, (slots, indices), depth)).collect();
        let mut reads = stream::iter(reads).buffer_unordered(PARALLEL);
        while let Some(read) = reads.next().await {
            for (index, found) in read? {
                if let Some(place) = looked.get_mut(index) {
                    *place = Some(found);
                }
            }
        }
        Ok(looked.into_iter().map(Option::unwrap_or_default).collect())
    }

    async fn read(
        &self,
        partition: &str,
        (slots, indices): (&[Slot], Vec<usize>),
        depth: Depth,
    ) -> Result<Vec<(usize, Looked)>, Fault> {
        let rows: Vec<String> =
            indices.iter().filter_map(|index| slots.get(*index)).map(|s| s.row.clone()).collect();
        let found =
            self.table.get_many(partition, &rows).await.map_err(|error| error.fault(PLACE))?;
        let mut read = Vec::with_capacity(indices.len());
        for (index, stored) in indices.into_iter().zip(found) {
            read.push((
                index,
                match stored {
                    Some(stored) => {
                        let (entry, places) = self.decode(&stored.entity, depth).await?;
                        Looked { entry, etag: Some(stored.etag), places }
                    }
                    None => Looked::default(),
                },
            ));
        }
        Ok(read)
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn new_claim(&self) -> Claim {
        Claim(self.chance.uuid())
    }
}

/// The name of this part of storage in messages.
const PLACE: &str = "ledger";
