//! What became of one row, and of all rows of one call.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::change::Correlation;
use crate::fault::Kind;
use crate::row::Row;

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
    /// The target held it already, because it came from there: our own write came back.
    Echo(Echo),
    /// It waits in the work queue and will be tried again.
    Deferred,
    /// It waits for a row it refers to.
    Parked,
    /// Its map is paused; it waits until that is resumed.
    Paused,
    /// Its removal is one of too many; it waits for somebody's approval.
    Asked,
    /// It stands in quarantine with its reason.
    Poisoned(Kind),
}

/// How an echo was known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Echo {
    /// By the tag of the request, and its content.
    Tag,
    /// By the user who made it, and its content.
    User,
    /// By its content alone.
    Same,
}

impl Echo {
    /// The word used in reports and logs.
    pub fn word(self) -> &'static str {
        match self {
            Self::Tag => "tag",
            Self::User => "user",
            Self::Same => "same",
        }
    }
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
            Self::Echo(_) => "echo",
            Self::Deferred => "deferred",
            Self::Parked => "parked",
            Self::Paused => "paused",
            Self::Asked => "asked",
            Self::Poisoned(_) => "poisoned",
        }
    }
}

/// All outcomes of one call, and the verdict for the host.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// How many events there were.
    pub events: usize,
    /// How many rows had each outcome, by map; `-` stands for events that no map could read, or that wait
    /// as a whole.
    pub outcomes: BTreeMap<(Arc<str>, Outcome), usize>,
    /// What became of each row, for the log of outcomes.
    pub rows: Vec<Told>,
    /// What the host is told.
    pub verdict: Verdict,
}

/// What became of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Told {
    /// The map; `-` when none could read the event.
    pub map: Arc<str>,
    /// What became of it.
    pub outcome: Outcome,
    /// The row, when there was one.
    pub row: Option<Arc<Row>>,
    /// Its key as it may be shown, when there was no row.
    pub key: Option<String>,
    /// Follows it through logs and targets, when there was no row.
    pub correlation: Option<Correlation>,
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
    /// Echoes by how they were known.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub echoes: BTreeMap<&'static str, usize>,
}

impl Report {
    /// Notes one outcome of a row of `map`.
    pub fn count(&mut self, map: &Arc<str>, outcome: Outcome) {
        *self.outcomes.entry((Arc::clone(map), outcome)).or_default() += 1;
    }

    /// Notes the outcome of a row.
    pub fn tell(&mut self, row: &Arc<Row>, outcome: Outcome) {
        let map = Arc::clone(&row.to.map);
        self.count(&map, outcome);
        let (row, key, correlation) = (Some(Arc::clone(row)), None, None);
        self.rows.push(Told { map, outcome, row, key, correlation });
    }

    /// Adds the outcomes of another part of the same call.
    pub fn add(&mut self, mut other: Self) {
        for (place, rows) in other.outcomes {
            *self.outcomes.entry(place).or_default() += rows;
        }
        self.rows.append(&mut other.rows);
    }

    /// The sums over all maps.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts { events: self.events, ..Counts::default() };
        for ((_, outcome), rows) in &self.outcomes {
            *counts.rows.entry(outcome.word()).or_default() += rows;
            if let Outcome::Poisoned(kind) = outcome {
                *counts.codes.entry(kind.code()).or_default() += rows;
            }
            if let Outcome::Echo(echo) = outcome {
                *counts.echoes.entry(echo.word()).or_default() += rows;
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
