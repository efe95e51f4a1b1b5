//! What a table takes, checked before anything is sent, so that both implementations refuse the same
//! things in the same way (Table service REST API, "Understanding the Table service data model" and
//! "Performing entity group transactions").

use std::collections::HashSet;

use super::{Entity, Error, Operation, Property};

/// The most operations one transaction holds.
pub const MAX_OPERATIONS: usize = 100;
/// The most that the operations of one transaction may [`weigh`](weight) together, in bytes.
pub const MAX_TRANSACTION: usize = 4 * 1024 * 1024;

/// A hundred rows of such texts fit in a transaction whatever they hold.
const SHORT: usize = 3_000;
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
    let values = operation.entity().into_iter().flat_map(|entity| &entity.properties);
    let values = values.map(|(name, value)| 2 * name.len() + 40 + json(value));
    800 + keys + values.sum::<usize>()
}

/// The length of a value in JSON, or a little more. What is short is taken at its worst, all escapes.
fn json(value: &Property) -> usize {
    match value {
        Property::Text(text) if text.len() <= SHORT => 6 * text.len(),
        Property::Text(text) => {
            let escaped = |byte: &u8| *byte < 0x20 || matches!(byte, b'"' | b'\\' | 0x7f);
            let line_ends = text.matches(['\u{2028}', '\u{2029}']).count();
            text.len() + 5 * text.bytes().filter(|byte| escaped(byte)).count() + 3 * line_ends
        }
        Property::Integer(_) => 20,
        Property::Bytes(bytes) => bytes.len().div_ceil(3) * 4,
    }
}

impl Operation {
    /// What it writes, if anything.
    pub fn entity(&self) -> Option<&Entity> {
        match self {
            Self::Insert(entity)
            | Self::Replace(entity, _)
            | Self::Merge(entity, _)
            | Self::Put(entity) => Some(entity),
            Self::Delete(..) | Self::Discard(_) => None,
        }
    }

    /// The row it is about.
    pub fn row(&self) -> &str {
        match self {
            Self::Insert(entity)
            | Self::Replace(entity, _)
            | Self::Merge(entity, _)
            | Self::Put(entity) => &entity.row,
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
    let mut rows = HashSet::with_capacity(operations.len());
    for (index, operation) in operations.iter().enumerate() {
        check_key("row", operation.row())?;
        if !rows.insert(operation.row()) {
            let reason = format!("operation {index} is about the same row as an earlier one");
            return Err(Error::Invalid { reason });
        }
        if let Some(entity) = operation.entity() {
            check_entity(index, partition, entity)?;
        }
    }
    let weight: usize = operations.iter().map(|operation| weight(partition, operation)).sum();
    if weight > MAX_TRANSACTION { Err(Error::TooLarge { index: None }) } else { Ok(()) }
}

/// Refuses keys that the Table service cannot hold.
pub(super) fn check_key(which: &str, key: &str) -> Result<(), Error> {
    let forbidden = |c: char| c.is_control() || matches!(c, '/' | '\\' | '#' | '?');
    let fault = if key.len() > MAX_KEY && units(key) > MAX_KEY {
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
    for (name, value) in &entity.properties {
        if !is_property_name(name) {
            let reason = format!("operation {index} has a property whose name cannot be stored");
            return Err(Error::Invalid { reason });
        }
        let fits = match value {
            // There are never more units than bytes, and those need not be counted.
            Property::Text(text) => text.len() <= MAX_TEXT || units(text) <= MAX_TEXT,
            Property::Integer(_) => true,
            Property::Bytes(bytes) => bytes.len() <= MAX_BYTES,
        };
        if !fits {
            return Err(too_large);
        }
    }
    let fits = size(partition, entity, str::len) <= MAX_ENTITY
        || size(partition, entity, units) <= MAX_ENTITY;
    if fits { Ok(()) } else { Err(too_large) }
}

/// The size of an entity by the service's own account, its texts measured so.
fn size(partition: &str, entity: &Entity, units: fn(&str) -> usize) -> usize {
    let lengths = entity.properties.iter().map(|(name, value)| {
        let length = match value {
            Property::Text(text) => 2 * units(text) + 4,
            Property::Integer(_) => 8,
            Property::Bytes(bytes) => bytes.len() + 4,
        };
        8 + 2 * name.len() + length
    });
    4 + 2 * (partition.len() + entity.row.len()) + lengths.sum::<usize>()
}

/// The length in UTF-16 units.
fn units(text: &str) -> usize {
    text.encode_utf16().count()
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
        let properties = BTreeMap::from([(name.to_owned().into(), value)]);
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
        let seventeen = (0..17).map(|i| (format!("x{i}").into(), Property::Bytes(bytes.clone())));
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
