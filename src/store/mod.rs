//! The storage seams: a table, a queue and blobs, each on Azure and in a local folder.
//!
//! Blobs are `object_store`'s own trait. [`Table`] and [`Queue`] are ours, because they must say more
//! than a general crate does: which operation of a transaction failed, and that nothing else did.
//! Every implementation passes the same suite, `tests/it/contract/`.

pub(crate) mod azure;
mod config;
mod counted;
mod counters;
mod entity;
mod limits;
mod local;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use object_store::ObjectStore;

use crate::fault::{Fault, Kind};
pub use config::{Account, Config, ConfigError, Names, Place};
pub use counters::{Call, Counters};
pub use limits::{MAX_OPERATIONS, MAX_TRANSACTION, weight};

use crate::chance::Chance;
use crate::clock::SharedClock;

/// Everything that is durable, opened once at start and shared.
#[derive(Clone, Debug)]
pub struct Stores {
    /// Ledger entries and leases.
    pub ledger: Arc<dyn Table>,
    /// Error records.
    pub poison: Arc<dyn Table>,
    /// Deferred rows and pieces of long work.
    pub work: Arc<dyn Queue>,
    /// One message per poisoned row, for whoever watches.
    pub poisoned: Arc<dyn Queue>,
    /// Rows and messages too large for their place.
    pub blobs: Arc<dyn ObjectStore>,
    /// Quarantined originals, each written once: where they lie, a policy may forbid to change them.
    pub quarantine: Arc<dyn ObjectStore>,
    /// How many requests were made, by kind, since these stores were opened.
    pub counters: Arc<Counters>,
}

/// Opens everything at the configured place and makes what is missing there: the folder, or the tables,
/// queues and containers. An identity that may not create them is told which one is missing.
pub async fn open(config: &Config, clock: SharedClock, chance: Chance) -> Result<Stores, Error> {
    match &config.place {
        Place::Local { folder } => local::open(folder, &config.names, clock).await,
        Place::Azure(account) => azure::open(account, config, clock, chance).await,
    }
}

/// Looks for everything that [`open`] would make, and makes nothing. `None` where the role does not allow
/// to look.
pub async fn look(
    config: &Config,
    clock: SharedClock,
    chance: Chance,
) -> Vec<(Thing, Result<Option<bool>, Error>)> {
    match &config.place {
        Place::Local { folder } => {
            vec![(Thing::Folder(folder.display().to_string()), Ok(Some(folder.is_dir())))]
        }
        Place::Azure(account) => azure::look(account, config, clock, chance).await,
    }
}

/// Something that storage holds others in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thing {
    /// A table.
    Table(String),
    /// A queue.
    Queue(String),
    /// A container of blobs.
    Container(String),
    /// A folder of this machine.
    Folder(String),
}

impl fmt::Display for Thing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Table(name) => write!(f, "table {name}"),
            Self::Queue(name) => write!(f, "queue {name}"),
            Self::Container(name) => write!(f, "container {name}"),
            Self::Folder(name) => write!(f, "folder {name}"),
        }
    }
}

/// A version of one entity; compared for equality only.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Etag(pub String);

/// A value of an entity. A text holds at most 32,000 UTF-16 units, bytes at most 64 KiB.
#[derive(Clone, Debug, PartialEq)]
pub enum Property {
    /// Text.
    Text(String),
    /// A whole number.
    Integer(i64),
    /// Bytes.
    Bytes(Bytes),
}

/// Values by their names, which are mostly known beforehand.
pub type Properties = BTreeMap<Cow<'static, str>, Property>;

/// One row of a table, inside a partition that the call names.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Entity {
    /// The row key: any text up to 512 UTF-16 units without control characters or `/ \ # ?`.
    pub row: String,
    /// Its values. At most 250.
    pub properties: Properties,
}

/// An entity as it was read.
#[derive(Clone, Debug, PartialEq)]
pub struct Stored {
    /// The row.
    pub entity: Entity,
    /// Its version.
    pub etag: Etag,
}

/// One step of a transaction.
#[derive(Clone, Debug, PartialEq)]
pub enum Operation {
    /// The row must not be there yet.
    Insert(Entity),
    /// The row must be there and unchanged.
    Replace(Entity, Etag),
    /// The row must be there and unchanged; the properties named take these values, of the type they
    /// have, and the others stay.
    Merge(Entity, Etag),
    /// Whatever was there, this is there now.
    Put(Entity),
    /// The row must be there and unchanged, and is then gone.
    Delete(String, Etag),
    /// The row is gone, whether or not it was there. Dearer than the others on Azure when it was not
    /// there: the transaction is then sent once more without it.
    Discard(String),
}

