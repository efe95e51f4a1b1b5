//! The rows of one map, in waves: claim, write, quarantine what was refused, settle.
//!
//! Each wave takes the newest row of every key that is still open. A row that was refused makes way
//! for the next older one of its key, so that a bad change harms itself alone however a stream was cut
//! into batches. What is busy elsewhere is asked again after a short pause.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::flowed::{Flowed, Left, TRIES, Waiting};
use super::read::Member;
use super::refuse::refusal;
use super::{Pipeline, Time, passes};
use crate::coalesce::Stack;
use crate::fault::{Fault, Kind};
use crate::ledger::{Assertion, Claimed, Conclusion, Landing, Request, Settlement, Ticket};
use crate::outcome::{Echo, Outcome};
use crate::row::{Row, Thing};
use crate::system::{Answer, Before, Target, Write};
use crate::telemetry::trace;

/// A claimed row on its way to the target, and the member it came from.
pub(super) struct Sending<'m> {
    pub(super) index: usize,
    pub(super) ticket: Ticket,
    member: Option<&'m Member>,
    /// Columns that are left out at first.
    pub(super) without: Vec<String>,
}

impl Sending<'_> {
    /// Whether it only brings back what was written to its source.
    pub(super) fn echo(&self) -> Option<Echo> {
        // What a thing left behind comes back from nowhere.
        let row = self.ticket.row();
        let leaves = matches!(row.thing, Some(Thing::Left(_)));
        self.member.filter(|_| !leaves)?.echo(&row.to.map)
    }
}

/// How often a key waits for somebody who writes the same version, before it is written here too: that
/// one may have died. About a second.
const PATIENCE: u32 = 6;

