//! What a change owes to its place in the stream: its order where the source says no time, the tie
//! between equals, and a correlation id that a redelivery keeps.

use jiff::Timestamp;

use crate::change::Correlation;
use crate::delivery::Event;
use crate::fault::{Fault, Kind};
use crate::order::{Order, Tie};

/// Where a change stands: in which event, and as which of its members.
#[derive(Clone, Copy)]
pub(super) struct Place<'e> {
    pub(super) event: &'e Event,
    pub(super) index: u32,
}

impl Place<'_> {
    /// The order of a change: emitted when its source says so, else when the broker took it, else when
    /// it was first seen here.
    pub(super) fn order(
        self,
        version: Option<u64>,
        emitted: Option<Timestamp>,
    ) -> Result<Order, Fault> {
        let origin = &self.event.origin;
        let emitted = emitted.or(origin.enqueued).or(origin.received).ok_or_else(|| {
            let message = "nothing says when the change was sent: neither the event nor its stream";
            Fault::new(Kind::Malformed, message)
        })?;
        let numbered = origin.sequence.is_some() || self.index > 0;
        let tie = Tie {
            enqueued: origin.enqueued,
            partition: origin.partition.clone(),
            sequence: numbered.then(|| (origin.sequence.unwrap_or_default(), self.index)),
        };
        Ok(Order { version, emitted, tie })
    }

    /// The trace of the event's sender, else an id computed from where the event stood, else from what
    /// it says.
    ///
    /// Source: streams and lake, correlation end to end.
    pub(super) fn correlation(self, raw: &[u8]) -> Correlation {
        let names = ["traceparent", "Diagnostic-Id", "cloudEvents:traceparent"];
        let sent = |name| Correlation::from_traceparent(self.event.property(name)?);
        names.into_iter().find_map(sent).unwrap_or_else(|| self.derived(raw))
    }

    fn derived(self, raw: &[u8]) -> Correlation {
        let origin = &self.event.origin;
        match (&origin.stream, origin.sequence) {
            (Some(stream), Some(sequence)) => {
                let partition = origin.partition.as_deref().unwrap_or_default();
                let sequence = sequence.to_string();
                let parts = [stream.as_bytes(), partition.as_bytes(), sequence.as_bytes()];
                Correlation::derived(parts)
            }
            (Some(_) | None, _) => Correlation::derived([raw]),
        }
    }
}
