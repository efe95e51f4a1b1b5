//! Deferred events: durable in the work queue until their turn comes again.
//!
//! An event is deferred for the maps that could not apply it yet, with a growing pause, and comes back
//! through the same pipeline and the same gate. A message that would be too large for the queue carries
//! the name of a blob instead.

mod backlog;

use std::sync::Arc;
use std::time::Duration;

use object_store::{ObjectStore, ObjectStoreExt as _, path::Path};
use serde::{Deserialize, Serialize};

pub use self::backlog::Kept;
use crate::clock::SharedClock;
use crate::delivery::{Event, Packed};
use crate::digest;
use crate::fault::{Fault, Kind};
use crate::store::{MAX_MESSAGE, Queue};

/// Puts events in the work queue and reads them back.
#[derive(Debug)]
pub struct Deferral {
    queue: Arc<dyn Queue>,
    blobs: Arc<dyn ObjectStore>,
    clock: SharedClock,
}

/// A message of the work queue.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
enum Message {
    /// Events of one system, in the message itself.
    Deferred { system: Arc<str>, since: jiff::Timestamp, events: Vec<Packed> },
    /// The same, in a blob.
    Claimcheck { blob: String },
}

/// Events that came back.
#[derive(Clone, Debug)]
pub struct Deferred {
    /// The system they are from.
    pub system: Arc<str>,
    /// The events.
    pub events: Vec<Event>,
    /// The blob that held them; remove it when they are done.
    blob: Option<String>,
}

/// The pause before the first attempt, doubled for each further one up to [`LONGEST_PAUSE`].
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// The longest pause: how late a target that was down is noticed to be back.
const LONGEST_PAUSE: Duration = Duration::from_mins(5);

/// How many events that are brought again travel together.
const TOGETHER: usize = 200;

/// The pause before an event that was deferred `times` before is tried again.
pub fn pause(times: u32) -> Duration {
    FIRST_PAUSE.saturating_mul(2_u32.saturating_pow(times.min(10))).min(LONGEST_PAUSE)
}

impl Deferral {
    /// Over the work queue and the blobs.
    pub fn new(queue: Arc<dyn Queue>, blobs: Arc<dyn ObjectStore>, clock: SharedClock) -> Self {
        Self { queue, blobs, clock }
    }

    /// Makes events durable. Each says for itself which maps it is for and how often it was deferred;
    /// those deferred equally often travel together.
    pub async fn put(&self, system: &Arc<str>, mut events: Vec<Event>) -> Result<(), Fault> {
        events.sort_by_key(|event| event.deferred);
        for group in events.chunk_by(|a, b| a.deferred == b.deferred) {
            let times = group.first().map_or(0, |event| event.deferred);
            let events = group.iter().map(|event| {
                Packed::of(&Event { deferred: event.deferred.saturating_add(1), ..event.clone() })
            });
            let message = Message::Deferred {
                system: Arc::clone(system),
                since: self.clock.now(),
                events: events.collect(),
            };
            self.send(&message, pause(times)).await?;
        }
        Ok(())
    }

    /// Makes events durable that are to come again after `pause` as they are; a few at a time.
    pub async fn bring(
        &self,
        system: &Arc<str>,
        events: &[Event],
        pause: Duration,
    ) -> Result<(), Fault> {
        for group in events.chunks(TOGETHER) {
            let message = Message::Deferred {
                system: Arc::clone(system),
                since: self.clock.now(),
                events: group.iter().map(Packed::of).collect(),
            };
            self.send(&message, pause).await?;
        }
        Ok(())
    }

    async fn send(&self, message: &Message, pause: Duration) -> Result<(), Fault> {
        let body = serde_json::to_vec(message).map_err(unreadable)?;
        if body.len() <= MAX_MESSAGE {
            return self.queue.put(&body, pause).await.map_err(|error| error.fault("work queue"));
        }
        let blob = format!("deferred/{}.json", digest::hex(&digest::of([&*body])));
        self.blobs.put(&Path::from(blob.as_str()), body.into()).await.map_err(unavailable)?;
        let check = serde_json::to_vec(&Message::Claimcheck { blob }).map_err(unreadable)?;
        self.queue.put(&check, pause).await.map_err(|error| error.fault("work queue"))
    }

    /// Reads a message of the work queue. `Ok(None)` when its blob is gone: it was done already.
    pub async fn read(&self, body: &[u8]) -> Result<Option<Deferred>, Fault> {
        match serde_json::from_slice(body).map_err(unreadable)? {
            Message::Deferred { system, events, .. } => unpacked(system, events, None).map(Some),
            Message::Claimcheck { blob } => {
                let content = match self.blobs.get(&Path::from(blob.as_str())).await {
                    Ok(found) => found.bytes().await.map_err(unavailable)?,
                    Err(object_store::Error::NotFound { .. }) => return Ok(None),
                    Err(error) => return Err(unavailable(error)),
                };
                match serde_json::from_slice(&content).map_err(unreadable)? {
                    Message::Deferred { system, events, .. } => {
                        unpacked(system, events, Some(blob)).map(Some)
                    }
                    Message::Claimcheck { .. } => Err(Fault::new(Kind::Malformed, WRONG)),
                }
            }
        }
    }

    /// Forgets what is done. A failure leaves a blob behind that nobody reads again.
    pub async fn done(&self, deferred: &Deferred) {
        if let Some(blob) = &deferred.blob
            && let Err(error) = self.blobs.delete(&Path::from(blob.as_str())).await
        {
            tracing::warn!(%error, "a blob of deferred events could not be removed");
        }
    }
}

const WRONG: &str =
    "a message of the work queue is not one of ours; who else writes to that queue?";

fn unpacked(
    system: Arc<str>,
    events: Vec<Packed>,
    blob: Option<String>,
) -> Result<Deferred, Fault> {
    let events: Result<Vec<Event>, _> = events.into_iter().map(Packed::unpack).collect();
    Ok(Deferred { system, events: events.map_err(unreadable)?, blob })
}

fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::new(Kind::Malformed, WRONG).caused_by(error)
}

fn unavailable(error: object_store::Error) -> Fault {
    Fault::new(Kind::Storage, "the blob of deferred events is out of reach").caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        assert_eq!(pause(0), Duration::from_secs(5));
        assert_eq!(pause(3), Duration::from_secs(40));
        assert_eq!(pause(u32::MAX), LONGEST_PAUSE);
    }
}
