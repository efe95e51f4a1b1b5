//! Settle: what became of a write becomes what the ledger remembers.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::claim::{Batch, Ticket};
use super::decide;
use super::entry::{Claim, Entry, Version};
use super::revise::{Revised, Revision};
use super::{Ledger, Looked, Slot};
use crate::fault::{Fault, Kind};
use crate::outcome::Outcome;
use crate::row::{Destination, Key, Row};
use crate::store::Operation;

/// What became of a write, as far as it is known. A write of which nothing is known is not settled at
/// all: its ticket is dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Landing {
    /// The target holds it.
    Landed {
        /// The target's own id of the row, when it told.
        target_id: Option<Uuid>,
    },
    /// A row was there already and stays as it is.
    Kept {
        /// The target's own id of the row, when it is known.
        target_id: Option<Uuid>,
    },
    /// There is no row to update.
    Absent,
    /// The target does not hold it and never will: the claim is taken back.
    Never,
}

impl Landing {
    /// What is then remembered of a version that was to be written as `row`.
    fn remembered(self, version: &Version, row: &Row) -> Version {
        match self {
            Self::Kept { .. } => version.kept(),
            Self::Absent => version.absent(),
            Self::Landed { .. } | Self::Never if version.wrote_nothing() => {
                Version { hash: row.hash(), ..version.clone() }
            }
            Self::Landed { .. } | Self::Never => version.clone(),
        }
    }

    /// Whether the target was made to hold it.
    pub fn is_written(self) -> bool {
        matches!(self, Self::Landed { .. })
    }

    fn target_id(self) -> Option<Uuid> {
        match self {
            Self::Landed { target_id } | Self::Kept { target_id } => target_id,
            Self::Absent | Self::Never => None,
        }
    }

    fn outcome(self) -> Outcome {
        match self {
            Self::Landed { .. } | Self::Never => Outcome::Applied,
            Self::Kept { .. } => Outcome::Unchanged,
            Self::Absent => Outcome::Filtered,
        }
    }
}

/// A ticket with what became of its write.
#[derive(Debug)]
pub struct Settlement {
    /// The ticket.
    pub ticket: Ticket,
    /// What became of the write.
    pub landing: Landing,
}

/// What a settlement came to.
#[derive(Debug)]
pub enum Conclusion {
    /// It is durable.
    Done {
        /// What became of the row.
        outcome: Outcome,
        /// The row is there, and others were parked until it is.
        awaited: bool,
    },
    /// The claim was taken back.
    Withdrawn,
    /// The claim was overtaken: this must be written, and then told to [`Ledger::asserted`].
    Assert(Box<Assertion>),
    /// It could not be made durable; the claim ends with its lease.
    Open(Fault),
}

impl Conclusion {
    fn done(outcome: Outcome, entry: &Entry) -> Self {
        Self::Done { outcome, awaited: entry.is_awaited() }
    }
}

/// The newest version of a row, to be written once more on behalf of loose claims.
#[derive(Debug)]
pub struct Assertion {
    pub(super) slot: Slot,
    pub(super) row: Arc<Row>,
    pub(super) version: Version,
    pub(super) looked: Box<Looked>,
    pub(super) claims: Vec<Claim>,
    /// The write whose fate is at stake; absent when the sweep asserts.
    pub(super) mine: Option<Mine>,
}

/// A version and the row that it was made of.
pub(super) type Mine = (Version, Arc<Row>);

impl Assertion {
    /// The row to write.
    pub fn row(&self) -> &Arc<Row> {
        &self.row
    }

    fn outcome(&self, landing: Landing) -> Outcome {
        match &self.mine {
            Some((mine, _)) if self.version.is_newer_than(mine) => Outcome::Superseded,
            Some(_) | None => landing.outcome(),
        }
    }
}

