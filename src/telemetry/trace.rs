//! One trace from the host's call to the call of a target: [`call`] begins where the host's `traceparent`
//! ends, [`stage`] and [`client`] nest, [`traceparent`] is what goes to the target.
//!
//! A place in a trace belongs to the task that works there, so nothing is passed along by hand. Without
//! a collector nothing is timed or kept; the host's trace still reaches the target. Refused: a trace
//! context that is none, which counts as absent (W3C Trace Context, level 1).

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;

use super::otlp::{Attribute, Sink, Span, SpanKind};

tokio::task_local! {
    static HERE: Here;
}

/// Where in a trace a task works.
#[derive(Clone, Debug)]
struct Here {
    trace: u128,
    span: u64,
    /// Where spans go; none when nobody collects them, or the caller wants none of this trace.
    sink: Option<Arc<Sink>>,
    noted: Arc<Mutex<Vec<Attribute>>>,
}

/// The trace and span of a `traceparent`, and whether it is to be collected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Parent {
    trace: u128,
    span: u64,
    sampled: bool,
}

/// Carries out a call of the host as the next span of its trace, or as the first of a new one.
pub async fn call<T>(
    sink: Option<&Arc<Sink>>,
    parent: Option<&str>,
    name: String,
    work: impl Future<Output = T>,
) -> T {
    let parent = parent.and_then(read);
    let sink = sink.filter(|_| parent.is_none_or(|parent| parent.sampled));
    let Some(sink) = sink else {
        let Some(Parent { trace, span, .. }) = parent else { return work.await };
        let here = Here { trace, span, sink: None, noted: Arc::default() };
        return HERE.scope(here, work).await;
    };
    let trace = parent.map_or_else(|| sink.new_trace(), |parent| parent.trace);
    let above = parent.map(|parent| parent.span);
    open(sink, (trace, above), (name, SpanKind::Server), work).await
}

/// Carries out a part of a call as a span of its own.
pub fn stage<T>(name: impl Into<String>, work: impl Future<Output = T>) -> impl Future<Output = T> {
    nested(name.into(), SpanKind::Internal, Box::pin(work))
}

/// Carries out a call to another system as a span of its own.
pub fn client<T>(name: &'static str, work: impl Future<Output = T>) -> impl Future<Output = T> {
    nested(name.to_owned(), SpanKind::Client, Box::pin(work))
}

async fn nested<T>(name: String, kind: SpanKind, work: impl Future<Output = T>) -> T {
    let Ok(here) = HERE.try_with(Here::clone) else { return work.await };
    let Some(sink) = &here.sink else { return work.await };
    open(sink, (here.trace, Some(here.span)), (name, kind), work).await
}

async fn open<T>(
    sink: &Arc<Sink>,
    (trace, parent): (u128, Option<u64>),
    (name, kind): (String, SpanKind),
    work: impl Future<Output = T>,
) -> T {
    let here =
        Here { trace, span: sink.new_span(), sink: Some(Arc::clone(sink)), noted: Arc::default() };
    let open = Open { here: here.clone(), parent, name, kind, start: sink.now() };
    let done = HERE.scope(here, work).await;
    drop(open);
    done
}

/// A span that is under way; ends when dropped, also when its work was given up.
struct Open {
    here: Here,
    parent: Option<u64>,
    name: String,
    kind: SpanKind,
    start: Timestamp,
}

impl Drop for Open {
    fn drop(&mut self) {
        let Here { trace, span, sink, noted } = &self.here;
        let Some(sink) = sink else { return };
        let attributes = std::mem::take(&mut *noted.lock().unwrap_or_else(PoisonError::into_inner));
        sink.span(Span {
            trace: *trace,
            id: *span,
            parent: self.parent,
            name: std::mem::take(&mut self.name),
            kind: self.kind,
            start: self.start,
            end: sink.now(),
            attributes,
        });
    }
}

/// Notes a fact about the span at hand. Only ids, words and numbers: no payload.
pub fn note(name: &'static str, value: impl Into<serde_json::Value>) {
    // Outside a trace there is nobody to tell.
    let _untraced = HERE.try_with(|here| {
        if here.sink.is_some() {
            let mut noted = here.noted.lock().unwrap_or_else(PoisonError::into_inner);
            noted.push((name, value.into()));
        }
    });
}

/// The `traceparent` for calls made here; none outside a trace.
pub fn traceparent() -> Option<String> {
    let here = HERE.try_with(|here| (here.trace, here.span, here.sink.is_some())).ok();
    here.map(|(trace, span, kept)| format!("00-{trace:032x}-{span:016x}-0{}", u8::from(kept)))
}

/// Reads `00-<32 hex>-<16 hex>-<2 hex>`.
fn read(text: &str) -> Option<Parent> {
    let mut parts = text.split('-');
    let mut part = |length: usize| {
        let part = parts.next()?;
        let hex = part.len() == length && part.bytes().all(|byte| byte.is_ascii_hexdigit());
        u128::from_str_radix(part, 16).ok().filter(|_| hex)
    };
    let (_version, trace, span, flags) = (part(2)?, part(32)?, part(16)?, part(2)?);
    let span = u64::try_from(span).ok()?;
    (trace != 0 && span != 0).then_some(Parent { trace, span, sampled: flags & 1 == 1 })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GIVEN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn a_trace_context_is_read_or_counts_as_absent() {
        let parent = read(GIVEN).unwrap();
        assert_eq!(
            (parent.trace >> 96, parent.span, parent.sampled),
            (0x0af7_6519, 0xb7ad_6b71_6920_3331, true)
        );
        assert!(!read(&GIVEN.replace("-01", "-00")).unwrap().sampled);
        for wrong in [
            "",
            "00-1",
            "00-xy-1-1",
            &GIVEN.replace('7', "+"),
            &GIVEN.replace("b7ad6b7169203331", "0000000000000000"),
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }

    #[tokio::test]
    async fn without_a_collector_the_trace_of_the_host_goes_on_as_it_is() {
        let seen =
            call(None, Some(GIVEN), "call".to_owned(), stage("write", async { traceparent() }));
        assert_eq!(seen.await.unwrap(), GIVEN.replace("-01", "-00"));
        assert_eq!(call(None, None, "call".to_owned(), async { traceparent() }).await, None);
        note("outside", 1);
    }
}
