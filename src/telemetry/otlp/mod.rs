//! OpenTelemetry export of spans and metrics, as JSON over HTTP (OTLP 1.x), when a collector is set.
//!
//! In come finished spans and measurements; they wait in a bounded [`Sink`] that never waits itself: what
//! finds no room is dropped, and the number of dropped spans is a metric. [`Exporter`] posts beside the
//! handler's own work, within five seconds or not at all. Refused: an address without TLS together with
//! headers, which are secrets, unless it is on this machine.
//!
//! Source: OpenTelemetry Protocol specification, OTLP/HTTP with JSON encoding. Written here because the
//! crates for it would add a tenth to the tree for two documents.

mod encode;
mod export;
mod metric;
mod sink;

pub use self::export::{Config, ConfigError, Exporter};
pub use self::metric::{Labels, Metric};
pub use self::sink::Sink;

use jiff::Timestamp;
use serde_json::Value;

/// The name and value of a fact about a span.
pub type Attribute = (&'static str, Value);

/// Whose work a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SpanKind {
    /// Work of our own.
    Internal,
    /// A call that somebody made.
    Server,
    /// A call to somebody.
    Client,
}

/// Work that is done.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// The trace.
    pub trace: u128,
    /// The span.
    pub id: u64,
    /// The span above it.
    pub parent: Option<u64>,
    /// What was done; few different names.
    pub name: String,
    /// Whose work it was.
    pub kind: SpanKind,
    /// When it began.
    pub start: Timestamp,
    /// When it ended.
    pub end: Timestamp,
    /// What is known of it.
    pub attributes: Vec<Attribute>,
}

#[cfg(test)]
mod tests;
