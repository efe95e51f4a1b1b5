//! The rows of one map, in waves: claim, write, quarantine what was refused, settle.
//!
//! Each wave takes the newest row of every key that is still open. A row that was refused makes way
//! for the next older one of its key, so that a bad change harms itself alone however a stream was cut
//! into batches. What is busy elsewhere is asked again after a short pause.

use std::sync::Arc;
use std::time::Duration;

use super::read::{Member, Open};
use super::{Pipeline, Time, drift};
use crate::coalesce::Stack;
use crate::fault::{Act, Fault, Kind};
use crate::ledger::{Assertion, Claimed, Conclusion, Landing, Request, Settlement, Ticket};
use crate::outcome::{Outcome, Report};
use crate::poison::Refusal;
use crate::row::{Action, Gone, Row};
use crate::system::{Answer, Before, Target, Write};

/// What became of the rows of one map.
#[derive(Debug)]
pub(super) struct Flowed {
    map: Arc<str>,
    outcomes: Vec<Outcome>,
    pub(super) open: Vec<Open>,
}

/// A key that is still open.
#[derive(Debug)]
struct Waiting {
    stack: Stack,
    tries: u32,
}

/// A claimed row on its way to the target, and the member it came from.
struct Sending<'m> {
    index: usize,
    ticket: Ticket,
    member: Option<&'m Member>,
}

/// What a wave left of one key.
enum Left {
    /// Durable.
    Done(Outcome),
    /// Its newest row stands in quarantine: the next older one is tried.
    Refused(Kind),
    /// Not yet: tried again in the next wave if that may help, else left open.
    Not(Fault),
}

/// How often a key is asked for before it is left open. Pauses double from 25 ms: about ten seconds in
/// all, in which another instance's write of the same row is normally over.
const TRIES: u32 = 9;

/// How often a key waits for somebody who writes the same version, before it is written here too: that
/// one may have died. About a second.
const PATIENCE: u32 = 6;

/// How often a row waits for one it refers to, over its deferrals: about half an hour in all.
const PARKED: u32 = 10;

impl Flowed {
    pub(super) fn counted(&self, report: &mut Report) {
        for outcome in &self.outcomes {
            report.count(&self.map, *outcome);
        }
    }
}

impl Pipeline {
    /// Takes the rows of one map as far as they get before the deadline.
    pub(super) async fn flow(&self, stacks: Vec<Stack>, members: &[Member], time: Time) -> Flowed {
        let to = stacks.first().map(|stack| Arc::clone(&stack.newest.row.to)).unwrap_or_default();
        let mut flowed =
            Flowed { map: to.map.as_str().into(), outcomes: Vec::new(), open: Vec::new() };
        let mut waiting: Vec<Waiting> =
            stacks.into_iter().map(|stack| Waiting { stack, tries: 0 }).collect();
        let Some(target) = self.targets.get(&to.system) else {
            let message = format!("no target system is called `{}`", to.system);
            flowed.leave(waiting, &Fault::new(Kind::Misconfigured, message));
            return flowed;
        };
        if let Err(fault) = target.ready().await {
            flowed.leave(waiting, &fault);
            return flowed;
        }
        while !waiting.is_empty() {
            let left = self.wave(&**target, &waiting, members, time).await;
            let progress = left.iter().any(|left| matches!(left, Left::Done(Outcome::Applied)));
            let again: Vec<Waiting> = std::mem::take(&mut waiting)
                .into_iter()
                .zip(left)
                .filter_map(|(key, left)| flowed.note(key, left, progress && !time.is_over()))
                .collect();
            let tries = again.iter().map(|key| key.tries).min().unwrap_or_default();
            if tries > 0 {
                let pause = Duration::from_millis(25) * 2_u32.pow(tries.min(TRIES));
                tokio::time::sleep(self.chance.jittered(pause)).await;
            }
            waiting = again;
            if time.is_over() {
                let late = Fault::new(Kind::Timeout, "the time of this call was over");
                flowed.leave(std::mem::take(&mut waiting), &late);
            }
        }
        flowed
    }

