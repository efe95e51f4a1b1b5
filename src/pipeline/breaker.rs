//! Targets that do not answer: not waited for by every batch.
//!
//! When an installation has several targets and one of them let a batch wait in vain, batches that are for
//! others too no longer wait for it: its rows go to the work queue at once. Whether it is back is found out
//! by batches that are for nobody who is well, as the work queue's own then are; one at a time and at growing
//! pauses, so that nobody else waits.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::fault::{Fault, Kind};

/// So long a batch that is for several targets waits for one of them.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
/// The pause after the first batch that waited in vain; doubled up to [`LONGEST`].
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_mins(1);

/// What this process knows of targets that do not answer.
#[derive(Debug, Default)]
pub struct Breakers(Mutex<HashMap<String, Broken>>);

#[derive(Clone, Copy, Debug)]
struct Broken {
    failures: u32,
    until: Instant,
}

impl Breakers {
    /// Whether each of these did not answer when it was last asked.
    pub(super) fn are_broken<'s>(&self, mut systems: impl Iterator<Item = &'s String>) -> bool {
        let broken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        systems.all(|system| broken.contains_key(system))
    }

    /// Whether rows may be sent to a target now. `alone`: the batch is for nobody who is well, so it may
    /// find out, when it is time to.
    pub(super) fn admit(&self, system: &str, alone: bool) -> Result<(), Fault> {
        let mut broken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(state) = broken.get_mut(system) else { return Ok(()) };
        if alone && Instant::now() >= state.until {
            // Others keep away while this one finds out.
            state.until = Instant::now() + LONGEST;
            return Ok(());
        }
        let message = format!("{system} did not answer a short while ago; it is tried again soon");
        Err(Fault::new(Kind::Unreachable, message))
    }

    /// What became of a batch.
    pub(super) fn note(&self, system: &str, in_vain: bool) {
        let mut broken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !in_vain {
            if broken.remove(system).is_some() {
                tracing::info!(system, "target_back");
            }
            return;
        }
        let failures = broken.get(system).map_or(0, |state| state.failures);
        let pause = FIRST.saturating_mul(2_u32.saturating_pow(failures.min(10))).min(LONGEST);
        if failures == 0 {
            tracing::warn!(system, "target_away");
        }
        let until = Instant::now() + pause;
        broken.insert(system.to_owned(), Broken { failures: failures.saturating_add(1), until });
    }
}

/// Whether a fault says that the target let us wait in vain.
pub(super) fn is_in_vain(fault: &Fault) -> bool {
    matches!(fault.kind, Kind::Timeout | Kind::Unreachable | Kind::Throttled)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_is_for_others_too_never_waits_for_a_target_that_is_away() {
        let breakers = Breakers::default();
        assert!(breakers.admit("a", false).is_ok());
        breakers.note("a", true);
        assert!(breakers.admit("b", false).is_ok(), "the other one is well");
        let (a, b) = ("a".to_owned(), "b".to_owned());
        assert!(
            breakers.are_broken([&a].into_iter()) && !breakers.are_broken([&a, &b].into_iter())
        );
        tokio::time::sleep(LONGEST * 2).await;
        assert!(breakers.admit("a", false).is_err());
        assert!(breakers.admit("a", true).is_ok());
        assert!(breakers.admit("a", true).is_err(), "one at a time finds out");
        breakers.note("a", false);
        assert!(breakers.admit("a", false).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn the_pauses_grow_up_to_the_longest() {
        let breakers = Breakers::default();
        breakers.note("a", true);
        tokio::time::sleep(FIRST).await;
        assert!(breakers.admit("a", true).is_ok());
        breakers.note("a", true);
        tokio::time::sleep(FIRST).await;
        assert!(breakers.admit("a", true).is_err());
        for _ in 0..40 {
            breakers.note("a", true);
        }
        tokio::time::sleep(LONGEST).await;
        assert!(breakers.admit("a", true).is_ok());
    }
}
