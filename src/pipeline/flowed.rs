//! What becomes of the keys of one map, wave by wave: which are durable, which are tried again and with
//! which row, and which are left open.

use std::sync::Arc;

use super::read::{Member, Open};
use super::refuse::take_twins;
use crate::coalesce::Stack;
use crate::fault::{Fault, Kind};
use crate::outcome::{Outcome, Report};
use crate::row::Row;

/// What became of the rows of one map.
#[derive(Debug)]
pub(super) struct Flowed {
    pub(super) map: Arc<str>,
    pub(super) outcomes: Vec<(Arc<Row>, Outcome)>,
    pub(super) open: Vec<Open>,
    /// Removals that wait for approval: member and map.
    pub(super) asked: Vec<(usize, Arc<str>)>,
    /// Rows that are there now and that others wait for.
    pub(super) awaited: Vec<(usize, Arc<Row>)>,
}

/// A key that is still open.
#[derive(Debug)]
pub(super) struct Waiting {
    pub(super) stack: Stack,
    pub(super) tries: u32,
    /// Why the last try was in vain.
    pub(super) last: Option<Fault>,
    /// Columns that close a circle with other rows of this batch.
    pub(super) without: Vec<String>,
}

impl Waiting {
    pub(super) fn of(stack: Stack) -> Self {
        Self { stack, tries: 0, last: None, without: Vec::new() }
    }
}

/// What a wave left of one key.
pub(super) enum Left {
    /// Durable; and whether others wait for the row, which is there.
    Done(Outcome, bool),
    /// It is a removal that waits for approval: the next older one is tried.
    Asked,
    /// Its newest row stands in quarantine: the next older one is tried.
    Refused(Kind),
    /// Not yet: tried again in the next wave if that may help, else left open.
    Not(Fault),
}

/// How often a key is asked for before it is left open. Pauses double from 25 ms: about ten seconds in
/// all, in which another instance's write of the same row is normally over.
pub(super) const TRIES: u32 = 9;

impl Flowed {
    /// Adds the outcomes to the report of the call.
    pub(super) fn counted(&self, report: &mut Report) {
        for (row, outcome) in &self.outcomes {
            report.tell(row, *outcome);
        }
    }

    pub(super) fn of(map: &str) -> Self {
        let (outcomes, open) = (Vec::new(), Vec::new());
        Self { map: map.into(), outcomes, open, asked: Vec::new(), awaited: Vec::new() }
    }

    /// Notes what became of a key; hands it back when it is to be tried again.
    pub(super) fn note(
        &mut self,
        mut key: Waiting,
        left: Left,
        (progress, members): (bool, &[Member]),
    ) -> Option<Waiting> {
        match left {
            Left::Done(outcome, awaited) => {
                if awaited {
                    let newest = &key.stack.newest;
                    self.awaited.push((newest.event, Arc::clone(&newest.row)));
                }
                self.outcomes.push((Arc::clone(&key.stack.newest.row), outcome));
                let older = key.stack.older.iter();
                let older = older.map(|older| (Arc::clone(&older.row), Outcome::Superseded));
                self.outcomes.extend(older);
                None
            }
            Left::Asked => {
                self.asked.push((key.stack.newest.event, Arc::clone(&self.map)));
                key.stack.next().map(Waiting::of)
            }
            Left::Refused(kind) => {
                let twins = take_twins(&mut key.stack, members);
                let outcome = (Arc::clone(&key.stack.newest.row), Outcome::Poisoned(kind));
                self.outcomes.extend(std::iter::repeat_n(outcome, 1 + twins));
                key.stack.next().map(Waiting::of)
            }
            Left::Not(fault) => {
                key.tries += 1;
                let soon = matches!(fault.kind, Kind::Busy | Kind::Conflict | Kind::Storage);
                // The parent of this row may have been among those just written.
                let parent = fault.kind == Kind::ParentMissing && progress;
                let again = (soon && key.tries < TRIES) || parent;
                key.last = Some(fault.clone());
                if again {
                    return Some(key);
                }
                self.leave(vec![key], &fault);
                None
            }
        }
    }

    /// Leaves keys open: why their last try was in vain, else this.
    pub(super) fn leave(&mut self, keys: Vec<Waiting>, fault: &Fault) {
        for Waiting { stack, last, .. } in keys {
            let fault = last.as_ref().unwrap_or(fault);
            for mapped in std::iter::once(&stack.newest).chain(&stack.older) {
                let map = Some(Arc::clone(&self.map));
                let row = Some(Arc::clone(&mapped.row));
                self.open.push(Open { member: mapped.event, map, row, fault: fault.clone() });
            }
        }
    }
}
