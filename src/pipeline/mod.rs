//! The whole path of a delivery, on one screen; every way in uses it.
//!
//! Deliveries are **decoded** to changes, **mapped** to rows, **coalesced** to the newest per key,
//! **claimed** in the ledger, **written** in bulk, **settled**, and then the host is answered. What
//! cannot be used is in quarantine before anything of it is settled; what could not be done is either
//! brought again by the host or, when the host would not, in the work queue before it is answered.

mod conclude;
mod drift;
mod flow;
mod mirror;
mod read;
mod sweep;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::Instant;

pub use self::drift::Drift;
pub use self::mirror::{Config as MirrorConfig, Mirror};
pub use self::sweep::Swept;
use crate::chance::Chance;
use crate::clock::{self, SharedClock};
use crate::coalesce::coalesce;
use crate::decode::Decoder;
use crate::deferral::Deferral;
use crate::delivery::Delivery;
use crate::ledger::Ledger;
use crate::mapping::Maps;
use crate::outcome::Report;
use crate::poison::Poison;
use crate::system::Target;

/// Everything a delivery passes through.
#[derive(Debug)]
pub struct Pipeline {
    /// How the events of each source system read.
    pub decoders: BTreeMap<Arc<str>, Decoder>,
    /// What becomes of what.
    pub maps: Arc<Maps>,
    /// Where rows are written, by system.
    pub targets: BTreeMap<String, Arc<dyn Target>>,
    /// What was written, and who is writing.
    pub ledger: Ledger,
    /// Where refused events go.
    pub poison: Poison,
    /// Where error records are shown besides.
    pub mirror: Option<Mirror>,
    /// Where events go that must wait.
    pub deferral: Deferral,
    /// What is known of columns that are gone.
    pub drift: Drift,
    /// The time.
    pub clock: SharedClock,
    /// Randomness for pauses.
    pub chance: Chance,
}

impl Pipeline {
    /// Takes a delivery through the whole path. When the verdict is to acknowledge, the outcome of
    /// every change in it is durable.
    pub async fn run(&self, delivery: &Delivery) -> Report {
        let time = self.time(delivery.within);
        let read = self.read(delivery);
        let mut report = Report { events: delivery.events.len(), ..Report::default() };
        let mut open = self.quarantine(&read, &mut report).await;
        let mut stacks = by_map(coalesce(read.rows));
        // Parents before children: maps of one level do not refer to each other.
        for level in self.maps.levels() {
            let flows = level
                .iter()
                .filter_map(|map| stacks.remove(map))
                .map(|stacks| self.flow(stacks, &read.members, time));
            for flowed in join_all(flows).await {
                flowed.counted(&mut report);
                open.extend(flowed.open);
            }
        }
        self.conclude(delivery, (&read.members, open), &mut report).await;
        report
    }

    /// How long target calls may start, and when their writes have certainly landed or died.
    fn time(&self, within: Duration) -> Time {
        // A fifth is left for settling, quarantine and the answer.
        let writing = within.mul_f64(0.8);
        Time { deadline: Instant::now() + writing, ends: clock::after(self.clock.now(), writing) }
    }
}

/// The time a call has.
#[derive(Clone, Copy, Debug)]
struct Time {
    /// No target call starts after this.
    deadline: Instant,
    /// The same moment by the clock.
    ends: Timestamp,
}

impl Time {
    fn is_over(&self) -> bool {
        Instant::now() >= self.deadline
    }
}

/// Clocks of two instances may differ by this much.
const CLOCK_SKEW: Duration = Duration::from_secs(5);

impl Time {
    /// When a claim made now ends: the deadline, plus the longest that `target` may still take.
    fn lease(&self, target: &dyn Target) -> Timestamp {
        clock::after(self.ends, target.limits().longest + CLOCK_SKEW)
    }
}

fn by_map(stacks: Vec<crate::coalesce::Stack>) -> BTreeMap<String, Vec<crate::coalesce::Stack>> {
    let mut maps = BTreeMap::<String, Vec<_>>::new();
    for stack in stacks {
        maps.entry(stack.newest.row.to.map.clone()).or_default().push(stack);
    }
    maps
}
