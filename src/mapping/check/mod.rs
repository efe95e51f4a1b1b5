//! Lints of maps against the tables they write, as a live target or a saved copy describes them.
//!
//! In come compiled maps and table descriptions, out comes everything that would fail or surprise at
//! run time, each with its place in the file. Nothing is asked and nothing is changed.

mod column;
mod decision;
mod key;
mod lookup;
mod overlap;
mod owner;
mod state;

use std::collections::{BTreeMap, BTreeSet};

use super::map::Map;
use super::problem::{Problem, Problems};
use super::{Maps, removal};
use crate::row::{Gone, Keep};
use crate::system::TableSchema;

/// The known tables, by system and logical name.
pub type Schemas = BTreeMap<(String, String), TableSchema>;

/// Every problem of these maps with these tables, by file and line. Warnings of loading are included.
pub fn check(maps: &Maps, schemas: &Schemas) -> Vec<Problem> {
    let mut found = maps.warnings.clone();
    for map in maps.iter() {
        let mut lint = Lint { map, schemas, problems: Problems::new(map.places.clone()) };
        lint.all();
        found.extend(lint.problems.into_vec());
    }
    found.extend(overlap::columns(maps));
    found.sort();
    found.dedup();
    found
}

/// The tables that checking these maps needs a description of and has none: those they write, and those
/// their lookups lead to. Describe them and ask again until nothing new is named, for a path over
/// several hops can be followed only as far as tables are known.
pub fn wanted(maps: &Maps, schemas: &Schemas) -> BTreeSet<(String, String)> {
    let mut tables = BTreeSet::new();
    for map in maps.iter() {
        let system = &map.destination.system;
        tables.insert((system.clone(), map.destination.table.clone()));
        for plan in map.plans() {
            plan.visit(&mut |plan| {
                if let Some((table, paths)) = &plan.shape.lookup {
                    let along = paths.iter().flat_map(|hops| {
                        lookup::tables(table, hops, |name| {
                            schemas.get(&(system.clone(), name.into()))
                        })
                    });
                    let named = std::iter::once(table.clone()).chain(along);
                    tables.extend(named.map(|table| (system.clone(), table)));
                }
            });
        }
    }
    tables.retain(|table| !schemas.contains_key(table));
    tables
}

/// One map under inspection.
struct Lint<'l> {
    map: &'l Map,
    schemas: &'l Schemas,
    problems: Problems,
}

impl<'l> Lint<'l> {
    fn all(&mut self) {
        self.decisions();
        self.policies();
        if let Some(table) = self.own_table() {
            if !table.bulk {
                let message = format!(
                    "{} has no UpsertMultiple, so its rows are written one by one in batches",
                    table.name
                );
                self.problems.warning("to/table", "no-bulk", message);
            }
            self.key(table);
            self.columns(table);
            self.states(table);
            self.hand_off(table);
            self.owner(table);
        }
    }

    fn own_table(&mut self) -> Option<&'l TableSchema> {
        let to = &self.map.destination;
        if !self.schemas.keys().any(|(system, _)| *system == to.system) {
            let message =
                format!("no description of {} is at hand, so columns were not checked", to.system);
            self.problems.warning("to/system", "schema-missing", message);
            return None;
        }
        self.table("to/table", &to.table.clone())
    }

    /// A table of the map's target; complains when there is none of this name.
    fn table(&mut self, path: &str, name: &str) -> Option<&'l TableSchema> {
        let system = &self.map.destination.system;
        let schemas = self.schemas;
        let found = schemas.get(&(system.clone(), name.to_owned()));
        if found.is_none() {
            let known =
                schemas.keys().filter(|(of, _)| of == system).map(|(_, name)| name.as_str());
            let message = format!("{system} has no table `{name}`");
            self.problems.unknown(path, ("table-unknown", name), known, message);
        }
        found
    }

    fn policies(&mut self) {
        if !self.map.removal_stated {
            let message = "`[removed]` is missing: removed rows are held for 24 hours and then \
                           deactivated; write down that this is meant";
            self.problems.warning("map", "removal-unstated", message);
        }
        if self.map.destination.keep == Keep::Hash {
            let message = "with keep = \"hash\" the ledger cannot assert a row again after a race (it \
                           heals with the next change), and reconcile and explain cannot show it";
            self.problems.warning("ledger/keep", "keep-hash", message);
        }
        if self.map.destination.gone == Gone::Drop {
            let message = "with target = \"drop\" a column that the target loses is no longer written, \
                           which the log says once for each process; watch for `column_gone`";
            self.problems.warning("drift/target", "drift-drop", message);
        }
        if self.map.reads.as_ref().is_some_and(|reads| reads.any) {
            let message = "an `expr` of this map may read any property, so none is told as unread";
            self.problems.warning("drift/source", "drift-expr", message);
        }
        let deletes = |policy: removal::Policy| {
            matches!(policy, removal::Policy::Now(crate::row::Removal::Delete))
        };
        if self.map.filter.as_ref().is_some_and(|filter| deletes(filter.leaves)) {
            let message =
                "rows that leave the filter are deleted at once; \"hold\" gives them time";
            self.problems.warning("filter/leaves", "leaves-delete", message);
        }
    }
}

#[cfg(test)]
mod tests;
