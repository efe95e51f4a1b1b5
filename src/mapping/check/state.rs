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
