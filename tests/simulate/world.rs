//! One simulated installation: the parts that every instance shares, and the instances.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use concord::chance::Chance;
use concord::clock::{RuntimeClock, SharedClock};
use concord::control::Control;
use concord::crosswalk::Crosswalk;
use concord::deferral::Deferral;
use concord::ledger::{self, Ledger};
use concord::parking::{self, Parking};
use concord::pipeline::{Breakers, Drift, Pipeline, Surplus, Twins};
use concord::poison::Poison;
use concord::system::Target;
use jiff::Timestamp;
use object_store::memory::InMemory;
use serde::{Deserialize, Serialize};

use crate::plan::Plan;
use crate::store::{SimQueue, SimTable};
use crate::target::SimTarget;

/// Names that the target refuses start with this.
pub(crate) const REFUSED: &str = "refused";

/// The one source of randomness, of faults and of their counts.
#[derive(Debug)]
pub(crate) struct Dice {
    pub(crate) chance: Chance,
    faulty: AtomicBool,
    plan: Plan,
    drawn: AtomicU64,
    faults: Mutex<BTreeMap<&'static str, u64>>,
    since: tokio::time::Instant,
    told: bool,
}

impl Dice {
    /// A span below `most` milliseconds.
    pub(crate) fn latency(&self, most: u64) -> Duration {
        Duration::from_millis(self.chance.below(most) + 1)
    }

    /// Whether this breakage is on.
    pub(crate) fn is(&self, mutant: Mutant) -> bool {
        self.plan.mutant == Some(mutant)
    }

    /// The breakage that is on.
    pub(crate) fn mutant(&self) -> Option<Mutant> {
        self.plan.mutant
    }

    /// How many faults there were, those that were spared included.
    pub(crate) fn faults_drawn(&self) -> u64 {
        self.drawn.load(Ordering::Relaxed)
    }

    /// Tells a step of a run that is replayed by its seed.
    pub(crate) fn say(&self, step: impl FnOnce() -> String) {
        if self.told {
            println!("{:>8.3} {}", self.since.elapsed().as_secs_f64(), step());
        }
    }

    /// Whether this fault happens now; `percent` in normal weather.
    pub(crate) fn fault(&self, name: &'static str, percent: f64) -> bool {
        if !self.faulty.load(Ordering::Relaxed) {
            return false;
        }
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small")]
        let share = (percent * 10.0) as u64 * self.plan.weather;
        if self.chance.below(1_000_000) >= share {
            return false;
        }
        let number = self.drawn.fetch_add(1, Ordering::Relaxed);
        let happens = number < self.plan.faults && !self.plan.spared.contains(&number);
        if happens {
            self.say(|| format!("fault: {name}"));
            *self.faults.lock().unwrap().entry(name).or_default() += 1;
        }
        happens
    }
}

/// A deliberate breakage, made at a seam: what a wrong ledger, store, target or host would do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Events that wait for a missing row are not kept.
    ForgetParked,
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
        Self::ForgetParked,
    ];
}

pub(crate) struct World {
    pub(crate) dice: Arc<Dice>,
    pub(crate) clock: SharedClock,
    pub(crate) ledger: Arc<SimTable>,
    pub(crate) poison: Arc<SimTable>,
    pub(crate) work: Arc<SimQueue>,
    pub(crate) poisoned: Arc<SimQueue>,
    blobs: Arc<InMemory>,
    pub(crate) targets: BTreeMap<&'static str, Arc<SimTarget>>,
    pub(crate) instances: RefCell<Vec<Arc<Pipeline>>>,
    pub(crate) plan: Plan,
    pub(crate) crashes: Cell<u64>,
}

impl World {
    pub(crate) fn new(plan: &Plan) -> Self {
        let dice = Arc::new(Dice {
            chance: Chance::seeded(plan.dice),
            faulty: AtomicBool::new(true),
            plan: plan.clone(),
            drawn: AtomicU64::new(0),
            faults: Mutex::default(),
            since: tokio::time::Instant::now(),
            told: ["SEED", "RUN"].iter().any(|name| crate::told(name).is_some()),
        });
        let start = Timestamp::from_second(1_700_000_000).unwrap();
        let clock: SharedClock = Arc::new(RuntimeClock::starting_at(start));
        let world = Self {
            ledger: SimTable::new(Arc::clone(&dice)),
            poison: SimTable::new(Arc::clone(&dice)),
            work: SimQueue::new(Arc::clone(&dice), Arc::clone(&clock)),
            poisoned: SimQueue::new(Arc::clone(&dice), Arc::clone(&clock)),
            blobs: Arc::new(InMemory::new()),
            targets: crate::check::TARGETS
                .into_iter()
                .take(plan.targets)
                .map(|name| (name, SimTarget::new(name, Arc::clone(&dice), Arc::clone(&clock))))
                .collect(),
            instances: RefCell::default(),
            plan: plan.clone(),
            crashes: Cell::default(),
            dice,
            clock,
        };
        for _ in 0..plan.instances {
            let instance = world.instance();
            world.instances.borrow_mut().push(instance);
        }
        world
    }

    /// A process that has just started: it shares storage and targets with the others, and nothing else.
    pub(crate) fn instance(&self) -> Arc<Pipeline> {
        let clock = || Arc::clone(&self.clock);
        let (maps, decoders) = crate::check::maps(self.targets.len());
        let targets = self.targets.iter();
        let targets = targets
            .map(|(name, target)| ((*name).to_owned(), Arc::clone(target) as Arc<dyn Target>))
            .collect();
        let config = ledger::Config { buckets: 2, cache: 6 };
        let storage = (Arc::clone(&self.ledger) as _, Arc::clone(&self.blobs) as _);
        Arc::new(Pipeline {
            decoders,
            maps,
            targets,
            sources: BTreeMap::new(),
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
            twins: Twins {
                crosswalk: Crosswalk::new(Arc::clone(&self.ledger) as _),
                users: BTreeMap::new(),
            },
            parking: Parking::new(
                Arc::clone(&self.ledger) as _,
                Arc::clone(&self.blobs) as _,
                parking::Config::default(),
            ),
            control: Control::new(Arc::clone(&self.ledger) as _, clock(), &self.dice.chance),
            breakers: Breakers::default(),
            drift: Drift::default(),
            surplus: Surplus::default(),
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
            events: self.plan.partitions.iter().flatten().flatten().count() as u64,
            writes: self.targets.values().map(|target| target.writes()).sum(),
            faults: self.dice.faults.lock().unwrap().clone(),
        })
    }
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
        let others: u64 = faults.values().sum::<u64>() - faults.get("crash").unwrap_or(&0);
        write!(f, "{hours} simulated hours, {crashes} crashes, {events} events delivered, ")?;
        write!(f, "{writes} rows written, {others} other faults {faults:?}")
    }
}
