//! A table and a queue in memory that are slow, forget to answer, and are sometimes away.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use concord::clock::{self, SharedClock};
use concord::store::{Entity, Error, Etag, Message, Operation, Page, Queue, Stored, Table};
use jiff::Timestamp;

use crate::world::{Dice, Mutant};

/// A table whose answers come late or not at all.
#[derive(Debug)]
pub(crate) struct SimTable {
    rows: Mutex<BTreeMap<(String, String), (Entity, u64)>>,
    next: Mutex<u64>,
    dice: Arc<Dice>,
}

impl SimTable {
    pub(crate) fn new(dice: Arc<Dice>) -> Arc<Self> {
        Arc::new(Self { rows: Mutex::default(), next: Mutex::default(), dice })
    }

    /// Every row there is, by partition and row key.
    pub(crate) fn all(&self) -> Vec<((String, String), Entity)> {
        let rows = self.rows.lock().unwrap();
        rows.iter().map(|(key, (entity, _))| (key.clone(), entity.clone())).collect()
    }

    async fn answer<T>(&self, act: impl FnOnce() -> Result<T, Error> + Send) -> Result<T, Error>
    where
        T: Send,
    {
        tokio::time::sleep(self.dice.latency(20)).await;
        if self.dice.fault("storage away", 1.0) {
            return Err(away());
        }
        let answer = act();
        tokio::time::sleep(self.dice.latency(10)).await;
        if self.dice.fault("storage answer lost", 1.0) {
            return Err(away());
        }
        answer
    }

    fn etag(&self) -> u64 {
        let mut next = self.next.lock().unwrap();
        *next += 1;
        *next
    }

    fn apply(&self, partition: &str, operations: Vec<Operation>) -> Result<Vec<Etag>, Error> {
        let mut rows = self.rows.lock().unwrap();
        let at = |row: &str| (partition.to_owned(), row.to_owned());
        for (index, operation) in operations.iter().enumerate() {
            let holds = match operation {
                Operation::Insert(entity) => !rows.contains_key(&at(&entity.row)),
                Operation::Replace(Entity { row, .. }, etag)
                | Operation::Merge(Entity { row, .. }, etag)
                | Operation::Delete(row, etag) => {
                    rows.get(&at(row)).is_some_and(|(_, now)| now.to_string() == etag.0)
                }
                Operation::Put(_) | Operation::Discard(_) => true,
            };
            if !holds && !self.dice.is(Mutant::IgnoreConditions) {
                return Err(Error::Conflict { index });
            }
        }
        let mut etags = Vec::new();
        for operation in operations {
            let operation = self.mutated(operation);
            self.dice.say(|| format!("store {partition}: {operation:?}"));
            let etag = self.etag();
            etags.push(Etag(etag.to_string()));
            match operation {
                Operation::Insert(entity)
                | Operation::Replace(entity, _)
                | Operation::Put(entity) => {
                    if self.dice.is(Mutant::ForgetParked) && entity.row.starts_with("p~") {
                        continue;
                    }
                    if self.dice.is(Mutant::ForgetIndex) && entity.row.starts_with('~') {
                        continue;
                    }
                    rows.insert(at(&entity.row), (entity, etag));
                }
                Operation::Merge(entity, _) => {
                    let stored = rows.entry(at(&entity.row)).or_default();
                    stored.0.row = entity.row;
                    stored.0.properties.extend(entity.properties);
                    stored.1 = etag;
                }
                Operation::Delete(row, _) | Operation::Discard(row) => {
                    rows.remove(&at(&row));
                }
            }
        }
        Ok(etags)
    }
}

impl SimTable {
    fn mutated(&self, mut operation: Operation) -> Operation {
        let forgotten = match self.dice.mutant() {
            Some(Mutant::ForgetLoose) => "loose",
            Some(Mutant::ForgetIntents) => "intent",
            _ => return operation,
        };
        if let Operation::Insert(entity)
        | Operation::Replace(entity, _)
        | Operation::Merge(entity, _) = &mut operation
        {
            entity.properties.remove(forgotten);
        }
        operation
    }
}

