//! What the work of this process costs: requests to storage and calls to targets, told as they accrue.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts what was used since it was last asked, so that the figures of all log lines add up to what
/// was used in all, also when calls overlap.
pub struct Meter {
    gauges: Vec<(&'static str, Total, AtomicU64)>,
}

/// Reads a running total.
pub type Total = Box<dyn Fn() -> u64 + Send + Sync>;

impl Meter {
    /// Reads these running totals.
    pub fn new(gauges: impl IntoIterator<Item = (&'static str, Total)>) -> Self {
        let zero = |(name, total)| (name, total, AtomicU64::new(0));
        Self { gauges: gauges.into_iter().map(zero).collect() }
    }

    /// What each gauge has moved on by since the last call.
    pub(super) fn used(&self) -> impl Iterator<Item = (&'static str, u64)> {
        self.gauges.iter().map(|(name, total, told)| {
            let total = total();
            (*name, total.saturating_sub(told.fetch_max(total, Ordering::Relaxed)))
        })
    }
}

impl fmt::Debug for Meter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.gauges.iter().map(|(name, ..)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn figures_told_one_after_the_other_add_up_to_the_total() {
        let total = Arc::new(AtomicU64::new(0));
        let read = Arc::clone(&total);
        let gauge: Total = Box::new(move || read.load(Ordering::Relaxed));
        let meter = Meter::new([("calls", gauge)]);
        total.store(3, Ordering::Relaxed);
        assert_eq!(meter.used().collect::<Vec<_>>(), [("calls", 3)]);
        total.store(10, Ordering::Relaxed);
        assert_eq!(meter.used().collect::<Vec<_>>(), [("calls", 7)]);
        assert_eq!(meter.used().collect::<Vec<_>>(), [("calls", 0)]);
    }
}
