//! Canaries: how long a change really takes from one end to the other.
//!
//! A row of the source, one for each map that has a canary in `concord.toml`, is stamped again and again,
//! and the stamp is looked for at the target. The sweep writes the stamp, and a later sweep, of this or of
//! another instance, looks for it; nothing is kept in memory. The command looks at once and for as long as
//! it takes. When a stamp is found late, the ledger tells when its row was settled, so the figure does not
//! depend on how often one looks. What does not arrive within its time is said loudly.
//!
//! Refused: a source that only tells what happens in it and cannot be written (`check` says so).

mod config;
mod flight;
mod kept;
mod logbook;

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use tracing::{info, warn};

pub use self::config::{Canary, Cell, Config};
use self::flight::millis;
pub use self::flight::{Became, Flight, History};
use self::kept::Pending;
pub use self::logbook::Logbook;
use crate::change::Correlation;
use crate::clock::between;
use crate::decode::dataverse::Reading;
use crate::fault::{Fault, Kind};
use crate::mapping::Map;
use crate::order::Order;
use crate::pipeline::Pipeline;
use crate::row::{Action, Columns, Destination, Key, Row, Value};
use crate::system::source::{Asked, Named, Selection};
use crate::system::{Answer, Lane, Until, Write};

/// How long the source may take for the stamp.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often the command looks.
const PAUSE: Duration = Duration::from_millis(100);
/// A stamp that was begun and not written after so long belongs to an instance that died.
const ABANDONED: Duration = Duration::from_mins(2);

/// What is looked for at the target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Sent {
    key: Key,
    column: String,
    value: String,
}

/// Stamps rows and looks for the stamps.
#[derive(Debug)]
pub struct Canaries {
    pipeline: Arc<Pipeline>,
    logbook: Logbook,
    config: Config,
}

impl Canaries {
    /// Over the path, with the logbook of these canaries.
    pub fn new(pipeline: Arc<Pipeline>, logbook: Logbook, config: Config) -> Self {
        Self { pipeline, logbook, config }
    }

    /// What became of them.
    pub fn logbook(&self) -> &Logbook {
        &self.logbook
    }

    /// Looks for what is on its way and writes what is due, for every map. What fails is told in the log
    /// and tried again next time.
    pub async fn tick(&self) {
        for (name, canary) in &self.config {
            if let Err(fault) = self.tick_one(name, canary).await {
                warn!(ev = "canary_stuck", map = %name, %fault, "canary_stuck");
            }
        }
    }

    async fn tick_one(&self, name: &str, canary: &Canary) -> Result<(), Fault> {
        let table = &*self.logbook.table;
        let paused = self.pipeline.control.standing().await?.is_paused(name);
        if let Some(pending) = kept::pending(table, name).await? {
            if paused {
                return kept::end(table, name, &pending, None).await.map(drop);
            }
            if self.look(name, canary, &pending).await?.is_none() {
                return Ok(());
            }
        }
        let due = kept::last(table, name).await?.is_none_or(|last| {
            between(last, self.now()) >= Duration::from_mins(canary.minutes.into())
        });
        if due && !paused {
            let kept = SignedDuration::from_hours(24 * i64::from(canary.days));
            let before = self.now().checked_sub(kept).unwrap_or(Timestamp::MIN);
            kept::forget(table, name, before).await?;
            self.send(name, canary).await?;
        }
        Ok(())
    }

