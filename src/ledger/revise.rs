//! Changes many entries, each under the condition that it is still as it was looked at.
//!
//! Claiming, settling, asserting and tending differ in what they decide; how a decision becomes
//! durable is the same and stands here: look at what is not known, decide, write one transaction per
//! bucket, and decide again for whatever somebody else changed meanwhile.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;

use super::entry::Entry;
use super::place::Places;
use super::{Depth, Ledger, Looked, PARALLEL, PLACE, Slot};
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
    /// The JSON of the row that it intends, where that is at hand.
    fn json(&mut self) -> Option<String> {
        None
    }
    /// The claimed batch that it belongs to, by its index row; those of one batch stay together.
    fn batch(&self) -> Option<&str>;
    /// How many rows of the table change with it, that of a batch not counted.
    fn rows(&self) -> usize;
    /// The index rows that change in the same transaction. `part` is different for every transaction.
    fn index(chunk: &mut [Self], part: u64) -> Vec<Operation>;
}

/// What became of one revision.
pub(super) struct Revised<R> {
    pub(super) revision: R,
    /// The entry as it now stands, or why the decision could not be made durable.
    pub(super) result: Result<Box<Looked>, Fault>,
}

/// One revision on its way.
struct Item<R> {
    place: usize,
    revision: R,
    looked: Option<Box<Looked>>,
    /// Why the last round was in vain, when it was not somebody else's change.
    why: Option<Fault>,
}

/// A decided item with the row that makes the decision durable.
struct Step<R> {
    item: Item<R>,
    next: Box<Entry>,
    places: Places,
    operation: Operation,
}

/// How often a decision is made again because somebody else was faster, before it is left for now.
const ROUNDS: u64 = 8;
/// Bytes of entries in one transaction; the rest is for its index rows.
const BYTES: usize = store::MAX_TRANSACTION / 4 * 3;

type Finished<R> = Vec<(usize, Revised<R>)>;

