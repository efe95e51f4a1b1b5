//! The whole path of a delivery, on one screen; every way in uses it.
//!
//! Deliveries are **decoded** to changes, **mapped** to rows, **coalesced** to the newest per key,
//! **claimed** in the ledger, **written** in bulk, **settled**, and then the host is answered. What
//! cannot be used is in quarantine before anything of it is settled; what could not be done is either
//! brought again by the host or, when the host would not, in the work queue before it is answered.

mod arriving;
mod breaker;
mod carry;
mod conclude;
mod drift;
mod ends;
mod flow;
mod flowed;
mod keys;
mod mirror;
mod parked;
mod part;
mod passes;
mod read;
mod refuse;
mod rows;
mod standing;
mod surplus;
mod sweep;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use self::arriving::Doubts;
pub use self::arriving::Twins;
pub use self::breaker::Breakers;
pub use self::carry::{Carried, Carrying};
pub use self::drift::Drift;
pub use self::mirror::{Config as MirrorConfig, Mirror};
pub use self::standing::{ASKED, PAUSED};
pub use self::surplus::Surplus;
pub use self::sweep::Swept;
use crate::chance::Chance;
use crate::clock::{self, SharedClock};
use crate::control::Control;
use crate::decode::Decoder;
use crate::deferral::Deferral;
use crate::delivery::Delivery;
use crate::ledger::Ledger;
use crate::mapping::Maps;
use crate::outcome::{Outcome, Report};
use crate::parking::Parking;
use crate::poison::Poison;
use crate::system::{Lane, Source, Target, Until};

/// Everything a delivery passes through.
#[derive(Debug)]
pub struct Pipeline {
    /// How the events of each source system read.
    pub decoders: BTreeMap<Arc<str>, Decoder>,
    /// What becomes of what.
    pub maps: Arc<Maps>,
    /// Where rows are written, by system.
    pub targets: BTreeMap<String, Arc<dyn Target>>,
    /// The systems that can be asked for their rows.
    pub sources: BTreeMap<String, Arc<dyn Source>>,
    /// What was written, and who is writing.
    pub ledger: Ledger,
    /// Where refused events go.
    pub poison: Poison,
    /// Where error records are shown besides.
    pub mirror: Option<Mirror>,
    /// Where events go that must wait.
    pub deferral: Deferral,
    /// What is known of systems that are both read and written.
    pub twins: Twins,
    /// Where events wait for rows that their own rows refer to.
    pub parking: Parking,
    /// What operators decided.
    pub control: Control,
    /// Which targets do not answer.
    pub breakers: Breakers,
    /// What is known of columns that are gone.
    pub drift: Drift,
    /// What was written beyond the rows that were applied.
    pub surplus: Surplus,
    /// The time.
    pub clock: SharedClock,
    /// Randomness for pauses.
    pub chance: Chance,
}

impl Pipeline {
    /// Takes a delivery through the whole path. When the verdict is to acknowledge, the outcome of
    /// every change in it is durable.
    pub async fn run(&self, delivery: &Delivery) -> Report {
        self.run_in(Lane::Live, delivery).await
    }

    /// The same for work that lets others go first.
    pub async fn run_in(&self, lane: Lane, delivery: &Delivery) -> Report {
        let time = self.time(delivery.within, lane);
        let arrived = self.reread(delivery).await;
        let none = Doubts::default();
        let (delivery, doubts) = match &arrived {
            Some(arrived) => (&arrived.delivery, &arrived.doubts),
            None => (delivery, &none),
        };
        let mut read = self.read(delivery, doubts);
        let mut report = Report { events: delivery.events.len(), ..Report::default() };
        let mut open = std::mem::take(&mut read.open);
        open.extend(self.name_removed(&mut read, &mut report).await);
        open.extend(self.note_keys(&mut read, &mut report).await);
        self.mark_echoes(&delivery.system, &mut read).await;
        open.extend(self.keep_paused(delivery, &mut read, &mut report).await);
        open.extend(self.quarantine(&read, &mut report).await);
        let rows = std::mem::take(&mut read.rows);
        let mut parts = self.parts(rows, &read.members, time).await;
        // Where one target did its part, another that could not is no reason to bring all again.
        let spared = parts.iter().any(|part| !part.is_stuck());
        let left = std::mem::take(&mut read.left_behind);
        parts.extend(self.leave_behind(left, (&parts, &read.members), time).await);
        let asked = parts.iter_mut().flat_map(|part| std::mem::take(&mut part.asked)).collect();
        let asks = (ASKED, Outcome::Asked);
        open.extend(self.keep(delivery, (&read, asked), asks, &mut report).await);
        for part in parts {
            report.add(part.report);
            open.extend(part.open);
        }
        self.conclude(delivery, (&read.members, open, spared), &mut report).await;
        report
    }

    /// How long target calls may start, and when their writes have certainly landed or died.
    fn time(&self, within: Duration, lane: Lane) -> Time {
        // A fifth is left for settling, quarantine and the answer.
        let writing = within.mul_f64(0.8);
        let until = Until { deadline: Instant::now() + writing, lane };
        Time { until, ends: clock::after(self.clock.now(), writing) }
    }
}

/// The time a call has.
#[derive(Clone, Copy, Debug)]
struct Time {
    /// No target call starts after this.
    until: Until,
    /// The same moment by the clock.
    ends: Timestamp,
}

impl Time {
    /// The same, but no longer than this from now.
    fn at_most(self, span: Duration) -> Self {
        let Until { deadline, lane } = self.until;
        let spare = deadline.saturating_duration_since(Instant::now() + span);
        let ends = self.ends.checked_sub(spare).unwrap_or(self.ends);
        Self { until: Until { deadline: deadline - spare, lane }, ends }
    }

    fn is_over(&self) -> bool {
        self.left().is_zero()
    }

    fn left(&self) -> Duration {
        self.until.deadline.saturating_duration_since(Instant::now())
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
