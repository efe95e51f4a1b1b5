//! Where spans and measurements wait for the next export. Nothing here waits for anybody.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::Notify;

use super::Span;
use super::metric::{Labels, Metric, Shape};
use crate::chance::Chance;
use crate::clock::SharedClock;

/// Spans that wait at most.
const SPANS: usize = 4_096;
/// Spans of one export; that many are exported at once.
pub(super) const BATCH: usize = 512;
/// Series of metrics at most.
const SERIES: usize = 2_000;
/// The upper bounds of a histogram's buckets, in seconds.
pub(super) const BOUNDS: [f64; 10] = [0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 3_600.0];

/// Collects what is to be exported.
#[derive(Debug)]
pub struct Sink {
    clock: SharedClock,
    chance: Chance,
    state: Mutex<State>,
    pub(super) full: Notify,
}

#[derive(Debug)]
struct State {
    spans: VecDeque<Span>,
    series: BTreeMap<(Metric, Labels), Series>,
    since: Timestamp,
}

/// What was measured of one series since the last export.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Series {
    /// How many measurements.
    pub(super) count: u64,
    /// Their sum, or the last of them.
    pub(super) value: f64,
    /// How many fell into each bucket, for a histogram.
    pub(super) buckets: [u64; BOUNDS.len() + 1],
}

/// What is exported at once.
#[derive(Clone, Debug)]
pub(super) struct Batch {
    pub(super) spans: Vec<Span>,
    pub(super) series: BTreeMap<(Metric, Labels), Series>,
    pub(super) since: Timestamp,
    pub(super) until: Timestamp,
}

impl Sink {
    /// Empty, over this clock and these random numbers.
    pub fn new(clock: SharedClock, chance: Chance) -> Self {
        let state = State { spans: VecDeque::new(), series: BTreeMap::new(), since: clock.now() };
        Self { clock, chance, state: Mutex::new(state), full: Notify::new() }
    }

    pub(in crate::telemetry) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub(in crate::telemetry) fn new_trace(&self) -> u128 {
        self.chance.uuid().as_u128()
    }

    pub(in crate::telemetry) fn new_span(&self) -> u64 {
        self.chance.below(u64::MAX).max(1)
    }

    /// Takes a span, or drops it when there is no room.
    pub fn span(&self, span: Span) {
        let mut state = self.state();
        if state.spans.len() >= SPANS {
            state.measure(Metric::DroppedSpans, Labels::new(), 1.0);
            return;
        }
        state.spans.push_back(span);
        if state.spans.len() >= BATCH {
            self.full.notify_one();
        }
    }

    /// Takes a measurement, or drops it when there are too many series.
    pub fn measure(&self, metric: Metric, labels: Labels, value: f64) {
        self.state().measure(metric, labels, value);
    }

    /// What is to be exported now.
    pub(super) fn take(&self) -> Batch {
        let until = self.now();
        let mut state = self.state();
        let some = state.spans.len().min(BATCH);
        let spans = state.spans.drain(..some).collect();
        let series = std::mem::take(&mut state.series);
        let since = std::mem::replace(&mut state.since, until);
        Batch { spans, series, since, until }
    }

    /// Puts measurements back that nobody took. The spans are gone.
    pub(super) fn give_back(&self, series: BTreeMap<(Metric, Labels), Series>, since: Timestamp) {
        let mut state = self.state();
        state.since = state.since.min(since);
        for (name, series) in series {
            state.add(name, &series);
        }
    }

    /// Counts spans that were not taken.
    pub(super) fn dropped(&self, spans: usize) {
        let spans = f64::from(u32::try_from(spans).unwrap_or(u32::MAX));
        self.measure(Metric::DroppedSpans, Labels::new(), spans);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn measure(&mut self, metric: Metric, labels: Labels, value: f64) {
        let mut series = Series { count: 1, value, ..Series::default() };
        let bucket = BOUNDS.iter().position(|bound| value <= *bound).unwrap_or(BOUNDS.len());
        if let Some(bucket) = series.buckets.get_mut(bucket) {
            *bucket = 1;
        }
        self.add((metric, labels), &series);
    }

    fn add(&mut self, name: (Metric, Labels), more: &Series) {
        if self.series.len() >= SERIES && !self.series.contains_key(&name) {
            return;
        }
        let is_gauge = name.0.shape() == Shape::Gauge;
        let series = self.series.entry(name).or_default();
        series.count += more.count;
        series.value = if is_gauge { more.value } else { series.value + more.value };
        for (bucket, more) in series.buckets.iter_mut().zip(more.buckets) {
            *bucket += more;
        }
    }
}
