//! The poison store: what could not be applied waits here with its reason, and nothing of it is lost.
//!
//! For each refused event of a map three things are kept, in this order: the original bytes in a
//! quarantine blob (one per call, not per event), a message on the poison queue for whoever watches,
//! and an error record that the operator lists, edits, retries and dismisses. A crash in between
//! repeats a message at worst. The record's id is computed from the event's bytes, so that a
//! redelivered event is the same record, tried once more.

mod quarantine;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::try_join_all;
use object_store::ObjectStore;

pub use self::quarantine::Original;
pub use self::record::{Filter, Id, Record, Status};
use crate::change::Correlation;
use crate::clock::SharedClock;
use crate::delivery::Event;
use crate::fault::{Fault, Kind};
use crate::store::{Etag, Operation, Queue, Table};

/// An event that is set aside, or that part of it which one map could not use.
#[derive(Clone, Debug)]
pub struct Refusal {
    /// The system that it came from.
    pub system: Arc<str>,
    /// The map that could not use it; `None` when no map could read it.
    pub map: Option<Arc<str>>,
    /// The row it was to become, as far as that was known; masked where secured.
    pub key: Option<String>,
    /// The event, with `body` cut down to the member concerned.
    pub event: Event,
    /// Why.
    pub fault: Fault,
    /// Follows it through logs and targets.
    pub correlation: Correlation,
}

/// The poison store.
#[derive(Debug)]
pub struct Poison {
    table: Arc<dyn Table>,
    queue: Arc<dyn Queue>,
    blobs: Arc<dyn ObjectStore>,
    clock: SharedClock,
}

/// A record as it was read, so that it can be changed only if nobody else did meanwhile.
#[derive(Clone, Debug)]
pub struct Kept {
    /// The record.
    pub record: Record,
    etag: Etag,
}

impl Poison {
    /// A poison store over its table, queue and blobs.
    pub fn new(
        table: Arc<dyn Table>,
        queue: Arc<dyn Queue>,
        blobs: Arc<dyn ObjectStore>,
        clock: SharedClock,
    ) -> Self {
        Self { table, queue, blobs, clock }
    }

    /// Keeps refusals and hands back their records. When this answers `Ok` they are durable and their
    /// events may be acknowledged.
    pub async fn keep(&self, refusals: &[Refusal]) -> Result<Vec<Record>, Fault> {
        if refusals.is_empty() {
            return Ok(Vec::new());
        }
        let path = quarantine::write(&*self.blobs, refusals, self.clock.now()).await?;
        let mut partitions = BTreeMap::<String, BTreeMap<String, &Refusal>>::new();
        for refusal in refusals {
            let id = Id::of(refusal);
            partitions.entry(id.partition).or_default().insert(id.row, refusal);
        }
        let mut records = Vec::with_capacity(refusals.len());
        for (partition, refusals) in partitions {
            let refusals: Vec<_> = refusals.into_iter().collect();
            for chunk in refusals.chunks(100) {
                records.extend(self.keep_chunk(&partition, chunk, &path).await?);
            }
        }
        Ok(records)
    }

    /// Keeps refusals of one map. Another instance may be keeping some of them just now, and then
    /// nothing of this one's transaction is kept: it looks again.
    async fn keep_chunk(
        &self,
        partition: &str,
        refusals: &[(String, &Refusal)],
        path: &str,
    ) -> Result<Vec<Record>, Fault> {
        for _ in 1..ROUNDS {
            match self.keep_once(partition, refusals, path).await {
                Err(fault) if fault.kind == Kind::Conflict => {}
                kept => return kept,
            }
        }
        self.keep_once(partition, refusals, path).await
    }

