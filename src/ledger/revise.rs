//! Changes many entries, each under the condition that it is still as it was looked at.
//!
//! Claiming, settling, asserting and tending differ in what they decide; how a decision becomes
//! durable is the same and stands here: look at what is not known, decide, write one transaction per
//! bucket, and decide again for whatever somebody else changed meanwhile.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::entry::Entry;
use super::{Ledger, Looked, PARALLEL, PLACE, Slot};
use crate::fault::{Fault, Kind};
use crate::row::Key;
use crate::store::{self, Operation};

/// A decision about one entry, made anew each time the entry turns out to have changed.
pub(super) trait Revision: Send + Sync + Sized {
    /// Where the entry stands.
    fn slot(&self) -> &Slot;
    /// The key it is of.
    fn key(&self) -> &Key;
    /// What is to replace the entry; `None` when it can stay, with the reason noted in `self`.
    fn revise(&mut self, entry: &Entry, now: Timestamp) -> Option<Entry>;
    /// The index rows that change in the same transaction. `part` is different for every transaction.
    fn index(chunk: &mut [Self], part: u64) -> Vec<Operation>;
}

/// What became of one revision.
pub(super) struct Revised<R> {
    pub(super) revision: R,
    /// The entry as it now stands, or why the decision could not be made durable.
    pub(super) result: Result<Looked, Fault>,
}

/// One revision on its way.
struct Item<R> {
    place: usize,
    revision: R,
    looked: Option<Looked>,
}

/// A decided item with the row that makes the decision durable.
struct Step<R> {
    item: Item<R>,
    next: Entry,
    operation: Operation,
}

/// How often a decision is made again because somebody else was faster, before it is left for now.
const ROUNDS: u64 = 8;
/// Entries in one transaction: 100 operations, of which some may be index rows of its entries.
const ENTRIES: usize = 49;
/// Bytes of entries in one transaction; the rest is for its index rows.
const BYTES: usize = store::MAX_TRANSACTION / 4 * 3;

type Finished<R> = Vec<(usize, Revised<R>)>;

impl Ledger {
    /// Makes every decision durable, and answers in order. What is handed over as looked at already
    /// is believed until a condition fails.
    pub(super) async fn revise<R: Revision>(
        &self,
        revisions: Vec<(R, Option<Looked>)>,
    ) -> Vec<Revised<R>> {
        let mut finished: Finished<R> = Vec::with_capacity(revisions.len());
        let items = revisions.into_iter().enumerate();
        let mut open: Vec<Item<R>> =
            items.map(|(place, (revision, looked))| Item { place, revision, looked }).collect();
        for round in 0..ROUNDS {
            if open.is_empty() {
                break;
            }
            open = self.round(open, round, &mut finished).await;
        }
        finished.extend(open.into_iter().map(|item| {
            let message = "others kept changing the ledger entry of this row";
            item.failed(Fault::new(Kind::Conflict, message))
        }));
        finished.sort_by_key(|(place, _)| *place);
        finished.into_iter().map(|(_, revised)| revised).collect()
    }

    async fn round<R: Revision>(
        &self,
        mut open: Vec<Item<R>>,
        round: u64,
        finished: &mut Finished<R>,
    ) -> Vec<Item<R>> {
        if let Err(fault) = self.look_where_needed(&mut open).await {
            finished.extend(open.into_iter().map(|item| item.failed(fault.clone())));
            return Vec::new();
        }
        let mut buckets = BTreeMap::<String, Vec<Step<R>>>::new();
        for item in open {
            let partition = item.revision.slot().partition.clone();
            match self.decide(item).await {
                Ok(step) => buckets.entry(partition).or_default().push(step),
                Err(done) => finished.push(*done),
            }
        }
        let mut writes = Vec::new();
        for (partition, steps) in buckets {
            for chunk in chunked(steps) {
                let part = round * 1_000 + writes.len() as u64;
                writes.push(self.commit(partition.clone(), chunk, part));
            }
        }
        let mut writes = stream::iter(writes).buffer_unordered(PARALLEL);
        let mut again = Vec::new();
        while let Some((done, open)) = writes.next().await {
            finished.extend(done);
            again.extend(open);
        }
        again
    }

