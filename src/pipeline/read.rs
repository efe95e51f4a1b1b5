//! Decode and map: from events to rows, and to what could not be read or mapped.

use std::sync::Arc;

use bytes::Bytes;

use super::Pipeline;
use crate::change::{Change, Correlation};
use crate::coalesce::Mapped;
use crate::delivery::{Delivery, Event};
use crate::fault::{Fault, Kind};
use crate::outcome::{Outcome, Report};
use crate::poison::Refusal;

/// One change's worth of an event: what is quarantined, or deferred, if it comes to that.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// The event, with its body cut down to this member.
    pub(super) event: Event,
    /// The system it is from.
    pub(super) system: Arc<str>,
}

/// What a delivery comes to before anything is asked or written.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) members: Vec<Member>,
    /// Rows, each with the index of its member.
    pub(super) rows: Vec<Mapped>,
    pub(super) refusals: Vec<(usize, Refusal)>,
    filtered: Vec<Arc<str>>,
}

/// A change, or a row of it, that is not settled: which member, for which map, and why.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) member: usize,
    pub(super) map: Option<Arc<str>>,
    pub(super) fault: Fault,
}

/// Stands for a map in reports when no map could read an event.
const NO_MAP: &str = "-";

impl Pipeline {
    /// Decodes and maps everything; one bad event harms itself alone.
    pub(super) fn read(&self, delivery: &Delivery) -> Read {
        let mut read = Read::default();
        let Some(decoder) = self.decoders.get(&delivery.system) else {
            for event in &delivery.events {
                let message = format!("no source system is called `{}`", delivery.system);
                read.refuse(delivery, event.clone(), Fault::new(Kind::Misconfigured, message));
            }
            return read;
        };
        for event in &delivery.events {
            let decoded = decoder.decode(event);
            // Each of several changes is a matter of its own.
            let record = event.record.clone().filter(|_| decoded.len() == 1);
            for decoded in decoded {
                let body = part(&event.body, decoded.raw);
                let own = Event { body, record: record.clone(), ..event.clone() };
                match decoded.change {
                    Ok(change) => self.map(&mut read, delivery, own, &change),
                    Err(fault) => read.refuse(delivery, own, fault),
                }
            }
        }
        read
    }

    fn map(&self, read: &mut Read, delivery: &Delivery, event: Event, change: &Change<'_>) {
        let index = read.members.len();
        let only = &event.only;
        for (map, property) in self.maps.unread(&delivery.system, change) {
            self.drift.unread(&map, property);
        }
        for (map, mapped) in self.maps.rows(&delivery.system, change) {
            if !only.is_empty() && !only.iter().any(|name| **name == *map) {
                continue;
            }
            match mapped {
                Ok(Some(row)) => read.rows.push(Mapped { row: Arc::new(row), event: index }),
                Ok(None) => read.filtered.push(map),
                Err(fault) => {
                    let refusal = Refusal {
                        system: Arc::clone(&delivery.system),
                        key: self.key(&map, change),
                        map: Some(map),
                        event: event.clone(),
                        fault,
                        correlation: change.correlation,
                    };
                    read.refusals.push((index, refusal));
                }
            }
        }
        let system = Arc::clone(&delivery.system);
        read.members.push(Member { event, system });
    }

    /// The key of the row that a change was to become, as it may be shown.
    fn key(&self, map: &str, change: &Change<'_>) -> Option<String> {
        let map = self.maps.get(map)?;
        map.key_of(change).map(|key| map.destination.shown(&key))
    }

    /// Makes what could not be read or mapped durable; answers what could not be made so.
    pub(super) async fn quarantine(&self, read: &Read, report: &mut Report) -> Vec<Open> {
        for map in &read.filtered {
            report.count(map, Outcome::Filtered);
        }
        let refusals: Vec<Refusal> =
            read.refusals.iter().map(|(_, refusal)| refusal.clone()).collect();
        match self.set_aside(&refusals).await {
            Ok(()) => {
                for refusal in refusals {
                    let map = refusal.map.unwrap_or_else(|| NO_MAP.into());
                    report.count(&map, Outcome::Poisoned(refusal.fault.kind));
                }
                Vec::new()
            }
            Err(fault) => {
                let opens = read.refusals.iter().map(|(member, refusal)| Open {
                    member: *member,
                    map: refusal.map.clone(),
                    fault: fault.clone(),
                });
                opens.collect()
            }
        }
    }
}

impl Read {
    /// Sets aside an event that no map could read.
    fn refuse(&mut self, delivery: &Delivery, event: Event, fault: Fault) {
        let origin = &event.origin;
        let sequence = origin.sequence.unwrap_or_default().to_be_bytes();
        let stream = origin.stream.as_deref().unwrap_or_default();
        let partition = origin.partition.as_deref().unwrap_or_default();
        let correlation = Correlation::derived([
            stream.as_bytes(),
            partition.as_bytes(),
            &sequence,
            &*event.body,
        ]);
        let system = Arc::clone(&delivery.system);
        let refusal = Refusal {
            system: Arc::clone(&system),
            map: None,
            key: None,
            event: event.clone(),
            fault,
            correlation,
        };
        self.refusals.push((self.members.len(), refusal));
        self.members.push(Member { event, system });
    }
}

/// The member's bytes; no copy when they are a stretch of the event's own.
fn part(body: &Bytes, raw: &[u8]) -> Bytes {
    let (start, end) = (body.as_ptr_range().start, body.as_ptr_range().end);
    let inside = raw.as_ptr_range();
    if start <= inside.start && inside.end <= end {
        body.slice_ref(raw)
    } else {
        Bytes::copy_from_slice(raw)
    }
}
