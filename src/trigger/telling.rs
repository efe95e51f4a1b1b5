//! What is told of each call besides its log line: figures by map and hour, the log of outcomes, metrics,
//! and once a day the digest. None of it can fail a call, and each has a bound on its time.

use std::sync::Arc;
use std::time::Duration;

use crate::briefing::{Briefing, Posted};
use crate::figures::Figures;
use crate::outcome::{Outcome, Report};
use crate::outcome_log::OutcomeLog;
use crate::telemetry::otlp::{Metric, Sink};

/// Whom the calls of this process are told to.
#[derive(Clone, Debug)]
pub struct Telling {
    /// Sums by map and hour.
    pub figures: Arc<Figures>,
    /// What became of every row, when somebody wants to know.
    pub outcomes: Option<Arc<OutcomeLog>>,
    /// The daily digest.
    pub briefing: Arc<Briefing>,
    /// Spans and metrics, when they are collected.
    pub sink: Option<Arc<Sink>>,
}

impl Telling {
    /// Tells of a delivery.
    pub(super) async fn report(
        &self,
        function: &str,
        report: &Report,
        (took, lag): (Duration, Option<Duration>),
    ) {
        self.figures.note(report);
        if let Some(outcomes) = &self.outcomes {
            outcomes.note(report);
            outcomes.write_if_due().await;
        }
        self.figures.keep_if_due().await;
        let Some(sink) = &self.sink else { return };
        let function = || vec![("function", function.to_owned())];
        sink.measure(Metric::Events, function(), number(report.events));
        sink.measure(Metric::CallDuration, function(), took.as_secs_f64());
        if let Some(lag) = lag {
            sink.measure(Metric::Lag, function(), lag.as_secs_f64());
        }
        for ((map, outcome), rows) in &report.outcomes {
            let map = ("map", map.to_string());
            let labels = vec![map.clone(), ("outcome", outcome.word().to_owned())];
            sink.measure(Metric::Rows, labels, number(*rows));
            if let Outcome::Poisoned(kind) = outcome {
                let labels = vec![map, ("code", kind.code().to_owned())];
                sink.measure(Metric::Poisoned, labels, number(*rows));
            }
        }
    }

    /// Tells what the work cost since this was last told.
    pub(super) fn used(&self, name: &str, used: u64) {
        let metric = match name {
            "storage_operations" => Metric::StorageOperations,
            "target_calls" => Metric::TargetCalls,
            _ => return,
        };
        self.measure(metric, Vec::new(), used);
    }

    /// Tells how much waits in a queue.
    pub(super) fn depth(&self, queue: &str, depth: u64) {
        self.measure(Metric::QueueDepth, vec![("queue", queue.to_owned())], depth);
    }

    /// What a timer is for: sums that wait, files that wait, and the digest.
    pub(super) async fn tick(&self) {
        self.figures.keep_if_due().await;
        if let Some(outcomes) = &self.outcomes {
            outcomes.write_if_due().await;
        }
        if self.briefing.tick().await == Posted::Now {
            tracing::info!(ev = "digest_posted", "digest_posted");
        }
    }

    fn measure(&self, metric: Metric, labels: crate::telemetry::otlp::Labels, value: u64) {
        if let Some(sink) = &self.sink {
            sink.measure(metric, labels, f64::from(u32::try_from(value).unwrap_or(u32::MAX)));
        }
    }
}

fn number(count: usize) -> f64 {
    f64::from(u32::try_from(count).unwrap_or(u32::MAX))
}
