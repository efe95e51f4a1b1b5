//! Index rows: how the sweep finds what it must visit without scanning a table.

use jiff::Timestamp;

use super::entry::Claim;
use crate::digest;
use crate::store::{Entity, Property};

/// Where leases stand in a partition, up to the ones that end at `until`.
pub(super) fn leases(until: Timestamp) -> (String, String) {
    ("~l".to_owned(), format!("~l{}", sortable(until)))
}

/// Where held removals stand in a partition, up to the ones due at `until`.
pub(super) fn holds(until: Timestamp) -> (String, String) {
    ("~h".to_owned(), format!("~h{}", sortable(until)))
}

/// The row of one claimed batch. `part` tells apart the transactions of one claim.
pub(super) fn lease(end: Timestamp, claim: Claim, part: u64, keys: &[&str]) -> Entity {
    let row = format!("~l{}~{}-{part}", sortable(end), claim.0.simple());
    list(row, keys)
}

/// The row of one held removal.
pub(super) fn hold(due: Timestamp, key: &str) -> Entity {
    let short = digest::hex(&digest::of([key.as_bytes()]));
    list(format!("~h{}~{short}", sortable(due)), &[key])
}

/// The row keys of the entries that an index row names.
pub(super) fn keys(index: &Entity) -> Vec<String> {
    let texts = index.properties.values().filter_map(|property| match property {
        Property::Text(text) => Some(text),
        Property::Integer(_) | Property::Bytes(_) => None,
    });
    texts.filter_map(|text| serde_json::from_str::<Vec<String>>(text).ok()).flatten().collect()
}

/// Ten keys a property, so that none outgrows what a text property holds.
fn list(row: String, keys: &[&str]) -> Entity {
    let parts = keys.chunks(10).enumerate().map(|(part, keys)| {
        let text = serde_json::to_string(keys).unwrap_or_default();
        (format!("keys{part}").into(), Property::Text(text))
    });
    Entity { row, properties: parts.collect() }
}

/// Microseconds, padded so that text order is time order.
fn sortable(moment: Timestamp) -> String {
    format!("{:020}", moment.as_microsecond().max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_row_names_its_keys_and_stands_in_time_order() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let keys: Vec<String> = (0..25).map(|n| format!("key-{n}")).collect();
        let texts: Vec<&str> = keys.iter().map(String::as_str).collect();
        let early = lease(at(9), Claim(uuid::Uuid::nil()), 0, &texts);
        let late = lease(at(10), Claim(uuid::Uuid::nil()), 0, &texts);
        let mut named = super::keys(&early);
        named.sort_by_key(|key| keys.iter().position(|k| k == key));
        assert_eq!(named, keys);
        assert!(early.row < late.row);
        let (from, to) = leases(at(10));
        assert!(from < early.row && early.row < to && to <= late.row);
    }
}
