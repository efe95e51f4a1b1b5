//! Where an entry stands in the table: which partition, which row key.
//!
//! A partition is a map and one of its buckets, `customer-to-account-05`; entries of one bucket can be
//! claimed in one transaction. The row key is the key as people write it, with what the service does
//! not take percent-encoded (Azure Table Storage, characters disallowed in key fields). Index rows
//! start with `~`, which an entry's key never does.

use std::fmt::Write as _;

use crate::digest;
use crate::row::Key;

/// Where one entry stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slot {
    /// Map and bucket.
    pub partition: String,
    /// The encoded key.
    pub row: String,
}

/// Keys longer than this, in UTF-16 units, are cut and told apart by a hash.
const LONGEST: usize = 400;

impl Slot {
    /// The slot of a key of a map that has this many buckets.
    pub fn of(map: &str, key: &Key, buckets: u32) -> Self {
        Self::of_text(map, &key.shown(), buckets)
    }

    /// The same for a key as it is shown: nothing but that text decides where an entry stands.
    pub fn of_text(map: &str, text: &str, buckets: u32) -> Self {
        let digest = digest::of([text.as_bytes()]);
        let head = digest.iter().take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
        let row = encoded(text);
        let long = row.len() > LONGEST && row.encode_utf16().count() > LONGEST;
        let row = if long { cut(&row, &digest) } else { row };
        Self { partition: partition(map, head % buckets.max(1)), row }
    }
}

/// The name of one bucket's partition.
pub(super) fn partition(map: &str, bucket: u32) -> String {
    let mut name = String::with_capacity(map.len() + 3);
    name.push_str(map);
    name.push_str(if bucket < 10 { "-0" } else { "-" });
    name.push_str(itoa::Buffer::new().format(bucket));
    name
}

fn encoded(text: &str) -> String {
    let refused =
        |char: char| matches!(char, '/' | '\\' | '#' | '?' | '%' | '~') || char.is_control();
    if !text.contains(refused) {
        return text.to_owned();
    }
    let mut row = String::with_capacity(text.len());
    for char in text.chars() {
        if refused(char) {
            let mut bytes = [0; 4];
            for byte in char.encode_utf8(&mut bytes).bytes() {
                let _infallible = write!(row, "%{byte:02X}");
            }
        } else {
            row.push(char);
        }
    }
    row
}

fn cut(row: &str, digest: &[u8]) -> String {
    let mut short: String = row.chars().take(100).collect();
    short.push_str("%%");
    short.push_str(&digest::hex(digest));
    short
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Value;

    fn slot(text: &str) -> Slot {
        Slot::of("m", &Key(vec![("k".into(), Value::Text(text.into()))]), 8)
    }

    #[test]
    fn keys_that_differ_have_slots_that_differ_and_no_forbidden_character() {
        let keys = ["a/b", "a%2Fb", "a\\b", "a#b", "a?b", "~l", "a\tb", "o'brien", "é✓", ""];
        for (index, key) in keys.iter().enumerate() {
            let row = slot(key).row;
            assert!(!row.contains(['/', '\\', '#', '?', '~', '\t']), "{row}");
            for other in keys.iter().skip(index + 1) {
                assert_ne!(row, slot(other).row);
            }
        }
    }

    #[test]
    fn a_long_key_is_cut_and_told_apart_by_its_hash() {
        let (a, b) = ("x".repeat(2000), "x".repeat(2001));
        assert_ne!(slot(&a).row, slot(&b).row);
        assert!(slot(&a).row.len() < LONGEST);
    }

    #[test]
    fn buckets_are_stable_and_spread() {
        let partitions: std::collections::BTreeSet<_> =
            (0..200).map(|n| slot(&n.to_string()).partition).collect();
        assert_eq!(partitions.len(), 8);
        assert_eq!(slot("C-1").partition, slot("C-1").partition);
    }
}