impl Ledger {
    /// Settles many writes, one transaction per bucket. Answers in order.
    pub async fn settle(&self, settlements: Vec<Settlement>) -> Vec<Conclusion> {
        let settling = settlements.into_iter().map(|Settlement { ticket, landing }| {
            let Ticket { slot, row, version, claim, looked, outlived, batch } = ticket;
            let mine = (version, row);
            let settling = Settling { slot, mine, claim, outlived, batch, landing, settled: None };
            (settling, Some(looked))
        });
        let revised = self.revise(settling.collect()).await;
        revised.into_iter().map(concluded).collect()
    }

    /// Records assertions that were answered for, each key at most once, one transaction per bucket.
    /// Answers in order; `Assert` again where the entry changed meanwhile.
    pub async fn asserted(&self, assertions: Vec<(Assertion, Landing)>) -> Vec<Conclusion> {
        let asserting = assertions.into_iter().map(|(assertion, landing)| {
            let looked = assertion.looked.clone();
            (Asserting { assertion, landing, again: false }, Some(looked))
        });
        let revised = self.revise(asserting.collect()).await;
        revised.into_iter().map(recorded).collect()
    }
}

/// The assertion that an entry calls for on behalf of `claims`.
fn reassert(
    (slot, to, key): (Slot, &Arc<Destination>, &Key),
    looked: Box<Looked>,
    claims: Vec<Claim>,
    mine: Option<Mine>,
) -> Conclusion {
    let loose = looked.entry.loose.iter().any(|loose| claims.contains(&loose.claim));
    let newest = decide::newest(&looked.entry, mine.as_ref().map(|(version, _)| version));
    let Some(version) = newest.filter(|_| loose) else {
        return Conclusion::done(Outcome::Superseded, &looked.entry);
    };
    let own = mine.as_ref().filter(|(mine, _)| mine.hash == version.hash);
    let row = own.map(|(_, row)| Arc::clone(row));
    let Some(row) = row.or_else(|| again(to, key, &version).map(Arc::new)) else {
        // Nothing of the newer version is kept that could be written: its next change mends it.
        return Conclusion::done(Outcome::Superseded, &looked.entry);
    };
    Conclusion::Assert(Box::new(Assertion { slot, row, version, looked, claims, mine }))
}

/// The row that a remembered version stands for, if it was kept.
pub(super) fn again(to: &Arc<Destination>, key: &Key, version: &Version) -> Option<Row> {
    Some(Row {
        to: Arc::clone(to),
        key: key.clone(),
        action: Arc::clone(version.action.as_ref()?),
        order: version.order.clone(),
        correlation: version.correlation,
        only_if_known: false,
        thing: None,
    })
}

/// A settlement on its way through the rounds.
struct Settling {
    slot: Slot,
    mine: Mine,
    claim: Claim,
    outlived: Vec<Claim>,
    batch: Option<Arc<Batch>>,
    landing: Landing,
    settled: Option<Settled>,
}

/// What was decided, once the entry that follows from it is on its own way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Settled {
    Applied,
    Loosened,
    Loose,
    Done,
    Gone,
}

impl Revision for Settling {
    fn slot(&self) -> &Slot {
        &self.slot
    }

    fn key(&self) -> &Key {
        &self.mine.1.key
    }

    fn revise(&mut self, entry: &Entry, now: Timestamp) -> Option<Entry> {
        let (version, row) = &self.mine;
        if self.landing == Landing::Never {
            let next = decide::withdraw(entry, self.claim);
            // The sweep that took this claim ends what it overtook by its settling, which is not to be.
            self.settled = (!next.loose.is_empty()).then_some(Settled::Loosened);
            return (next != *entry).then_some(next);
        }
        let (version, target_id) =
            (self.landing.remembered(version, row), self.landing.target_id());
        let claim = (self.claim, &version);
        let (settled, next) = match decide::settle(entry, claim, &self.outlived, target_id, now) {
            decide::Settlement::Applied(next) => (Settled::Applied, Some(next)),
            decide::Settlement::Loosen(next) => (Settled::Loosened, Some(next)),
            decide::Settlement::Loose => (Settled::Loose, None),
            decide::Settlement::Done => (Settled::Done, None),
            decide::Settlement::Gone => (Settled::Gone, None),
        };
        self.settled = Some(settled);
        next
    }