    async fn keep_once(
        &self,
        partition: &str,
        refusals: &[(String, &Refusal)],
        path: &str,
    ) -> Result<Vec<Record>, Fault> {
        let rows: Vec<String> = refusals.iter().map(|(row, _)| row.clone()).collect();
        let known = self.table.get_many(partition, &rows).await.map_err(|e| e.fault(PLACE))?;
        let mut operations = Vec::with_capacity(rows.len());
        let (mut records, mut messages) = (Vec::new(), Vec::new());
        for ((row, refusal), known) in refusals.iter().zip(known) {
            let id = Id { partition: partition.to_owned(), row: row.clone() };
            let mut record = Record::of(id, refusal, path, self.clock.now());
            let etag = known.as_ref().map(|stored| stored.etag.clone());
            let mut announced = false;
            if let Some(stored) = known {
                let earlier = Record::read(partition, &stored.entity)?;
                announced = earlier.status == Status::Open;
                record.follow(&earlier);
            }
            if !announced {
                messages.push(record.message());
            }
            operations.push(match etag {
                Some(etag) => Operation::Replace(record.entity()?, etag),
                None => Operation::Insert(record.entity()?),
            });
            records.push(record);
        }
        let puts = messages.iter().map(|message| self.queue.put(message, Duration::ZERO));
        try_join_all(puts).await.map_err(|error| error.fault(PLACE))?;
        self.table.transact(partition, operations).await.map_err(|e| e.fault(PLACE))?;
        Ok(records)
    }

    /// Reads one record.
    pub async fn get(&self, id: &Id) -> Result<Option<Kept>, Fault> {
        let rows = [id.row.clone()];
        let found = self.table.get_many(&id.partition, &rows).await.map_err(|e| e.fault(PLACE))?;
        let Some(stored) = found.into_iter().next().flatten() else { return Ok(None) };
        let record = Record::read(&id.partition, &stored.entity)?;
        Ok(Some(Kept { record, etag: stored.etag }))
    }

    /// Lists records of these partitions (maps, and `@system` for what no map could read), oldest first.
    pub async fn list(&self, partitions: &[String], filter: &Filter) -> Result<Vec<Kept>, Fault> {
        let mut kept = Vec::new();
        for partition in partitions {
            let mut from = String::new();
            loop {
                let page = self.table.scan(partition, &from, "\u{10ffff}", 1_000).await;
                let page = page.map_err(|error| error.fault(PLACE))?;
                for stored in page.rows {
                    let record = Record::read(partition, &stored.entity)?;
                    if filter.admits(&record) {
                        kept.push(Kept { record, etag: stored.etag });
                    }
                }
                match page.next {
                    Some(next) => from = next,
                    None => break,
                }
            }
        }
        kept.sort_by_key(|kept| kept.record.first);
        Ok(kept)
    }

    /// Marks a record, unless somebody else changed it since it was read.
    pub async fn mark(
        &self,
        kept: Kept,
        status: Status,
        note: Option<String>,
    ) -> Result<(), Fault> {
        self.change(kept, |record| {
            record.status = status;
            record.note = note.or(record.note.take());
        })
        .await
    }

    /// Changes a record, unless somebody else changed it since it was read.
    pub async fn change(&self, kept: Kept, change: impl FnOnce(&mut Record)) -> Result<(), Fault> {
        let Kept { mut record, etag } = kept;
        change(&mut record);
        record.last = self.clock.now();
        let operations = vec![Operation::Replace(record.entity()?, etag)];
        let changed = self.table.transact(&record.id.partition, operations).await;
        changed.map(drop).map_err(|error| error.fault(PLACE))
    }

    /// The original event of a record, or the edited one when it was edited.
    pub async fn original(&self, record: &Record) -> Result<Original, Fault> {
        quarantine::read(&*self.blobs, record).await
    }

    /// Replaces the body that a retry will use; the original stays where it is.
    pub async fn edit(&self, kept: Kept, body: &[u8]) -> Result<(), Fault> {
        let original = self.original(&kept.record).await?;
        let path = quarantine::write_edited(&*self.blobs, &kept.record, &original, body).await?;
        self.change(kept, |record| record.edited = Some(path)).await
    }
}

/// The name of this part of storage in messages.
const PLACE: &str = "poison store";
/// How often refusals are kept again because somebody else was faster.
const ROUNDS: u32 = 5;
