//! One simulated installation: the parts that every instance shares, and the instances.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use concord::chance::Chance;
use concord::clock::{RuntimeClock, SharedClock};
use concord::deferral::Deferral;
use concord::ledger::{self, Ledger};
use concord::pipeline::{Drift, Pipeline};
use concord::poison::Poison;
use concord::system::Target;
use jiff::Timestamp;
use object_store::memory::InMemory;
use serde_json::json;

use crate::store::{SimQueue, SimTable};
use crate::target::SimTarget;

/// Names that the target refuses start with this.
pub(crate) const REFUSED: &str = "refused";

/// The one source of randomness, of faults and of their counts.
#[derive(Debug)]
pub(crate) struct Dice {
    pub(crate) chance: Chance,
    faulty: AtomicBool,
    /// Parts in a thousand that a fault's own share is scaled by: some runs are calm, some are not.
    weather: AtomicU64,
    faults: Mutex<BTreeMap<&'static str, u64>>,
    pub(crate) mutant: Option<Mutant>,
    since: tokio::time::Instant,
}

impl Dice {
    /// A span below `most` milliseconds.
    pub(crate) fn latency(&self, most: u64) -> Duration {
        Duration::from_millis(self.chance.below(most) + 1)
    }

    /// Whether this breakage is on.
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    /// Tells a step of a run that is replayed by its seed.
    pub(crate) fn say(&self, step: impl FnOnce() -> String) {
        if crate::number("SEED").is_some() {
            println!("{:>8.3} {}", self.since.elapsed().as_secs_f64(), step());
        }
    }

    /// Whether this fault happens now; `percent` in normal weather.
    pub(crate) fn fault(&self, name: &'static str, percent: f64) -> bool {
        if !self.faulty.load(Ordering::Relaxed) {
            return false;
        }
        let weather = self.weather.load(Ordering::Relaxed);
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let share = (percent * 10.0) as u64 * weather;
        let happens = self.chance.below(1_000_000) < share;
        if happens {
            self.say(|| format!("fault: {name}"));
            *self.faults.lock().unwrap().entry(name).or_default() += 1;
        }
        happens
    }
}

/// A deliberate breakage, made at a seam: what a wrong ledger, store, target or host would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Transactions ignore their conditions.
    IgnoreConditions,
    /// Overtaken claims are forgotten.
    ForgetLoose,
    /// Intents are not written: rows are written without a claim.
    ForgetIntents,
    /// Index rows are not written: the sweep finds nothing.
    ForgetIndex,
    /// Nothing is swept.
    NeverSweep,
    /// A write whose answer was lost counts as done.
    TrustLostWrites,
    /// A write whose answer was lost counts as not done.
    DenyLostWrites,
    /// Leases end before their writes can land.
    ShortLeases,
    /// The host moves on whatever it is told.
    NeverRedeliver,
    /// Deferred messages are removed before they are done.
    ForgetDeferred,
}

impl Mutant {
    pub(crate) const ALL: &[Self] = &[
        Self::IgnoreConditions,
        Self::ForgetLoose,
        Self::ForgetIntents,
        Self::ForgetIndex,
        Self::NeverSweep,
        Self::TrustLostWrites,
        Self::DenyLostWrites,
        Self::ShortLeases,
        Self::NeverRedeliver,
        Self::ForgetDeferred,
    ];
}

/// What is said about one key, in the order it was said.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) key: u64,
    pub(crate) second: i64,
    pub(crate) what: What,
    pub(crate) body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    There,
    Gone,
    /// The map refuses it.
    Unmappable,
    /// The target refuses it.
    Refused,
}

pub(crate) struct World {
    pub(crate) dice: Arc<Dice>,
    pub(crate) clock: SharedClock,
    pub(crate) ledger: Arc<SimTable>,
    pub(crate) poison: Arc<SimTable>,
    pub(crate) work: Arc<SimQueue>,
    pub(crate) poisoned: Arc<SimQueue>,
    blobs: Arc<InMemory>,
    pub(crate) target: Arc<SimTarget>,
    pub(crate) instances: RefCell<Vec<Arc<Pipeline>>>,
    pub(crate) said: Vec<Said>,
    /// Attempts before the last one; none stands for a trigger without a retry policy.
    pub(crate) retries: u32,
    pub(crate) crashes: Cell<u64>,
    pub(crate) events: Cell<u64>,
}

