//! What makes rows found without looking at all of them: the alternate keys, and who refers to whom.
//! Follows every write of a [`super::session::Session`]; rebuilt when definitions change.

use std::collections::{BTreeMap, HashMap, HashSet};

use indexmap::IndexSet;
use uuid::Uuid;

use crate::emulator::dataverse::model::{
    Cell, Definition, Environment, KeyDefinition, Record, Table,
};

/// The indexes of all tables.
#[derive(Debug, Default)]
pub struct Index {
    /// By table and key name: the row that has these values.
    keys: HashMap<String, HashMap<String, HashMap<String, Uuid>>>,
    /// By row: the rows that refer to it, each with its table.
    links: HashMap<Uuid, IndexSet<(String, Uuid)>>,
}

impl Index {
    /// Indexes everything anew. A key whose values are not unique becomes `Failed`.
    pub fn rebuild(env: &mut Environment) -> Self {
        let mut index = Self::default();
        for table in env.tables.values_mut() {
            fail_ambiguous_keys(table);
            for record in table.rows.values() {
                index.insert(&table.definition, record);
            }
        }
        index
    }

    /// Adds a row.
    pub fn insert(&mut self, definition: &Definition, record: &Record) {
        for key in definition.keys.iter().filter(|key| is_active(key)) {
            if let Some(value) = signature(&key.columns, &record.cells) {
                self.values(definition, key).insert(value, record.id);
            }
        }
        for parent in parents(record) {
            let child = (definition.logical_name.clone(), record.id);
            self.links.entry(parent).or_default().insert(child);
        }
    }

    /// Takes a row away.
    pub fn remove(&mut self, definition: &Definition, record: &Record) {
        for key in definition.keys.iter().filter(|key| is_active(key)) {
            if let Some(value) = signature(&key.columns, &record.cells) {
                self.values(definition, key).remove(&value);
            }
        }
        for parent in parents(record) {
            let child = (definition.logical_name.clone(), record.id);
            if let Some(children) = self.links.get_mut(&parent) {
                children.swap_remove(&child);
                if children.is_empty() {
                    self.links.remove(&parent);
                }
            }
        }
    }

    /// The row with these values of a key's columns.
    pub fn find<'c>(
        &self,
        table: &str,
        key: &KeyDefinition,
        cell: impl Fn(&str) -> Option<&'c Cell>,
    ) -> Option<Uuid> {
        let value = joined(&key.columns, cell)?;
        self.keys.get(table)?.get(&key.schema_name)?.get(&value).copied()
    }

    /// The key, if any, by which another row already has this row's values.
    pub fn taken<'d>(
        &self,
        definition: &'d Definition,
        record: &Record,
    ) -> Option<&'d KeyDefinition> {
        definition.keys.iter().filter(|key| is_active(key)).find(|key| {
            let owner = self.find(&definition.logical_name, key, |name| record.cells.get(name));
            owner.is_some_and(|owner| owner != record.id)
        })
    }

    /// The rows that refer to this one, each with its table.
    pub fn children(&self, parent: Uuid) -> Vec<(String, Uuid)> {
        self.links
            .get(&parent)
            .map(|children| children.iter().cloned().collect())
            .unwrap_or_default()
    }

    fn values(
        &mut self,
        definition: &Definition,
        key: &KeyDefinition,
    ) -> &mut HashMap<String, Uuid> {
        if !self.keys.contains_key(&definition.logical_name) {
            self.keys.insert(definition.logical_name.clone(), HashMap::new());
        }
        let keys = self.keys.entry(definition.logical_name.clone()).or_default();
        keys.entry(key.schema_name.clone()).or_default()
    }
}

fn fail_ambiguous_keys(table: &mut Table) {
    for key in table.definition.keys.iter_mut().filter(|key| is_active(key)) {
        let mut seen = HashSet::new();
        let rows = table.rows.values();
        let mut values = rows.filter_map(|row| signature(&key.columns, &row.cells));
        if !values.all(|value| seen.insert(value)) {
            "Failed".clone_into(&mut key.status);
        }
    }
}

/// Whether a key can be used.
pub fn is_active(key: &KeyDefinition) -> bool {
    key.status == "Active"
}

/// The rows a row refers to. Users, teams and currencies are left out: every row refers to some, and
/// they are never deleted with their children.
fn parents(record: &Record) -> impl Iterator<Item = Uuid> {
    record.cells.values().filter_map(|cell| {
        let Cell::Lookup { table, id } = cell else { return None };
        let common = ["systemuser", "team", "businessunit", "organization", "transactioncurrency"];
        (!common.contains(&table.as_str())).then_some(*id)
    })
}

fn signature(columns: &[String], cells: &BTreeMap<String, Cell>) -> Option<String> {
    joined(columns, |name| cells.get(name))
}

/// The values of a key as one text; nothing when one is null, for such rows are not held unique.
/// Letters compare without case, as in the usual collation.
fn joined<'c>(columns: &[String], cell: impl Fn(&str) -> Option<&'c Cell>) -> Option<String> {
    let mut text = String::new();
    for column in columns {
        match cell(column)? {
            Cell::Text(value) => text.extend(value.chars().flat_map(char::to_lowercase)),
            Cell::Integer(value) => text.push_str(&value.to_string()),
            Cell::Decimal(value) => text.push_str(&value.normalize().to_string()),
            Cell::Time(value) => text.push_str(&value.as_second().to_string()),
            Cell::Date(value) => text.push_str(&value.to_string()),
            Cell::Guid(id) | Cell::Lookup { id, .. } => text.push_str(&id.to_string()),
            Cell::Double(_) | Cell::Boolean(_) | Cell::Choices(_) | Cell::Bytes { .. } => {
                return None;
            }
        }
        text.push('\u{1f}');
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_compare_without_case_and_decimals_without_trailing_zeros() {
        let columns = ["a".to_owned(), "b".to_owned()];
        let row = |text: &str, number: &str| {
            let cells = [
                ("a".to_owned(), Cell::Text(text.to_owned())),
                ("b".to_owned(), Cell::Decimal(number.parse().unwrap())),
            ];
            signature(&columns, &cells.into())
        };
        assert_eq!(row("Ab", "1.50"), row("aB", "1.5"));
        assert_ne!(row("a", "1"), row("a", "2"));
    }

    #[test]
    fn a_key_with_a_null_part_is_not_held_unique() {
        let cells = [("a".to_owned(), Cell::Text("x".to_owned()))].into();
        assert_eq!(signature(&["a".to_owned(), "b".to_owned()], &cells), None);
    }
}
