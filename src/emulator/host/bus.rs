//! Service Bus in memory, and its trigger: messages of one queue or subscription, handed over many at once.
//!
//! A call has one result for all its messages: they are completed together, or abandoned together and
//! delivered again at once; one that was delivered ten times is dead-lettered (Functions custom handler,
//! serviceBusTrigger; what the host does on failure). Nothing waits between two deliveries, so a handler
//! that fails for a while must not let them fail.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

use super::envelope;
use super::settings::{BusTrigger, Function};
use super::{Call, Error, Host, Notice};

/// The most messages of one call (Functions custom handler, host.json: maxMessageBatchSize).
const MOST: usize = 1_000;
/// How often a message is delivered at most (Service Bus, max delivery count).
const DELIVERIES: u32 = 10;

/// A message as the broker keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The body, byte for byte.
    pub body: Bytes,
    /// The application properties.
    pub properties: BTreeMap<String, String>,
    /// Its number.
    pub sequence: i64,
    /// When the broker took it.
    pub enqueued: Timestamp,
    /// How often it was delivered, this time included.
    pub delivered: u32,
}

/// A queue, or a subscription of a topic.
#[derive(Debug, Default)]
pub struct Subscription(watch::Sender<State>);

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Message>,
    dead: Vec<Message>,
    locked: usize,
    sequence: i64,
}

impl Subscription {
    /// Puts a message.
    pub fn send(&self, body: Bytes, properties: BTreeMap<String, String>, now: Timestamp) {
        self.0.send_modify(|state| {
            state.sequence += 1;
            let (sequence, enqueued) = (state.sequence, now);
            state.waiting.push_back(Message { body, properties, sequence, enqueued, delivered: 0 });
        });
    }

    /// How many messages were given up.
    pub fn dead(&self) -> usize {
        self.0.borrow().dead.len()
    }

    /// Waits until no message waits or is being handled.
    pub async fn consumed(&self) {
        let mut watching = self.0.subscribe();
        let idle = |state: &State| state.waiting.is_empty() && state.locked == 0;
        watching.wait_for(idle).await.ok();
    }

    /// The next messages, locked for this taker; waits until there is one.
    async fn take(&self, most: usize) -> Vec<Message> {
        let mut watching = self.0.subscribe();
        // The sender lives as long as the subscription.
        watching.wait_for(|state| !state.waiting.is_empty()).await.ok();
        let mut taken = Vec::new();
        self.0.send_modify(|state| {
            let end = state.waiting.len().min(most);
            taken.extend(state.waiting.drain(..end));
            state.locked += taken.len();
        });
        for message in &mut taken {
            message.delivered += 1;
        }
        taken
    }

    /// Lets go of messages: completed ones, or ones that come again unless they came too often.
    fn release(&self, taken: Vec<Message>, completed: bool) {
        self.0.send_modify(|state| {
            state.locked = state.locked.saturating_sub(taken.len());
            for message in taken.into_iter().rev().filter(|_| !completed) {
                if message.delivered < DELIVERIES {
                    state.waiting.push_front(message);
                } else {
                    state.dead.push(message);
                }
            }
        });
    }
}

/// Hands over the messages of one subscription for ever.
pub(super) async fn listen(
    host: &Host,
    function: &Function,
    trigger: &BusTrigger,
    subscription: &Subscription,
) -> Result<(), Error> {
    loop {
        let taken = subscription.take(MOST).await;
        let attempt = taken.iter().map(|message| message.delivered).max().unwrap_or(1) - 1;
        let body = envelope::messages(function, trigger.binary, &taken, host.moment());
        let (name, events) = (function.name.clone(), taken.len());
        let call = Call { function: name, partition: None, events, attempt };
        let result = host.attempt(function, call, body).await;
        subscription.release(taken, result.is_ok());
        if let Err((call, reason)) = result {
            let last = call.attempt + 1 >= DELIVERIES;
            host.tell(if last {
                Notice::Lost { call, reason }
            } else {
                Notice::Failed { call, reason }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(bodies: &[&'static str]) -> Subscription {
        let subscription = Subscription::default();
        for body in bodies {
            let body = Bytes::from_static(body.as_bytes());
            subscription.send(body, BTreeMap::new(), Timestamp::MIN);
        }
        subscription
    }

    #[tokio::test]
    async fn abandoned_messages_come_again_in_their_order_and_completed_ones_do_not() {
        let subscription = of(&["a", "b", "c"]);
        let taken = subscription.take(2).await;
        subscription.release(taken, false);
        let again = subscription.take(9).await;
        let shown: Vec<_> = again.iter().map(|one| (one.sequence, one.delivered)).collect();
        assert_eq!(shown, [(1, 2), (2, 2), (3, 1)]);
        subscription.release(again, true);
        subscription.consumed().await;
        assert_eq!(subscription.dead(), 0);
    }

    #[tokio::test]
    async fn a_message_that_fails_ten_times_is_dead_lettered() {
        let subscription = of(&["a"]);
        for _ in 0..DELIVERIES {
            assert_eq!(subscription.dead(), 0);
            let taken = subscription.take(1).await;
            subscription.release(taken, false);
        }
        assert_eq!(subscription.dead(), 1);
        subscription.consumed().await;
    }
}
