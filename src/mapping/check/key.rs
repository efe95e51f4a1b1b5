//! The key: its columns are an alternate key of the table, and that key's index is built.

use std::collections::BTreeSet;

use super::Lint;
use crate::system::TableSchema;

impl Lint<'_> {
    pub(super) fn key(&mut self, table: &TableSchema) {
        let map = self.map;
        let mut known = true;
        for (column, plan) in &map.key {
            let path = format!("key/{column}");
            if let Some(described) = table.columns.get(&**column) {
                self.fits(&path, column, plan, described);
            } else {
                known = false;
                self.unknown_column(&path, column, table);
            }
        }
        if known {
            let columns: Vec<&str> = map.key.iter().map(|(column, _)| &**column).collect();
            self.alternate("key", &columns, table);
        }
    }

    pub(super) fn unknown_column(&mut self, path: &str, column: &str, table: &TableSchema) {
        let known = table.columns.keys().map(String::as_str);
        let message = format!("{} has no column `{column}`", table.name);
        self.problems.unknown(path, ("column-unknown", column), known, message);
    }

    /// Whether these columns are a key of the table that works.
    pub(super) fn alternate(&mut self, path: &str, columns: &[&str], table: &TableSchema) {
        if columns == [table.id.as_str()] {
            return;
        }
        let wanted: BTreeSet<&str> = columns.iter().copied().collect();
        let same = |key: &&crate::system::AlternateKey| {
            key.columns.iter().map(String::as_str).collect::<BTreeSet<_>>() == wanted
        };
        match table.keys.iter().find(same) {
            Some(key) if key.active => {}
            Some(key) => {
                let message = format!(
                    "the key `{}` of {} is defined but its index is not active; reactivate it",
                    key.name, table.name
                );
                self.problems.error(path, "key-inactive", message);
            }
            None => {
                let keys: Vec<String> =
                    table.keys.iter().map(|key| key.columns.join(" + ")).collect();
                let keys = if keys.is_empty() { "none".to_owned() } else { keys.join("; ") };
                let message = format!(
                    "{} is no alternate key of {}; its keys are: {keys}",
                    columns.join(" + "),
                    table.name
                );
                self.problems.error(path, "key-unknown", message);
            }
        }
    }
}