fn away() -> Error {
    Error::Unavailable { reason: "simulated".into(), retry_after: None }
}

fn stored(row: &(Entity, u64)) -> Stored {
    Stored { entity: row.0.clone(), etag: Etag(row.1.to_string()) }
}

#[async_trait]
impl Table for SimTable {
    async fn get_many(
        &self,
        partition: &str,
        rows: &[String],
    ) -> Result<Vec<Option<Stored>>, Error> {
        let found = || {
            let all = self.rows.lock().unwrap();
            Ok(rows
                .iter()
                .map(|row| all.get(&(partition.into(), row.clone())).map(stored))
                .collect())
        };
        self.answer(found).await
    }

    async fn transact(
        &self,
        partition: &str,
        operations: Vec<Operation>,
    ) -> Result<Vec<Etag>, Error> {
        assert!((1..=100).contains(&operations.len()), "{} operations", operations.len());
        let mut rows: Vec<&str> = operations.iter().map(row).collect();
        rows.sort_unstable();
        assert!(rows.windows(2).all(|pair| pair[0] != pair[1]), "one row twice in a transaction");
        self.answer(move || self.apply(partition, operations)).await
    }

    async fn scan(
        &self,
        partition: &str,
        from: &str,
        to: &str,
        limit: usize,
    ) -> Result<Page, Error> {
        let page = || {
            let all = self.rows.lock().unwrap();
            let range =
                (partition.to_owned(), from.to_owned())..(partition.to_owned(), to.to_owned());
            let mut rows = all.range(range).map(|(_, row)| stored(row));
            let found: Vec<Stored> = rows.by_ref().take(limit).collect();
            Ok(Page { rows: found, next: rows.next().map(|stored| stored.entity.row) })
        };
        self.answer(page).await
    }
}

fn row(operation: &Operation) -> &str {
    match operation {
        Operation::Insert(entity)
        | Operation::Put(entity)
        | Operation::Replace(entity, _)
        | Operation::Merge(entity, _) => &entity.row,
        Operation::Delete(row, _) | Operation::Discard(row) => row,
    }
}

/// A queue that hands out a message again when nobody removed it in time.
#[derive(Debug)]
pub(crate) struct SimQueue {
    messages: Mutex<Vec<(Timestamp, Message)>>,
    dice: Arc<Dice>,
    clock: SharedClock,
}

impl SimQueue {
    pub(crate) fn new(dice: Arc<Dice>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { messages: Mutex::default(), dice, clock })
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.lock().unwrap().len()
    }
}

#[async_trait]
impl Queue for SimQueue {
    async fn put(&self, body: &[u8], delay: Duration) -> Result<(), Error> {
        tokio::time::sleep(self.dice.latency(10)).await;
        if self.dice.fault("queue away", 1.0) {
            return Err(away());
        }
        let now = self.clock.now();
        let message = Message {
            id: self.dice.chance.uuid().to_string(),
            receipt: String::new(),
            body: Bytes::copy_from_slice(body),
            taken: 0,
            inserted: now,
        };
        self.messages.lock().unwrap().push((clock::after(now, delay), message));
        if self.dice.fault("queue answer lost", 1.0) { Err(away()) } else { Ok(()) }
    }

    async fn take(&self, most: usize, hidden: Duration) -> Result<Vec<Message>, Error> {
        let now = self.clock.now();
        let mut messages = self.messages.lock().unwrap();
        let visible = messages.iter_mut().filter(|(at, _)| *at <= now).take(most);
        let taken = visible.map(|(at, message)| {
            *at = clock::after(now, hidden);
            message.taken += 1;
            message.clone()
        });
        Ok(taken.collect())
    }

    async fn remove(&self, message: &Message) -> Result<(), Error> {
        self.messages.lock().unwrap().retain(|(_, other)| other.id != message.id);
        Ok(())
    }

    async fn depth(&self) -> Result<u64, Error> {
        Ok(self.len() as u64)
    }
}
