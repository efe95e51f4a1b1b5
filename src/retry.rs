//! How long to wait before the next attempt.
//!
//! Pure arithmetic: in goes how often something failed and what pause the other side asked for, out
//! comes a span with jitter, so that callers that failed together do not come back together.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::chance::Chance;

/// An exponential back-off: `first`, twice that, and so on, never more than `longest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Backoff {
    /// The pause after the first failure, before jitter.
    pub first: Duration,
    /// No pause of our own choosing is longer.
    pub longest: Duration,
}

/// A longer pause than this is not believed when somebody asks for it.
pub const LONGEST_ASKED: Duration = Duration::from_hours(24);

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(250), longest: Duration::from_secs(30) }
    }
}

impl Backoff {
    /// The pause after `failures` failed attempts (1 after the first). A pause that was asked for
    /// is never cut short; a little is added to it, so that not everyone returns at the same
    /// moment.
    pub fn pause(&self, failures: u32, asked: Option<Duration>, chance: &Chance) -> Duration {
        let own = chance.jittered(self.unjittered(failures));
        asked.map_or(own, |asked| asked.min(LONGEST_ASKED) + own.min(self.first))
    }

    fn unjittered(&self, failures: u32) -> Duration {
        let factor = 1_u32.checked_shl(failures.saturating_sub(1)).unwrap_or(u32::MAX);
        self.first.saturating_mul(factor).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BACKOFF: Backoff =
        Backoff { first: Duration::from_millis(100), longest: Duration::from_secs(3) };

    #[test]
    fn pauses_double_up_to_the_longest_and_jitter_below_it() {
        let chance = Chance::seeded(1);
        for (failures, most) in [(1, 100), (2, 200), (3, 400), (6, 3000), (40, 3000)] {
            let most = Duration::from_millis(most);
            let pause = BACKOFF.pause(failures, None, &chance);
            assert!(pause >= most / 2 && pause <= most, "{failures}: {pause:?}");
        }
    }

    #[test]
    fn a_pause_that_was_asked_for_is_never_cut_short() {
        let asked = Duration::from_secs(17);
        let pause = BACKOFF.pause(1, Some(asked), &Chance::seeded(1));
        assert!(pause >= asked && pause <= asked + BACKOFF.first, "{pause:?}");
        let absurd = BACKOFF.pause(1, Some(Duration::MAX), &Chance::seeded(1));
        assert!(absurd <= LONGEST_ASKED + BACKOFF.first, "{absurd:?}");
    }
}