    fn batch(&self) -> Option<&str> {
        self.batch.as_deref().map(|batch| batch.row.as_str())
    }

    fn rows(&self) -> usize {
        1
    }

    /// An index row goes when every claim that it stands for is concluded here and leaves nothing loose.
    fn index(chunk: &mut [Self], _part: u64) -> Vec<Operation> {
        let mut concluded = BTreeMap::<&str, (usize, usize)>::new();
        for settling in chunk.iter() {
            let loosened = settling.settled == Some(Settled::Loosened);
            if let Some(Batch { row, keys }) = settling.batch.as_deref().filter(|_| !loosened) {
                concluded.entry(row).or_insert((*keys, 0)).1 += 1;
            }
        }
        let whole = concluded.into_iter().filter(|(_, (keys, concluded))| keys == concluded);
        whole.map(|(row, _)| Operation::Discard(row.to_owned())).collect()
    }
}

fn concluded(Revised { revision, result }: Revised<Settling>) -> Conclusion {
    let Settling { slot, mine, claim, landing, settled, .. } = revision;
    let looked = match result {
        Ok(looked) => looked,
        Err(fault) => return Conclusion::Open(fault),
    };
    if landing == Landing::Never {
        return Conclusion::Withdrawn;
    }
    match settled {
        Some(Settled::Applied) => Conclusion::done(landing.outcome(), &looked.entry),
        Some(Settled::Done) => {
            let newer = |applied: &super::entry::Applied| applied.version.is_newer_than(&mine.0);
            let superseded = looked.entry.applied.as_deref().is_some_and(newer);
            let outcome = if superseded { Outcome::Superseded } else { landing.outcome() };
            Conclusion::done(outcome, &looked.entry)
        }
        Some(Settled::Loosened | Settled::Loose) => {
            let row = Arc::clone(&mine.1);
            reassert((slot, &row.to, &row.key), looked, vec![claim], Some(mine))
        }
        Some(Settled::Gone) | None => {
            Conclusion::Open(Fault::new(Kind::Conflict, "this claim outlived its lease"))
        }
    }
}

fn recorded(Revised { revision, result }: Revised<Asserting>) -> Conclusion {
    let Asserting { assertion, landing, again } = revision;
    match result {
        Err(fault) => Conclusion::Open(fault),
        Ok(looked) if again => {
            let Assertion { slot, row, claims, mine, .. } = assertion;
            reassert((slot, &row.to, &row.key), looked, claims, mine)
        }
        Ok(looked) => Conclusion::done(assertion.outcome(landing), &looked.entry),
    }
}

/// An assertion that landed, on its way through the rounds.
struct Asserting {
    assertion: Assertion,
    landing: Landing,
    again: bool,
}

impl Revision for Asserting {
    fn slot(&self) -> &Slot {
        &self.assertion.slot
    }

    fn key(&self) -> &Key {
        &self.assertion.row.key
    }

    fn revise(&mut self, entry: &Entry, now: Timestamp) -> Option<Entry> {
        let Assertion { looked, version, claims, row, .. } = &self.assertion;
        self.again = *entry != looked.entry;
        let version = self.landing.remembered(version, row);
        let target_id = self.landing.target_id();
        (!self.again).then(|| decide::asserted(entry, &version, claims, target_id, now))
    }

    fn batch(&self) -> Option<&str> {
        None
    }

    fn rows(&self) -> usize {
        1
    }

    fn index(_: &mut [Self], _: u64) -> Vec<Operation> {
        Vec::new()
    }
}
