//! What one pass did, for people and as one JSON object.

use std::collections::BTreeMap;

use serde::Serialize;

use super::compare::Difference;
use super::night::{self, Night};
use super::tally::Tally;
use crate::cli::output;

/// Everything `dev --once` says about its pass.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Nothing was lost, the handler never failed, and the check, if there was one, found nothing wrong.
    pub(super) ok: bool,
    /// Events put into the hub.
    pub(super) events: u64,
    /// From the first event to the last settled row.
    pub(super) seconds: f64,
    /// What the handler and the host stand-in did.
    #[serde(flatten)]
    pub(super) tally: Tally,
    /// Requests that each environment served.
    pub(super) target_calls: BTreeMap<String, u64>,
    /// Messages left in the work queue.
    pub(super) waiting: u64,
    /// What the comparison of the night found, by map.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) night: Night,
    /// The final rows against the independent model; only for the shipped input and maps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) check: Option<Check>,
}

/// The final rows against the independent model.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Check {
    /// All rows are right and exactly the bad events are poisoned.
    pub(super) right: bool,
    /// By consumer.
    pub(super) consumers: BTreeMap<&'static str, Difference>,
    /// How many rows should be poisoned, by code.
    pub(super) refused: BTreeMap<&'static str, u64>,
}

impl Check {
    /// Judges the differences and the poisoned rows. A batch that was repeated may have reported its
    /// poisoned rows more than once.
    pub(super) fn new(
        consumers: BTreeMap<&'static str, Difference>,
        refused: BTreeMap<&'static str, u64>,
        tally: &Tally,
    ) -> Self {
        let rows_right = consumers.values().all(|difference| difference.wrong_rows == 0);
        let mut codes = refused.keys().copied().chain(tally.poisoned.keys().map(String::as_str));
        let known = codes.all(|code| {
            let wanted = refused.get(code).copied().unwrap_or_default();
            let found = tally.poisoned.get(code).copied().unwrap_or_default();
            found == wanted || (tally.repeated > 0 && wanted > 0 && found > wanted)
        });
        Self { right: rows_right && known, consumers, refused }
    }
}

impl Report {
    /// Whether the pass is a success.
    pub(super) fn judged(mut self) -> Self {
        self.ok = self.tally.lost == 0
            && self.tally.restarts == 0
            && self.waiting == 0
            && self.tally.handled >= self.events
            && self.check.as_ref().is_none_or(|check| check.right);
        self
    }

    /// Prints the report for people.
    pub(super) fn print(&self) {
        let rate = per_second(self.events, self.seconds);
        output::line(format!(
            "{} events in {:.1} s ({rate:.0} a second)\n",
            self.events, self.seconds
        ));
        output::line("rows");
        for (outcome, rows) in &self.tally.rows {
            output::line(format!("  {outcome:<12} {rows:>8}"));
        }
        section("poisoned, by reason", &self.tally.poisoned);
        section("calls to the targets", &self.target_calls);
        section("calls of the handler", &self.tally.calls);
        output::line(format!("\nstorage operations {:>8}", self.tally.storage_operations));
        self.print_trouble();
        night::print("the night: what the ledger remembers against the targets", &self.night);
        self.print_check();
    }

    fn print_trouble(&self) {
        let trouble = [
            ("calls that failed and were repeated", self.tally.repeated),
            ("handler restarts", self.tally.restarts),
            ("events lost", self.tally.lost),
            ("messages still in the work queue", self.waiting),
        ];
        for (what, count) in trouble.into_iter().filter(|(_, count)| *count > 0) {
            output::line(format!("{what}: {count}"));
        }
        for reason in &self.tally.reasons {
            output::line(format!("  {reason}"));
        }
    }

    fn print_check(&self) {
        let Some(check) = &self.check else { return };
        output::line("\nfinal rows against the independent model");
        for (consumer, difference) in &check.consumers {
            let verdict = match difference.wrong_rows {
                0 => "all right".to_owned(),
                wrong => format!("{wrong} wrong"),
            };
            output::line(format!("  {consumer:<12} {:>8} rows, {verdict}", difference.rows));
            for (key, complaint) in &difference.wrong {
                output::line(format!("    {key}: {complaint}"));
            }
        }
        if self.tally.poisoned.values().sum::<u64>() != check.refused.values().sum::<u64>() {
            section("should be poisoned", &check.refused);
        }
        output::line(if check.right { "right" } else { "WRONG" });
    }
}

/// How many there were each second.
pub(super) fn per_second(count: u64, seconds: f64) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX)) / seconds.max(0.001)
}

fn section<K: std::fmt::Display>(title: &str, counts: &BTreeMap<K, u64>) {
    if !counts.is_empty() {
        output::line(format!("\n{title}"));
    }
    for (name, count) in counts {
        output::line(format!("  {name:<20} {count:>8}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tally(poisoned: u64, repeated: u64) -> Tally {
        let poisoned = BTreeMap::from([("too-long".to_owned(), poisoned)]);
        Tally { handled: 9, poisoned, repeated, ..Tally::default() }
    }

    fn right(tally: &Tally) -> bool {
        Check::new(BTreeMap::new(), BTreeMap::from([("too-long", 2)]), tally).right
    }

    #[test]
    fn exactly_the_bad_events_must_be_poisoned_unless_a_batch_was_repeated() {
        assert!(right(&tally(2, 0)));
        assert!(!right(&tally(3, 0)));
        assert!(!right(&tally(1, 1)));
        assert!(right(&tally(3, 1)));
        let mut strange = tally(2, 1);
        strange.poisoned.insert("malformed-event".to_owned(), 1);
        assert!(!right(&strange));
    }

    #[test]
    fn a_pass_that_lost_or_left_something_is_no_success() {
        let report = |lost, waiting, handled| {
            let tally = Tally { handled, lost, ..Tally::default() };
            let (target_calls, night, check) = (BTreeMap::new(), Night::new(), None);
            Report {
                ok: false,
                events: 9,
                seconds: 1.0,
                tally,
                target_calls,
                waiting,
                night,
                check,
            }
            .judged()
            .ok
        };
        assert!(report(0, 0, 9));
        assert!(!report(1, 0, 9));
        assert!(!report(0, 1, 9));
        assert!(!report(0, 0, 8));
    }
}