    /// Stamps the row of a map's canary and looks for the stamp until it is there or its time is over.
    /// One that is on its way already is looked for instead.
    pub async fn fly(&self, name: &str) -> Result<Flight, Fault> {
        let canary = self.config.get(name).ok_or_else(|| {
            let message = format!("`{name}` has no canary; describe one as [canaries.{name}]");
            Fault::new(Kind::Misconfigured, message)
        })?;
        let at = self.now();
        let until = Instant::now() + Duration::from_secs(canary.seconds.into()) + PATIENCE;
        self.send(name, canary).await?;
        loop {
            let flown = match kept::pending(&*self.logbook.table, name).await? {
                Some(pending) => self.look(name, canary, &pending).await?,
                // It could not be sent, or somebody else saw it first.
                None => self.logbook.flights(name, (at, Timestamp::MAX)).await?.pop(),
            };
            if let Some(flight) = flown {
                return Ok(flight);
            }
            if Instant::now() > until {
                let message = "somebody else is stamping the row; ask again in a minute";
                return Err(Fault::new(Kind::Busy, message));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Writes a stamp, unless one is on its way.
    async fn send(&self, name: &str, canary: &Canary) -> Result<(), Fault> {
        let Some(mut pending) = kept::begin(&*self.logbook.table, name, self.now()).await? else {
            return Ok(());
        };
        match self.stamped(name, canary, pending.at).await {
            Ok(sent) => kept::sent(&*self.logbook.table, name, &mut pending, sent).await.map(drop),
            Err(fault) => {
                self.end(name, &pending, Became::Failed(fault.to_string())).await.map(drop)
            }
        }
    }

    /// Writes a stamp at the source and answers what it becomes at the target.
    async fn stamped(&self, name: &str, canary: &Canary, at: Timestamp) -> Result<Sent, Fault> {
        let map =
            self.pipeline.maps.get(name).ok_or_else(|| {
                Fault::new(Kind::Misconfigured, format!("no map is called `{name}`"))
            })?;
        let stamp = at.strftime("%Y%m%dT%H%M%S%3f").to_string();
        let row = row_of(map, canary, &stamp, at);
        let key = row.key.clone();
        self.write(map, row).await?;
        let mapped = self.mapped(map, key).await?;
        let Action::Upsert(columns) = &*mapped.action else { return Err(left_out()) };
        let shows = |(column, value): &(Arc<str>, Value)| {
            let text = value.to_string();
            let holds = text.to_lowercase().contains(&stamp.to_lowercase());
            holds.then(|| (column.to_string(), text))
        };
        let (column, value) = columns.values.iter().find_map(shows).ok_or_else(|| {
            let stamp = &canary.stamp;
            let message = format!("no column of the map's row holds what stands in `{stamp}`");
            Fault::new(Kind::Misconfigured, message)
        })?;
        Ok(Sent { key: mapped.key, column, value })
    }

    async fn write(&self, map: &Map, row: Row) -> Result<(), Fault> {
        let source = self.pipeline.targets.get(&map.system).ok_or_else(|| {
            let message = format!("`{}` cannot be written, so no row is stamped there", map.system);
            Fault::new(Kind::Misconfigured, message)
        })?;
        source.ready().await?;
        let until = Until { deadline: Instant::now() + PATIENCE, lane: Lane::Live };
        let write = Write { row: Arc::new(row), before: None };
        match source.write(&[write], until).await.pop() {
            Some(Answer::Written { .. }) => Ok(()),
            Some(Answer::Not(fault) | Answer::Unknown(fault)) => Err(fault),
            Some(Answer::Kept { .. } | Answer::Absent) | None => {
                Err(Fault::new(Kind::Timeout, "the source did not say that it took the stamp"))
            }
        }
    }

    /// What the map makes of the stamped row, as the source has it.
    async fn mapped(&self, map: &Map, key: Key) -> Result<Row, Fault> {
        let unread = || Fault::new(Kind::Unreachable, "the source does not show the stamped row");
        let source = self.pipeline.sources.get(&map.system).ok_or_else(unread)?;
        let mut columns = Selection::of(map.properties.names());
        columns.all = map.properties.any();
        let table = table(map);
        let asked = Asked { table: table.to_owned(), columns, since: None };
        let record = source.find(&asked, &[Named::Key(key)]).await?.pop().flatten();
        let record = record.ok_or_else(unread)?;
        let text = String::from_utf8_lossy(&record.body);
        let change = Reading { table, id: record.id, at: self.now() }.change(&text)?;
        map.row(&change)?.ok_or_else(left_out)
    }

    /// Looks for a stamp; ends it when it is there, or when its time is over.
    async fn look(
        &self,
        name: &str,
        canary: &Canary,
        pending: &Pending,
    ) -> Result<Option<Flight>, Fault> {
        let age = between(pending.at, self.now());
        let Some(sent) = &pending.sent else {
            if age > ABANDONED {
                kept::end(&*self.logbook.table, name, pending, None).await?;
            }
            return Ok(None);
        };
        let became = match self.arrived(name, sent, pending.at).await? {
            Some(arrived) => Became::Seen(millis(between(pending.at, arrived))),
            None if age >= Duration::from_secs(canary.seconds.into()) => {
                Became::Lost(canary.seconds)
            }
            None => return Ok(None),
        };
        self.end(name, pending, became).await
    }

    /// When the stamp arrived; none as long as the target does not show it.
    async fn arrived(
        &self,
        name: &str,
        sent: &Sent,
        at: Timestamp,
    ) -> Result<Option<Timestamp>, Fault> {
        let Some(map) = self.pipeline.maps.get(name) else { return Ok(None) };
        let to = &map.destination;
        let Some(target) = self.pipeline.targets.get(&to.system) else { return Ok(None) };
        let (keys, columns) = ([sent.key.clone()], [sent.column.clone()]);
        let found = target.fetch(&to.table, &keys, &columns).await?.pop().flatten();
        let shown = found.and_then(|found| found.columns.get(&sent.column).map(Value::to_string));
        if shown.as_ref() != Some(&sent.value) {
            return Ok(None);
        }
        let now = self.now();
        let entry = self.pipeline.ledger.entry(name, &sent.key).await?;
        let settled = entry.applied.filter(|applied| {
            applied.at >= at
                && match applied.version.action.as_deref() {
                    Some(Action::Upsert(columns)) => {
                        columns.values.iter().any(|(column, value)| {
                            **column == *sent.column && value.to_string() == sent.value
                        })
                    }
                    Some(Action::Remove(_) | Action::Hold { .. }) => false,
                    None => true,
                }
        });
        Ok(Some(settled.map_or(now, |applied| applied.at.min(now))))
    }

    /// Keeps the result and tells it; none when somebody else did.
    async fn end(
        &self,
        map: &str,
        pending: &Pending,
        became: Became,
    ) -> Result<Option<Flight>, Fault> {
        if !kept::end(&*self.logbook.table, map, pending, Some(became.clone())).await? {
            return Ok(None);
        }
        match &became {
            Became::Seen(lag) => info!(ev = "canary_seen", map, lag_ms = lag, "canary_seen"),
            Became::Lost(seconds) => warn!(ev = "canary_lost", map, seconds, "canary_lost"),
            Became::Failed(reason) => warn!(ev = "canary_failed", map, reason, "canary_failed"),
        }
        Ok(Some(Flight { at: pending.at, became }))
    }

    fn now(&self) -> Timestamp {
        self.pipeline.clock.now()
    }
}

/// The source's table.
fn table(map: &Map) -> &str {
    map.entity.trim_start_matches('/')
}

/// The source's row with its stamp.
fn row_of(map: &Map, canary: &Canary, stamp: &str, at: Timestamp) -> Row {
    let cell = |(column, cell): (&String, &Cell)| (Arc::from(column.as_str()), cell.value());
    let mut values: Vec<(Arc<str>, Value)> = canary.set.iter().map(cell).collect();
    values.push((canary.stamp.as_str().into(), Value::Text(stamp.to_owned())));
    let to = Destination {
        map: Arc::clone(&map.name),
        system: map.system.clone(),
        table: table(map).to_owned(),
        key: canary.key.keys().cloned().collect(),
        ..Destination::default()
    };
    Row {
        to: Arc::new(to),
        key: Key(canary.key.iter().map(cell).collect()),
        action: Action::Upsert(Columns { values, ..Columns::default() }).into(),
        order: Order::emitted_at(at),
        correlation: Correlation::derived([
            b"canary".as_slice(),
            map.name.as_bytes(),
            stamp.as_bytes(),
        ]),
        only_if_known: false,
        thing: None,
    }
}

fn left_out() -> Fault {
    let message =
        "the map leaves the stamped row out; give the row with `set` what the map asks for";
    Fault::new(Kind::Misconfigured, message)
}
