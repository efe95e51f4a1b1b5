//! Rows of one table that refer to each other in one batch: parents first, circles in two passes.
//!
//! In go rows that are to be written; out comes which of them now, the others once those are done. Rows
//! in a circle are written without the lookups that close it first, and then whole, under one claim; a
//! column that is left out is not touched.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Pipeline;
use crate::fault::Act;
use crate::parking::Name;
use crate::row::{Action, Row};
use crate::system::{Answer, Target, Until, Write};

/// Which rows are written next.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Pass {
    /// These rows, by their places.
    pub(super) now: Vec<usize>,
    /// The columns that are left out at first, by place.
    pub(super) without: BTreeMap<usize, Vec<String>>,
}

/// The next pass over these rows of one map.
pub(super) fn next(rows: &[Arc<Row>]) -> Pass {
    let parents = parents(rows);
    let now: Vec<usize> = (0..rows.len()).filter(|place| !parents.contains_key(place)).collect();
    if !now.is_empty() || rows.is_empty() {
        return Pass { now, ..Pass::default() };
    }
    // Everybody has a parent here, so whoever is followed upwards leads into a circle.
    let up = |place: usize| parents.get(&place).and_then(|up| up.first()).map(|(_, at)| *at);
    let mut seen = BTreeSet::new();
    let mut place = 0;
    while seen.insert(place) {
        place = up(place).unwrap_or_default();
    }
    let mut circle = BTreeSet::new();
    while circle.insert(place) {
        place = up(place).unwrap_or_default();
    }
    let closing = |place: &usize| {
        let up = parents.get(place).into_iter().flatten();
        let closing = up.filter(|(_, at)| circle.contains(at));
        (*place, closing.map(|(column, _)| column.clone()).collect::<Vec<_>>())
    };
    let without = circle.iter().map(closing).collect();
    Pass { now: circle.into_iter().collect(), without }
}

/// For each row that refers to rows among these: the columns, and the places of those rows.
fn parents(rows: &[Arc<Row>]) -> BTreeMap<usize, Vec<(String, usize)>> {
    let refers = |row: &Arc<Row>| row.lookups().any(|(_, lookup)| *lookup.table == *row.to.table);
    if !rows.iter().any(refers) {
        return BTreeMap::new();
    }
    let places: BTreeMap<Name, usize> =
        rows.iter().enumerate().map(|(place, row)| (Name::of(row), place)).collect();
    let mut parents = BTreeMap::<usize, Vec<(String, usize)>>::new();
    for (place, row) in rows.iter().enumerate() {
        for (column, lookup) in row.lookups() {
            if let Some(at) = places.get(&Name::of_lookup(&row.to.system, lookup)) {
                parents.entry(place).or_default().push((column.to_string(), *at));
            }
        }
    }
    parents
}

impl Pipeline {
    /// Hands writes to the target; those that are in a circle first without the columns that close it.
    /// Answers for every row, in order, and which of them are there now at least without.
    pub(super) async fn send_in_passes(
        &self,
        target: &dyn Target,
        (writes, without): (Vec<Write>, &[Vec<String>]),
        until: Until,
    ) -> (Vec<Answer>, BTreeSet<usize>) {
        if writes.is_empty() {
            return Default::default();
        }
        let cut = |(write, columns): (&Write, &Vec<String>)| cut(write, columns);
        let places = (0..writes.len()).filter(|at| without.get(*at).is_some_and(|w| !w.is_empty()));
        let places: Vec<usize> = places.collect();
        if places.is_empty() {
            return (self.send(target, writes, until).await, BTreeSet::new());
        }
        let pairs = places.iter().filter_map(|at| Some((writes.get(*at)?, without.get(*at)?)));
        let first: Vec<Write> = pairs.map(cut).collect();
        let answers = self.send(target, first, until).await;
        let mut failed = BTreeMap::new();
        let mut cut = BTreeSet::new();
        for (at, answer) in places.into_iter().zip(answers) {
            match answer {
                Answer::Written { .. } => _ = cut.insert(at),
                Answer::Kept { .. } | Answer::Absent | Answer::Not(_) | Answer::Unknown(_) => {
                    failed.insert(at, answer);
                }
            }
        }
        let whole = writes.into_iter().enumerate().filter(|(at, _)| !failed.contains_key(at));
        let (at, whole): (Vec<usize>, Vec<Write>) = whole.unzip();
        let answers = self.send(target, whole, until).await;
        let mut all: BTreeMap<usize, Answer> = at.into_iter().zip(answers).collect();
        // Half of such a row is there, so nobody may take it for unwritten.
        for at in &cut {
            if let Some(answer) = all.get_mut(at)
                && let Answer::Not(fault) = answer
                && fault.act() != Act::Poison
            {
                *answer = Answer::Unknown(fault.clone());
            }
        }
        all.extend(failed);
        (all.into_values().collect(), cut)
    }
}

fn cut(write: &Write, without: &[String]) -> Write {
    let mut write = write.clone();
    if let Action::Upsert(columns) = Arc::make_mut(&mut Arc::make_mut(&mut write.row).action) {
        columns.values.retain(|(column, _)| !without.iter().any(|name| **name == **column));
    }
    write
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::change::Correlation;
    use crate::order::Order;
    use crate::row::{Columns, Destination, Key, Lookup, Missing, Value};

    fn row(key: &str, parents: &[(&str, &str)]) -> Arc<Row> {
        let to = Destination { system: "s".into(), table: "t".into(), ..Destination::default() };
        let lookup = |(column, key): &(&str, &str)| {
            let by = vec![(vec!["k".into()], Value::Text((*key).into()))];
            let lookup = Lookup { table: "t".into(), by, missing: Missing::Park };
            (Arc::from(*column), Value::Lookup(lookup))
        };
        let values = parents.iter().map(lookup).collect();
        Arc::new(Row {
            to: Arc::new(to),
            key: Key(vec![("k".into(), Value::Text(key.into()))]),
            action: Action::Upsert(Columns { values, ..Columns::default() }).into(),
            order: Order::emitted_at(Timestamp::UNIX_EPOCH),
            correlation: Correlation::default(),
            only_if_known: false,
            thing: None,
        })
    }

    #[test]
    fn parents_go_first_and_children_once_those_are_done() {
        let rows =
            [row("c", &[("up", "b")]), row("a", &[("up", "elsewhere")]), row("b", &[("up", "a")])];
        assert_eq!(next(&rows), Pass { now: vec![1], without: BTreeMap::new() });
        let rest = [Arc::clone(&rows[0]), Arc::clone(&rows[2])];
        assert_eq!(next(&rest).now, [1]);
    }

    #[test]
    fn a_circle_is_cut_at_the_lookups_that_close_it_and_at_no_other() {
        let rows = [
            row("tail", &[("up", "a")]),
            row("a", &[("other", "elsewhere"), ("up", "b")]),
            row("b", &[("up", "a"), ("twin", "b")]),
        ];
        let pass = next(&rows);
        assert_eq!(pass.now, [1, 2]);
        let up = vec!["up".to_owned()];
        let both = vec!["up".to_owned(), "twin".to_owned()];
        assert_eq!(pass.without, BTreeMap::from([(1, up), (2, both)]));
    }

    #[test]
    fn a_row_that_refers_to_itself_is_a_circle_of_one() {
        let pass = next(&[row("a", &[("up", "a")])]);
        assert_eq!(pass.without, BTreeMap::from([(0, vec!["up".to_owned()])]));
    }
}
