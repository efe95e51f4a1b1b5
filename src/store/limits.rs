//! What a table takes, checked before anything is sent, so that both implementations refuse the same
//! things in the same way (Table service REST API, "Understanding the Table service data model" and
//! "Performing entity group transactions").

use std::collections::HashSet;

use super::{Entity, Error, Operation, Property};

/// The most operations one transaction holds.
pub const MAX_OPERATIONS: usize = 100;
/// The most that the operations of one transaction may [`weigh`](weight) together, in bytes.
pub const MAX_TRANSACTION: usize = 4 * 1024 * 1024;

const MAX_KEY: usize = 512;
const MAX_TEXT: usize = 32_000;
const MAX_BYTES: usize = 64 * 1024;
const MAX_ENTITY: usize = 1024 * 1024;
const MAX_PROPERTIES: usize = 250;
const MAX_NAME: usize = 255;

/// An upper bound, in bytes, of what an operation adds to a transaction's request: whoever cuts work
/// into transactions keeps the sum at or below [`MAX_TRANSACTION`].
pub fn weight(partition: &str, operation: &Operation) -> usize {
    // Keys stand in the address (three bytes for each, quotes doubled) and in the body.
    let keys = 12 * (partition.len() + operation.row().len());
    let values = match operation {
        Operation::Insert(entity) | Operation::Replace(entity, _) | Operation::Put(entity) => {
            entity.properties.iter().map(|(name, value)| 2 * name.len() + 40 + json(value)).sum()
        }
        Operation::Delete(..) | Operation::Discard(_) => 0,
    };
    800 + keys + values
}

/// The length of a value in JSON.
fn json(value: &Property) -> usize {
    match value {
        Property::Text(text) => {
            let escaped = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f);
            text.len() + 5 * text.bytes().filter(|byte| escaped(byte)).count()
        }
        Property::Integer(_) => 20,
        Property::Bytes(bytes) => bytes.len().div_ceil(3) * 4,
    }
}

impl Operation {
    /// The row it is about.
    pub fn row(&self) -> &str {
        match self {
            Self::Insert(entity) | Self::Replace(entity, _) | Self::Put(entity) => &entity.row,
            Self::Delete(row, _) | Self::Discard(row) => row,
        }
    }
}

/// Refuses a transaction that no store would take.
pub(super) fn check(partition: &str, operations: &[Operation]) -> Result<(), Error> {
    if operations.is_empty() || operations.len() > MAX_OPERATIONS {
        let reason = format!("a transaction holds 1 to 100 operations, not {}", operations.len());
        return Err(Error::Invalid { reason });
    }
    check_key("partition", partition)?;
    let mut rows = HashSet::new();
    for (index, operation) in operations.iter().enumerate() {
        check_key("row", operation.row())?;
        if !rows.insert(operation.row()) {
            let reason = format!("operation {index} is about the same row as an earlier one");
            return Err(Error::Invalid { reason });
        }
        match operation {
            Operation::Insert(entity) | Operation::Replace(entity, _) | Operation::Put(entity) => {
                check_entity(index, partition, entity)?;
            }
            Operation::Delete(..) | Operation::Discard(_) => {}
        }
    }
    let weight: usize = operations.iter().map(|operation| weight(partition, operation)).sum();
    if weight > MAX_TRANSACTION { Err(Error::TooLarge { index: None }) } else { Ok(()) }
}

/// Refuses keys that the Table service cannot hold.
pub(super) fn check_key(which: &str, key: &str) -> Result<(), Error> {
    let forbidden = |c: char| c.is_control() || matches!(c, '/' | '\\' | '#' | '?');
    let fault = if key.encode_utf16().count() > MAX_KEY {
        "is longer than 512 UTF-16 units"
    } else if key.contains(forbidden) {
        "has a control character or one of / \\ # ?"
    } else {
        return Ok(());
    };
    Err(Error::Invalid { reason: format!("a {which} key {fault}") })
}

