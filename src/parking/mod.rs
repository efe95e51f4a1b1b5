//! Parked events: each waits, durably, for a row that its own row refers to.
//!
//! In come events with the name of the row that is missing; out come, for a name, all that wait for it.
//! They stand in the ledger's table in partitions of their own:
//!
//! | table row | stands for |
//! |---|---|
//! | `p~<missing row>~<event>` | an event, beneath the row that it waits for |
//! | `c~<waiting row>~<missing row>` | a pointer from the row that waits, for people and to find circles |
//!
//! A parent's write does not look here: it finds a mark in its own ledger entry ([`crate::ledger`],
//! `awaited`), which it reads anyway, and comes only when somebody waits. A child first is parked and
//! then sets the mark, so whoever finds the mark finds the child. What nobody can wake, because no map
//! writes the row that is missing or because the target lost it, the sweep tries again at growing
//! pauses, until it has waited too long and is given up with the chain of rows that explains it.

mod name;
mod record;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use serde::Deserialize;

pub use self::name::Name;
pub use self::record::{About, Parked};
use self::record::{Body, below, pointers, unreadable};
use crate::clock;
use crate::digest;
use crate::fault::{Fault, Kind};
use crate::store::{Entity, Error, Operation, Stored, Table};

/// How long rows wait for others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// How many hours a row waits for a row that it refers to before it is given up (1 to 8784).
    pub hours: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self { hours: 24 }
    }
}

/// Where events are parked.
#[derive(Debug)]
pub struct Parking {
    table: Arc<dyn Table>,
    blobs: Arc<dyn ObjectStore>,
    config: Config,
}

/// One stretch of what is parked.
#[derive(Debug)]
pub struct Page {
    /// The events.
    pub parked: Vec<Parked>,
    /// Where to go on.
    pub next: Option<String>,
}

/// Into how many partitions parked events are spread.
pub const BUCKETS: u32 = 4;
/// The longest event kept in the table itself, in bytes (Azure Table Storage: 32 K UTF-16 units).
const LONGEST: usize = 30_000;
/// Rows of one transaction: of the longest events, within its 4 MiB.
const ROWS: usize = 40;
/// How many events one look takes up.
const PAGE: usize = 200;
/// The first pause before the sweep tries an event again that no write wakes.
const FIRST: Duration = Duration::from_mins(1);
/// The same for one that a write is to wake: a safety net.
const NET: Duration = Duration::from_mins(10);
/// The longest pause.
const LAST: Duration = Duration::from_hours(1);

impl Parking {
    /// Over the ledger's table; events too large for it go to `blobs`.
    pub fn new(table: Arc<dyn Table>, blobs: Arc<dyn ObjectStore>, config: Config) -> Self {
        Self { table, blobs, config }
    }

    /// Whether what waits since then has waited too long.
    pub fn is_over(&self, since: Timestamp, now: Timestamp) -> bool {
        clock::between(since, now) >= self.longest()
    }

    /// How long a row waits at most.
    pub fn longest(&self) -> Duration {
        Duration::from_hours(self.config.hours.into())
    }

    /// Makes events durable, then the pointers. Repeated, it changes nothing.
    pub async fn put(&self, parked: &[Parked]) -> Result<(), Fault> {
        let (mut events, mut pointers) = (BTreeMap::new(), BTreeMap::new());
        for one in parked {
            let body = self.kept(one.body()?).await?;
            let at = (partition(&one.about.parent), one.row());
            events.insert(at, Operation::Put(one.entity(body)?));
            let at = (partition(&one.about.child), one.pointer_row());
            pointers.insert(at, Operation::Put(one.pointer()?));
        }
        self.transact(events).await?;
        self.transact(pointers).await
    }

    /// Removes events that wait elsewhere now, or no longer; the pointers first, so that none is left.
    pub async fn remove(&self, parked: &[Parked]) -> Result<(), Fault> {
        let (mut events, mut pointers) = (BTreeMap::new(), BTreeMap::new());
        for one in parked {
            let (row, pointer) = (one.row(), one.pointer_row());
            events.insert((partition(&one.about.parent), row.clone()), Operation::Discard(row));
            let at = (partition(&one.about.child), pointer.clone());
            pointers.insert(at, Operation::Discard(pointer));
        }
        self.transact(pointers).await?;
        self.transact(events).await
    }

    /// Some of what waits for the row of this name id; ask again once these are removed.
    pub async fn waiting_for(&self, parent: &str) -> Result<Vec<Parked>, Fault> {
        let from = below(parent);
        let page = self.scan(&partition(parent), &from, &after(&from)).await?;
        Ok(page.parked)
    }

