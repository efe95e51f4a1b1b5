//! What people decided and every instance obeys: maps that are paused, and mass removals that are held
//! until somebody approves them. Who decided it, and why, is on the audit record.
//!
//! In come the commands of operators; out comes, for every delivery, what stands now. It is read at most
//! once in [`AGE`] by each process, so a batch costs no storage operation and a command is obeyed
//! everywhere within that time. Stands in the ledger's table, in partitions of its own:
//!
//! | table row | stands for |
//! |---|---|
//! | `pause~<map>` in `~control` | a pause |
//! | `hold~<map>` in `~control` | a hold of removals, open or approved |
//! | `<hour>~<instance>` in `~tally-<map>` | how many rows one instance removed in that hour |

mod guard;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use self::guard::Tallies;
pub use self::guard::Tally;
use crate::chance::Chance;
use crate::clock::SharedClock;
use crate::fault::{Fault, Kind};
use crate::store::{Entity, Operation, Property, Table};

/// For so long what stands is remembered: how late a command is obeyed.
pub const AGE: Duration = Duration::from_secs(10);

/// What people decided.
#[derive(Debug)]
pub struct Control {
    table: Arc<dyn Table>,
    clock: SharedClock,
    seen: Mutex<Option<(Instant, Arc<Standing>)>>,
    tallies: Mutex<Tallies>,
}

/// What stands now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The pauses, by map.
    pub pauses: BTreeMap<String, Pause>,
    /// The holds of removals, by map.
    pub holds: BTreeMap<String, Hold>,
}

/// A map that is paused, or whose backlog was put aside.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Since when.
    pub since: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub why: String,
    /// The map runs again, and what waited is kept until somebody replays or discards it.
    #[serde(default)]
    pub aside: bool,
}

/// A mass removal that waits for somebody's approval.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Since when.
    pub since: Timestamp,
    /// What was counted, and against which limit.
    pub why: String,
    /// Once approved: until when removals of the map pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Timestamp>,
}

impl Standing {
    /// Whether what comes for a map waits.
    pub fn is_paused(&self, map: &str) -> bool {
        self.pauses.get(map).is_some_and(|pause| !pause.aside)
    }

    /// Whether removals of a map wait for approval.
    pub fn holds_removals(&self, map: &str) -> bool {
        self.holds.get(map).is_some_and(|hold| hold.approved.is_none())
    }

    /// Whether somebody lets removals of a map pass now.
    pub fn approves(&self, map: &str, now: Timestamp) -> bool {
        let until = self.holds.get(map).and_then(|hold| hold.approved);
        until.is_some_and(|until| until > now)
    }
}

impl Control {
    /// Over the ledger's table.
    pub fn new(table: Arc<dyn Table>, clock: SharedClock, chance: &Chance) -> Self {
        let tallies = Mutex::new(Tallies::of(chance.uuid()));
        Self { table, clock, seen: Mutex::default(), tallies }
    }

    /// What stands now, as it was at most [`AGE`] ago.
    pub async fn standing(&self) -> Result<Arc<Standing>, Fault> {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match seen {
            Some((at, standing)) if at.elapsed() < AGE => Ok(standing),
            Some(_) | None => self.look().await,
        }
    }

    /// What stands now, read afresh.
    pub async fn look(&self) -> Result<Arc<Standing>, Fault> {
        let at = Instant::now();
        let mut standing = Standing::default();
        for (row, entity) in self.scan(CONTROL, "", "\u{7f}").await? {
            match row.split_once('~') {
                Some(("pause", map)) => _ = standing.pauses.insert(map.to_owned(), read(&entity)?),
                Some(("hold", map)) => _ = standing.holds.insert(map.to_owned(), read(&entity)?),
                Some(_) | None => {}
            }
        }
        let standing = Arc::new(standing);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        *seen = Some((at, Arc::clone(&standing)));
        Ok(standing)
    }

    /// Pauses a map, or says that its backlog is put aside.
    pub async fn pause(&self, map: &str, pause: &Pause) -> Result<(), Fault> {
        self.put(&format!("pause~{map}"), pause).await
    }

    /// Ends a pause.
    pub async fn resume(&self, map: &str) -> Result<(), Fault> {
        self.take(format!("pause~{map}")).await
    }

    /// Lets the removals of a map pass until then.
    pub async fn approve(&self, map: &str, hold: &Hold, until: Timestamp) -> Result<(), Fault> {
        let approved = Hold { approved: Some(until), ..hold.clone() };
        self.put(&format!("hold~{map}"), &approved).await
    }

    /// Ends a hold; what it held is dropped by the caller.
    pub async fn end_hold(&self, map: &str) -> Result<(), Fault> {
        self.take(format!("hold~{map}")).await
    }

    async fn put<T: Serialize>(&self, row: &str, value: &T) -> Result<(), Fault> {
        let entity = entity(row, value)?;
        self.transact(CONTROL, Operation::Put(entity)).await?;
        self.forget();
        Ok(())
    }

    async fn take(&self, row: String) -> Result<(), Fault> {
        self.transact(CONTROL, Operation::Discard(row)).await?;
        self.forget();
        Ok(())
    }

    fn forget(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    async fn transact(&self, partition: &str, operation: Operation) -> Result<(), Fault> {
        let written = self.table.transact(partition, vec![operation]).await;
        written.map(drop).map_err(|error| error.fault(PLACE))
    }

    async fn scan(
        &self,
        partition: &str,
        from: &str,
        to: &str,
    ) -> Result<Vec<(String, Entity)>, Fault> {
        let (mut found, mut from) = (Vec::new(), from.to_owned());
        loop {
            let page = self.table.scan(partition, &from, to, 1_000).await;
            let page = page.map_err(|error| error.fault(PLACE))?;
            found.extend(page.rows.into_iter().map(|row| (row.entity.row.clone(), row.entity)));
            match page.next {
                Some(next) => from = next,
                None => return Ok(found),
            }
        }
    }
}

fn entity<T: Serialize>(row: &str, value: &T) -> Result<Entity, Fault> {
    let text = serde_json::to_string(value).map_err(unreadable)?;
    let properties = [("value".into(), Property::Text(text))];
    Ok(Entity { row: row.to_owned(), properties: properties.into() })
}

fn read<T: DeserializeOwned>(entity: &Entity) -> Result<T, Fault> {
    match entity.properties.get("value") {
        Some(Property::Text(text)) => serde_json::from_str(text).map_err(unreadable),
        Some(Property::Integer(_) | Property::Bytes(_)) | None => Err(unreadable("no value")),
    }
}

fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    let message = "a pause or a hold cannot be read or written; was it changed by hand, or by a newer version \
                   of this program?";
    Fault::new(Kind::Misconfigured, message).caused_by(error)
}

const CONTROL: &str = "~control";
/// The name of this part of storage in messages.
const PLACE: &str = "pauses and holds";
