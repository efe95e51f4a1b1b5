//! A thing of the source that left its key, for another one or for good: the rule, as a pure function of
//! an entry.
//!
//! Another thing may have taken the key meanwhile, and its changes may have come first. So the removal
//! asks whose the row is, and where the row is still of the thing that left, it takes the place just
//! behind that thing's last version: whatever another thing says of the key from then on is newer. What
//! the thing itself said of the key before it left is older than its leaving, however late it comes, and
//! the entry remembers that.

use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

use super::decide::{Candidate, Decision, claimed, newest, version};
use super::entry::{Entry, Held, Left, Version};
use crate::order::{Order, Tie};
use crate::outcome::Outcome;
use crate::row::Action;

/// How many things an entry remembers to have left: the latest.
const REMEMBERED: usize = 8;

/// Whether a row is of a thing that left the key afterwards.
pub(super) fn is_left(entry: &Entry, thing: Uuid, order: &Order) -> bool {
    entry.left.iter().any(|left| left.thing == thing && !order.is_newer_than(&left.order))
}

/// Decides about the row of a key that `thing` left.
pub(super) fn leave(
    entry: &Entry,
    candidate: &Candidate<'_>,
    thing: Uuid,
    now: Timestamp,
) -> Decision {
    let Candidate { row, hash, claim, lease, .. } = *candidate;
    let was = is_left(entry, thing, &row.order);
    let nothing = |next: Entry, outcome| {
        if was { Decision::Unchanged } else { Decision::Record(next, outcome) }
    };
    let own = newest(entry, None).filter(|version| is_of(version, thing));
    let Some(own) = own.filter(|_| entry.is_known()) else {
        return nothing(left(entry, thing, &row.order), Outcome::Filtered);
    };
    // It came back to the key afterwards.
    if own.order.is_newer_than(&row.order) {
        return Decision::Superseded;
    }
    let mut next = left(entry, thing, &row.order);
    let order = behind(&own.order, now);
    match &*row.action {
        Action::Hold { .. } if entry.held.is_some() => nothing(next, Outcome::Unchanged),
        Action::Hold { due, then } => {
            let (due, then, correlation) = (*due, *then, row.correlation);
            next.held = Some(Box::new(Held { order, due, then, correlation }));
            Decision::Record(next, Outcome::Held)
        }
        Action::Remove(_) => {
            let version = Version { order, ..version(row, hash) };
            Decision::Claim(claimed(&next, version, claim, lease))
        }
        Action::Upsert(_) => Decision::Superseded,
    }
}

/// Whether a version is a row of this thing, or may be: what was written before things were told apart
/// says nothing of it.
fn is_of(version: &Version, thing: Uuid) -> bool {
    let removed = matches!(version.action.as_deref(), Some(Action::Remove(_)));
    !removed && version.thing.is_none_or(|own| own == thing)
}

fn left(entry: &Entry, thing: Uuid, order: &Order) -> Entry {
    if is_left(entry, thing, order) {
        return entry.clone();
    }
    let mut next = entry.clone();
    next.left.retain(|left| left.thing != thing);
    next.left.push(Left { thing, order: order.clone() });
    let surplus = next.left.len().saturating_sub(REMEMBERED);
    next.left.drain(..surplus);
    next
}

