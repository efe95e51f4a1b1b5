//! A queue in the SQLite file: a message is a row that can be taken from its `visible` time on, and its
//! receipt is how often it was taken.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use rusqlite::{Row, params};

use super::database::Database;
use crate::clock::{SharedClock, after};
use crate::store::{Call, Counters, Error, MAX_MESSAGE, Message, Queue};

const PUT: &str =
    "insert into message (queue, visible, inserted, taken, body) values (?1, ?2, ?3, 0, ?4)";
const VISIBLE: &str = "select id from message where queue = ?1 and visible <= ?2
    order by visible, id limit ?3";
const TAKE: &str = "update message set visible = ?2, taken = taken + 1 where id = ?1
    returning id, taken, inserted, body";
const REMOVE: &str = "delete from message where queue = ?1 and id = ?2 and taken = ?3";
const DEPTH: &str = "select count(*) from message where queue = ?1";

/// One queue.
#[derive(Debug)]
pub(super) struct LocalQueue {
    database: Database,
    name: Arc<str>,
    clock: SharedClock,
    counters: Arc<Counters>,
}

impl LocalQueue {
    pub(super) fn new(
        database: Database,
        name: &str,
        clock: SharedClock,
        counters: Arc<Counters>,
    ) -> Self {
        Self { database, name: name.into(), clock, counters }
    }
}

#[async_trait]
impl Queue for LocalQueue {
    async fn put(&self, body: &[u8], delay: Duration) -> Result<(), Error> {
        if body.len() > MAX_MESSAGE {
            return Err(Error::TooLarge { index: None });
        }
        self.counters.count(Call::Put);
        let (name, body, now) = (self.name.clone(), body.to_vec(), self.clock.now());
        let visible = after(now, delay).as_millisecond();
        self.database
            .write(move |connection| {
                let values = params![name, visible, now.as_millisecond(), body];
                connection.prepare_cached(PUT)?.execute(values)?;
                Ok(())
            })
            .await
    }

    async fn take(&self, most: usize, hidden: Duration) -> Result<Vec<Message>, Error> {
        self.counters.count(Call::Take);
        let (name, now) = (self.name.clone(), self.clock.now());
        let most = i64::try_from(most.clamp(1, 32)).unwrap_or(32);
        let until = after(now, hidden).as_millisecond();
        self.database
            .write(move |connection| {
                let visible = connection
                    .prepare_cached(VISIBLE)?
                    .query_map(params![name, now.as_millisecond(), most], |row| row.get(0))?
                    .collect::<Result<Vec<i64>, _>>()?;
                let mut take = connection.prepare_cached(TAKE)?;
                let taken = visible.iter().map(|id| take.query_row(params![id, until], message));
                Ok(taken.collect::<Result<Vec<_>, _>>()?)
            })
            .await
    }

    async fn remove(&self, message: &Message) -> Result<(), Error> {
        self.counters.count(Call::Remove);
        let name = self.name.clone();
        let (id, receipt) = (message.id.clone(), message.receipt.clone());
        self.database
            .write(move |connection| {
                connection.prepare_cached(REMOVE)?.execute(params![name, id, receipt])?;
                Ok(())
            })
            .await
    }

    async fn depth(&self) -> Result<u64, Error> {
        self.counters.count(Call::Depth);
        let name = self.name.clone();
        let count = self.database.read(move |connection| {
            Ok(connection.prepare_cached(DEPTH)?.query_row([name], |row| row.get::<_, i64>(0))?)
        });
        Ok(u64::try_from(count.await?).unwrap_or_default())
    }
}

fn message(row: &Row<'_>) -> rusqlite::Result<Message> {
    Ok(Message {
        id: row.get::<_, i64>(0)?.to_string(),
        receipt: row.get::<_, u32>(1)?.to_string(),
        taken: row.get(1)?,
        inserted: Timestamp::from_millisecond(row.get(2)?).unwrap_or_default(),
        body: Bytes::from(row.get::<_, Vec<u8>>(3)?),
    })
}
