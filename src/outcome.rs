//! What became of one row, and of all rows of one call.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::fault::Kind;

/// What became of one row. Every one of these is durable before the host is answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The target holds it.
    Applied,
    /// The target held it already, or a map that only creates rows left the one there as it is.
    Unchanged,
    /// The target holds, or is getting, something newer.
    Superseded,
    /// The map's filter leaves it out and nothing of it is in the target, or a map that only updates
    /// rows found none.
    Filtered,
    /// Removed at the source; the removal waits for its time.
    Held,
    /// It waits in the work queue and will be tried again.
    Deferred,
    /// It waits for a row it refers to.
    Parked,
    /// It stands in quarantine with its reason.
    Poisoned(Kind),
}

impl Outcome {
    /// The word used in reports and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Unchanged => "unchanged",
            Self::Superseded => "superseded",
            Self::Filtered => "filtered",
            Self::Held => "held",
            Self::Deferred => "deferred",
            Self::Parked => "parked",
            Self::Poisoned(_) => "poisoned",
        }
    }
}

/// All outcomes of one call, and the verdict for the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many events there were.
    pub events: usize,
    /// How many rows had each outcome, by map; `-` stands for events that no map could read.
    pub outcomes: BTreeMap<(Arc<str>, Outcome), usize>,
    /// What the host is told.
    pub verdict: Verdict,
}

/// What the host is told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Verdict {
    /// Every outcome is durable: move on.
    #[default]
    Acknowledge,
    /// Some are not: bring the delivery again. Says why, without values.
    Redeliver(String),
}

/// The counts of a report, as they stand in an answer or a log line.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// How many events there were.
    pub events: usize,
    /// Rows by outcome.
    #[serde(flatten)]
    pub rows: BTreeMap<&'static str, usize>,
    /// Poisoned rows by code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub codes: BTreeMap<&'static str, usize>,
}

impl Report {
    /// Notes one outcome of a row of `map`.
    pub fn count(&mut self, map: &Arc<str>, outcome: Outcome) {
        *self.outcomes.entry((Arc::clone(map), outcome)).or_default() += 1;
    }

    /// The sums over all maps.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { events: self.events, ..Counts::default() };
        for ((_, outcome), rows) in &self.outcomes {
            *counts.rows.entry(outcome.word()).or_default() += rows;
            if let Outcome::Poisoned(kind) = outcome {
                *counts.codes.entry(kind.code()).or_default() += rows;
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_summed_over_maps_and_poison_is_split_by_code() {
        let mut report = Report { events: 3, ..Report::default() };
        let (a, b): (Arc<str>, Arc<str>) = ("a".into(), "b".into());
        report.count(&a, Outcome::Applied);
        report.count(&b, Outcome::Applied);
        report.count(&b, Outcome::Poisoned(Kind::TooLong));
        let counts = report.counts();
        assert_eq!(counts.rows.get("applied"), Some(&2));
        assert_eq!(counts.codes.get("too-long"), Some(&1));
    }
}
