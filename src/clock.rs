//! The time, from outside: every module that needs "now" is handed a [`Clock`], so that several
//! instances can run in one simulation whose time is its own.

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

/// Tells the wall-clock time in UTC.
pub trait Clock: Debug + Send + Sync {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// A clock that many owners hold.
pub type SharedClock = Arc<dyn Clock>;

/// The machine's own clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(clippy::disallowed_methods, reason = "the one place that asks the machine")]
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

/// A clock that follows tokio's own time from a fixed start: with paused time it moves only when the
/// runtime does, which is what tests and simulations need.
#[derive(Clone, Copy, Debug)]
pub struct RuntimeClock {
    start: Timestamp,
    since: tokio::time::Instant,
}

impl RuntimeClock {
    /// A clock that shows `start` now and moves on with the runtime.
    pub fn starting_at(start: Timestamp) -> Self {
        Self { start, since: tokio::time::Instant::now() }
    }
}

impl Clock for RuntimeClock {
    fn now(&self) -> Timestamp {
        after(self.start, self.since.elapsed())
    }
}

/// `moment` plus `span`, held at the last representable moment instead of failing.
pub fn after(moment: Timestamp, span: Duration) -> Timestamp {
    moment.checked_add(span).unwrap_or(Timestamp::MAX)
}

/// The time from `earlier` to `later`, zero when it is not later.
pub fn between(earlier: Timestamp, later: Timestamp) -> Duration {
    Duration::try_from(later.duration_since(earlier)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_runtime_clock_moves_with_paused_time_only() {
        let clock = RuntimeClock::starting_at(Timestamp::UNIX_EPOCH);
        tokio::time::advance(Duration::from_secs(90)).await;
        assert_eq!(between(Timestamp::UNIX_EPOCH, clock.now()), Duration::from_secs(90));
    }
}
