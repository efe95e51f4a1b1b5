//! Randomness, from outside: claim ids and back-off jitter come from a [`Chance`], so that a seed
//! replays a simulated run exactly.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use uuid::Uuid;

/// A shared source of random numbers.
#[derive(Clone, Debug)]
pub struct Chance(Arc<Mutex<fastrand::Rng>>);

impl Chance {
    /// Seeded by the operating system.
    pub fn from_system() -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::new())))
    }

    /// Repeats the same numbers for the same seed.
    pub fn seeded(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(fastrand::Rng::with_seed(seed))))
    }

    /// A random identifier (version 4).
    pub fn uuid(&self) -> Uuid {
        uuid::Builder::from_random_bytes(self.with(|rng| rng.u128(..)).to_be_bytes()).into_uuid()
    }

    /// A span between half of `span` and the whole of it: enough to part callers that failed together.
    pub fn jittered(&self, span: Duration) -> Duration {
        span.mul_f64(self.with(|rng| 0.5 + rng.f64() / 2.0))
    }

    /// A number below `end`; zero when `end` is zero.
    pub fn below(&self, end: u64) -> u64 {
        if end == 0 { 0 } else { self.with(|rng| rng.u64(..end)) }
    }

    fn with<T>(&self, draw: impl FnOnce(&mut fastrand::Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_seed_gives_one_sequence() {
        let (a, b) = (Chance::seeded(7), Chance::seeded(7));
        assert_eq!((a.uuid(), a.below(9)), (b.uuid(), b.below(9)));
        assert_ne!(a.uuid(), a.uuid());
    }
}