    /// One wave. Answers for every key, in order.
    async fn wave(
        &self,
        target: &dyn Target,
        waiting: &[Waiting],
        members: &[Member],
        time: Time,
    ) -> Vec<Left> {
        let requests = waiting.iter().map(|key| Request {
            row: Arc::clone(&key.stack.newest.row),
            patient: key.tries < PATIENCE,
        });
        let claimed = self.ledger.claim(requests.collect(), time.lease(target)).await;
        let mut left = Vec::with_capacity(waiting.len());
        let mut tickets = Vec::new();
        for (index, claimed) in claimed.into_iter().enumerate() {
            left.push(match claimed {
                Claimed::Done(outcome) => Left::Done(outcome),
                Claimed::Not(fault) => Left::Not(fault),
                Claimed::Ticket(ticket) => {
                    let mapped = waiting.get(index).map(|key| &key.stack.newest);
                    let member = mapped.and_then(|mapped| members.get(mapped.event));
                    tickets.push(Sending { index, ticket: *ticket, member });
                    Left::Not(Fault::new(Kind::Timeout, "it was claimed and not written"))
                }
            });
        }
        for (index, written) in self.write(target, tickets, time).await {
            if let Some(place) = left.get_mut(index) {
                *place = written;
            }
        }
        left
    }

    /// Writes claimed rows, sets the refused ones aside, and settles.
    async fn write(
        &self,
        target: &dyn Target,
        sending: Vec<Sending<'_>>,
        time: Time,
    ) -> Vec<(usize, Left)> {
        if sending.is_empty() {
            return Vec::new();
        }
        let writes: Vec<Write> = sending.iter().map(|one| write_of(&one.ticket)).collect();
        let answers = self.send(target, writes, time.deadline).await;
        let (mut left, mut refusals) = (Vec::new(), Vec::new());
        let (mut settlements, mut sent) = (Vec::new(), Vec::new());
        for (Sending { index, ticket, member }, answer) in sending.into_iter().zip(answers) {
            let (landing, reason) = match answer {
                Answer::Written { target_id } => (Landing::Landed { target_id }, None),
                Answer::Kept { target_id } => (Landing::Kept { target_id }, None),
                Answer::Absent => (Landing::Absent, None),
                Answer::Not(fault) => (Landing::Never, Some(fault)),
                // Nothing is known: the claim ends with its lease, and the change comes again.
                Answer::Unknown(fault) => {
                    left.push((index, Left::Not(fault)));
                    continue;
                }
            };
            let refused = reason.as_ref().filter(|fault| gives_up(fault, member, ticket.row()));
            if let (Some(fault), Some(member)) = (refused, member) {
                refusals.push(refusal(ticket.row(), member, fault));
            }
            let gone = refused.is_some();
            sent.push((
                index,
                reason.map(|fault| if gone { Left::Refused(fault.kind) } else { Left::Not(fault) }),
            ));
            settlements.push(Settlement { ticket, landing });
        }
        // Quarantine before settle: should it fail, the refused claims stay and end with their leases.
        if let Err(fault) = self.set_aside(&refusals).await {
            left.extend(sent.into_iter().map(|(index, _)| (index, Left::Not(fault.clone()))));
            return left;
        }
        let conclusions = self.ledger.settle(settlements).await;
        for ((index, reason), conclusion) in sent.into_iter().zip(conclusions) {
            let conclusion = self.asserted(target, conclusion, time).await;
            left.push((index, concluded(conclusion, reason)));
        }
        left
    }

    /// Writes the newest version once more for as long as an overtaken claim calls for it.
    pub(super) async fn asserted(
        &self,
        target: &dyn Target,
        mut conclusion: Conclusion,
        time: Time,
    ) -> Conclusion {
        while let Conclusion::Assert(assertion) = conclusion {
            conclusion = self.assert_once(target, *assertion, time).await;
        }
        conclusion
    }

    async fn assert_once(
        &self,
        target: &dyn Target,
        assertion: Assertion,
        time: Time,
    ) -> Conclusion {
        let write = Write { row: Arc::clone(assertion.row()), before: Some(Before::default()) };
        let landing = match self.send(target, vec![write], time.deadline).await.pop() {
            Some(Answer::Written { target_id }) => Landing::Landed { target_id },
            Some(Answer::Kept { target_id }) => Landing::Kept { target_id },
            Some(Answer::Absent) => Landing::Absent,
            // A refusal concludes nothing: the claim stays loose, and its overtaker or the sweep decides.
            Some(Answer::Not(fault) | Answer::Unknown(fault)) => {
                let message = "it was overtaken and could not be asserted again";
                let message = format!("{message} ({})", fault.kind);
                return Conclusion::Open(Fault::new(Kind::Busy, message));
            }
            None => {
                return Conclusion::Open(Fault::new(Kind::Timeout, "the target gave no answer"));
            }
        };
        self.ledger.asserted(assertion, landing).await
    }
}

