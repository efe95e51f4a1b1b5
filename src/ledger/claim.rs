//! Look, decide, claim: from rows that ask to be written to tickets that allow it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::decide::{self, Candidate, Decision};
use super::entry::{Claim, Entry, Version};
use super::revise::{Revised, Revision};
use super::{Ledger, Looked, Slot, index};
use crate::fault::{Fault, Kind};
use crate::outcome::Outcome;
use crate::row::{Key, Row, RowHash, State};
use crate::store::Operation;

/// A row that asks to be written.
#[derive(Clone, Debug)]
pub struct Request {
    /// The row.
    pub row: Arc<Row>,
    /// Whether to wait for somebody who is writing the same version.
    pub patient: bool,
}

/// What the ledger says to a request.
#[derive(Debug)]
pub enum Claimed {
    /// The row may be written now.
    Ticket(Box<Ticket>),
    /// Nothing is to be written; this is durable.
    Done {
        /// What became of the row.
        outcome: Outcome,
        /// The row is there, and others were parked until it is.
        awaited: bool,
    },
    /// Not now: busy, overtaken again and again, or storage is out of reach.
    Not(Fault),
}

/// The right, and the duty, to write one row and to settle it. Dropped unsettled, its claim ends with
/// its lease and the sweep resumes it.
#[derive(Debug)]
pub struct Ticket {
    pub(super) slot: Slot,
    pub(super) row: Arc<Row>,
    pub(super) version: Version,
    pub(super) claim: Claim,
    pub(super) looked: Box<Looked>,
    /// Loose claims whose lease was over when this one was made.
    pub(super) outlived: Vec<Claim>,
    pub(super) batch: Option<Arc<Batch>>,
}

/// The index row that stands for the claims of one transaction.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) row: String,
    pub(super) keys: usize,
}

impl Ticket {
    /// The row to write.
    pub fn row(&self) -> &Arc<Row> {
        &self.row
    }

    /// The target's own id of the row, as far as it is known.
    pub fn target_id(&self) -> Option<Uuid> {
        self.looked.entry.applied.as_ref().and_then(|applied| applied.target_id)
    }

    /// Whether the row was written before.
    pub fn is_known(&self) -> bool {
        self.looked.entry.applied.is_some()
    }

    /// The state that the row was given last, if any, and if nobody else can have given it another
    /// since: a claim was overtaken, and its write may lie over ours.
    pub fn state(&self) -> Option<State> {
        self.looked.entry.state().filter(|_| !self.is_contested())
    }

    /// Whether somebody else may be writing the row, or have written it unknown to the ledger.
    pub fn is_contested(&self) -> bool {
        !self.looked.entry.loose.is_empty() || self.looked.entry.touched
    }
}

impl Ledger {
    /// Claims rows, each key at most once, under leases that end at `lease`. Answers in order.
    ///
    /// Where keys that are not remembered were new of late, they are taken for new and not looked at:
    /// a wrong guess fails its condition and costs a second look.
    pub async fn claim(&self, requests: Vec<Request>, lease: Timestamp) -> Vec<Claimed> {
        let claim = self.new_claim();
        let mut asking = Vec::with_capacity(requests.len());
        let mut unknown = BTreeMap::<String, usize>::new();
        for Request { row, patient } in requests {
            let slot = self.slot(&row.to.map, &row.key);
            let known = self.cache.get(&slot);
            if known.is_none() {
                match unknown.get_mut(&slot.partition) {
                    Some(keys) => *keys += 1,
                    None => _ = unknown.insert(slot.partition.clone(), 1),
                }
            }
            let asked = Asking::new((row, slot), (claim, lease), patient);
            asking.push((asked, known.map(Box::new)));
        }
        unknown.retain(|partition, keys| self.novelty.expects_only_new(partition, *keys));
        for (asking, known) in &mut asking {
            asking.unknown = known.is_none();
            if known.is_none() && unknown.contains_key(&asking.slot.partition) {
                *known = Some(Box::default());
            }
        }
        let revised = self.revise(asking).await;
        for Revised { revision: asking, .. } in revised.iter().filter(|one| one.revision.unknown) {
            self.novelty.learn(&asking.slot.partition, asking.found);
        }
        revised.into_iter().map(|revised| self.claimed(revised)).collect()
    }

