//! Lookups: the column refers to that table, every hop exists, and the path ends in keys that work.

use std::collections::BTreeSet;

use super::Lint;
use crate::mapping::rule::Plan;
use crate::system::{ColumnKind, TableSchema};

impl Lint<'_> {
    pub(super) fn references(&mut self, path: &str, name: &str, plan: &Plan, table: &TableSchema) {
        let Some((target, keys)) = &plan.shape.lookup else { return };
        let path = format!("{path}/lookup");
        let targets = || table.lookups.iter().filter(|reference| reference.column == name);
        if targets().next().is_some() && !targets().any(|reference| reference.table == *target) {
            let known: Vec<&str> = targets().map(|reference| reference.table.as_str()).collect();
            let message = format!("`{name}` refers to {}, not to {target}", known.join(", "));
            self.problems.unknown(&path, ("lookup-target", target), known, message);
            return;
        }
        let Some(target) = self.table(&path, target) else { return };
        self.keys(&path, keys, target);
    }

    /// Paths of one step must make up a key together; longer ones are followed hop by hop.
    fn keys(&mut self, path: &str, keys: &[Vec<String>], target: &TableSchema) {
        let mut own = Vec::new();
        for hops in keys {
            match hops.as_slice() {
                [] => {}
                [column] => own.push(column.as_str()),
                [column, rest @ ..] => {
                    own.push(column.as_str());
                    self.hop(path, column, rest, target);
                }
            }
        }
        let mut known = true;
        for column in &own {
            if !target.columns.contains_key(*column) {
                known = false;
                self.unknown_column(path, column, target);
            }
        }
        let over_hops = keys.iter().any(|hops| hops.len() > 1);
        if known && !over_hops {
            self.alternate(path, &own, target);
        }
    }

    fn hop(&mut self, path: &str, column: &str, rest: &[String], table: &TableSchema) {
        let is_lookup = table
            .columns
            .get(column)
            .is_some_and(|known| matches!(known.kind, ColumnKind::Lookup | ColumnKind::Owner));
        if table.columns.contains_key(column) && !is_lookup {
            let message = format!("`{column}` of {} is no lookup", table.name);
            return self.problems.error(path, "lookup-path", message);
        }
        let targets = table.lookups.iter().filter(|reference| reference.column == column);
        let system = &self.map.destination.system;
        let known: Vec<&TableSchema> = targets
            .filter_map(|reference| self.schemas.get(&(system.clone(), reference.table.clone())))
            .collect();
        let Some(next) = rest.first() else { return };
        // a lookup with several target tables is right when one of them has the column
        let Some(target) = known.iter().find(|table| table.columns.contains_key(next)) else {
            if let Some(table) = known.first() {
                self.unknown_column(path, next, table);
            }
            return;
        };
        self.keys(path, &[rest.to_vec()], target);
    }
}

/// The tables that a path leads through, as far as they are known.
pub(super) fn tables<'s>(
    table: &str,
    hops: &[String],
    known: impl Fn(&str) -> Option<&'s TableSchema>,
) -> BTreeSet<String> {
    let mut here = BTreeSet::from([table.to_owned()]);
    let mut all = BTreeSet::new();
    let lookups = hops.split_last().map_or(&[][..], |(_, lookups)| lookups);
    for column in lookups {
        let lookups = here.iter().filter_map(|name| known(name)).flat_map(|table| &table.lookups);
        let next = lookups.filter(|reference| reference.column == *column);
        here = next.map(|reference| reference.table.clone()).collect();
        all.extend(here.iter().cloned());
    }
    all
}
