//! Look, decide, claim: from rows that ask to be written to tickets that allow it.

use std::sync::Arc;

use jiff::Timestamp;

use super::decide::{self, Candidate, Decision};
use super::entry::{Claim, Entry, Version};
use super::revise::{Revised, Revision};
use super::{Ledger, Looked, Slot, index};
use crate::fault::{Fault, Kind};
use crate::outcome::Outcome;
use crate::row::{Key, Row, RowHash};
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
    Done(Outcome),
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
    pub(super) looked: Looked,
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

    /// The entry in which it was claimed.
    pub fn entry(&self) -> &Entry {
        &self.looked.entry
    }
}

impl Ledger {
    /// Claims rows, each key at most once, under leases that end at `lease`. Answers in order.
    pub async fn claim(&self, requests: Vec<Request>, lease: Timestamp) -> Vec<Claimed> {
        let claim = self.new_claim();
        let asking = requests.into_iter().map(|Request { row, patient }| {
            let slot = self.slot(&row.to.map, &row.key);
            let hash = row.hash();
            (Asking { row, slot, hash, claim, lease, patient, decision: None, batch: None }, None)
        });
        let revised = self.revise(asking.collect()).await;
        revised.into_iter().map(|revised| self.claimed(revised)).collect()
    }

    fn claimed(&self, Revised { revision: asking, result }: Revised<Asking>) -> Claimed {
        let looked = match result {
            Ok(looked) => looked,
            Err(fault) => return Claimed::Not(fault),
        };
        match asking.decision {
            Some(Asked::Done(outcome)) => Claimed::Done(outcome),
            Some(Asked::Ticket) => {
                let Asking { row, slot, hash, claim, batch, .. } = asking;
                let version = decide::version(&row, hash);
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
    claim: Claim,
    lease: Timestamp,
    patient: bool,
    decision: Option<Asked>,
    batch: Option<Arc<Batch>>,
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
        next
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
                (&asking.row.action, asking.decision)
            {
                operations.push(Operation::Put(index::hold(*due, &asking.slot.row)));
            }
        }
        operations
    }
}
