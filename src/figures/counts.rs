//! Rows by outcome, and poisoned rows by code.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::outcome::{Outcome, Report, Verdict};

/// Sums over some rows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Rows by the word of their outcome.
    pub rows: BTreeMap<String, u64>,
    /// Poisoned rows by code.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub codes: BTreeMap<String, u64>,
}

impl Counts {
    /// The sums of a report by map. Of a delivery that comes again only what was applied counts: the rest
    /// is told again.
    pub(super) fn of(report: &Report) -> BTreeMap<Arc<str>, Self> {
        let comes_again = report.verdict != Verdict::Acknowledge;
        let mut maps = BTreeMap::<Arc<str>, Self>::new();
        for ((map, outcome), rows) in &report.outcomes {
            if comes_again && *outcome != Outcome::Applied {
                continue;
            }
            let counts = maps.entry(Arc::clone(map)).or_default();
            let rows = u64::try_from(*rows).unwrap_or(u64::MAX);
            *counts.rows.entry(outcome.word().to_owned()).or_default() += rows;
            if let Outcome::Poisoned(kind) = outcome {
                *counts.codes.entry(kind.code().to_owned()).or_default() += rows;
            }
        }
        maps
    }

    /// Adds others.
    pub fn add(&mut self, others: &Self) {
        for (word, rows) in &others.rows {
            *self.rows.entry(word.clone()).or_default() += rows;
        }
        for (code, rows) in &others.codes {
            *self.codes.entry(code.clone()).or_default() += rows;
        }
    }

    /// Rows with this outcome.
    pub fn of_word(&self, word: &str) -> u64 {
        self.rows.get(word).copied().unwrap_or_default()
    }
}
