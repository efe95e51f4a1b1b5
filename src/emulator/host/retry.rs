//! The host's retry policy of a function: which attempts there are and how long it waits between them.
//!
//! Source: Functions custom handler, retry policy; the arithmetic is that of the host's randomised
//! exponential back-off.

use std::time::Duration;

/// A policy of `function.json`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Retry {
    /// Attempts after the first; `None` (written `-1`) means until success.
    pub(super) most: Option<u32>,
    /// How long it waits.
    pub(super) strategy: Strategy,
}

/// How long the host waits between attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Strategy {
    /// Always the same.
    Fixed(Duration),
    /// Doubling from the first to the second.
    Exponential(Duration, Duration),
}

impl Retry {
    /// Whether there is another attempt after `attempt`, counted from zero, has failed.
    pub(super) fn goes_on_after(self, attempt: u32) -> bool {
        self.most.is_none_or(|most| attempt < most)
    }

    /// The wait after the failure of `attempt`, counted from zero; `chance` is between 0 and 1.
    pub(super) fn wait_after(self, attempt: u32, chance: f64) -> Duration {
        match self.strategy {
            Strategy::Fixed(delay) => delay,
            Strategy::Exponential(shortest, _) if attempt == 0 => shortest,
            Strategy::Exponential(shortest, longest) => {
                let doubled = 2_f64.powi(i32::try_from(attempt - 1).unwrap_or(i32::MAX).min(60));
                let added = shortest.as_secs_f64() * doubled * (0.8 + chance * 0.4);
                let wait = shortest.as_secs_f64() + added;
                Duration::from_secs_f64(wait.min(longest.as_secs_f64()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: Retry = Retry {
        most: Some(3),
        strategy: Strategy::Exponential(Duration::from_secs(2), Duration::from_secs(20)),
    };

    #[test]
    fn the_wait_starts_at_the_minimum_doubles_and_stops_at_the_maximum() {
        let waits: Vec<_> = (0..6).map(|n| POLICY.wait_after(n, 0.5).as_secs_f64()).collect();
        assert_eq!(waits, [2.0, 4.0, 6.0, 10.0, 18.0, 20.0]);
        assert!(POLICY.wait_after(u32::MAX, 1.0).as_secs() == 20);
    }

    #[test]
    fn chance_moves_the_added_part_by_a_fifth() {
        assert!((POLICY.wait_after(1, 0.0).as_secs_f64() - 3.6).abs() < 1e-9);
        assert!((POLICY.wait_after(1, 1.0).as_secs_f64() - 4.4).abs() < 1e-9);
    }

    #[test]
    fn a_policy_of_three_retries_has_four_attempts_and_minus_one_has_no_end() {
        let attempts = (0..9).take_while(|n| *n == 0 || POLICY.goes_on_after(n - 1)).count();
        assert_eq!(attempts, 4);
        let endless = Retry { most: None, ..POLICY };
        assert!(endless.goes_on_after(u32::MAX - 1));
    }
}