/// The place right behind a version, before anything else that comes.
fn behind(order: &Order, now: Timestamp) -> Order {
    let last = order.tie.enqueued.unwrap_or(Timestamp::MIN);
    let next = last.checked_add(SignedDuration::from_micros(1)).unwrap_or(last).max(now);
    let tie = Tie { enqueued: Some(next), ..Tie::default() };
    Order { tie, ..order.clone() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::change::Correlation;
    use crate::ledger::decide::{Settlement, decide, settle};
    use crate::ledger::entry::Claim;
    use crate::row::{Columns, Destination, Key, Removal, Row, Thing};

    const X: Uuid = Uuid::from_u128(1);
    const Y: Uuid = Uuid::from_u128(2);
    const DELETE: Action = Action::Remove(Removal::Delete);

    fn now() -> Timestamp {
        Timestamp::from_second(1_000).unwrap()
    }

    fn row(thing: Thing, version: u64, action: Action) -> Row {
        let keep = crate::row::Keep::Row;
        Row {
            to: Arc::new(Destination { map: "m".into(), keep, ..Destination::default() }),
            key: Key(Vec::new()),
            action: action.into(),
            order: Order::emitted_at(Timestamp::UNIX_EPOCH).with_version(version),
            correlation: Correlation::default(),
            only_if_known: matches!(thing, Thing::Left(_)),
            thing: Some(thing),
        }
    }

    fn upsert(thing: Uuid, version: u64) -> Row {
        row(Thing::Of(thing), version, Action::Upsert(Columns::default()))
    }

    fn decided(entry: &Entry, row: &Row) -> Decision {
        let (hash, claim) = (row.hash(), Claim(Uuid::from_u128(9)));
        let candidate = Candidate { row, hash, claim, lease: now(), patient: true };
        decide(entry, &candidate, now())
    }

    /// The entry once a row was decided and, if need be, written.
    fn after(entry: &Entry, row: &Row) -> Entry {
        match decided(entry, row) {
            Decision::Claim(next) => {
                let intent = next.intent.clone().unwrap();
                let settled = settle(&next, (intent.claim, &intent.version), &[], None, now());
                let Settlement::Applied(next) = settled else { panic!("{settled:?}") };
                next
            }
            Decision::Record(next, _) => next,
            Decision::Superseded | Decision::Unchanged => entry.clone(),
            other @ (Decision::Mine | Decision::Busy) => panic!("{other:?}"),
        }
    }

    /// Whose row the target holds in the end.
    fn holder(entry: &Entry) -> Option<Uuid> {
        let version = &entry.applied.as_ref()?.version;
        let there = matches!(version.action.as_deref(), Some(Action::Upsert(_)));
        version.thing.filter(|_| there)
    }

    /// X had the key at 5 and 6 and left it by 9; Y had another one and took this at 8.
    #[test]
    fn whatever_order_two_things_changes_of_one_key_come_in_it_is_the_laters() {
        let changes = [
            upsert(X, 5),
            upsert(X, 6),
            row(Thing::Left(X), 9, DELETE),
            upsert(Y, 8),
            upsert(X, 5),
        ];
        let mut orders = 0;
        for code in 0..5_usize.pow(5) {
            let digits: Vec<usize> = (0..5_u32).map(|at| code / 5_usize.pow(at) % 5).collect();
            if !(0..5).all(|one| digits.contains(&one)) {
                continue;
            }
            orders += 1;
            let all =
                digits.iter().fold(Entry::default(), |entry, at| after(&entry, &changes[*at]));
            assert_eq!(holder(&all), Some(Y), "{digits:?}");
        }
        assert_eq!(orders, 120);
    }

    #[test]
    fn a_row_of_a_thing_that_left_is_removed_once_and_its_older_changes_do_not_bring_it_back() {
        let leaving = row(Thing::Left(X), 9, DELETE);
        let gone = after(&after(&Entry::default(), &upsert(X, 5)), &leaving);
        assert_eq!(holder(&gone), None);
        assert_eq!(decided(&gone, &leaving), Decision::Unchanged);
        assert_eq!(decided(&gone, &upsert(X, 8)), Decision::Superseded);
        let back = after(&gone, &upsert(X, 10));
        assert_eq!(holder(&back), Some(X));
        assert_eq!(decided(&back, &leaving), Decision::Superseded);
    }

    #[test]
    fn a_hold_waits_and_ends_when_another_thing_takes_the_key() {
        let then = Removal::Delete;
        let leaving = row(Thing::Left(X), 9, Action::Hold { due: now(), then });
        let held = after(&after(&Entry::default(), &upsert(X, 5)), &leaving);
        assert!(held.held.is_some() && holder(&held) == Some(X));
        assert_eq!(decided(&held, &leaving), Decision::Unchanged);
        let taken = after(&held, &upsert(Y, 8));
        assert!(taken.held.is_none() && holder(&taken) == Some(Y));
    }

    #[test]
    fn a_write_under_way_is_overtaken_by_the_leaving() {
        let Decision::Claim(busy) = decided(&Entry::default(), &upsert(X, 8)) else { panic!() };
        let leaving = row(Thing::Left(X), 9, DELETE);
        let candidate = Candidate {
            row: &leaving,
            hash: leaving.hash(),
            claim: Claim(Uuid::from_u128(7)),
            lease: now(),
            patient: true,
        };
        let Decision::Claim(next) = decide(&busy, &candidate, now()) else { panic!() };
        assert_eq!((next.loose.len(), next.left.len()), (1, 1));
        assert!(next.intent.unwrap().version.is_newer_than(&busy.intent.unwrap().version));
    }
}
