//! States: each pair of `[state]` and `[removed]` is one that the table has.

use super::Lint;
use crate::mapping::removal::Policy;
use crate::row::State;
use crate::system::{ColumnKind, TableSchema};

impl Lint<'_> {
    pub(super) fn states(&mut self, table: &TableSchema) {
        let map = self.map;
        let mut pairs =
            map.state.as_ref().map(super::super::state::StatePlan::pairs).unwrap_or_default();
        pairs.extend(map.removed.state().map(|state| ("removed".to_owned(), state)));
        let leaves = map.filter.as_ref().map_or(Policy::Ignore, |filter| filter.leaves);
        pairs.extend(leaves.state().map(|state| ("filter/leaves".to_owned(), state)));
        for (path, pair) in pairs {
            if let Some(wrong) = wrong(pair, table) {
                self.problems.error(&path, "state-invalid", wrong);
            }
        }
    }
}

impl Lint<'_> {
    /// The column that is written instead of state and status takes what is written.
    pub(super) fn hand_off(&mut self, table: &TableSchema) {
        let map = self.map;
        let Some(hand_off) = &map.destination.hand_off else { return };
        let path = "state/hand_off";
        let Some(column) = table.columns.get(&hand_off.column) else {
            return self.unknown_column(path, &hand_off.column, table);
        };
        if !matches!(column.kind, ColumnKind::Choice | ColumnKind::Integer) {
            let message = format!("`{}` is neither a choice nor a whole number", hand_off.column);
            return self.problems.error(path, "wrong-column-type", message);
        }
        let pairs = map.state.as_ref().map(super::super::state::StatePlan::pairs);
        let pairs = pairs.into_iter().flatten().map(|(_, pair)| pair).chain(map.removed.state());
        let values: std::collections::BTreeSet<i32> =
            pairs.filter_map(|pair| hand_off.value(pair)).collect();
        let has = |value: &i32| column.choices.iter().any(|choice| choice.value == *value);
        for value in values.iter().filter(|value| !column.choices.is_empty() && !has(value)) {
            let message = format!("`{}` has no choice {value}", hand_off.column);
            self.problems.error(path, "choice-unknown", message);
        }
    }
}

/// Why a table does not have this pair.
fn wrong(pair: State, table: &TableSchema) -> Option<String> {
    let of = |kind| table.columns.values().find(move |column| column.kind == kind);
    let Some(states) = of(ColumnKind::State) else {
        return Some(format!("{} has no state", table.name));
    };
    if !states.choices.iter().any(|choice| choice.value == pair.state) {
        let known: Vec<String> = states
            .choices
            .iter()
            .map(|choice| format!("{} = {}", choice.label, choice.value))
            .collect();
        return Some(format!(
            "{} has no state {}; it has {}",
            table.name,
            pair.state,
            known.join(", ")
        ));
    }
    let status = pair.status?;
    let statuses = &of(ColumnKind::Status)?.choices;
    let belongs = statuses.iter().any(|choice| {
        choice.value == status && choice.state.is_none_or(|state| state == pair.state)
    });
    if belongs {
        return None;
    }
    let known: Vec<String> = statuses
        .iter()
        .filter(|choice| choice.state == Some(pair.state))
        .map(|choice| format!("{} = {}", choice.label, choice.value))
        .collect();
    let (name, state) = (&table.name, pair.state);
    Some(format!(
        "status {status} of {name} does not belong to state {state}; it has {}",
        known.join(", ")
    ))
}