impl Pipeline {
    /// Takes the rows of one map as far as they get before the deadline.
    pub(super) async fn flow(&self, stacks: Vec<Stack>, members: &[Member], time: Time) -> Flowed {
        let to = stacks.first().map(|stack| Arc::clone(&stack.newest.row.to)).unwrap_or_default();
        let mut flowed = Flowed::of(&to.map);
        let mut waiting: Vec<Waiting> = stacks.into_iter().map(Waiting::of).collect();
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
            let (now, later) = pass(std::mem::take(&mut waiting));
            let left = self.wave(&**target, &now, members, time).await;
            let progress = left.iter().any(|left| matches!(left, Left::Done(Outcome::Applied, _)));
            let mut again: Vec<Waiting> = now
                .into_iter()
                .zip(left)
                .filter_map(|(key, left)| {
                    flowed.note(key, left, (progress && !time.is_over(), members))
                })
                .collect();
            again.extend(later);
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
        self.wake_children(&mut flowed).await;
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
        let claim = self.ledger.claim(requests.collect(), time.lease(target));
        let claimed = trace::stage("claim", claim).await;
        let mut left = Vec::with_capacity(waiting.len());
        let mut tickets = Vec::new();
        for (index, claimed) in claimed.into_iter().enumerate() {
            left.push(match claimed {
                Claimed::Done { outcome, awaited } => Left::Done(outcome, awaited),
                Claimed::Not(fault) => Left::Not(fault),
                Claimed::Ticket(ticket) => {
                    let mapped = waiting.get(index).map(|key| &key.stack.newest);
                    let member = mapped.and_then(|mapped| members.get(mapped.event));
                    let without = without(waiting.get(index), member);
                    tickets.push(Sending { index, ticket: *ticket, member, without });
                    Left::Not(Fault::new(Kind::Timeout, "it was claimed and not written"))
                }
            });
        }
        if let Some(to) = waiting.first().map(|key| &key.stack.newest.row.to) {
            tickets = self.guarded(to, tickets, &mut left).await;
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
        // What only comes back is written already.
        let (echoes, sending): (Vec<_>, Vec<_>) =
            sending.into_iter().partition(|one| one.echo().is_some());
        let writes: Vec<Write> = sending.iter().map(|one| write_of(&one.ticket)).collect();
        let without: Vec<Vec<String>> = sending.iter().map(|one| one.without.clone()).collect();
        let sent = self.send_in_passes(target, (writes, &without), time.until);
        let (answers, cut) = trace::stage("write", sent).await;
        if let Err(fault) = self.rouse(&cut_rows(&sending, &cut)).await {
            tracing::warn!(%fault, "what waits for rows in a circle is left to the sweep");
        }
        let (mut left, mut refusals) = (Vec::new(), Vec::new());
        let (mut settlements, mut sent) = (Vec::new(), Vec::new());
        let echoes = echoes.into_iter().map(|one| (one, Answer::Written { target_id: None }));
        for (one, answer) in sending.into_iter().zip(answers).chain(echoes) {
            let echo = one.echo();
            let Sending { index, ticket, member, .. } = one;
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
            let refused =
                reason.as_ref().filter(|fault| self.gives_up(fault, member, ticket.row()));
            if let (Some(fault), Some(member)) = (refused, member) {
                let fault = self.explained(fault, ticket.row()).await;
                refusals.push(refusal(ticket.row(), member, fault));
            }
            let gone = refused.is_some();
            sent.push((
                (index, echo),
                reason.map(|fault| if gone { Left::Refused(fault.kind) } else { Left::Not(fault) }),
            ));
            settlements.push(Settlement { ticket, landing });
        }
        // Quarantine before settle: should it fail, the refused claims stay and end with their leases.
        if let Err(fault) = self.set_aside(&refusals).await {
            left.extend(sent.into_iter().map(|((index, _), _)| (index, Left::Not(fault.clone()))));
            return left;
        }
        let landed = settlements.iter().filter(|one| one.landing.is_written()).count();
        let conclusions = trace::stage("settle", self.ledger.settle(settlements)).await;
        let conclusions = self.asserted(target, conclusions, time).await;
        self.surplus.note_settled(landed, &conclusions);
        let settled = sent.into_iter().zip(conclusions);
        left.extend(settled.map(|(((index, echo), reason), one)| {
            match (concluded(one, reason), echo) {
                (Left::Done(Outcome::Applied, awaited), Some(echo)) => {
                    (index, Left::Done(Outcome::Echo(echo), awaited))
                }
                (left, _) => (index, left),
            }
        }));
        left
    }

    /// Writes the newest versions once more, all together, for as long as overtaken claims call for it.
    /// Each key at most once. Answers in order.
    pub(super) async fn asserted(
        &self,
        target: &dyn Target,
        mut conclusions: Vec<Conclusion>,
        time: Time,
    ) -> Vec<Conclusion> {
        loop {
            let (mut places, mut assertions) = (Vec::new(), Vec::new());
            let overtaken = |one: &&mut Conclusion| matches!(one, Conclusion::Assert(_));
            for conclusion in conclusions.iter_mut().filter(overtaken) {
                let open = Fault::new(Kind::Timeout, "it was overtaken and not asserted again");
                let taken = std::mem::replace(conclusion, Conclusion::Open(open));
                if let Conclusion::Assert(assertion) = taken {
                    places.push(conclusion);
                    assertions.push(*assertion);
                }
            }
            if assertions.is_empty() {
                return conclusions;
            }
            let asserted = self.assert_once(target, assertions, time).await;
            for (place, conclusion) in places.into_iter().zip(asserted) {
                *place = conclusion;
            }
        }
    }

    async fn assert_once(
        &self,
        target: &dyn Target,
        assertions: Vec<Assertion>,
        time: Time,
    ) -> Vec<Conclusion> {
        let again =
            |one: &Assertion| Write { row: Arc::clone(one.row()), before: Some(Before::default()) };
        let answers = self.send(target, assertions.iter().map(again).collect(), time.until).await;
        let (mut landed, mut conclusions) = (Vec::new(), Vec::new());
        for (assertion, answer) in assertions.into_iter().zip(answers) {
            let landing = match answer {
                Answer::Written { target_id } => {
                    self.surplus.note_assertion();
                    Landing::Landed { target_id }
                }
                Answer::Kept { target_id } => Landing::Kept { target_id },
                Answer::Absent => Landing::Absent,
                // A refusal concludes nothing: the claim stays loose, and its overtaker or the sweep
                // decides.
                Answer::Not(fault) | Answer::Unknown(fault) => {
                    let message = "it was overtaken and could not be asserted again";
                    let message = format!("{message} ({})", fault.kind);
                    conclusions.push(Some(Conclusion::Open(Fault::new(Kind::Busy, message))));
                    continue;
                }
            };
            landed.push((assertion, landing));
            conclusions.push(None);
        }
        let mut recorded = self.ledger.asserted(landed).await.into_iter();
        conclusions.into_iter().filter_map(|one| one.or_else(|| recorded.next())).collect()
    }
}

/// Splits keys in those that are written next and those that follow once these are done.
fn pass(waiting: Vec<Waiting>) -> (Vec<Waiting>, Vec<Waiting>) {
    let rows: Vec<Arc<Row>> = waiting.iter().map(|key| Arc::clone(&key.stack.newest.row)).collect();
    let mut pass = passes::next(&rows);
    let (mut now, mut later) = (Vec::new(), Vec::new());
    for (place, mut key) in waiting.into_iter().enumerate() {
        key.without = pass.without.remove(&place).unwrap_or_default();
        if pass.now.binary_search(&place).is_ok() { now.push(key) } else { later.push(key) }
    }
    (now, later)
}

/// The columns that a row is first written without: those that close a circle in this batch, and those
/// that were found to close one over several.
fn without(key: Option<&Waiting>, member: Option<&Member>) -> Vec<String> {
    let here = key.into_iter().flat_map(|key| key.without.iter());
    let wait = member.and_then(|member| member.event.wait.as_ref());
    here.chain(wait.into_iter().flat_map(|wait| wait.without.iter())).cloned().collect()
}

fn cut_rows(sending: &[Sending<'_>], cut: &BTreeSet<usize>) -> Vec<Arc<Row>> {
    let cut = cut.iter().filter_map(|place| sending.get(*place));
    cut.map(|one| Arc::clone(one.ticket.row())).collect()
}

/// The write that a ticket allows.
pub(super) fn write_of(ticket: &Ticket) -> Write {
    let known = ticket.is_known() || ticket.is_contested();
    let before = Before { target_id: ticket.target_id(), state: ticket.state() };
    Write { row: Arc::clone(ticket.row()), before: known.then_some(before) }
}

/// What a settlement leaves of a row; `reason` is why its claim was to be taken back.
fn concluded(conclusion: Conclusion, reason: Option<Left>) -> Left {
    match (conclusion, reason) {
        (Conclusion::Done { outcome, awaited }, _) => Left::Done(outcome, awaited),
        (Conclusion::Withdrawn, Some(reason)) => reason,
        (Conclusion::Open(fault), _) => Left::Not(fault),
        (Conclusion::Withdrawn | Conclusion::Assert(_), _) => {
            Left::Not(Fault::new(Kind::Conflict, "its claim was not concluded"))
        }
    }
}
