//! The functions: what each trigger does with its call. All of them go through the same pipeline.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Map, Value};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Answer, Call, Handler, Meter};
use crate::clock::{self, SharedClock};
use crate::delivery::Delivery;
use crate::job::{self, Asked};
use crate::outcome::{Report, Verdict};
use crate::pipeline::Pipeline;

/// What every function works with.
#[derive(Clone, Debug)]
pub struct Works {
    /// The path.
    pub pipeline: Arc<Pipeline>,
    /// What it costs.
    pub meter: Arc<Meter>,
    /// The time.
    pub clock: SharedClock,
}

/// `events`: a batch of an Event Hub, or whatever else brings events of one system.
#[derive(Clone, Debug)]
pub struct Events {
    /// What it works with.
    pub works: Works,
    /// The system that its events come from.
    pub system: Arc<str>,
}

/// `work`: a message of the work queue. Deferred events pass the same gate as new ones.
#[derive(Clone, Debug)]
pub struct Work(pub Works);

/// `sweep`: a timer. Ends what crashed, was overtaken or waited long enough.
#[derive(Clone, Debug)]
pub struct Sweep(pub Works);

#[async_trait]
impl Handler for Events {
    async fn handle(&self, call: Call) -> Answer {
        let started = Instant::now();
        let now = self.works.clock.now();
        let delivery = call.delivery(Arc::clone(&self.system), now);
        let report = self.works.pipeline.run(&delivery).await;
        self.works.answer(&report, lag(&delivery, now), started)
    }
}

#[async_trait]
impl Handler for Work {
    async fn handle(&self, call: Call) -> Answer {
        let started = Instant::now();
        let now = self.0.clock.now();
        let within = call.deadline.saturating_duration_since(started);
        let Some(message) = call.envelope.events(None, now).into_iter().next() else {
            return Answer::again("the call brought no message");
        };
        let asked = Asked {
            function: call.function,
            invocation: call.invocation,
            traceparent: call.traceparent,
            within,
        };
        match job::work(&self.0.pipeline, &message.body, asked).await {
            Ok(report) => self.0.answer(&report, None, started),
            Err(fault) => {
                warn!(%fault, "a message of the work queue could not be used");
                Answer::again(&fault.to_string())
            }
        }
    }
}

#[async_trait]
impl Handler for Sweep {
    async fn handle(&self, call: Call) -> Answer {
        let within = call.deadline.saturating_duration_since(Instant::now());
        match self.0.pipeline.sweep(within).await {
            Ok(swept) => {
                let counts = serde_json::to_value(swept).unwrap_or_default();
                Answer::done([self.0.line("sweep_done", counts, Map::new())])
            }
            Err(fault) => {
                warn!(%fault, "the sweep could not finish; it goes on at its next time");
                Answer::again(&fault.to_string())
            }
        }
    }
}

impl Works {
    /// The answer of a delivery, with its counts in one line for the function's own log.
    fn answer(&self, report: &Report, lag: Option<Duration>, started: Instant) -> Answer {
        let reason = match &report.verdict {
            Verdict::Acknowledge => None,
            Verdict::Redeliver(reason) => Some(reason),
        };
        let mut more = Map::new();
        more.insert("millis".into(), millis(started.elapsed()).into());
        more.extend(lag.map(|lag| ("lag_ms".to_owned(), millis(lag).into())));
        more.extend(reason.map(|reason| ("redeliver".to_owned(), reason.as_str().into())));
        let counts = serde_json::to_value(report.counts()).unwrap_or_default();
        let line = self.line("delivery_done", counts, more);
        match reason {
            None => Answer::done([line]),
            Some(reason) => Answer::again(reason),
        }
    }

    /// One line of figures: counts, what was used, and whatever else there is to say.
    fn line(&self, event: &str, counts: Value, more: Map<String, Value>) -> String {
        let mut line = Map::from_iter([("ev".to_owned(), Value::from(event))]);
        if let Value::Object(counts) = counts {
            line.extend(counts);
        }
        line.extend(self.meter.used().map(|(name, used)| (name.to_owned(), used.into())));
        line.extend(more);
        let line = Value::Object(line).to_string();
        info!(figures = %line, "{event}");
        line
    }
}

/// How long the oldest event of a delivery has been on its way since the broker took it.
fn lag(delivery: &Delivery, now: Timestamp) -> Option<Duration> {
    let enqueued = delivery.events.iter().filter_map(|event| event.origin.enqueued);
    enqueued.min().map(|oldest| clock::between(oldest, now))
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
