//! The event hub trigger: one loop a partition, a batch at a time, in order.
//!
//! The checkpoint moves on after the last attempt whether the batch was handled or not: that is what
//! the host does, and why a handler must not let its last attempt fail.

use std::time::Instant;

use serde_json::{Map, Value};

use super::envelope::{self, Moment};
use super::settings::{EventHub, Function};
use super::{Call, Error, Host, Notice};

/// Hands over the events of one partition for ever.
pub(super) async fn listen(
    host: &Host,
    function: &Function,
    trigger: &EventHub,
    partition: usize,
) -> Result<(), Error> {
    let hub = &host.around.hub;
    loop {
        let batch = hub.receive(&trigger.group, partition, host.settings.host.batch).await;
        let body = envelope::events(function, trigger, hub, partition, &batch, host.moment());
        let call = Call {
            function: function.name.clone(),
            partition: Some(partition),
            events: batch.len(),
            attempt: 0,
        };
        if let Err((call, reason)) = host.attempt(function, call, body).await {
            host.tell(Notice::Lost { call, reason });
        }
        hub.checkpoint(&trigger.group, partition, batch.len());
    }
}

impl Host {
    pub(super) fn moment(&self) -> Moment {
        Moment { now: self.around.clock.now(), random: self.around.chance.uuid() }
    }

    /// Calls the function until it succeeds or its retry policy has no attempt left; the invocation
    /// keeps its id. Answers the last attempt and its failure, which nobody was told of yet.
    pub(super) async fn attempt(
        &self,
        function: &Function,
        mut call: Call,
        body: Map<String, Value>,
    ) -> Result<(), (Call, String)> {
        let invocation = self.around.chance.uuid();
        let mut failure: Option<String> = None;
        loop {
            let told = envelope::with_retry(
                body.clone(),
                function.retry,
                call.attempt,
                failure.as_deref(),
            );
            let start = Instant::now();
            let reason = match self.handler.invoke(&function.name, invocation, told).await {
                Ok(logs) => {
                    self.tell(Notice::Done { call, logs, took: start.elapsed() });
                    return Ok(());
                }
                Err(failure) => failure.to_string(),
            };
            let Some(retry) = function.retry.filter(|retry| retry.goes_on_after(call.attempt))
            else {
                return Err((call, reason));
            };
            self.tell(Notice::Failed { call: call.clone(), reason: reason.clone() });
            let wait = retry.wait_after(call.attempt, self.chance());
            tokio::time::sleep(self.paced(wait)).await;
            call.attempt += 1;
            failure = Some(reason);
        }
    }

    /// A number from 0 to 1.
    fn chance(&self) -> f64 {
        let drawn = u32::try_from(self.around.chance.below(1001)).unwrap_or_default();
        f64::from(drawn) / 1000.0
    }
}
