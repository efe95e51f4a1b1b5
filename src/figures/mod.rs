//! What happened, in figures: rows by outcome and poisoned rows by code, for each map and hour.
//!
//! In come the reports of calls, counted in memory; out go table rows, one for each map and hour of this
//! process, put whole once a minute at most: one transaction, whatever the number of changes. A process
//! that is killed loses the figures of its last minute and nothing else. They stand in the table of error
//! records, a partition a day. Figures are for people; what is true of a row, the ledger knows.

mod counts;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

pub use self::counts::Counts;
use crate::chance::Chance;
use crate::clock::{self, SharedClock};
use crate::fault::Fault;
use crate::outcome::Report;
use crate::store::{Entity, Operation, Property, Table};

/// Counts reports and keeps the sums.
#[derive(Debug)]
pub struct Figures {
    table: Arc<dyn Table>,
    clock: SharedClock,
    /// Parts the rows of this process from those of others.
    process: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    counts: BTreeMap<Slot, Counts>,
    /// What is not in the table as it stands here.
    changed: BTreeSet<Slot>,
    flushed: Option<Timestamp>,
}

/// Hours since 1970, and the map.
type Slot = (i64, Arc<str>);

/// How often sums are kept at most.
const INTERVAL: Duration = Duration::from_mins(1);
/// How long the path waits for storage at most.
const PATIENCE: Duration = Duration::from_secs(2);
/// Rows of one transaction.
const CHUNK: usize = 100;
/// Rows of one page.
const PAGE: usize = 1_000;
const PLACE: &str = "figures";
const COUNTS: &str = "counts";

impl Figures {
    /// Over the table of error records.
    pub fn new(table: Arc<dyn Table>, clock: SharedClock, chance: &Chance) -> Self {
        let process = chance.uuid().simple().to_string();
        Self { table, clock, process, state: Mutex::default() }
    }

    /// Counts a report.
    pub fn note(&self, report: &Report) {
        let hour = self.clock.now().as_second().div_euclid(3_600);
        let mut state = self.state();
        for (map, counts) in Counts::of(report) {
            let slot = (hour, map);
            state.counts.entry(slot.clone()).or_default().add(&counts);
            state.changed.insert(slot);
        }
    }

    /// Keeps the sums, unless that was done less than a minute ago. Takes two seconds at most; what
    /// could not be kept is tried again next time, and told in the log.
    pub async fn keep_if_due(&self) {
        let now = self.clock.now();
        let last = self.state().flushed;
        if last.is_none_or(|last| clock::between(last, now) >= INTERVAL) {
            self.keep().await;
        }
    }

    /// Keeps the sums now.
    pub async fn keep(&self) {
        let changed = {
            let mut state = self.state();
            state.flushed = Some(self.clock.now());
            std::mem::take(&mut state.changed)
        };
        if changed.is_empty() {
            return;
        }
        let reason = match tokio::time::timeout(PATIENCE, self.put(&changed)).await {
            Ok(Ok(())) => return self.forget_past(),
            Ok(Err(fault)) => fault.to_string(),
            Err(_) => "storage took too long".to_owned(),
        };
        tracing::warn!(ev = "figures_not_kept", rows = changed.len(), reason, "figures_not_kept");
        self.state().changed.extend(changed);
    }

    async fn put(&self, changed: &BTreeSet<Slot>) -> Result<(), Fault> {
        let mut days = BTreeMap::<Date, Vec<Operation>>::new();
        for (hour, map) in changed {
            let counts = self.state().counts.get(&(*hour, Arc::clone(map))).cloned();
            let Some(counts) = counts else { continue };
            let time = moment(*hour).to_zoned(TimeZone::UTC);
            let row = format!("{:02}~{map}~{}", time.hour(), self.process);
            let json = serde_json::to_string(&counts).unwrap_or_default();
            let properties = BTreeMap::from([(COUNTS.into(), Property::Text(json))]);
            days.entry(time.date()).or_default().push(Operation::Put(Entity { row, properties }));
        }
        for (day, rows) in days {
            for chunk in rows.chunks(CHUNK) {
                let kept = self.table.transact(&partition(day), chunk.to_vec()).await;
                kept.map_err(|error| error.fault(PLACE))?;
            }
        }
        Ok(())
    }

    /// Hours that are over and kept need no memory.
    fn forget_past(&self) {
        let hour = self.clock.now().as_second().div_euclid(3_600);
        let mut state = self.state();
        let State { counts, changed, .. } = &mut *state;
        counts.retain(|slot, _| slot.0 >= hour || changed.contains(slot));
    }

    /// The sums of a day by map.
    pub async fn day(&self, day: Date) -> Result<BTreeMap<String, Counts>, Fault> {
        let mut sums = BTreeMap::<String, Counts>::new();
        let mut from = String::new();
        loop {
            let page = self.table.scan(&partition(day), &from, "~", PAGE).await;
            let page = page.map_err(|error| error.fault(PLACE))?;
            for stored in page.rows {
                let map = stored.entity.row.split_once('~').map(|(_, rest)| rest);
                let map = map.and_then(|rest| rest.rsplit_once('~')).map(|(map, _)| map.to_owned());
                let Some(Property::Text(json)) = stored.entity.properties.get(COUNTS) else {
                    continue;
                };
                if let (Some(map), Ok(counts)) = (map, serde_json::from_str(json)) {
                    sums.entry(map).or_default().add(&counts);
                }
            }
            match page.next {
                Some(next) => from = next,
                None => return Ok(sums),
            }
        }
    }

    /// Removes the figures of a day, at most 5,000 rows at a time.
    pub async fn forget(&self, day: Date) -> Result<(), Fault> {
        for _ in 0..50 {
            let page = self.table.scan(&partition(day), "", "~", CHUNK).await;
            let rows = page.map_err(|error| error.fault(PLACE))?.rows;
            if rows.is_empty() {
                break;
            }
            let gone = rows.into_iter().map(|stored| Operation::Discard(stored.entity.row));
            let gone = self.table.transact(&partition(day), gone.collect()).await;
            gone.map_err(|error| error.fault(PLACE))?;
        }
        Ok(())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn partition(day: Date) -> String {
    format!("~figures-{day}")
}

fn moment(hour: i64) -> Timestamp {
    Timestamp::UNIX_EPOCH.saturating_add(SignedDuration::from_hours(hour)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
