//! Which row is meant, whoever says it: the row itself, or another that looks it up.

use std::fmt;

use crate::digest;
use crate::row::{Destination, Key, Lookup, Row};

/// A row of a target, by columns and their values as text, in the order of the columns.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    system: String,
    table: String,
    by: Vec<(String, String)>,
}

impl Name {
    /// The row that this one is.
    pub fn of(row: &Row) -> Self {
        Self::of_key(&row.to, &row.key)
    }

    /// The row of this destination that has this key.
    pub fn of_key(to: &Destination, key: &Key) -> Self {
        let by = key.0.iter().map(|(column, value)| (column.to_string(), value.to_string()));
        Self::new(&to.system, &to.table, by.collect())
    }

    /// The row that a lookup of a row of `system` refers to.
    pub fn of_lookup(system: &str, lookup: &Lookup) -> Self {
        let by = lookup.by.iter().map(|(path, value)| (path.join("."), value.to_string()));
        Self::new(system, &lookup.table, by.collect())
    }

    /// The row of this destination whose key is shown so: values joined by commas, a comma inside a
    /// value as `\,`.
    pub fn of_shown(to: &Destination, shown: &str) -> Self {
        let (mut values, mut escaped) = (vec![String::new()], false);
        for char in shown.chars() {
            match char {
                '\\' if !escaped => {
                    escaped = true;
                    continue;
                }
                ',' if !escaped => values.push(String::new()),
                other => values.last_mut().into_iter().for_each(|value| value.push(other)),
            }
            escaped = false;
        }
        Self::new(&to.system, &to.table, to.key.iter().cloned().zip(values).collect())
    }

    fn new(system: &str, table: &str, mut by: Vec<(String, String)>) -> Self {
        by.sort();
        Self { system: system.to_owned(), table: table.to_owned(), by }
    }

    /// The same name, short and of one length.
    pub fn id(&self) -> String {
        digest::hex(&digest::of([self.to_string().as_bytes()]))
    }
}

/// `sales account(accountnumber=104711)`, the values quoted so that two names never read the same.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}(", self.system, self.table)?;
        for (index, (column, value)) in self.by.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            let value = value.replace('\\', "\\\\").replace(',', "\\,").replace(')', "\\)");
            write!(f, "{comma}{column}={value}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::row::{Missing, Value};

    fn to() -> Destination {
        let key = vec!["company".to_owned(), "number".to_owned()];
        Destination { system: "s".into(), table: "site".into(), key, ..Destination::default() }
    }

    fn key(company: &str, number: Value) -> Key {
        Key(vec![("company".into(), Value::Text(company.into())), ("number".into(), number)])
    }

    #[test]
    fn a_row_and_a_lookup_of_it_have_one_name_whatever_the_order_and_type_of_their_parts() {
        let path = |column: &str| vec![Arc::from(column)];
        let lookup = Lookup {
            table: "site".into(),
            by: vec![
                (path("number"), Value::Text("7".into())),
                (path("company"), Value::Text("U,S\\".into())),
            ],
            missing: Missing::Park,
        };
        let row = Name::of_key(&to(), &key("U,S\\", Value::Integer(7)));
        assert_eq!(row, Name::of_lookup("s", &lookup));
        assert_ne!(row, Name::of_lookup("other", &lookup));
        let shown = key("U,S\\", Value::Integer(7)).to_string();
        assert_eq!(row, Name::of_shown(&to(), &shown));
        assert_eq!(row.id().len(), 32);
    }

    #[test]
    fn names_that_differ_read_differently() {
        let name = |by: &[(&str, &str)]| {
            let by = by.iter().map(|(column, value)| ((*column).into(), (*value).into()));
            Name::new("s", "t", by.collect()).to_string()
        };
        assert_ne!(name(&[("a", "1,b=2")]), name(&[("a", "1"), ("b", "2")]));
    }
}
