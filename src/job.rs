//! Long work, in pieces that the work queue carries: deferred events, for now.
//!
//! Each piece can be repeated: it goes through the same pipeline and the same gate as a delivery of
//! the host. What is still open afterwards is deferred again, with a longer pause.

use std::sync::Arc;
use std::time::Duration;

use crate::delivery::{Attempt, Delivery};
use crate::fault::Fault;
use crate::outcome::{Report, Verdict};
use crate::pipeline::Pipeline;
use crate::system::Lane;

/// Who asks for a piece of work to be done.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The function that was called.
    pub function: Arc<str>,
    /// The host's invocation id.
    pub invocation: String,
    /// The trace context of the call.
    pub traceparent: Option<String>,
    /// How much time there is.
    pub within: Duration,
}

/// Does what a message of the work queue asks for. Acknowledged: the message may be removed.
///
/// There is no next attempt to count on, since what the host moves aside after a few failures would
/// wait for nobody; so whatever is open is deferred again and the message acknowledged.
pub async fn work(pipeline: &Pipeline, message: &[u8], asked: Asked) -> Result<Report, Fault> {
    let Some(deferred) = pipeline.deferral.read(message).await? else {
        return Ok(Report::default());
    };
    let Asked { function, invocation, traceparent, within } = asked;
    let delivery = Delivery {
        system: Arc::clone(&deferred.system),
        function,
        invocation,
        traceparent,
        attempt: Attempt { count: 0, last: true },
        within,
        events: deferred.events.clone(),
    };
    let report = pipeline.run_in(Lane::Bulk, &delivery).await;
    if report.verdict == Verdict::Acknowledge {
        pipeline.deferral.done(&deferred).await;
    }
    Ok(report)
}