    async fn look_where_needed<R: Revision>(&self, open: &mut [Item<R>]) -> Result<(), Fault> {
        let blind = open.iter().filter(|item| item.looked.is_none());
        let slots: Vec<Slot> = blind.map(|item| item.revision.slot().clone()).collect();
        let mut found = self.look(&slots).await?.into_iter();
        for item in open.iter_mut().filter(|item| item.looked.is_none()) {
            item.looked = found.next();
        }
        Ok(())
    }

    async fn decide<R: Revision>(
        &self,
        mut item: Item<R>,
    ) -> Result<Step<R>, Box<(usize, Revised<R>)>> {
        let looked = item.looked.clone().unwrap_or_default();
        let Some(next) = item.revision.revise(&looked.entry, self.now()) else {
            let Item { place, revision, .. } = item;
            return Err(Box::new((place, Revised { revision, result: Ok(looked) })));
        };
        match self.encode(item.revision.slot(), item.revision.key(), &next).await {
            Ok(entity) => {
                let operation = match looked.etag {
                    Some(etag) => Operation::Replace(entity, etag),
                    None => Operation::Insert(entity),
                };
                Ok(Step { item, next, operation })
            }
            Err(fault) => Err(Box::new(item.failed(fault))),
        }
    }

    /// One transaction: either all of it is durable, or who failed starts over.
    async fn commit<R: Revision>(
        &self,
        partition: String,
        chunk: Vec<Step<R>>,
        part: u64,
    ) -> (Finished<R>, Vec<Item<R>>) {
        let mut operations = Vec::with_capacity(chunk.len() + 1);
        let (mut revisions, mut rest) = (Vec::new(), Vec::new());
        for Step { item: Item { place, revision, looked }, next, operation } in chunk {
            operations.push(operation);
            revisions.push(revision);
            rest.push((place, looked, next));
        }
        operations.extend(R::index(&mut revisions, part));
        let written = self.table.transact(&partition, operations).await;
        let parts = revisions.into_iter().zip(rest);
        match written {
            Ok(etags) => {
                let done = parts.zip(etags).map(|((revision, (place, _, entry)), etag)| {
                    self.cache.put(revision.slot().clone(), entry.clone(), etag.clone());
                    let result = Ok(Looked { entry, etag: Some(etag) });
                    (place, Revised { revision, result })
                });
                (done.collect(), Vec::new())
            }
            Err(error) => {
                let items = parts
                    .map(|(revision, (place, looked, _))| Item { place, revision, looked })
                    .collect();
                self.not_committed(items, &error)
            }
        }
    }

    /// Nothing of the transaction happened, or nothing is known of it.
    fn not_committed<R: Revision>(
        &self,
        items: Vec<Item<R>>,
        error: &store::Error,
    ) -> (Finished<R>, Vec<Item<R>>) {
        let (mut done, mut again) = (Vec::new(), Vec::new());
        for (at, mut item) in items.into_iter().enumerate() {
            let (afresh, failed) = match error {
                // The store names one conflict, but where one entry changed others did too: two
                // deliveries that share keys would otherwise find them out one round after the other.
                store::Error::Conflict { .. } | store::Error::Unavailable { .. } => (true, false),
                store::Error::TooLarge { index } => (false, index.is_none_or(|index| index == at)),
                store::Error::Unauthorised { .. } | store::Error::Invalid { .. } => (false, true),
            };
            if failed {
                done.push(item.failed(error.fault(PLACE)));
                continue;
            }
            if afresh {
                self.cache.forget(item.revision.slot());
                item.looked = None;
            }
            again.push(item);
        }
        (done, again)
    }
}

impl<R> Item<R> {
    fn failed(self, fault: Fault) -> (usize, Revised<R>) {
        (self.place, Revised { revision: self.revision, result: Err(fault) })
    }
}

fn chunked<R: Revision>(steps: Vec<Step<R>>) -> Vec<Vec<Step<R>>> {
    let mut chunks: Vec<Vec<Step<R>>> = Vec::new();
    let mut bytes = 0;
    for step in steps {
        let size = store::weight(&step.item.revision.slot().partition, &step.operation);
        let full = chunks.last().is_none_or(|chunk| chunk.len() >= ENTRIES);
        if full || bytes + size > BYTES {
            chunks.push(Vec::new());
            bytes = 0;
        }
        bytes += size;
        if let Some(chunk) = chunks.last_mut() {
            chunk.push(step);
        }
    }
    chunks
}
