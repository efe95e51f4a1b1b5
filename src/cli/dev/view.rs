//! What happens, live in the terminal: a bar for each partition and the sums below them.
//!
//! Nothing is drawn when stderr is no terminal.

use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::report::per_second;
use super::tally::Tally;
use crate::cli::output;
use crate::emulator::host::hub::Hub;

/// The bars.
#[derive(Debug)]
pub(super) struct View {
    all: MultiProgress,
    partitions: Vec<ProgressBar>,
    rows: ProgressBar,
    poisoned: ProgressBar,
    calls: ProgressBar,
    start: Instant,
}

impl View {
    /// Bars for a hub of so many partitions.
    pub(super) fn new(partitions: usize) -> Self {
        let all = MultiProgress::new();
        let bar = style("  partition {prefix}  {bar:30.green/dim} {pos:>6}/{len}");
        let partitions = (0..partitions).map(|number| {
            let shown = ProgressBar::new(0).with_style(bar.clone()).with_prefix(number.to_string());
            all.add(shown)
        });
        let partitions = partitions.collect();
        let line = |title: &'static str| {
            let shown = ProgressBar::new_spinner().with_style(style("  {prefix:<10} {wide_msg}"));
            all.add(shown.with_prefix(title))
        };
        let (rows, poisoned, calls) = (line("rows"), line("poisoned"), line("calls"));
        Self { all, partitions, rows, poisoned, calls, start: Instant::now() }
    }

    /// Shows how far things are.
    pub(super) fn update(&self, hub: &Hub, group: &str, tally: &Tally, targets: &[(String, u64)]) {
        for (number, bar) in self.partitions.iter().enumerate() {
            let (done, sent) = hub.progress(group, number);
            bar.set_length(sent as u64);
            bar.set_position(done as u64);
        }
        self.rows.set_message(words(tally.rows.iter()));
        self.poisoned.set_message(words(tally.poisoned.iter()));
        let rate = per_second(tally.handled, self.start.elapsed().as_secs_f64());
        self.calls.set_message(format!(
            "{} · storage operations {} · {rate:.0} events a second",
            words(targets.iter().map(|(name, calls)| (name, calls))),
            tally.storage_operations,
        ));
        for line in [&self.rows, &self.poisoned, &self.calls] {
            line.tick();
        }
    }

    /// Writes a line above the bars.
    pub(super) fn say(&self, text: &str) {
        self.all.suspend(|| output::note(text));
    }

    /// Leaves the bars as they are and draws no more.
    pub(super) fn finish(&self) {
        for bar in self.partitions.iter().chain([&self.rows, &self.poisoned, &self.calls]) {
            bar.abandon();
        }
    }
}

/// How often the view is drawn.
pub(super) const FRAME: Duration = Duration::from_millis(100);

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

fn words<'a>(counts: impl Iterator<Item = (&'a String, &'a u64)>) -> String {
    let words: Vec<String> = counts.map(|(name, count)| format!("{name} {count}")).collect();
    if words.is_empty() { "none yet".to_owned() } else { words.join(" · ") }
}
