//! References by business key: a value in, a lookup over one or more hops out.

use std::sync::Arc;

use crate::row::{Lookup, Missing, Value};

/// The key column's path: the last part is the key, those before it are lookup columns.
pub type Path = Vec<Arc<str>>;

/// A table referred to by one key column.
#[derive(Clone, Debug)]
pub struct Reference {
    /// The table.
    pub table: Arc<str>,
    /// The key column's path.
    pub path: Path,
    /// What is done when there is no such row.
    pub missing: Missing,
}

impl Reference {
    /// The reference to the row with this key.
    pub fn to(&self, key: Value) -> Value {
        let by = vec![(self.path.clone(), key)];
        Value::Lookup(Lookup { table: Arc::clone(&self.table), by, missing: self.missing })
    }
}

/// Reads `table.key_column` or `table.lookup_column.key_column`.
pub fn path(text: &str) -> Option<(Arc<str>, Path)> {
    let mut parts = text.split('.').map(str::trim);
    let table = parts.next().filter(|table| !table.is_empty())?;
    let path: Path = parts.map(Arc::from).collect();
    let named = !path.is_empty() && path.iter().all(|part| !part.is_empty());
    named.then(|| (table.into(), path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_names_the_table_and_its_hops() {
        let (table, hops) = path("contact.parentcustomerid.accountnumber").unwrap();
        assert_eq!((&*table, hops.len()), ("contact", 2));
        for wrong in ["", "contact", "contact.", ".x", "a..b"] {
            assert!(path(wrong).is_none(), "{wrong}");
        }
    }
}
