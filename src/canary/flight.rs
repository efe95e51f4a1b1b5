//! What became of stamps: one of them, and many.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One stamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flight {
    /// When it was written at the source.
    pub at: Timestamp,
    /// What became of it.
    #[serde(flatten)]
    pub became: Became,
}

/// What became of a stamp.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Became {
    /// The target showed it; from the moment before it was sent to the source until its row was settled,
    /// or was first seen where the ledger does not say when that was, in milliseconds.
    #[serde(rename = "lag_ms")]
    Seen(u64),
    /// It was not there within this time, in seconds.
    #[serde(rename = "lost_after")]
    Lost(u32),
    /// It could not be sent: why.
    Failed(String),
}

/// Many stamps of one map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct History {
    /// The map.
    pub map: String,
    /// The newest of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last: Option<Flight>,
    /// How many there were.
    pub flights: usize,
    /// How many were not seen within the time.
    pub lost: usize,
    /// How many could not be sent.
    pub failed: usize,
    /// Half of those that were seen took at most so many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u64>,
    /// Nineteen of twenty took at most so many milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub p95_ms: Option<u64>,
}

impl History {
    /// Of these, oldest first.
    pub fn of(map: &str, flights: Vec<Flight>) -> Self {
        let (mut lags, mut lost, mut failed) = (Vec::new(), 0, 0);
        for flight in &flights {
            match &flight.became {
                Became::Seen(lag) => lags.push(*lag),
                Became::Lost(_) => lost += 1,
                Became::Failed(_) => failed += 1,
            }
        }
        lags.sort_unstable();
        let (p50_ms, p95_ms) = (percentile(&lags, 50), percentile(&lags, 95));
        let (count, map) = (flights.len(), map.to_owned());
        let last = flights.into_iter().next_back();
        Self { map, last, flights: count, lost, failed, p50_ms, p95_ms }
    }
}

/// The smallest of these values that so many in a hundred do not exceed.
fn percentile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

/// A span in whole milliseconds.
pub(super) fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured_and_what_was_lost_is_counted_apart() {
        let seen = (1..=20).map(|lag| Became::Seen(lag * 10));
        let others = [Became::Lost(300), Became::Failed("no right".to_owned())];
        let flights = seen.chain(others).map(|became| Flight { at: Timestamp::UNIX_EPOCH, became });
        let history = History::of("m", flights.collect());
        assert_eq!((history.p50_ms, history.p95_ms), (Some(100), Some(190)));
        assert_eq!((history.flights, history.lost, history.failed), (22, 1, 1));
        assert_eq!(history.last.unwrap().became, Became::Failed("no right".to_owned()));
        let none = History::of("m", Vec::new());
        assert_eq!((none.p50_ms, none.p95_ms, none.last), (None, None, None));
        assert_eq!(percentile(&[7], 95), Some(7));
    }

    #[test]
    fn a_flight_is_kept_as_readable_json() {
        let flight = Flight { at: Timestamp::UNIX_EPOCH, became: Became::Seen(12) };
        let text = serde_json::to_string(&flight).unwrap();
        assert_eq!(text, r#"{"at":"1970-01-01T00:00:00Z","lag_ms":12}"#);
        assert_eq!(serde_json::from_str::<Flight>(&text).unwrap(), flight);
    }
}
