//! Which partitions are large.
//!
//! The service answers a filter that joins row keys with `or` by reading the whole partition (Microsoft
//! Learn, "Design for querying"): one cheap request while the partition is small, a slow one when it is
//! large. So a partition whose filters come back in pieces, or slowly twice in a row, is from then on
//! read row by row, which costs more requests and never grows slower. Once is not enough, because a first
//! request also pays for its connection.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

const SLOW: Duration = Duration::from_millis(500);
/// Above this many remembered partitions everything is forgotten: it is learnt again in two requests.
const MOST: usize = 4_096;

/// What is known about partitions of one table.
#[derive(Debug, Default)]
pub(super) struct Partitions(Mutex<BTreeMap<String, Seen>>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    SlowOnce,
    Large,
}

impl Partitions {
    /// Whether to read row by row.
    pub(super) fn is_large(&self, partition: &str) -> bool {
        self.with(|seen| seen.get(partition) == Some(&Seen::Large))
    }

    /// Learns from one round of filters: the longest one took `elapsed`, and one was cut short or none.
    pub(super) fn learn(&self, partition: &str, elapsed: Duration, cut_short: bool) {
        self.with(|seen| {
            let before = seen.get(partition).copied();
            let now = match (before, cut_short, elapsed > SLOW) {
                (Some(Seen::Large), ..) | (_, true, _) | (Some(Seen::SlowOnce), _, true) => {
                    Some(Seen::Large)
                }
                (None, false, true) => Some(Seen::SlowOnce),
                (_, false, false) => None,
            };
            if seen.len() >= MOST && before.is_none() && now.is_some() {
                seen.clear();
            }
            match now {
                Some(now) => seen.insert(partition.to_owned(), now),
                None => seen.remove(partition),
            };
        });
    }

    fn with<T>(&self, act: impl FnOnce(&mut BTreeMap<String, Seen>) -> T) -> T {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(20);
    const LONG: Duration = Duration::from_millis(900);

    #[test]
    fn a_partition_that_is_slow_twice_in_a_row_is_large() {
        let partitions = Partitions::default();
        for elapsed in [LONG, QUICK, LONG] {
            partitions.learn("p", elapsed, false);
            assert!(!partitions.is_large("p"));
        }
        partitions.learn("p", LONG, false);
        assert!(partitions.is_large("p") && !partitions.is_large("q"));
        partitions.learn("p", QUICK, false);
        assert!(partitions.is_large("p"), "and stays so");
    }

    #[test]
    fn an_answer_in_pieces_is_enough() {
        let partitions = Partitions::default();
        partitions.learn("p", QUICK, true);
        assert!(partitions.is_large("p"));
    }

    #[test]
    fn memory_is_bounded() {
        let partitions = Partitions::default();
        for i in 0..3 * MOST {
            partitions.learn(&i.to_string(), QUICK, true);
        }
        assert!(partitions.with(|seen| seen.len()) <= MOST);
    }
}
