//! A target that is slow, refuses, forgets to answer, is away for a while, and lets writes land late, but
//! never after the longest time it states.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use concord::clock::{self, SharedClock};
use concord::fault::{Fault, Kind};
use concord::row::{Action, Key, Row, Value};
use concord::system::{Answer, Fetched, Limits, TableSchema, Target, Until, Write};
use jiff::Timestamp;
use tokio::time::Instant;

use crate::world::{Dice, Mutant, REFUSED};

/// The longest that a write may still land after its deadline.
pub(crate) const LONGEST: Duration = Duration::from_secs(30);

#[derive(Debug, Default)]
struct Rows {
    /// The name column by key; absent when removed.
    names: BTreeMap<String, String>,
    /// The key of the row that the lookup refers to, by key.
    parents: BTreeMap<String, String>,
    /// Writes that land later: when, and what.
    late: Vec<(Timestamp, Row)>,
    writes: u64,
    /// Nobody is there until then.
    away: Option<Timestamp>,
}

#[derive(Debug)]
pub(crate) struct SimTarget {
    name: &'static str,
    rows: Mutex<Rows>,
    dice: Arc<Dice>,
    clock: SharedClock,
}

impl SimTarget {
    pub(crate) fn new(name: &'static str, dice: Arc<Dice>, clock: SharedClock) -> Arc<Self> {
        Arc::new(Self { name, rows: Mutex::default(), dice, clock })
    }

    /// Whether nobody is there, for up to some minutes.
    fn is_away(&self) -> bool {
        let now = self.clock.now();
        let mut rows = self.rows.lock().unwrap();
        if self.dice.fault("target away", 0.5) {
            rows.away = Some(clock::after(now, self.dice.latency(200_000)));
        }
        rows.away.is_some_and(|until| now < until)
    }

    /// The rows as they stand, with everything landed whose time has come.
    pub(crate) fn names(&self) -> BTreeMap<String, String> {
        let mut rows = self.rows.lock().unwrap();
        rows.land(self.clock.now(), &self.dice);
        rows.names.clone()
    }

    /// The parents of the rows as they stand.
    pub(crate) fn parents(&self) -> BTreeMap<String, String> {
        self.rows.lock().unwrap().parents.clone()
    }

    pub(crate) fn writes(&self) -> u64 {
        self.rows.lock().unwrap().writes
    }

    /// One call for several rows: all of it lands, or it lands late or never.
    fn land(&self, writes: &[Write]) -> Vec<Answer> {
        let now = self.clock.now();
        let mut rows = self.rows.lock().unwrap();
        rows.land(now, &self.dice);
        let lost = self.dice.fault("target answer lost", 2.0);
        let answers = writes.iter().map(|write| {
            if is_refused(&write.row) {
                return Answer::Not(Fault::new(Kind::Refused, "simulated"));
            }
            if parent(&write.row).is_some_and(|parent| !rows.names.contains_key(&parent)) {
                let fault = Fault::new(Kind::ParentMissing, "simulated").field("parentid");
                return Answer::Not(fault);
            }
            rows.writes += 1;
            if lost {
                let lands = clock::after(now, self.dice.chance.jittered(LONGEST));
                if self.dice.chance.below(3) > 0 {
                    rows.late.push((lands, (*write.row).clone()));
                }
                return match self.dice.mutant() {
                    Some(Mutant::TrustLostWrites) => Answer::Written { target_id: None },
                    Some(Mutant::DenyLostWrites) => {
                        Answer::Not(Fault::new(Kind::Throttled, "simulated"))
                    }
                    _ => Answer::Unknown(Fault::new(Kind::Timeout, "simulated")),
                };
            }
            rows.put(&write.row, &self.dice);
            Answer::Written { target_id: None }
        });
        answers.collect()
    }
}

impl Rows {
    fn land(&mut self, now: Timestamp, dice: &Dice) {
        self.late.sort_by_key(|(at, _)| *at);
        let due = self.late.partition_point(|(at, _)| *at <= now);
        for (_, row) in self.late.drain(..due).collect::<Vec<_>>() {
            self.put(&row, dice);
        }
    }

    fn put(&mut self, row: &Row, dice: &Dice) {
        let key = row.key.to_string();
        dice.say(|| format!("{} {key}: {:?} of {}", row.to.system, row.action, row.order.emitted));
        match &*row.action {
            Action::Upsert(_) => {
                let name = row.column("name").map(Value::to_string).unwrap_or_default();
                match row.column("parentid") {
                    Some(Value::Null) => _ = self.parents.remove(&key),
                    Some(_) => self.parents.extend(parent(row).map(|parent| (key.clone(), parent))),
                    None => {}
                }
                self.names.insert(key, name);
            }
            Action::Remove(_) | Action::Hold { .. } => {
                self.names.remove(&key);
                self.parents.remove(&key);
            }
        }
    }
}

fn parent(row: &Row) -> Option<String> {
    let (_, value) = row.column("parentid")?.lookup()?.by.first()?;
    Some(value.to_string())
}

fn is_refused(row: &Row) -> bool {
    row.column("name").is_some_and(|name| name.to_string().starts_with(REFUSED))
}

#[async_trait]
impl Target for SimTarget {
    fn limits(&self) -> Limits {
        let short = self.dice.is(Mutant::ShortLeases);
        Limits { longest: if short { Duration::ZERO } else { LONGEST } }
    }

    async fn ready(&self) -> Result<(), Fault> {
        if self.dice.fault("credential refused", 0.3) {
            return Err(Fault::new(Kind::Credential, "simulated"));
        }
        if self.is_away() {
            return Err(Fault::new(Kind::Unreachable, "simulated"));
        }
        Ok(())
    }

    async fn write(&self, writes: &[Write], until: Until) -> Vec<Answer> {
        tokio::time::sleep(self.dice.latency(300)).await;
        let not = |kind| {
            writes.iter().map(|_| Answer::Not(Fault::new(kind, "simulated"))).collect::<Vec<_>>()
        };
        if self.is_away() {
            self.dice.say(|| format!("{} is away", self.name));
            if self.dice.chance.below(2) > 0 {
                return not(Kind::Unreachable);
            }
            tokio::time::sleep_until(until.deadline).await;
            let unknown = || Answer::Unknown(Fault::new(Kind::Timeout, "simulated"));
            return writes.iter().map(|_| unknown()).collect();
        }
        if Instant::now() >= until.deadline {
            return not(Kind::Timeout);
        }
        if self.dice.fault("throttled", 2.0) {
            return not(Kind::Throttled);
        }
        let answers = self.land(writes);
        tokio::time::sleep(self.dice.latency(100)).await;
        answers
    }

    async fn fetch(
        &self,
        _table: &str,
        keys: &[Key],
        _columns: &[String],
    ) -> Result<Vec<Option<Fetched>>, Fault> {
        Ok(keys.iter().map(|_| None).collect())
    }

    async fn describe(&self, _table: &str) -> Result<Option<TableSchema>, Fault> {
        Ok(None)
    }
}
