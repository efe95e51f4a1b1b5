//! The newest row per key: what a batch says about one row is written once.
//!
//! The older rows of a key are kept beneath the newest, because they count again should it be refused.

use std::sync::Arc;

use crate::row::Row;

/// A row and the index of the event that it came from.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    /// The row.
    pub row: Arc<Row>,
    /// The event's index.
    pub event: usize,
}

/// All that one batch says about one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    /// The newest.
    pub newest: Mapped,
    /// The rest, newest first.
    pub older: Vec<Mapped>,
}

impl Stack {
    /// What is left when the newest is taken away.
    pub fn next(self) -> Option<Self> {
        let mut older = self.older.into_iter();
        Some(Self { newest: older.next()?, older: older.collect() })
    }
}

/// Groups rows by map and key, newest first, whatever order they are handed over in. Rows that are
/// equally new by every clock keep their order of arrival, the later one on top.
pub fn coalesce(rows: Vec<Mapped>) -> Vec<Stack> {
    let mut named: Vec<(String, Mapped)> =
        rows.into_iter().map(|mapped| (mapped.row.key.shown(), mapped)).collect();
    // Stable, so that rows of one key keep their order of arrival.
    named.sort_by(|(key, one), (other_key, other)| {
        one.row.to.map.cmp(&other.row.to.map).then_with(|| key.cmp(other_key))
    });
    let mut stacks = Vec::with_capacity(named.len());
    let mut named = named.into_iter().peekable();
    while let Some((key, first)) = named.next() {
        let map = Arc::clone(&first.row.to);
        let is_same = |(other, row): &(String, Mapped)| *other == key && row.row.to.map == map.map;
        let mut rows = vec![first];
        while let Some((_, row)) = named.next_if(is_same) {
            rows.push(row);
        }
        stacks.extend(stacked(rows));
    }
    stacks
}

/// Orders one key's rows by insertion: the relation is not transitive where only some rows have a
/// version, and a sort would be free to answer anything. They are inserted in one fixed order, so that
/// even a circle is always cut at the same place; a row newer than all others is on top in any case.
fn stacked(mut rows: Vec<Mapped>) -> Option<Stack> {
    let fixed = |mapped: &Mapped| {
        let order = &mapped.row.order;
        (order.emitted, order.tie.clone(), order.version, mapped.event)
    };
    if rows.len() > 1 {
        rows.sort_by_key(fixed);
    }
    let mut sorted: Vec<Mapped> = Vec::with_capacity(rows.len());
    for mapped in rows {
        let older = |other: &Mapped| !other.row.order.is_newer_than(&mapped.row.order);
        let place = sorted.iter().position(older).unwrap_or(sorted.len());
        sorted.insert(place, mapped);
    }
    let mut sorted = sorted.into_iter();
    Some(Stack { newest: sorted.next()?, older: sorted.collect() })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::change::Correlation;
    use crate::order::Order;
    use crate::row::{Action, Columns, Key, Value};

    fn mapped(key: u8, second: i64, event: usize) -> Mapped {
        let row = Row {
            to: Arc::default(),
            key: Key(vec![("k".into(), Value::Integer(key.into()))]),
            action: Action::Upsert(Columns::default()).into(),
            order: Order::emitted_at(Timestamp::from_second(second).unwrap()),
            correlation: Correlation::default(),
            only_if_known: false,
            thing: None,
        };
        Mapped { row: Arc::new(row), event }
    }

    /// Key, second and version.
    type Said = (u8, i64, Option<u64>);

    fn with_version(key: u8, second: i64, version: Option<u64>, event: usize) -> Mapped {
        let mapped = mapped(key, second, event);
        let mut row = Row::clone(&mapped.row);
        row.order.version = version;
        Mapped { row: Arc::new(row), event }
    }

    proptest! {
        #[test]
        fn stacks_do_not_depend_on_the_order_in_which_rows_are_handed_over(
            rows in prop::collection::vec((0..3_u8, 0..6_i64, prop::option::of(0..4_u64)), 0..40)
                .prop_flat_map(|rows| {
                    let numbered: Vec<_> = rows.into_iter().enumerate().collect();
                    (Just(numbered.clone()), Just(numbered).prop_shuffle())
                })
        ) {
            let made = |rows: Vec<(usize, Said)>| {
                let row = |(event, (key, at, version))| with_version(key, at, version, event);
                coalesce(rows.into_iter().map(row).collect())
            };
            prop_assert_eq!(made(rows.0), made(rows.1));
        }

        #[test]
        fn a_row_newer_than_all_others_is_on_top(
            rows in prop::collection::vec((0..8_i64, prop::option::of(0..4_u64)), 1..30)
        ) {
            let rows: Vec<Mapped> = rows
                .iter()
                .enumerate()
                .map(|(event, (at, version))| with_version(0, *at, *version, event))
                .collect();
            let beats_all = rows.iter().find(|one| {
                let others = rows.iter().filter(|other| other.event != one.event);
                others.clone().all(|other| one.row.order.is_newer_than(&other.row.order))
            });
            if let Some(newest) = beats_all {
                prop_assert_eq!(&coalesce(rows.clone())[0].newest, newest);
            }
        }

        #[test]
        fn every_row_is_in_one_stack_and_the_newest_is_on_top(
            rows in prop::collection::vec((0..5_u8, 0..20_i64), 0..60)
        ) {
            let rows: Vec<Mapped> =
                rows.iter().enumerate().map(|(event, (key, at))| mapped(*key, *at, event)).collect();
            let stacks = coalesce(rows.clone());
            let sum: usize = stacks.iter().map(|stack| 1 + stack.older.len()).sum();
            prop_assert_eq!(sum, rows.len());
            for stack in stacks {
                let all: Vec<_> = std::iter::once(&stack.newest).chain(&stack.older).collect();
                for pair in all.windows(2) {
                    prop_assert!(!pair[1].row.order.is_newer_than(&pair[0].row.order));
                    prop_assert_eq!(&pair[0].row.key, &pair[1].row.key);
                }
            }
        }
    }
}
