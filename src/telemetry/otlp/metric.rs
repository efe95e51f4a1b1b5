//! The metrics: names with units, and labels of low cardinality (`docs/telemetry.md`).

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Metric {
    /// Events of deliveries; by function.
    Events,
    /// Rows; by map and outcome.
    Rows,
    /// Poisoned rows; by map and code.
    Poisoned,
    /// How long a call took; by function.
    CallDuration,
    /// How long the oldest event of a delivery had been on its way; by function.
    Lag,
    /// Requests to storage.
    StorageOperations,
    /// Calls to targets.
    TargetCalls,
    /// Messages in a queue; by queue.
    QueueDepth,
    /// Spans that found no room or were not taken.
    DroppedSpans,
}

/// How a metric is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// A sum since the last export.
    Sum,
    /// The distribution since the last export.
    Histogram,
    /// The value as it was last.
    Gauge,
}

/// Names and values that tell the series of a metric apart.
pub type Labels = Vec<(&'static str, String)>;

impl Metric {
    /// The name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Events => "concord.events",
            Self::Rows => "concord.rows",
            Self::Poisoned => "concord.poisoned",
            Self::CallDuration => "concord.call.duration",
            Self::Lag => "concord.lag",
            Self::StorageOperations => "concord.storage.operations",
            Self::TargetCalls => "concord.target.calls",
            Self::QueueDepth => "concord.queue.depth",
            Self::DroppedSpans => "concord.spans.dropped",
        }
    }

    /// The unit (UCUM).
    pub(super) fn unit(self) -> &'static str {
        match self {
            Self::Events => "{event}",
            Self::Rows | Self::Poisoned => "{row}",
            Self::CallDuration | Self::Lag => "s",
            Self::StorageOperations => "{operation}",
            Self::TargetCalls => "{call}",
            Self::QueueDepth => "{message}",
            Self::DroppedSpans => "{span}",
        }
    }

    pub(super) fn shape(self) -> Shape {
        match self {
            Self::CallDuration | Self::Lag => Shape::Histogram,
            Self::QueueDepth => Shape::Gauge,
            Self::Events
            | Self::Rows
            | Self::Poisoned
            | Self::StorageOperations
            | Self::TargetCalls
            | Self::DroppedSpans => Shape::Sum,
        }
    }
}