/// A stretch of one partition in row-key order.
#[derive(Clone, Debug, PartialEq)]
pub struct Page {
    /// The rows, ascending by row key: by bytes locally, by UTF-16 code units on Azure, which is the
    /// same for keys without characters beyond U+FFFF.
    pub rows: Vec<Stored>,
    /// Pass as `from` to go on; `None` at the end.
    pub next: Option<String>,
}

/// A table of entities, grouped in partitions, with optimistic concurrency.
///
/// Calls may run concurrently, also from other processes. A call that answers `Err` changed nothing,
/// except [`Error::Unavailable`], after which nothing is known: look again.
#[async_trait]
pub trait Table: Debug + Send + Sync {
    /// Reads many rows of one partition; answers in the order asked, `None` where there is no row.
    async fn get_many(
        &self,
        partition: &str,
        rows: &[String],
    ) -> Result<Vec<Option<Stored>>, Error>;

    /// Applies all operations (1 to 100, each on a different row, 4 MiB in all) or none. Answers the
    /// new version of each row, in order; for deleted rows an empty one.
    async fn transact(
        &self,
        partition: &str,
        operations: Vec<Operation>,
    ) -> Result<Vec<Etag>, Error>;

    /// Reads rows with `from <= row key < to`, at most `limit` (1 to 1,000) and possibly fewer.
    async fn scan(
        &self,
        partition: &str,
        from: &str,
        to: &str,
        limit: usize,
    ) -> Result<Page, Error>;
}

/// A message as it was taken from a queue.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// The queue's id of it.
    pub id: String,
    /// Proof that this taker holds it; changes with every take.
    pub receipt: String,
    /// The body as it was put.
    pub body: Bytes,
    /// How often it was taken, this time included.
    pub taken: u32,
    /// When it was put.
    pub inserted: Timestamp,
}

/// A queue with at-least-once delivery and delayed visibility.
///
/// Messages never expire. A message that was taken and not removed is visible again after its time.
#[async_trait]
pub trait Queue: Debug + Send + Sync {
    /// Puts a message of at most [`MAX_MESSAGE`] bytes that can be taken after `delay` (at most 7 days).
    async fn put(&self, body: &[u8], delay: Duration) -> Result<(), Error>;

    /// Takes up to `most` (1 to 32) messages that stay hidden from other takers for `hidden`.
    async fn take(&self, most: usize, hidden: Duration) -> Result<Vec<Message>, Error>;

    /// Removes a message that was taken; succeeds when it is gone already or was taken by another.
    async fn remove(&self, message: &Message) -> Result<(), Error>;

    /// How many messages there are, hidden ones included; approximate on Azure.
    async fn depth(&self) -> Result<u64, Error>;
}

/// The largest body of a queue message: 64 KiB of base64 (Azure Queue Storage).
pub const MAX_MESSAGE: usize = 48 * 1024;

/// Why storage did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A condition of a transaction did not hold; nothing was changed.
    #[error("operation {index} met a row that was changed, is missing or already exists")]
    Conflict {
        /// Which operation, counted from zero.
        index: usize,
    },
    /// The request or one of its rows is larger than the store takes; nothing was changed.
    #[error("the request is too large for the store")]
    TooLarge {
        /// Which operation, when the store says so.
        index: Option<usize>,
    },
    /// No answer, or one that says nothing about what happened (5xx, cut connection, throttled).
    #[error("the store did not answer: {reason}")]
    Unavailable {
        /// What was seen, without addresses or keys.
        reason: String,
        /// The pause that was asked for.
        retry_after: Option<Duration>,
    },
    /// The credential is missing, wrong or lacks a role.
    #[error("the store refused the credential: {reason}")]
    Unauthorised {
        /// The store's code and what to check.
        reason: String,
    },
    /// The request makes no sense to the store: a defect here, or a table that was removed.
    #[error("the store refused the request: {reason}")]
    Invalid {
        /// The store's code and text.
        reason: String,
    },
}

impl Error {
    /// What this means for the rows concerned; `place` says which part of storage it was.
    pub fn fault(&self, place: &str) -> Fault {
        let (kind, pause) = match self {
            Self::Conflict { .. } => (Kind::Conflict, None),
            Self::TooLarge { .. } => (Kind::TooLarge, None),
            Self::Unavailable { retry_after, .. } => (Kind::Storage, *retry_after),
            Self::Unauthorised { .. } => (Kind::Credential, None),
            Self::Invalid { .. } => (Kind::Misconfigured, None),
        };
        Fault::new(kind, format!("{place}: {self}")).retry_after(pause)
    }
}