impl Ledger {
    /// Makes every decision durable, and answers in order. What is handed over as looked at already
    /// is believed until a condition fails.
    pub(super) async fn revise<R: Revision>(
        &self,
        revisions: Vec<(R, Option<Box<Looked>>)>,
    ) -> Vec<Revised<R>> {
        let mut answers: Vec<Option<Revised<R>>> = Vec::new();
        answers.resize_with(revisions.len(), || None);
        let mut finished: Finished<R> = Vec::with_capacity(revisions.len());
        let items = revisions.into_iter().enumerate();
        let mut open: Vec<Item<R>> = items
            .map(|(place, (revision, looked))| Item { place, revision, looked, why: None })
            .collect();
        for round in 0..ROUNDS {
            if open.is_empty() {
                break;
            }
            open = self.round(open, round, &mut finished).await;
        }
        finished.extend(open.into_iter().map(|mut item| {
            let message = "others kept changing the ledger entry of this row";
            let why = item.why.take().unwrap_or_else(|| Fault::new(Kind::Conflict, message));
            item.failed(why)
        }));
        for (place, revised) in finished {
            if let Some(answer) = answers.get_mut(place) {
                *answer = Some(revised);
            }
        }
        answers.into_iter().flatten().collect()
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
            match self.decide(item).await {
                Ok(step) => {
                    let partition = &step.item.revision.slot().partition;
                    match buckets.get_mut(partition) {
                        Some(steps) => steps.push(step),
                        None => _ = buckets.insert(partition.clone(), vec![step]),
                    }
                }
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
        let mut found = self.look(&slots, Depth::Brief).await?.into_iter();
        for item in open.iter_mut().filter(|item| item.looked.is_none()) {
            item.looked = found.next().map(Box::new);
        }
        Ok(())
    }

    async fn decide<R: Revision>(
        &self,
        mut item: Item<R>,
    ) -> Result<Step<R>, Box<(usize, Revised<R>)>> {
        let looked = item.looked.take().unwrap_or_default();
        let Some(next) = item.revision.revise(&looked.entry, self.now()) else {
            let Item { place, revision, .. } = item;
            return Err(Box::new((place, Revised { revision, result: Ok(looked) })));
        };
        let json = item.revision.json();
        let of = (item.revision.slot(), item.revision.key());
        match self.encode(of, &looked, (&next, json)).await {
            Ok((entity, places)) => {
                let operation = match &looked.etag {
                    Some(etag) => Operation::Merge(entity, etag.clone()),
                    None => Operation::Insert(entity),
                };
                item.looked = Some(looked);
                Ok(Step { item, next: Box::new(next), places, operation })
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
        for Step { item, next, places, operation } in chunk {
            let Item { place, revision, looked, .. } = item;
            operations.push(operation);
            revisions.push(revision);
            rest.push((place, looked, (next, places)));
        }
        operations.extend(R::index(&mut revisions, part));
        let written = self.table.transact(&partition, operations).await;
        let parts = revisions.into_iter().zip(rest);
        match written {
            Ok(etags) => {
                let done = parts.zip(etags).map(|((revision, (place, looked, next)), etag)| {
                    let mut looked = looked.unwrap_or_default();
                    *looked = Looked { entry: *next.0, etag: Some(etag), places: next.1 };
                    self.cache.put(revision.slot(), &looked);
                    (place, Revised { revision, result: Ok(looked) })
                });
                (done.collect(), Vec::new())
            }
            Err(error) => {
                let items = parts
                    .map(|(revision, (place, looked, _))| Item {
                        place,
                        revision,
                        looked,
                        why: None,
                    })
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
            if matches!(error, store::Error::Unavailable { .. }) {
                item.why = Some(error.fault(PLACE));
            }
            again.push(item);
        }
        (done, again)
    }
}

impl<R: Revision> Step<R> {
    fn weight(&self) -> usize {
        store::weight(&self.item.revision.slot().partition, &self.operation)
    }
}

impl<R> Item<R> {
    fn failed(self, fault: Fault) -> (usize, Revised<R>) {
        (self.place, Revised { revision: self.revision, result: Err(fault) })
    }
}

/// Steps that go in one transaction, the rows of the table that it changes, and its bytes.
struct Chunk<R> {
    steps: Vec<Step<R>>,
    rows: usize,
    bytes: usize,
}

impl<R: Revision> Chunk<R> {
    /// Of one step, and the index row of its batch, with room for others.
    fn of(step: Step<R>, others: usize) -> Self {
        let (rows, bytes) = (1 + step.item.revision.rows(), step.weight());
        let mut steps = Vec::with_capacity(others.min(store::MAX_OPERATIONS));
        steps.push(step);
        Self { steps, rows, bytes }
    }

    /// The claimed batch that it is of.
    fn batch(&self) -> Option<&str> {
        self.steps.first().and_then(|step| step.item.revision.batch())
    }

    fn has_room(&self, rows: usize, bytes: usize) -> bool {
        self.rows + rows <= store::MAX_OPERATIONS && self.bytes + bytes <= BYTES
    }

    /// Takes a step of the same batch in if there is room for it.
    fn push(&mut self, step: Step<R>) -> Option<Step<R>> {
        let (rows, bytes) = (step.item.revision.rows(), step.weight());
        if self.batch() != step.item.revision.batch() || !self.has_room(rows, bytes) {
            return Some(step);
        }
        self.steps.push(step);
        (self.rows, self.bytes) = (self.rows + rows, self.bytes + bytes);
        None
    }

    /// Takes `other` in if there is room for it.
    fn join(&mut self, mut other: Self) -> Option<Self> {
        let shared = usize::from(self.batch() == other.batch());
        if !self.has_room(other.rows - shared, other.bytes) {
            return Some(other);
        }
        self.steps.append(&mut other.steps);
        (self.rows, self.bytes) = (self.rows + other.rows - shared, self.bytes + other.bytes);
        None
    }
}

/// Cuts the steps of one bucket into transactions. Those of one claimed batch go together as far as they
/// fit, because its index row goes only when all of them are concluded.
fn chunked<R: Revision>(mut steps: Vec<Step<R>>) -> Vec<Vec<Step<R>>> {
    steps.sort_by(|one, other| one.item.revision.batch().cmp(&other.item.revision.batch()));
    let (mut batches, all) = (Vec::<Chunk<R>>::new(), steps.len());
    for step in steps {
        let rest = match batches.last_mut() {
            Some(last) => last.push(step),
            None => Some(step),
        };
        batches.extend(rest.map(|step| Chunk::of(step, all)));
    }
    let mut chunks: Vec<Chunk<R>> = Vec::new();
    for batch in batches {
        let rest = match chunks.last_mut() {
            Some(last) => last.join(batch),
            None => Some(batch),
        };
        chunks.extend(rest);
    }
    chunks.into_iter().map(|chunk| chunk.steps).collect()
}
