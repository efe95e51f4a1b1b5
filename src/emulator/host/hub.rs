//! An event hub in memory: partitions of events in order, and for each consumer group how far it is.
//!
//! Source of the behaviour: Event Hubs features (partitions, sequence numbers, checkpoints). Events
//! are never dropped.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use tokio::sync::watch;

/// A hub of a namespace.
#[derive(Debug)]
pub struct Hub {
    /// `ns1.servicebus.windows.net`
    pub namespace: String,
    /// The hub's name.
    pub name: String,
    partitions: Vec<watch::Sender<Partition>>,
}

/// An event as the hub keeps it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// The body, byte for byte.
    pub body: Bytes,
    /// Its number in the partition.
    pub sequence: i64,
    /// When the hub took it.
    pub enqueued: Timestamp,
}

impl Event {
    /// Where its bytes start in the partition's log, in the hub's own opaque count.
    pub(super) fn offset(&self) -> i64 {
        (1 << 32) + self.sequence * 192
    }
}

#[derive(Debug, Default)]
struct Partition {
    events: Vec<Arc<Event>>,
    checkpoints: BTreeMap<String, usize>,
}

impl Partition {
    fn checkpoint(&self, group: &str) -> usize {
        self.checkpoints.get(group).copied().unwrap_or_default()
    }

    fn waiting(&self, group: &str) -> usize {
        self.events.len() - self.checkpoint(group)
    }
}

impl Hub {
    /// An empty hub.
    pub fn new(namespace: &str, name: &str, partitions: usize) -> Self {
        let partitions = (0..partitions).map(|_| watch::Sender::default()).collect();
        Self { namespace: namespace.to_owned(), name: name.to_owned(), partitions }
    }

    /// How many partitions it has.
    pub fn partitions(&self) -> usize {
        self.partitions.len()
    }

    /// Appends events to a partition, counted round when there are fewer.
    pub fn send(&self, partition: usize, bodies: impl IntoIterator<Item = Bytes>, now: Timestamp) {
        let Some(partition) = self.partitions.get(partition % self.partitions.len().max(1)) else {
            return;
        };
        partition.send_modify(|partition| {
            for body in bodies {
                let sequence = i64::try_from(partition.events.len()).unwrap_or(i64::MAX);
                partition.events.push(Arc::new(Event { body, sequence, enqueued: now }));
            }
        });
    }

    /// The next events after the group's checkpoint, at most `most`; waits until there is one.
    pub async fn receive(&self, group: &str, partition: usize, most: usize) -> Vec<Arc<Event>> {
        let Some(partition) = self.partitions.get(partition) else {
            return std::future::pending().await;
        };
        let mut watching = partition.subscribe();
        match watching.wait_for(|partition| partition.waiting(group) > 0).await {
            Ok(now) => {
                now.events.iter().skip(now.checkpoint(group)).take(most).map(Arc::clone).collect()
            }
            // The sender lives as long as the hub.
            Err(_closed) => Vec::new(),
        }
    }

    /// Moves the group's checkpoint on behind `count` further events.
    pub fn checkpoint(&self, group: &str, partition: usize, count: usize) {
        if let Some(partition) = self.partitions.get(partition) {
            partition.send_modify(|partition| {
                let next = (partition.checkpoint(group) + count).min(partition.events.len());
                partition.checkpoints.insert(group.to_owned(), next);
            });
        }
    }

    /// How many events of a partition lie behind the group's checkpoint, and how many there are.
    pub fn progress(&self, group: &str, partition: usize) -> (usize, usize) {
        self.partitions.get(partition).map_or((0, 0), |partition| {
            let now = partition.borrow();
            (now.checkpoint(group), now.events.len())
        })
    }

    /// Waits until the group has checkpointed everything that was sent.
    pub async fn consumed(&self, group: &str) {
        for partition in &self.partitions {
            let mut watching = partition.subscribe();
            watching.wait_for(|partition| partition.waiting(group) == 0).await.ok();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub_of(bodies: &[&'static str]) -> Hub {
        let hub = Hub::new("ns", "hub", 2);
        hub.send(0, bodies.iter().map(|body| Bytes::from_static(body.as_bytes())), Timestamp::MIN);
        hub
    }

    #[tokio::test]
    async fn the_same_events_come_again_until_the_checkpoint_moves() {
        let hub = hub_of(&["a", "b", "c"]);
        let first = hub.receive("g", 0, 2).await;
        assert_eq!(hub.receive("g", 0, 2).await, first);
        hub.checkpoint("g", 0, first.len());
        let rest = hub.receive("g", 0, 2).await;
        assert_eq!((rest.len(), rest[0].sequence), (1, 2));
        assert_eq!(hub.progress("g", 0), (2, 3));
    }

    #[tokio::test]
    async fn groups_do_not_disturb_each_other() {
        let hub = hub_of(&["a"]);
        hub.checkpoint("g", 0, 1);
        hub.consumed("g").await;
        assert_eq!(hub.receive("other", 0, 9).await.len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn an_empty_partition_waits_for_its_first_event() {
        let hub = hub_of(&["a"]);
        let waited = tokio::time::timeout(std::time::Duration::from_secs(9), async {
            hub.receive("g", 1, 9).await
        });
        assert!(waited.await.is_err());
        hub.send(1, [Bytes::from_static(b"late")], Timestamp::MIN);
        assert_eq!(hub.receive("g", 1, 9).await.len(), 1);
    }
}
