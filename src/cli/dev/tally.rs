//! What happened so far, summed up from what the host stand-in tells.
//!
//! Outcomes come from the handler's own words: the line `delivery_done` in the `Logs` of each good
//! answer, with its counts. Requests to storage stand in every line. Other lines are passed over.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use crate::emulator::host::Notice;

/// Sums over one run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Tally {
    /// Events that deliveries said they carried, repeated ones counted again.
    pub(super) handled: u64,
    /// Rows by outcome.
    pub(super) rows: BTreeMap<String, u64>,
    /// Poisoned rows by code.
    pub(super) poisoned: BTreeMap<String, u64>,
    /// Requests to storage, as the handler counted them.
    pub(super) storage_operations: u64,
    /// Calls of the handler that succeeded, by function.
    pub(super) calls: BTreeMap<String, u64>,
    /// Calls that failed and were repeated.
    pub(super) repeated: u64,
    /// Events or messages that the host moved past without success.
    pub(super) lost: u64,
    /// How often the handler was started again.
    pub(super) restarts: u64,
    /// What the last sweep could not bring to an end.
    pub(super) unfinished: u64,
    /// The reasons of failed calls, each once.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) reasons: Vec<String>,
}

impl Tally {
    /// Adds what one notice tells.
    pub(super) fn note(&mut self, notice: &Notice) {
        match notice {
            Notice::Done { call, logs, .. } => {
                *self.calls.entry(call.function.clone()).or_default() += 1;
                for line in logs {
                    self.read(line);
                }
            }
            Notice::Failed { reason, .. } => {
                self.repeated += 1;
                self.remember(reason);
            }
            Notice::Lost { call, reason } => {
                self.lost += call.events as u64;
                self.remember(reason);
            }
            Notice::Restarting(reason) => {
                self.restarts += 1;
                self.remember(reason);
            }
            Notice::Line { .. } | Notice::Ready(_) => {}
        }
    }

    fn read(&mut self, line: &str) {
        let Ok(line) = serde_json::from_str::<Map<String, Value>>(line) else { return };
        let number = |name: &str| line.get(name).and_then(Value::as_u64).unwrap_or_default();
        self.storage_operations += number("storage_operations");
        match line.get("ev").and_then(Value::as_str) {
            Some("delivery_done") => self.handled += number("events"),
            Some("sweep_done") => {
                self.unfinished = number("left");
                return;
            }
            Some(_) | None => return,
        }
        for outcome in OUTCOMES {
            if line.contains_key(*outcome) {
                *self.rows.entry((*outcome).to_owned()).or_default() += number(outcome);
            }
        }
        if let Some(Value::Object(codes)) = line.get("codes") {
            for (code, rows) in codes {
                *self.poisoned.entry(code.clone()).or_default() +=
                    rows.as_u64().unwrap_or_default();
            }
        }
    }

    fn remember(&mut self, reason: &str) {
        if !self.reasons.iter().any(|known| known == reason) {
            self.reasons.push(reason.to_owned());
        }
    }
}

/// The words of `outcome::Outcome`.
const OUTCOMES: &[&str] = &[
    "applied",
    "unchanged",
    "superseded",
    "filtered",
    "held",
    "deferred",
    "parked",
    "paused",
    "asked",
    "poisoned",
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::emulator::host::Call;

    fn call(events: usize) -> Call {
        Call { function: "events".to_owned(), partition: Some(0), events, attempt: 0 }
    }

    #[test]
    fn the_handlers_own_counts_are_summed() {
        let logs = [
            r#"{"ev":"delivery_done","events":3,"applied":2,"poisoned":1,"codes":{"too-long":1},"storage_operations":4}"#,
            r#"{"ev":"sweep_done","left":9,"storage_operations":1}"#,
            "plain text",
        ];
        let done = Notice::Done {
            call: call(3),
            logs: logs.map(str::to_owned).to_vec(),
            took: Duration::ZERO,
        };
        let mut tally = Tally::default();
        tally.note(&done);
        tally.note(&done);
        assert_eq!((tally.handled, tally.rows["applied"], tally.storage_operations), (6, 4, 10));
        assert_eq!(tally.poisoned, BTreeMap::from([("too-long".to_owned(), 2)]));
        assert_eq!((tally.calls["events"], tally.unfinished), (2, 9));
    }

    #[test]
    fn what_the_host_gave_up_is_lost_by_its_events() {
        let mut tally = Tally::default();
        let reason = "the handler answered 500".to_owned();
        tally.note(&Notice::Failed { call: call(7), reason: reason.clone() });
        tally.note(&Notice::Lost { call: call(7), reason });
        assert_eq!((tally.repeated, tally.lost, tally.reasons.len()), (1, 7, 1));
    }
}
