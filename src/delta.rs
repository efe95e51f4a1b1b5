//! Change tracking: what changed at a source since it was last asked. The timer's answer to events that
//! were lost.
//!
//! In come the tables that maps read; out go their changes through the pipeline, in a quiet lane of their
//! own, and the place that was reached, kept for each table. A place is kept only when everything before
//! it is durable. One that the source no longer takes means that the whole table is read again; what was
//! removed meanwhile is then found by the nightly comparison alone, and that is told.
//!
//! Source: Dataverse Web API, change tracking.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use tokio::time::Instant;
use tracing::{info, warn};

use crate::clock::{SharedClock, between};
use crate::decode::Decoder;
use crate::decode::dataverse::{body, gone};
use crate::delivery::{Attempt, Delivery, Event, Origin};
use crate::fault::{Fault, Kind};
use crate::outcome::Verdict;
use crate::pipeline::Pipeline;
use crate::store::{Entity, Operation, Property, Table};
use crate::system::source::{Asked, Delta, Selection, Token};

/// A place older than this is close to the end of its life, which is seven days unless an environment
/// says otherwise.
const OLD: Duration = Duration::from_hours(5 * 24);
/// How many events go through the pipeline together.
const TOGETHER: usize = 256;
/// A page is begun only while this much time is left.
const ENOUGH: Duration = Duration::from_secs(5);
/// Where places are kept.
const PARTITION: &str = "~changes";

/// Asks sources what changed.
#[derive(Debug)]
pub struct Tracking {
    /// The path.
    pub pipeline: Arc<Pipeline>,
    /// Where places are kept.
    pub places: Places,
    /// The systems that are asked.
    pub systems: Vec<Arc<str>>,
    /// The time.
    pub clock: SharedClock,
}

/// What one run came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tracked {
    /// Tables that were asked.
    pub tables: usize,
    /// Rows that had changed.
    pub rows: usize,
    /// Rows that were gone.
    pub removed: usize,
    /// Tables of which the place was too old, so that they are read whole.
    pub expired: usize,
    /// Tables that are not read to their end yet; the next run goes on.
    pub unfinished: usize,
    /// Tables that could not be asked.
    pub failed: usize,
    /// The age of the oldest place, in seconds, before this run.
    pub age_seconds: u64,
    /// Rows by outcome.
    pub outcomes: BTreeMap<&'static str, usize>,
}

/// The places that were reached in sources' tables, over a table of storage.
#[derive(Clone, Debug)]
pub struct Places(pub Arc<dyn Table>);

/// The place that was reached in one table.
#[derive(Clone, Debug)]
struct Reached {
    token: Token,
    at: Timestamp,
}

impl Tracking {
    /// Asks every table once, as far as the time goes. Fails when a place cannot be kept.
    pub async fn run(&self, within: Duration) -> Result<Tracked, Fault> {
        let (mut tracked, deadline) = (Tracked::default(), Instant::now() + within);
        for (system, table) in self.tables() {
            tracked.tables += 1;
            let asked = self.ask(&system, &table, deadline, &mut tracked).await;
            match asked {
                Ok(()) => {}
                Err(fault) if fault.kind == Kind::Storage => return Err(fault),
                Err(fault) => {
                    warn!(%system, table, %fault, "its changes could not be asked for");
                    tracked.failed += 1;
                }
            }
        }
        Ok(tracked)
    }

    /// The tables that maps read, by system.
    fn tables(&self) -> BTreeSet<(Arc<str>, String)> {
        let decoders = self
            .systems
            .iter()
            .filter_map(|system| Some((system, self.pipeline.decoders.get(system)?.tables()?)));
        let tables = decoders.flat_map(|(system, tables)| {
            let own = tables.0.iter().filter(|(_, table)| !table.pairs);
            own.map(move |(name, _)| (Arc::clone(system), name.clone()))
        });
        tables.collect()
    }

