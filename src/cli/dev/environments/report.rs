//! What the day came to, for people and as one JSON object.

use serde::Serialize;

use super::super::night::{self, Night};
use super::super::output;
use super::own::Left;
use super::sides::Differences;
use crate::emulator::dataverse::steps::trouble::Told;

/// Everything that `--scenario environments --once` says.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    /// Webhooks were lost, the night mended what they left, and Finance's own columns are untouched.
    pub(super) ok: bool,
    /// Edits in the group's environment.
    pub(super) edits: usize,
    /// From the first edit to the end of the night.
    pub(super) seconds: f64,
    /// The webhooks of the group's environment.
    pub(super) webhooks: Told,
    /// What differed when the hour was over.
    pub(super) before: Differences,
    /// What the night did, by map.
    pub(super) night: Night,
    /// What differs when the night is over.
    pub(super) after: Differences,
    /// Finance's own columns.
    pub(super) own: Left,
}

impl Report {
    /// Whether the day is a success.
    pub(super) fn judged(mut self) -> Self {
        self.ok = self.after.rows() == 0
            && self.own.filled == self.own.kept
            && night::open(&self.night) == 0;
        self
    }

    /// Prints the report for people.
    pub(super) fn print(&self) {
        let Told { caused, lost, doubled, late, cut, taken, .. } = self.webhooks;
        output::line(format!("{} edits in the group's environment\n", self.edits));
        output::line(format!(
            "webhooks   {caused} caused, {taken} answered; on purpose {lost} lost, {doubled} doubled, \
             {late} late, {cut} cut down"
        ));
        output::line(format!("the hour   {}", differing(&self.before)));
        night::print("the night    the two sides of each map, compared and mended", &self.night);
        output::line(format!("the morning {}", differing(&self.after)));
        output::line(format!(
            "Finance's own columns: {} filled, {} untouched",
            self.own.filled, self.own.kept
        ));
        let verdict = if self.ok { "in step" } else { "NOT in step" };
        output::line(format!("\nthe environments are {verdict} ({:.1} s)", self.seconds));
    }
}

fn differing(differences: &Differences) -> String {
    format!(
        "{} of {} hotels and {} of {} rooms differ",
        differences.hotels.wrong_rows,
        differences.hotels.keys,
        differences.rooms.wrong_rows,
        differences.rooms.keys
    )
}
