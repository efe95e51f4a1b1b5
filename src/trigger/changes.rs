//! `changes`: a timer that asks sources what changed, for events that were lost.

use std::sync::Arc;

use async_trait::async_trait;
use serde_json::Map;
use tokio::time::Instant;
use tracing::warn;

use super::{Answer, Call, Handler, Works};
use crate::delta::Tracking;

/// What the function works with.
#[derive(Clone, Debug)]
pub struct Changes {
    /// For its figures.
    pub works: Works,
    /// Who asks.
    pub tracking: Arc<Tracking>,
}

#[async_trait]
impl Handler for Changes {
    async fn handle(&self, call: Call) -> Answer {
        let within = call.deadline.saturating_duration_since(Instant::now());
        match self.tracking.run(within).await {
            Ok(tracked) => {
                let counts = serde_json::to_value(tracked).unwrap_or_default();
                Answer::done([self.works.line("changes_done", counts, Map::new())])
            }
            Err(fault) => {
                warn!(%fault, "the changes could not be kept; they are asked for again");
                Answer::again(&fault.to_string())
            }
        }
    }
}
