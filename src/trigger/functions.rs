//! The functions: what each trigger does with its call. All of them go through the same pipeline.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::time::Instant;
use tracing::{info, warn};

use super::{Answer, Call, Handler, Meter, Telling};
use crate::canary::Canaries;
use crate::clock::{self, SharedClock};
use crate::delivery::Delivery;
use crate::fault::Act;
use crate::job::{self, Asked};
use crate::outcome::{Outcome, Report, Verdict};
use crate::pipeline::Pipeline;
use crate::reconcile::Reconciler;
use crate::store::Queue;

/// What every function works with.
#[derive(Clone, Debug)]
pub struct Works {
    /// The path.
    pub pipeline: Arc<Pipeline>,
    /// What compares the two sides.
    pub reconciler: Arc<Reconciler>,
    /// What it costs.
    pub meter: Arc<Meter>,
    /// What measures how long changes take.
    pub canaries: Arc<Canaries>,
    /// The queues that a sweep looks at.
    pub queues: Queues,
    /// Whom calls are told to, besides the log.
    pub telling: Telling,
    /// The time.
    pub clock: SharedClock,
}

/// The queues whose lengths say how much waits.
#[derive(Clone, Debug)]
pub struct Queues {
    /// What is deferred.
    pub work: Arc<dyn Queue>,
    /// What was poisoned, for whoever watches.
    pub poison: Arc<dyn Queue>,
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

/// `nightly`: a timer. Begins the comparison of all maps; the work queue carries its pieces.
#[derive(Clone, Debug)]
pub struct Nightly(pub Works);

#[async_trait]
impl Handler for Nightly {
    async fn handle(&self, _: Call) -> Answer {
        match self.0.reconciler.night().await {
            Ok(maps) => {
                let counts = serde_json::json!({ "maps": maps });
                Answer::done([self.0.line("night_begun", counts, Map::new())])
            }
            Err(fault) => {
                warn!(%fault, "the nightly comparison could not begin; it does at its next time");
                Answer::again(&fault.to_string())
            }
        }
    }
}

#[async_trait]
impl Handler for Events {
    async fn handle(&self, call: Call) -> Answer {
        let started = Instant::now();
        let now = self.works.clock.now();
        let delivery = call.delivery(Arc::clone(&self.system), now);
        let report = self.works.pipeline.run(&delivery).await;
        let times = (started, lag(&delivery, now));
        self.works.answer(&delivery.function, &report, times).await
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
        if let Some(answer) = self.0.piece(&message.body, within).await {
            return answer;
        }
        let function = Arc::clone(&call.function);
        let asked = Asked {
            function: call.function,
            invocation: call.invocation,
            traceparent: call.traceparent,
            within,
        };
        match job::work(&self.0.pipeline, &message.body, asked).await {
            Ok(report) => self.0.answer(&function, &report, (started, None)).await,
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
                self.0.canaries.tick().await;
                let counts = serde_json::to_value(swept).unwrap_or_default();
                Answer::done([self.0.line("sweep_done", counts, self.0.depths().await)])
            }
            Err(fault) => {
                let halts = fault.act() == Act::Halt;
                let ev = if halts { "halted" } else { "sweep_failed" };
                warn!(ev, code = fault.kind.code(), %fault, "the sweep goes on at its next time");
                Answer::again(&fault.to_string())
            }
        }
    }
}

impl Works {
    /// The answer to a message that is a piece of a comparison; none to any other.
    async fn piece(&self, message: &[u8], within: Duration) -> Option<Answer> {
        Some(match self.reconciler.work(message, within).await? {
            Ok(None) => Answer::done([self.line("piece_done", Value::Null, Map::new())]),
            Ok(Some(report)) => {
                let figures = report.figures();
                let counts = serde_json::json!({
                    "map": report.order.map,
                    "different": figures.found,
                    "holes": figures.holes,
                    "repaired": figures.mended,
                    "open": figures.open,
                });
                Answer::done([self.line("reconcile_done", counts, Map::new())])
            }
            Err(fault) => {
                warn!(%fault, "a piece of a comparison is to be done again");
                Answer::again(&fault.to_string())
            }
        })
    }

    /// The answer of a delivery, with its counts in one line for the function's own log.
    pub(super) async fn answer(
        &self,
        function: &str,
        report: &Report,
        (started, lag): (Instant, Option<Duration>),
    ) -> Answer {
        self.telling.report(function, report, (started.elapsed(), lag)).await;
        let reason = match &report.verdict {
            Verdict::Acknowledge => None,
            Verdict::Redeliver(reason) => Some(reason),
        };
        let mut more = Map::new();
        more.insert("millis".into(), millis(started.elapsed()).into());
        more.extend(lag.map(|lag| ("lag_ms".to_owned(), millis(lag).into())));
        more.extend(reason.map(|reason| ("redeliver".to_owned(), reason.as_str().into())));
        more.insert("maps".into(), by_map(report));
        let counts = serde_json::to_value(report.counts()).unwrap_or_default();
        let line = self.line("delivery_done", counts, more);
        match reason {
            None => {
                // Told when nothing of it comes again, so that each poisoned row is told once.
                poisoned(report);
                Answer::done([line])
            }
            Some(reason) => Answer::again(reason),
        }
    }

    /// How much waits in the queues, as far as that can be told.
    async fn depths(&self) -> Map<String, Value> {
        self.telling.tick().await;
        let (work, poison) = tokio::join!(self.queues.work.depth(), self.queues.poison.depth());
        for (queue, depth) in [("work", &work), ("poison", &poison)] {
            if let Ok(depth) = depth {
                self.telling.depth(queue, *depth);
            }
        }
        let depths = [("work_depth", work), ("poison_depth", poison)];
        let told = depths.into_iter().filter_map(|(name, depth)| Some((name, depth.ok()?)));
        told.map(|(name, depth)| (name.to_owned(), depth.into())).collect()
    }

    /// One line of figures: counts, what was used, and whatever else there is to say.
    pub(super) fn line(&self, event: &str, counts: Value, more: Map<String, Value>) -> String {
        let mut line = Map::from_iter([("ev".to_owned(), Value::from(event))]);
        if let Value::Object(counts) = counts {
            line.extend(counts);
        }
        for (name, used) in self.meter.used() {
            self.telling.used(name, used);
            line.insert(name.to_owned(), used.into());
        }
        line.extend(more);
        let line = Value::Object(line).to_string();
        info!(figures = %line, "{event}");
        line
    }
}

/// Rows by map and outcome.
fn by_map(report: &Report) -> Value {
    let rows = report.outcomes.iter().map(
        |((map, outcome), rows)| json!({ "map": map, "outcome": outcome.word(), "rows": rows }),
    );
    Value::Array(rows.collect())
}

/// One line for each map and code, for the alert that counts them.
fn poisoned(report: &Report) {
    for ((map, outcome), rows) in &report.outcomes {
        if let Outcome::Poisoned(kind) = outcome {
            warn!(ev = "poisoned", map = &**map, code = kind.code(), rows, "poisoned");
        }
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
