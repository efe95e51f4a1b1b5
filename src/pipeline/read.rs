//! Decode and map: from events to rows, and to what could not be read or mapped.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use uuid::Uuid;

use super::Pipeline;
use super::arriving::Doubts;
use super::keys::{LeftBehind, thing};
use crate::change::{Change, Correlation, Kind as Become};
use crate::coalesce::Mapped;
use crate::decode::dataverse;
use crate::delivery::{Delivery, Event};
use crate::fault::{Fault, Kind};
use crate::outcome::{Echo, Outcome, Report, Told};
use crate::poison::Refusal;
use crate::row::{Action, Row, Thing};

/// One change's worth of an event: what is quarantined, or deferred, if it comes to that.
#[derive(Clone, Debug)]
pub(super) struct Member {
    /// The event, with its body cut down to this member.
    pub(super) event: Event,
    /// The system it is from.
    pub(super) system: Arc<str>,
    /// The maps whose rows of it are echoes, and how that is known.
    pub(super) echoes: Vec<(Arc<str>, Echo)>,
}

/// What a delivery comes to before anything is asked or written.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) members: Vec<Member>,
    /// Rows, each with the index of its member.
    pub(super) rows: Vec<Mapped>,
    pub(super) refusals: Vec<(usize, Refusal)>,
    /// Changes that cannot be mapped yet.
    pub(super) open: Vec<Open>,
    /// Removed rows whose keys are to be found.
    pub(super) nameless: Vec<About>,
    /// Rows whose keys are to be noted.
    pub(super) named: Vec<About>,
    /// Rows that things left behind under earlier keys.
    pub(super) left_behind: Vec<LeftBehind>,
    /// Rows that may be echoes.
    pub(super) returning: Vec<About>,
    filtered: Vec<Arc<str>>,
    /// Rows that are gone by now: their removal decides.
    overtaken: Vec<Arc<str>>,
}

/// A change that one map is about.
#[derive(Debug)]
pub(super) struct About {
    pub(super) member: usize,
    pub(super) map: Arc<str>,
    pub(super) change: Change<'static>,
}

/// A change, or a row of it, that is not settled: which member, for which map, and why.
#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) member: usize,
    pub(super) map: Option<Arc<str>>,
    pub(super) fault: Fault,
    /// The row, when there is one.
    pub(super) row: Option<Arc<Row>>,
}

/// Stands for a map in reports when no map could read an event.
const NO_MAP: &str = "-";

