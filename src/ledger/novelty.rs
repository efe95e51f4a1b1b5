//! Whether keys that are not remembered are new as a rule, learnt from those that were.
//!
//! An entry that is not there yet can be inserted without being looked at first: should it be there, the
//! condition fails and the whole transaction is looked at and decided again. That pays while a
//! transaction seldom meets a key that is known already.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// What became of unknown keys lately, by partition.
#[derive(Debug, Default)]
pub(super) struct Novelty {
    partitions: Mutex<HashMap<String, Lately>>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Lately {
    asked: usize,
    found: usize,
}

/// So many keys must have been asked for before anything is believed.
const ENOUGH: usize = 16;
/// When so many were asked for, what was learnt counts half.
const WINDOW: usize = 512;
/// Partitions that are remembered; those of a map are as many as its buckets.
const PARTITIONS: usize = 10_000;

impl Novelty {
    /// Whether so many unknown keys of a partition are all new, more likely than not.
    pub(super) fn expects_only_new(&self, partition: &str, keys: usize) -> bool {
        let partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Lately { asked, found }) = partitions.get(partition) else { return false };
        *asked >= ENOUGH && 2 * found * keys < *asked
    }

    /// Notes whether an unknown key was found.
    pub(super) fn learn(&self, partition: &str, found: bool) {
        let mut partitions = self.partitions.lock().unwrap_or_else(PoisonError::into_inner);
        if partitions.len() >= PARTITIONS && !partitions.contains_key(partition) {
            partitions.clear();
        }
        let lately = partitions.entry(partition.to_owned()).or_default();
        lately.asked += 1;
        lately.found += usize::from(found);
        if lately.asked >= WINDOW {
            lately.asked /= 2;
            lately.found /= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_takes_keys_for_new_only_after_enough_were_and_stops_when_they_are_not() {
        let novelty = Novelty::default();
        assert!(!novelty.expects_only_new("m-00", 1), "nothing is known yet");
        for _ in 0..100 {
            novelty.learn("m-00", false);
        }
        assert!(novelty.expects_only_new("m-00", 98));
        assert!(!novelty.expects_only_new("m-01", 1), "another partition");
        novelty.learn("m-00", true);
        assert!(novelty.expects_only_new("m-00", 32), "one of a hundred is still worth a guess");
        assert!(!novelty.expects_only_new("m-00", 98));
        for _ in 0..20 {
            novelty.learn("m-00", true);
        }
        assert!(!novelty.expects_only_new("m-00", 32));
        for _ in 0..10_000 {
            novelty.learn("m-00", false);
        }
        assert!(novelty.expects_only_new("m-00", 32), "old times are forgotten");
    }
}