impl World {
    pub(crate) fn new(seed: u64, mutant: Option<Mutant>) -> Self {
        let chance = Chance::seeded(seed);
        let weather = [0, 200, 1_000, 4_000][usize::try_from(chance.below(4)).unwrap()];
        let dice = Arc::new(Dice {
            chance,
            faulty: AtomicBool::new(true),
            weather: AtomicU64::new(weather),
            faults: Mutex::default(),
            mutant,
            since: tokio::time::Instant::now(),
        });
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        let clock: SharedClock = Arc::new(RuntimeClock::starting_at(start));
        let said = everything_said(&dice.chance);
        let world = Self {
            ledger: SimTable::new(Arc::clone(&dice)),
            poison: SimTable::new(Arc::clone(&dice)),
            work: SimQueue::new(Arc::clone(&dice), Arc::clone(&clock)),
            poisoned: SimQueue::new(Arc::clone(&dice), Arc::clone(&clock)),
            blobs: Arc::new(InMemory::new()),
            target: SimTarget::new(Arc::clone(&dice), Arc::clone(&clock)),
            instances: RefCell::default(),
            said,
            retries: u32::try_from(dice.chance.below(4)).unwrap(),
            crashes: Cell::default(),
            events: Cell::default(),
            dice,
            clock,
        };
        for _ in 0..2 + world.dice.chance.below(2) {
            let instance = world.instance();
            world.instances.borrow_mut().push(instance);
        }
        world
    }

    /// A process that has just started: it shares storage and target with the others, and nothing else.
    pub(crate) fn instance(&self) -> Arc<Pipeline> {
        let clock = || Arc::clone(&self.clock);
        let (maps, decoders) = crate::check::maps();
        let targets =
            BTreeMap::from([("sales".to_owned(), Arc::clone(&self.target) as Arc<dyn Target>)]);
        let config = ledger::Config { buckets: 2, cache: 6 };
        let storage = (Arc::clone(&self.ledger) as _, Arc::clone(&self.blobs) as _);
        Arc::new(Pipeline {
            decoders,
            maps,
            targets,
            ledger: Ledger::new(storage, config, clock(), self.dice.chance.clone()),
            poison: Poison::new(
                Arc::clone(&self.poison) as _,
                Arc::clone(&self.poisoned) as _,
                Arc::clone(&self.blobs) as _,
                clock(),
            ),
            mirror: None,
            deferral: Deferral::new(
                Arc::clone(&self.work) as _,
                Arc::clone(&self.blobs) as _,
                clock(),
            ),
            drift: Drift::default(),
            clock: clock(),
            chance: self.dice.chance.clone(),
        })
    }

    /// The faults are over; from now on everything must come to its end.
    pub(crate) fn calm_down(&self) {
        self.dice.faulty.store(false, Ordering::Relaxed);
    }

    pub(crate) async fn run(self) -> Result<Tally, String> {
        let start = self.clock.now();
        self.deliver_everything().await;
        self.calm_down();
        self.come_to_rest().await?;
        crate::check::check(&self)?;
        let span = self.clock.now().duration_since(start);
        Ok(Tally {
            seconds: u64::try_from(span.as_secs()).unwrap_or_default(),
            crashes: self.crashes.get(),
            events: self.events.get(),
            writes: self.target.writes(),
            faults: self.dice.faults.lock().unwrap().clone(),
        })
    }
}

/// A few keys with a few versions each, emit times in order, a second apart.
fn everything_said(chance: &Chance) -> Vec<Said> {
    let mut said = Vec::new();
    let mut names = BTreeSet::new();
    for key in 0..2 + chance.below(5) {
        for version in 0..1 + chance.below(6) {
            let second = 1_600_000_000 + i64::try_from(version).unwrap();
            let what = match chance.below(20) {
                0..3 => What::Gone,
                3 => What::Unmappable,
                4 => What::Refused,
                _ => What::There,
            };
            let name = match what {
                What::Refused => format!("{REFUSED} {key} {version}"),
                What::Unmappable => "far too long ".repeat(20) + &version.to_string(),
                // Now and then a version says what an earlier one said.
                What::There | What::Gone => format!("name {key} {}", chance.below(version + 1)),
            };
            names.insert(name.clone());
            let change = if what == What::Gone { "Removed" } else { "Changed" };
            let body = json!({
                "TimeStamp": Timestamp::from_second(second).unwrap().to_string(),
                "VersionChangeType": change,
                "Data": {
                    "Id": format!("id-{key}"),
                    "EntityType": "/Thing",
                    "Codes": [format!("/Thing#SAP:{key}")],
                    "Name": name,
                },
            });
            said.push(Said { key, second, what, body: body.to_string() });
        }
    }
    said
}

/// What one run, or many, came to.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    seconds: u64,
    crashes: u64,
    events: u64,
    writes: u64,
    faults: BTreeMap<&'static str, u64>,
}

impl Tally {
    pub(crate) fn add(&mut self, other: &Self) {
        self.seconds += other.seconds;
        self.crashes += other.crashes;
        self.events += other.events;
        self.writes += other.writes;
        for (fault, count) in &other.faults {
            *self.faults.entry(fault).or_default() += count;
        }
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seconds, crashes, events, writes, faults } = self;
        let hours = seconds / 3_600;
        write!(f, "{hours} simulated hours, {crashes} crashes, {events} events delivered, ")?;
        write!(f, "{writes} rows written, faults {faults:?}")
    }
}
