//! Filters over keys: one partition, and in it a range of row keys or a list of them.

use std::collections::BTreeMap;
use std::ops::Bound;

use super::table::Row;

/// A filter over one partition.
#[derive(Debug, Default)]
pub(super) struct Filter {
    pub(super) partition: String,
    /// These rows, when some are named.
    rows: Vec<String>,
    from: Option<String>,
    /// The end of the range, and whether it belongs to it.
    to: Option<(String, bool)>,
}

impl Filter {
    /// Reads `PartitionKey eq '…' and (RowKey eq '…' or …)` and the like.
    pub(super) fn parse(text: &str) -> Self {
        let mut filter = Self::default();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('\'') {
            let mut end = 0;
            // A quote inside a literal is doubled.
            while let Some(quote) = after.get(end..).and_then(|text| text.find('\'')) {
                end += quote;
                if after.get(end + 1..end + 2) != Some("'") {
                    break;
                }
                end += 2;
            }
            let literal = after.get(..end).unwrap_or_default().replace("''", "'");
            let words: Vec<&str> = before.split([' ', '(', ')']).collect();
            let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
            match words.as_slice() {
                [.., "PartitionKey", "eq"] => filter.partition = literal,
                [.., "RowKey", "eq"] => filter.rows.push(literal),
                [.., "RowKey", "ge" | "gt"] => filter.from = Some(literal),
                [.., "RowKey", "lt"] => filter.to = Some((literal, false)),
                [.., "RowKey", "le"] => filter.to = Some((literal, true)),
                _ => {}
            }
            rest = after.get(end + 1..).unwrap_or_default();
        }
        filter
    }

    /// The rows that pass, from this key on.
    pub(super) fn rows<'r>(
        &self,
        rows: &'r BTreeMap<String, Row>,
        from: &str,
    ) -> Vec<(&'r String, &'r Row)> {
        if !self.rows.is_empty() {
            let found = self.rows.iter().filter_map(|row| rows.get_key_value(row));
            return found.filter(|(row, _)| row.as_str() >= from).collect();
        }
        let from = self.from.as_deref().unwrap_or_default().max(from);
        let to = match &self.to {
            Some((to, _)) if to.as_str() < from => return Vec::new(),
            Some((to, true)) => Bound::Included(to.as_str()),
            Some((to, false)) => Bound::Excluded(to.as_str()),
            None => Bound::Unbounded,
        };
        rows.range::<str, _>((Bound::Included(from), to)).collect()
    }
}
