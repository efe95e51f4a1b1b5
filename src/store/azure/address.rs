//! Addresses of rows and filters over them: quotes are doubled first and everything is percent-encoded
//! afterwards, so that any key stays itself.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// A filter holds at most fifteen comparisons (Table service REST API, "Querying tables and entities");
/// one is the partition's.
pub(in crate::store) const ROWS_IN_A_FILTER: usize = 14;
/// The longest encoded filter: well under what servers and proxies take in an address.
const MAX_FILTER: usize = 6_000;

const ENCODED: AsciiSet = NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// Percent-encodes everything but letters, digits and `-_.~`.
pub(super) fn encode(text: &str) -> String {
    utf8_percent_encode(text, &ENCODED).to_string()
}

/// The path of one row, after the service's address.
pub(super) fn row_path(table: &str, partition: &str, row: &str) -> String {
    row_at(&rows_start(table, partition), row)
}

/// What the paths of all rows of a partition begin with.
pub(super) fn rows_start(table: &str, partition: &str) -> String {
    format!("{table}(PartitionKey='{}',RowKey='", encode(&doubled(partition)))
}

/// The path of one row, by what all of its partition begin with.
pub(super) fn row_at(start: &str, row: &str) -> String {
    let mut path = String::with_capacity(start.len() + row.len() + 16);
    path.push_str(start);
    path.extend(utf8_percent_encode(&doubled(row), &ENCODED));
    path.push_str("')");
    path
}

/// The filter for rows of a partition with `from <= row key < to`.
pub(super) fn range_filter(partition: &str, from: &str, to: &str) -> String {
    let (partition, from, to) = (quoted(partition), quoted(from), quoted(to));
    format!("PartitionKey eq {partition} and RowKey ge {from} and RowKey lt {to}")
}

/// The filter for some rows of a partition.
pub(super) fn rows_filter(partition: &str, rows: &[&str]) -> String {
    let any: Vec<_> = rows.iter().map(|row| comparison(row)).collect();
    format!("PartitionKey eq {} and ({})", quoted(partition), any.join(" or "))
}

/// Cuts rows into groups that each fit one filter, in order; a group holds at least one row.
pub(super) fn groups<'a>(partition: &str, rows: &[&'a str]) -> Vec<Vec<&'a str>> {
    let fixed = encode(&rows_filter(partition, &[])).len();
    let mut groups: Vec<Vec<&'a str>> = Vec::new();
    let mut length = 0;
    for row in rows {
        let more = encode(&comparison(row)).len() + encode(" or ").len();
        match groups.last_mut() {
            Some(group) if group.len() < ROWS_IN_A_FILTER && length + more <= MAX_FILTER => {
                group.push(row);
                length += more;
            }
            Some(_) | None => {
                groups.push(vec![row]);
                length = fixed + more;
            }
        }
    }
    groups
}

fn comparison(row: &str) -> String {
    format!("RowKey eq {}", quoted(row))
}

fn quoted(text: &str) -> String {
    format!("'{}'", doubled(text))
}

fn doubled(text: &str) -> Cow<'_, str> {
    if text.contains('\'') { text.replace('\'', "''").into() } else { text.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_doubled_before_encoding() {
        assert_eq!(
            row_path("T", "o'brien", "50% é"),
            "T(PartitionKey='o%27%27brien',RowKey='50%25%20%C3%A9')"
        );
        assert_eq!(
            rows_filter("a'b", &["x", "y'"]),
            "PartitionKey eq 'a''b' and (RowKey eq 'x' or RowKey eq 'y''')"
        );
    }

    #[test]
    fn a_filter_holds_fourteen_rows() {
        let keys: Vec<_> = (0..30).map(|i| i.to_string()).collect();
        let rows: Vec<_> = keys.iter().map(String::as_str).collect();
        let sizes: Vec<_> = groups("p", &rows).iter().map(Vec::len).collect();
        assert_eq!(sizes, [14, 14, 2]);
        assert_eq!(groups("p", &rows).concat(), rows);
    }

    #[test]
    fn long_keys_make_smaller_groups() {
        let keys: Vec<_> = (0..6).map(|i| format!("{i}{}", "é".repeat(400))).collect();
        let rows: Vec<_> = keys.iter().map(String::as_str).collect();
        let groups = groups("p", &rows);
        assert_eq!(groups.concat(), rows);
        for group in groups {
            assert!(encode(&rows_filter("p", &group)).len() <= MAX_FILTER);
        }
        let longest = "✓".repeat(512);
        assert_eq!(super::groups(&longest, &[&longest, "a"]).len(), 2, "one always fits");
    }
}