    fn claimed(&self, Revised { revision: asking, result }: Revised<Asking>) -> Claimed {
        let looked = match result {
            Ok(looked) => looked,
            Err(fault) => return Claimed::Not(fault),
        };
        match asking.decision {
            Some(Asked::Done(outcome)) => {
                Claimed::Done { outcome, awaited: looked.entry.is_awaited() }
            }
            Some(Asked::Ticket) => {
                let Asking { row, slot, hash, claim, batch, .. } = asking;
                let intent = looked.entry.intent.as_ref().filter(|intent| intent.claim == claim);
                let version = intent.map(|intent| intent.version.clone());
                let version = version.unwrap_or_else(|| decide::version(&row, hash));
                let outlived = decide::expired(&looked.entry, self.now());
                let ticket = Ticket { slot, row, version, claim, looked, outlived, batch };
                Claimed::Ticket(Box::new(ticket))
            }
            Some(Asked::Busy) | None => {
                self.cache.forget(&asking.slot);
                Claimed::Not(Fault::new(Kind::Busy, "another instance is writing this row"))
            }
        }
    }
}

/// A request on its way through the rounds.
struct Asking {
    row: Arc<Row>,
    slot: Slot,
    hash: RowHash,
    /// What was hashed, until it is stored.
    json: Option<String>,
    claim: Claim,
    lease: Timestamp,
    patient: bool,
    decision: Option<Asked>,
    batch: Option<Arc<Batch>>,
    /// Whether nothing was known here of the entry, and whether there was one.
    unknown: bool,
    found: bool,
}

impl Asking {
    fn new(
        (row, slot): (Arc<Row>, Slot),
        (claim, lease): (Claim, Timestamp),
        patient: bool,
    ) -> Self {
        let (hash, json) = row.hashed();
        Self {
            row,
            slot,
            hash,
            json: Some(json),
            claim,
            lease,
            patient,
            decision: None,
            batch: None,
            unknown: false,
            found: false,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Ticket,
    Done(Outcome),
    Busy,
}

impl Revision for Asking {
    fn slot(&self) -> &Slot {
        &self.slot
    }

    fn key(&self) -> &Key {
        &self.row.key
    }

    fn revise(&mut self, entry: &Entry, now: Timestamp) -> Option<Entry> {
        let Self { row, hash, claim, lease, patient, .. } = &*self;
        let candidate =
            Candidate { row, hash: *hash, claim: *claim, lease: *lease, patient: *patient };
        let (asked, next) = match decide::decide(entry, &candidate, now) {
            Decision::Superseded => (Asked::Done(Outcome::Superseded), None),
            Decision::Unchanged => (Asked::Done(Outcome::Unchanged), None),
            Decision::Busy => (Asked::Busy, None),
            Decision::Mine => (Asked::Ticket, None),
            Decision::Record(entry, outcome) => (Asked::Done(outcome), Some(entry)),
            Decision::Claim(entry) => (Asked::Ticket, Some(entry)),
        };
        self.decision = Some(asked);
        self.found = *entry != Entry::default();
        next
    }

    fn json(&mut self) -> Option<String> {
        self.json.take().filter(|_| self.decision == Some(Asked::Ticket))
    }

    fn batch(&self) -> Option<&str> {
        None
    }

    /// A removal on hold has an index row of its own.
    fn rows(&self) -> usize {
        1 + usize::from(self.decision == Some(Asked::Done(Outcome::Held)))
    }

    fn index(chunk: &mut [Self], part: u64) -> Vec<Operation> {
        let mut operations = Vec::new();
        let tickets = |asking: &&mut Self| asking.decision == Some(Asked::Ticket);
        let first = chunk.iter().find(|asking| asking.decision == Some(Asked::Ticket));
        if let Some((claim, lease)) = first.map(|asking| (asking.claim, asking.lease)) {
            let claimed = chunk.iter().filter(|asking| asking.decision == Some(Asked::Ticket));
            let keys: Vec<&str> = claimed.map(|asking| asking.slot.row.as_str()).collect();
            let index = index::lease(lease, claim, part, &keys);
            let batch = Arc::new(Batch { row: index.row.clone(), keys: keys.len() });
            for asking in chunk.iter_mut().filter(tickets) {
                asking.batch = Some(Arc::clone(&batch));
            }
            operations.push(Operation::Put(index));
        }
        for asking in chunk.iter() {
            if let (crate::row::Action::Hold { due, .. }, Some(Asked::Done(Outcome::Held))) =
                (&*asking.row.action, asking.decision)
            {
                operations.push(Operation::Put(index::hold(*due, &asking.slot.row)));
            }
        }
        operations
    }
}
