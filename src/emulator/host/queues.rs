//! The queue trigger: messages are taken, handed over one a call, and removed on success.
//!
//! A message that fails shows again after the visibility timeout; one that was taken too often goes
//! to the queue's `-poison` queue. The real host hides a message for ten minutes, renews that while
//! the call runs and lowers it on failure; here it is hidden for the visibility timeout alone, so a
//! call longer than that sees its message taken twice, which at-least-once delivery allows.

use std::time::Duration;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use crate::store::{Message, Queue};

use super::envelope;
use super::settings::{Function, QueueTrigger};
use super::{Call, Error, Host, Notice};

/// The shortest time that a taken message stays hidden, however fast the pace.
const LEAST_HIDDEN: Duration = Duration::from_secs(5);
const POLL: Duration = Duration::from_millis(500);

/// Hands over the messages of one queue for ever, up to `batchSize` at once.
pub(super) async fn listen(
    host: &Host,
    function: &Function,
    trigger: &QueueTrigger,
    queue: &dyn Queue,
    poison: &dyn Queue,
) -> Result<(), Error> {
    let limits = host.settings.host.queues;
    let hidden = host.paced(limits.hidden).max(LEAST_HIDDEN);
    let mut running = FuturesUnordered::new();
    loop {
        let free = limits.parallel - running.len();
        let taken = if free == 0 { Vec::new() } else { queue.take(free, hidden).await? };
        let idle = taken.is_empty();
        for message in taken {
            running.push(handle(
                host,
                function,
                trigger,
                Queues { queue, poison, hidden },
                message,
            ));
        }
        if idle {
            tokio::select! {
                Some(done) = running.next() => done?,
                () = tokio::time::sleep(host.paced(POLL)) => (),
            }
        }
    }
}

#[derive(Clone, Copy)]
struct Queues<'a> {
    queue: &'a dyn Queue,
    poison: &'a dyn Queue,
    hidden: Duration,
}

async fn handle(
    host: &Host,
    function: &Function,
    trigger: &QueueTrigger,
    queues: Queues<'_>,
    message: Message,
) -> Result<(), Error> {
    let call = Call {
        function: function.name.clone(),
        partition: None,
        events: 1,
        attempt: message.taken.saturating_sub(1),
    };
    let body = envelope::message(function, trigger.binary, &message, queues.hidden, host.moment());
    match host.attempt(function, call, body).await {
        Ok(()) => queues.queue.remove(&message).await?,
        Err((call, reason)) if message.taken >= host.settings.host.queues.most_taken => {
            queues.poison.put(&message.body, Duration::ZERO).await?;
            queues.queue.remove(&message).await?;
            host.tell(Notice::Lost { call, reason });
        }
        Err((call, reason)) => host.tell(Notice::Failed { call, reason }),
    }
    Ok(())
}