    async fn ask(
        &self,
        system: &Arc<str>,
        table: &str,
        deadline: Instant,
        tracked: &mut Tracked,
    ) -> Result<(), Fault> {
        let Some(source) = self.pipeline.sources.get(&**system).cloned() else { return Ok(()) };
        let mut reached = self.places.reached(system, table).await?;
        if let Some(reached) = &reached {
            let age = between(reached.at, self.clock.now());
            tracked.age_seconds = tracked.age_seconds.max(age.as_secs());
            if age > OLD {
                warn!(%system, table, days = age.as_secs() / 86_400, "its last place is old");
            }
        }
        let asked = self.asked(system, table);
        loop {
            if Instant::now() + ENOUGH > deadline {
                tracked.unfinished += 1;
                return Ok(());
            }
            let now = self.clock.now();
            let token = reached.as_ref().map(|reached| &reached.token);
            let changes = match source.changes(&asked, token).await? {
                Delta::Changes(changes) => changes,
                Delta::Expired if reached.is_none() => {
                    let message = "change tracking is off; turn it on for the table";
                    return Err(Fault::new(Kind::SchemaGone, message));
                }
                Delta::Expired => {
                    warn!(ev = "place_expired", %system, table, "its place is too old: the whole table is read again, and \
                          what was removed meanwhile is found by comparing both sides");
                    tracked.expired += 1;
                    reached = None;
                    continue;
                }
            };
            let rows = changes.rows.iter().map(|row| row.event(table, now));
            let removed = changes.removed.iter().map(|id| removed(table, *id, now));
            let events: Vec<Event> = rows.chain(removed).collect();
            tracked.rows += changes.rows.len();
            tracked.removed += changes.removed.len();
            self.bring(system, events, deadline, tracked).await?;
            let place = Reached { token: changes.token, at: now };
            self.places.reach(system, table, &place).await?;
            reached = Some(place);
            if !changes.more {
                return Ok(());
            }
        }
    }

    fn asked(&self, system: &Arc<str>, table: &str) -> Asked {
        let tables = self.pipeline.decoders.get(system).and_then(Decoder::tables);
        let known = tables.and_then(|tables| tables.0.get(table)).cloned().unwrap_or_default();
        let mut columns = Selection::of(known.columns.iter().map(String::as_str));
        columns.all = known.all;
        Asked { table: table.to_owned(), columns, since: None }
    }

    /// Takes events through the pipeline. Nothing of them is lost when this succeeds.
    async fn bring(
        &self,
        system: &Arc<str>,
        events: Vec<Event>,
        deadline: Instant,
        tracked: &mut Tracked,
    ) -> Result<(), Fault> {
        for events in events.chunks(TOGETHER) {
            let delivery = Delivery {
                system: Arc::clone(system),
                function: "changes".into(),
                invocation: "changes".to_owned(),
                traceparent: None,
                attempt: Attempt { count: 0, last: true },
                within: deadline.saturating_duration_since(Instant::now()).max(ENOUGH),
                events: events.to_vec(),
            };
            let report = self.pipeline.run(&delivery).await;
            for (word, rows) in report.counts().rows {
                *tracked.outcomes.entry(word).or_default() += rows;
            }
            if let Verdict::Redeliver(reason) = report.verdict {
                return Err(Fault::new(Kind::Storage, reason));
            }
        }
        info!(%system, events = events.len(), "changes were asked for");
        Ok(())
    }
}

impl Places {
    /// The place up to which the changes of a source's table were asked for; none before the first time.
    pub async fn of(&self, system: &str, table: &str) -> Result<Option<Token>, Fault> {
        Ok(self.reached(system, table).await?.map(|reached| reached.token))
    }

    async fn reached(&self, system: &str, table: &str) -> Result<Option<Reached>, Fault> {
        let row = row(system, table);
        let found = self.0.get_many(PARTITION, std::slice::from_ref(&row)).await;
        let found = found.map_err(|error| error.fault(PLACE))?.pop().flatten();
        let text = |entity: &Entity, name: &str| match entity.properties.get(name) {
            Some(Property::Text(text)) => Some(text.clone()),
            Some(Property::Integer(_) | Property::Bytes(_)) | None => None,
        };
        Ok(found.and_then(|stored| {
            let token = Token(text(&stored.entity, "token")?);
            let at = text(&stored.entity, "at")?.parse().ok()?;
            Some(Reached { token, at })
        }))
    }

    async fn reach(&self, system: &str, table: &str, place: &Reached) -> Result<(), Fault> {
        let properties = BTreeMap::from([
            ("token".into(), Property::Text(place.token.0.clone())),
            ("at".into(), Property::Text(place.at.to_string())),
        ]);
        let put = Operation::Put(Entity { row: row(system, table), properties });
        let kept = self.0.transact(PARTITION, vec![put]).await;
        kept.map(drop).map_err(|error| error.fault(PLACE))
    }
}

/// The name of this part of storage in messages.
const PLACE: &str = "places of change tracking";

fn row(system: &str, table: &str) -> String {
    format!("{system},{table}")
}

fn removed(table: &str, id: uuid::Uuid, now: Timestamp) -> Event {
    let origin = Origin { received: Some(now), ..Origin::default() };
    Event { body: body(&gone(table, id, now)), origin, ..Event::default() }
}