    /// Everything parked in one bucket, a page at a time; from its start when `from` is none.
    pub async fn page(&self, bucket: u32, from: Option<String>) -> Result<Page, Fault> {
        let from = from.unwrap_or_else(|| "p~".to_owned());
        self.scan(&format!("~parked-{bucket}"), &from, "p~~").await
    }

    /// What a row, by its name id, waits for. A pointer whose event is gone is taken away: whoever parks
    /// an event may write its pointer when another has just brought that event again.
    pub async fn pointers(&self, child: &str) -> Result<Vec<About>, Fault> {
        let from = pointers(child);
        let page = self.table.scan(&partition(child), &from, &after(&from), PAGE).await;
        let mut found = Vec::new();
        for stored in page.map_err(|error| error.fault(PLACE))?.rows {
            let about = record::about(&stored.entity)?;
            if self.stands(&about, &stored.entity).await? {
                found.push(about);
                continue;
            }
            let gone = Operation::Delete(stored.entity.row, stored.etag);
            match self.table.transact(&partition(child), vec![gone]).await {
                Ok(_) | Err(Error::Conflict { .. }) => {}
                Err(error) => return Err(error.fault(PLACE)),
            }
        }
        Ok(found)
    }

    /// Whether the event of a pointer is there; believed where the pointer does not say which it is.
    async fn stands(&self, about: &About, pointer: &Entity) -> Result<bool, Fault> {
        let Some(row) = record::pointed(pointer) else { return Ok(true) };
        let found = self.table.get_many(&partition(&about.parent), &[row.to_owned()]).await;
        Ok(found.map_err(|error| error.fault(PLACE))?.iter().any(Option::is_some))
    }

    async fn scan(&self, partition: &str, from: &str, to: &str) -> Result<Page, Fault> {
        let page = self.table.scan(partition, from, to, PAGE).await;
        let page = page.map_err(|error| error.fault(PLACE))?;
        let mut parked = Vec::with_capacity(page.rows.len());
        for stored in &page.rows {
            parked.extend(self.read(stored).await?);
        }
        Ok(Page { parked, next: page.next })
    }

    /// None when its blob is gone: it is being removed.
    async fn read(&self, stored: &Stored) -> Result<Option<Parked>, Fault> {
        let about = record::about(&stored.entity)?;
        let event = match record::body(&stored.entity) {
            None => return Err(unreadable("no event")),
            Some(Body::Here(text)) => record::event(text.as_bytes())?,
            Some(Body::Blob(path)) => match self.blobs.get(&Path::from(path.as_str())).await {
                Ok(found) => record::event(&found.bytes().await.map_err(unavailable)?)?,
                Err(object_store::Error::NotFound { .. }) => return Ok(None),
                Err(error) => return Err(unavailable(error)),
            },
        };
        Ok(Some(Parked { about, event }))
    }

    /// A long body goes to a blob named by its content. It stays there when the event is removed, for
    /// another map's row of the same event may wait too; the storage account's own rule ends it.
    async fn kept(&self, body: String) -> Result<Body, Fault> {
        if body.len() <= LONGEST {
            return Ok(Body::Here(body));
        }
        let path = format!("parked/{}.json", digest::hex(&digest::of([body.as_bytes()])));
        self.blobs.put(&Path::from(path.as_str()), body.into()).await.map_err(unavailable)?;
        Ok(Body::Blob(path))
    }

    async fn transact(&self, rows: BTreeMap<(String, String), Operation>) -> Result<(), Fault> {
        let mut partitions = BTreeMap::<String, Vec<Operation>>::new();
        for ((partition, _), operation) in rows {
            partitions.entry(partition).or_default().push(operation);
        }
        for (partition, operations) in partitions {
            for chunk in operations.chunks(ROWS) {
                let written = self.table.transact(&partition, chunk.to_vec()).await;
                written.map_err(|error| error.fault(PLACE))?;
            }
        }
        Ok(())
    }
}

impl About {
    /// When the sweep tries it again.
    pub fn due(&self) -> Timestamp {
        let first = if self.ours { NET } else { FIRST };
        let pause = first.saturating_mul(2_u32.saturating_pow(self.tries.min(10))).min(LAST);
        clock::after(self.tried, pause)
    }
}

fn partition(id: &str) -> String {
    let head = id.bytes().take(4).fold(0_u32, |sum, byte| sum.wrapping_mul(31) + u32::from(byte));
    format!("~parked-{}", head % BUCKETS)
}

/// The end of the stretch of all row keys that begin so, since what follows is hexadecimal.
fn after(beginning: &str) -> String {
    format!("{beginning}~")
}

fn unavailable(error: object_store::Error) -> Fault {
    Fault::new(Kind::Storage, "the blob of a parked event is out of reach").caused_by(error)
}

/// The name of this part of storage in messages.
const PLACE: &str = "parked events";