impl Flowed {
    /// Notes what became of a key; hands it back when it is to be tried again.
    fn note(&mut self, mut key: Waiting, left: Left, progress: bool) -> Option<Waiting> {
        match left {
            Left::Done(outcome) => {
                self.outcomes.push(outcome);
                self.outcomes.extend(key.stack.older.iter().map(|_| Outcome::Superseded));
                None
            }
            Left::Refused(kind) => {
                self.outcomes.push(Outcome::Poisoned(kind));
                key.stack.next().map(|stack| Waiting { stack, tries: 0 })
            }
            Left::Not(fault) => {
                key.tries += 1;
                let soon = matches!(fault.kind, Kind::Busy | Kind::Conflict | Kind::Storage);
                // The parent of this row may have been among those just written.
                let parent = fault.kind == Kind::ParentMissing && progress;
                let again = (soon && key.tries < TRIES) || parent;
                if again {
                    return Some(key);
                }
                self.leave(vec![key], &fault);
                None
            }
        }
    }

    fn leave(&mut self, keys: Vec<Waiting>, fault: &Fault) {
        for Waiting { stack, .. } in keys {
            for mapped in std::iter::once(&stack.newest).chain(&stack.older) {
                let map = Some(Arc::clone(&self.map));
                self.open.push(Open { member: mapped.event, map, fault: fault.clone() });
            }
        }
    }
}

/// The write that a ticket allows. The state that the row was given last is told only when nobody else
/// can have given it another since: a claim was overtaken, and its write may lie over ours.
pub(super) fn write_of(ticket: &Ticket) -> Write {
    let entry = ticket.entry();
    let target_id = entry.applied.as_ref().and_then(|applied| applied.target_id);
    let before = if entry.loose.is_empty() {
        entry.applied.as_ref().map(|_| Before { target_id, state: entry.state() })
    } else {
        Some(Before { target_id, state: None })
    };
    Write { row: Arc::clone(ticket.row()), before }
}

/// Whether a fault ends an event here: at once, or because it waited long enough for its parent.
fn gives_up(fault: &Fault, member: Option<&Member>, row: &Row) -> bool {
    match fault.act() {
        Act::Poison => true,
        Act::Park => member.is_some_and(|member| member.event.deferred >= PARKED),
        Act::Halt => row.to.gone == Gone::Poison && drift::gone(fault, row).is_some(),
        Act::Retry => false,
    }
}

/// What a settlement leaves of a row; `reason` is why its claim was to be taken back.
fn concluded(conclusion: Conclusion, reason: Option<Left>) -> Left {
    match (conclusion, reason) {
        (Conclusion::Done(outcome), _) => Left::Done(outcome),
        (Conclusion::Withdrawn, Some(reason)) => reason,
        (Conclusion::Open(fault), _) => Left::Not(fault),
        (Conclusion::Withdrawn | Conclusion::Assert(_), _) => {
            Left::Not(Fault::new(Kind::Conflict, "its claim was not concluded"))
        }
    }
}

fn refusal(row: &Row, member: &Member, fault: &Fault) -> Refusal {
    let mut fault = fault.clone();
    fault.detail = fault.detail.map(|detail| masked(detail, row));
    let key = row.to.shown(&row.key);
    Refusal {
        system: Arc::clone(&member.system),
        map: Some(row.to.map.as_str().into()),
        key: Some(key),
        event: member.event.clone(),
        fault,
        correlation: row.correlation,
    }
}

/// The target's words without the values of secured columns.
fn masked(mut detail: String, row: &Row) -> String {
    let Action::Upsert(columns) = &row.action else { return detail };
    for column in &row.to.secured {
        for (_, value) in columns.values.iter().filter(|(name, _)| **name == **column) {
            let text = value.to_string();
            if !text.is_empty() {
                detail = detail.replace(&text, crate::row::MASK);
            }
        }
    }
    detail
}