fn check_entity(index: usize, partition: &str, entity: &Entity) -> Result<(), Error> {
    let too_large = Error::TooLarge { index: Some(index) };
    if entity.properties.len() > MAX_PROPERTIES {
        return Err(too_large);
    }
    let mut size = 4 + 2 * (partition.len() + entity.row.len());
    for (name, value) in &entity.properties {
        if !is_property_name(name) {
            let reason = format!("operation {index} has a property whose name cannot be stored");
            return Err(Error::Invalid { reason });
        }
        let (length, fits) = match value {
            Property::Text(text) => {
                let units = text.encode_utf16().count();
                (2 * units + 4, units <= MAX_TEXT)
            }
            Property::Integer(_) => (8, true),
            Property::Bytes(bytes) => (bytes.len() + 4, bytes.len() <= MAX_BYTES),
        };
        if !fits {
            return Err(too_large);
        }
        size += 8 + 2 * name.len() + length;
    }
    if size > MAX_ENTITY { Err(too_large) } else { Ok(()) }
}

fn is_property_name(name: &str) -> bool {
    let starts = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    starts
        && name.len() <= MAX_NAME
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
        && !matches!(name, "PartitionKey" | "RowKey" | "Timestamp")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;

    use super::*;

    fn put(row: &str, name: &str, value: Property) -> Operation {
        let properties = BTreeMap::from([(name.to_owned(), value)]);
        Operation::Put(Entity { row: row.to_owned(), properties })
    }

    fn invalid(operations: &[Operation]) -> bool {
        matches!(check("p", operations), Err(Error::Invalid { .. }))
    }

    #[test]
    fn keys_that_azure_cannot_hold_are_refused() {
        for key in ["a/b", "a\\b", "a#b", "a?b", "a\tb", "a\u{85}b", &"x".repeat(513)] {
            assert!(check_key("row", key).is_err(), "{key}");
        }
        for key in ["", "o'brien", "50%", "a b", "é✓", &"\u{10000}".repeat(256)] {
            assert!(check_key("row", key).is_ok(), "{key}");
        }
    }

    #[test]
    fn a_transaction_has_1_to_100_different_rows() {
        let rows =
            |n: usize| -> Vec<_> { (0..n).map(|i| Operation::Discard(i.to_string())).collect() };
        assert!(invalid(&[]) && invalid(&rows(101)) && check("p", &rows(100)).is_ok());
        let twice = [Operation::Discard("a".into()), put("a", "x", Property::Integer(1))];
        assert!(invalid(&twice));
    }

    #[test]
    fn property_names_are_identifiers() {
        for name in ["", "1a", "a-b", "a.b", "RowKey", "Timestamp", "é"] {
            assert!(invalid(&[put("r", name, Property::Integer(1))]), "{name}");
        }
    }

    #[test]
    fn the_row_that_is_too_large_is_named() {
        let fine = put("a", "x", Property::Text("é".repeat(32_000)));
        let large = put("b", "x", Property::Text("é".repeat(32_001)));
        assert!(matches!(check("p", &[fine, large]), Err(Error::TooLarge { index: Some(1) })));
        let bytes = Bytes::from(vec![0; 64 * 1024]);
        let seventeen = (0..17).map(|i| (format!("x{i}"), Property::Bytes(bytes.clone())));
        let entity = Entity { row: "r".into(), properties: seventeen.collect() };
        let error = check("p", &[Operation::Put(entity)]);
        assert!(matches!(error, Err(Error::TooLarge { index: Some(0) })));
    }

    #[test]
    fn a_transaction_holds_four_mebibytes() {
        let bytes = Bytes::from(vec![0; 60 * 1024]);
        let many: Vec<_> =
            (0..60).map(|i| put(&i.to_string(), "x", Property::Bytes(bytes.clone()))).collect();
        assert!(matches!(check("p", &many), Err(Error::TooLarge { index: None })));
        assert!(check("p", &many[..50]).is_ok());
    }
}