impl Pipeline {
    /// Decodes and maps everything; one bad event harms itself alone.
    /// `doubts` says which events hold a part of their row and could not be completed.
    pub(super) fn read(&self, delivery: &Delivery, doubts: &Doubts) -> Read {
        let mut read = Read::default();
        let Some(decoder) = self.decoders.get(&delivery.system) else {
            for event in &delivery.events {
                let message = format!("no source system is called `{}`", delivery.system);
                read.refuse(delivery, event.clone(), Fault::new(Kind::Misconfigured, message));
            }
            return read;
        };
        for (index, event) in delivery.events.iter().enumerate() {
            let decoded = decoder.decode(event);
            // Each of several changes is a matter of its own.
            let record = event.record.clone().filter(|_| decoded.len() == 1);
            for decoded in decoded {
                let body = part(&event.body, &decoded.raw);
                let own = Event { body, record: record.clone(), ..event.clone() };
                match decoded.change {
                    Ok(change) if doubts.gone.contains(&index) => {
                        let maps = self.maps.reading(&delivery.system, &change.entity);
                        read.overtaken.extend(maps.map(|map| Arc::clone(&map.name)));
                    }
                    Ok(change) if change.partial => {
                        let mut maps = self.maps.reading(&delivery.system, &change.entity);
                        if maps.next().is_some() {
                            read.wait(delivery, own, doubts.failed.get(&index));
                        }
                    }
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
        let twin = self.decoders.get(&delivery.system).is_some_and(|d| d.tables().is_some());
        for (map, property) in self.maps.unread(&delivery.system, change) {
            self.drift.unread(&map, property);
        }
        for (map, mapped) in self.maps.rows(&delivery.system, change) {
            if !only.is_empty() && !only.iter().any(|name| **name == *map) {
                continue;
            }
            match mapped {
                Ok(Some(mut row)) => {
                    if twin {
                        self.look_twice(read, (&delivery.system, change), &map, Some(&mut row));
                    }
                    read.rows.push(Mapped { row: Arc::new(row), event: index });
                }
                Ok(None) => read.filtered.push(map),
                Err(fault) if twin && nameless(change, &fault) => {
                    self.look_twice(read, (&delivery.system, change), &map, None);
                }
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
        read.members.push(Member { event, system, echoes: Vec::new() });
    }

    /// Whether the change of a Dataverse environment needs more than its map can tell: a key by its id,
    /// a note of its id, a look at what was written to it.
    fn look_twice(
        &self,
        read: &mut Read,
        (system, change): (&str, &Change<'_>),
        name: &Arc<str>,
        row: Option<&mut Row>,
    ) {
        let (Some(map), member) = (self.maps.get(name), read.members.len()) else { return };
        let about = || About { member, map: Arc::clone(name), change: change.clone().into_owned() };
        let Some(row) = row else {
            read.nameless.push(about());
            return;
        };
        let nothing = dataverse::gone(&change.entity, Uuid::nil(), change.order.emitted);
        let by_id = Change { id: Cow::Borrowed(&change.id), ..nothing };
        let own = thing(&change.id).filter(|_| map.key_of(&by_id).is_none());
        if let Some(own) = own {
            row.thing = Some(Thing::Of(own));
            read.named.push(about());
        }
        if !matches!(*row.action, Action::Upsert(_)) {
            return;
        }
        let mut writing = self.maps.writing(system, &change.entity);
        if writing.any(|other| other.system == map.destination.system) {
            read.returning.push(about());
        }
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
        for map in &read.overtaken {
            report.count(map, Outcome::Superseded);
        }
        let refusals: Vec<Refusal> =
            read.refusals.iter().map(|(_, refusal)| refusal.clone()).collect();
        match self.set_aside(&refusals).await {
            Ok(()) => {
                for refusal in refusals {
                    let map = refusal.map.unwrap_or_else(|| NO_MAP.into());
                    let outcome = Outcome::Poisoned(refusal.fault.kind);
                    report.count(&map, outcome);
                    let (key, correlation) = (refusal.key, Some(refusal.correlation));
                    report.rows.push(Told { map, outcome, row: None, key, correlation });
                }
                Vec::new()
            }
            Err(fault) => {
                let opens = read.refusals.iter().map(|(member, refusal)| Open {
                    member: *member,
                    map: refusal.map.clone(),
                    fault: fault.clone(),
                    row: None,
                });
                opens.collect()
            }
        }
    }
}

impl Open {
    pub(super) fn of(member: usize, map: Option<&Arc<str>>, fault: &Fault) -> Self {
        Self { member, map: map.cloned(), fault: fault.clone(), row: None }
    }
}

impl Read {
    /// Leaves an event open that holds a part of its row only.
    fn wait(&mut self, delivery: &Delivery, event: Event, why: Option<&Fault>) {
        let missing = || Fault::new(Kind::Unreachable, "the whole row could not be read");
        let fault = why.cloned().unwrap_or_else(missing);
        self.open.push(Open::of(self.members.len(), None, &fault));
        let system = Arc::clone(&delivery.system);
        self.members.push(Member { event, system, echoes: Vec::new() });
    }

    /// Takes out all that is for these maps, as member and map.
    pub(super) fn without(&mut self, stopped: impl Fn(&str) -> bool) -> Vec<(usize, Arc<str>)> {
        let mut out = Vec::new();
        for mapped in &self.rows {
            out.push((mapped.event, Arc::clone(&mapped.row.to.map)));
        }
        for (member, refusal) in &self.refusals {
            out.extend(refusal.map.iter().map(|map| (*member, Arc::clone(map))));
        }
        out.retain(|(_, map)| stopped(map));
        self.rows.retain(|mapped| !stopped(&mapped.row.to.map));
        self.refusals.retain(|(_, refusal)| !refusal.map.as_deref().is_some_and(&stopped));
        out
    }

    /// Leaves everything open.
    pub(super) fn all_open(&mut self, fault: &Fault) -> Vec<Open> {
        self.refusals.clear();
        self.rows.clear();
        self.filtered.clear();
        let open = |member| Open { member, map: None, fault: fault.clone(), row: None };
        (0..self.members.len()).map(open).collect()
    }

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
        self.members.push(Member { event, system, echoes: Vec::new() });
    }
}

/// Whether a removal brings too little to tell its key.
fn nameless(change: &Change<'_>, fault: &Fault) -> bool {
    change.kind == Become::Remove && fault.kind == Kind::KeyMissing
}

/// The member's bytes; no copy when they are a stretch of the event's own.
pub(super) fn part(body: &Bytes, raw: &[u8]) -> Bytes {
    let (start, end) = (body.as_ptr_range().start, body.as_ptr_range().end);
    let inside = raw.as_ptr_range();
    if start <= inside.start && inside.end <= end {
        body.slice_ref(raw)
    } else {
        Bytes::copy_from_slice(raw)
    }
}
