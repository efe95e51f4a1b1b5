//! What the far side saw: every call with its kind, the partition whose rows it was about, and how long
//! it took. Counted here and not in the handler, so that every contender is counted alike.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

use crate::work::partition_of;

/// The two far sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    Target,
    Storage,
}

/// One call.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) side: Side,
    pub(crate) kind: &'static str,
    pub(crate) partition: Option<usize>,
    pub(crate) from: Instant,
    pub(crate) to: Instant,
}

/// All calls since the last look.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<Vec<Span>>);

impl Calls {
    /// Notes a call that is answered now. Address and content say whose rows it was about.
    pub(crate) fn note(
        &self,
        (side, kind): (Side, &'static str),
        (address, body): (&str, &[u8]),
        from: Instant,
    ) {
        let partition = partition_of(address.as_bytes()).or_else(|| partition_of(body));
        let span = Span { side, kind, partition, from, to: Instant::now() };
        self.0.lock().unwrap().push(span);
    }

    /// What was noted since the last look.
    pub(crate) fn take(&self) -> Vec<Span> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// How many calls of each kind one side served.
pub(crate) fn kinds(spans: &[Span], side: Side) -> BTreeMap<&'static str, usize> {
    let mut kinds = BTreeMap::new();
    for span in spans.iter().filter(|span| span.side == side) {
        *kinds.entry(span.kind).or_default() += 1;
    }
    kinds
}

/// For how many seconds of a stretch of time at least one of these calls was under way: the round trips
/// that a batch could not do without, when its calls are given.
pub(crate) fn under_way(spans: &[Span], from: Instant, to: Instant) -> f64 {
    let mut within: Vec<(Instant, Instant)> = spans
        .iter()
        .filter(|span| span.from < to && span.to > from)
        .map(|span| (span.from.max(from), span.to.min(to)))
        .collect();
    within.sort();
    let (mut sum, mut end) = (0.0, from);
    for (start, stop) in within {
        if stop > end {
            sum += (stop - start.max(end)).as_secs_f64();
            end = stop;
        }
    }
    sum
}
