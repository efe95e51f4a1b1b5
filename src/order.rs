//! Which of two changes of one row is newer.
//!
//! An [`Order`] has two clocks, because a CluedIn Event Hub message has no version at all while lake
//! files and Dataverse rows have one: `version` when the source has one, and `emitted`, when the
//! source sent it. Versions are compared only when both sides have one. Equal versions (a resend) and
//! mixed pairs meet on the emit time; what is still equal is decided by where it stood in the stream,
//! so that every replay decides alike.

use std::cmp::Ordering;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The place of one change among the changes of its row.
///
/// Not `Ord`: with a version on one side only, the relation is not transitive. Use [`Order::compare`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Order {
    /// The source's own version (`PersistVersion`, `versionnumber`, an event's `version`).
    #[serde(rename = "v", default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u64>,
    /// When the source sent it.
    #[serde(rename = "at")]
    pub emitted: Timestamp,
    /// Decides between two changes that are otherwise equal.
    #[serde(rename = "in", default, skip_serializing_if = "Tie::is_empty")]
    pub tie: Tie,
}

/// Where a change stood in its stream: compared in the order of the fields.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Tie {
    /// When the broker took it.
    #[serde(rename = "q", default, skip_serializing_if = "Option::is_none")]
    pub enqueued: Option<Timestamp>,
    /// The partition it went through.
    #[serde(rename = "p", default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Arc<str>>,
    /// Its number in that partition; within one message, its index breaks the tie.
    #[serde(rename = "n", default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<(i64, u32)>,
}

impl Tie {
    /// Whether nothing is known of it.
    pub fn is_empty(&self) -> bool {
        self.enqueued.is_none() && self.partition.is_none() && self.sequence.is_none()
    }
}

impl Order {
    /// An order without a version or a place in a stream.
    pub fn emitted_at(emitted: Timestamp) -> Self {
        Self { version: None, emitted, tie: Tie::default() }
    }

    /// The same with a version.
    #[must_use]
    pub fn with_version(mut self, version: u64) -> Self {
        self.version = Some(version);
        self
    }

    /// Compares by version when both have one, then by emit time, then by place in the stream.
    pub fn compare(&self, other: &Self) -> Ordering {
        let versions = match (self.version, other.version) {
            (Some(mine), Some(theirs)) => mine.cmp(&theirs),
            (Some(_) | None, None) | (None, Some(_)) => Ordering::Equal,
        };
        versions
            .then_with(|| self.emitted.cmp(&other.emitted))
            .then_with(|| self.tie.cmp(&other.tie))
    }

    /// Whether this is strictly newer than `other`.
    pub fn is_newer_than(&self, other: &Self) -> bool {
        self.compare(other) == Ordering::Greater
    }

    /// What a ledger entry remembers once `self` was applied over `earlier`: the higher of each clock,
    /// so that neither ever runs backwards.
    #[must_use]
    pub fn over(mut self, earlier: &Self) -> Self {
        self.version = self.version.max(earlier.version);
        if earlier.emitted > self.emitted {
            self.emitted = earlier.emitted;
            self.tie = earlier.tie.clone();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn any_order() -> impl Strategy<Value = Order> {
        let tie = (
            prop::option::of(0..3_i64),
            prop::option::of("[ab]"),
            prop::option::of((0..3_i64, 0..3_u32)),
        );
        (prop::option::of(0..4_u64), 0..4_i64, tie).prop_map(
            |(version, second, (enqueued, partition, sequence))| {
                let enqueued = enqueued.map(|second| Timestamp::from_second(second).unwrap());
                let partition = partition.map(Arc::from);
                Order { version, tie: Tie { enqueued, partition, sequence }, ..at(second) }
            },
        )
    }

    proptest! {
        #[test]
        fn of_two_orders_one_is_newer_unless_they_are_equally_new(a in any_order(), b in any_order()) {
            prop_assert_eq!(a.compare(&b), b.compare(&a).reverse());
            prop_assert_eq!(a.compare(&a), Ordering::Equal);
        }

        #[test]
        fn among_orders_that_all_have_a_version_or_all_have_none_newer_is_transitive(
            orders in prop::collection::vec(any_order(), 3),
            versioned in any::<bool>(),
        ) {
            let alike = |order: &Order| {
                let version = order.version.unwrap_or_default();
                Order { version: versioned.then_some(version), ..order.clone() }
            };
            let [a, b, c] = [0, 1, 2].map(|index| alike(&orders[index]));
            if a.is_newer_than(&b) && b.is_newer_than(&c) {
                prop_assert!(a.is_newer_than(&c));
            }
        }

        #[test]
        fn what_was_applied_is_never_newer_again(a in any_order(), b in any_order()) {
            let joined = a.clone().over(&b);
            prop_assert!(!a.is_newer_than(&joined), "{:?} over {:?}", a, b);
            prop_assert!(joined.version >= a.version.max(b.version) && joined.emitted >= b.emitted);
        }

        #[test]
        fn an_order_comes_back_from_the_ledger_as_it_was(a in any_order()) {
            let text = serde_json::to_string(&a).unwrap();
            prop_assert_eq!(serde_json::from_str::<Order>(&text).unwrap(), a);
        }
    }

    fn at(second: i64) -> Order {
        Order::emitted_at(Timestamp::from_second(second).unwrap())
    }

    #[test]
    fn versions_win_over_emit_times_when_both_have_one() {
        assert!(at(1).with_version(2).is_newer_than(&at(9).with_version(1)));
    }

    #[test]
    fn without_a_version_on_both_sides_the_emit_time_decides() {
        assert!(at(9).is_newer_than(&at(1).with_version(7)));
        assert!(!at(1).is_newer_than(&at(1)));
    }

    #[test]
    fn the_place_in_the_stream_breaks_a_tie() {
        let mut later = at(1);
        later.tie.sequence = Some((4, 0));
        assert!(later.is_newer_than(&at(1)));
    }

    #[test]
    fn neither_clock_runs_backwards() {
        let joined = at(3).over(&at(1).with_version(4));
        assert_eq!((joined.version, joined.emitted), (Some(4), at(3).emitted));
    }
}
