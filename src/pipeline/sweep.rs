//! The sweep: brings to an end what crashed, was overtaken, or waited long enough.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use serde::Serialize;
use tokio::time::Instant;

use super::flow::write_of;
use super::read::Member;
use super::{Pipeline, Time};
use crate::coalesce::{Mapped, Stack};
use crate::delivery::Event;
use crate::fault::{Act, Fault};
use crate::ledger::{Assertion, Conclusion, Landing, Settlement, Ticket};
use crate::outcome::Report;
use crate::row::{Destination, Row};
use crate::system::{Answer, Lane, Target};

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Abandoned writes that were finished.
    pub resumed: usize,
    /// Versions that were written once more over a write of unknown place.
    pub asserted: usize,
    /// Held removals that were carried out, or found to be needless.
    pub released: usize,
    /// Parked events that were tried again, because it was time or because they waited too long.
    pub woken: usize,
    /// Stretches of backlogs that were brought again, because their maps are no longer paused.
    pub brought: usize,
    /// What could not be brought to an end this time; a bucket that could not be visited whole is one.
    pub left: usize,
}

/// How many buckets are visited at once.
const PARALLEL: usize = 4;

impl Pipeline {
    /// Visits every bucket of every map, whatever befalls the others. What cannot be ended now is found
    /// again next time.
    pub async fn sweep(&self, within: Duration) -> Result<Swept, Fault> {
        let time = self.time(within, Lane::Bulk);
        let buckets =
            self.maps.destinations().into_iter().flat_map(|to| {
                (0..self.ledger.buckets()).map(move |bucket| (Arc::clone(&to), bucket))
            });
        let mut buckets: Vec<_> = buckets.collect();
        // Where time is short, it is not always the same ones that it is too short for.
        let first = self.chance.below(u64::try_from(buckets.len()).unwrap_or_default());
        buckets.rotate_left(usize::try_from(first).unwrap_or_default());
        let faults = Faults::default();
        let visits: Vec<_> = buckets.iter().map(|at| self.visit(at, time, &faults)).collect();
        let mut visits = stream::iter(visits).buffer_unordered(PARALLEL);
        let mut swept = Swept::default();
        while let Some(visited) = visits.next().await {
            swept.resumed += visited.resumed;
            swept.asserted += visited.asserted;
            swept.released += visited.released;
            swept.left += visited.left;
        }
        drop(visits);
        swept.woken = self.tend_parked(time).await?;
        swept.brought = self.bring_backlogs().await?;
        Ok(swept)
    }

    async fn visit<'m>(
        &self,
        (to, bucket): &'m (Arc<Destination>, u32),
        time: Time,
        faults: &Faults<'m>,
    ) -> Swept {
        let mut swept = Swept::default();
        if faults.is_known(&to.map) {
            return Swept { left: 1, ..swept };
        }
        match self.tend(to, *bucket, time, &mut swept).await {
            Ok(whole) => swept.left += usize::from(!whole),
            Err(fault) => {
                swept.left += 1;
                faults.note(&to.map, &fault);
            }
        }
        swept
    }

    /// Tends one bucket; whether there was time for all of it.
    async fn tend(
        &self,
        to: &Arc<Destination>,
        bucket: u32,
        time: Time,
        swept: &mut Swept,
    ) -> Result<bool, Fault> {
        let Some(target) = self.targets.get(&to.system) else { return Ok(true) };
        if self.control.standing().await?.is_paused(&to.map) {
            return Ok(true);
        }
        let mut more = true;
        while more && !time.is_over() {
            target.ready().await?;
            // Half of the time that is left is for claiming, the other for writing what was claimed.
            let half = Instant::now() + time.left() / 2;
            let due = self.ledger.due(to, bucket, (half, time.lease(&**target))).await?;
            more = due.more;
            swept.asserted += due.assertions.len();
            for wave in waves(due.assertions) {
                let rows = wave.iter().map(|one| Arc::clone(one.row())).collect();
                let wave = wave.into_iter().map(|one| Conclusion::Assert(Box::new(one)));
                let concluded = self.asserted(&**target, wave.collect(), time).await;
                swept.left += self.ended(concluded, rows).await;
            }
            swept.resumed += due.tickets.len();
            swept.left += self.resume(&**target, due.tickets, time).await;
            if self.control.standing().await?.holds_removals(&to.map) {
                // They stay due until somebody approves.
                continue;
            }
            more |= due.more_removals;
            swept.released += due.removals.len();
            swept.left += self.release(due.removals, time).await;
        }
        Ok(!more)
    }

    /// Finishes abandoned writes. One that the target refuses is taken back and no more: its event was
    /// never acknowledged, so it comes again, or stands in quarantine already.
    async fn resume(&self, target: &dyn Target, tickets: Vec<Ticket>, time: Time) -> usize {
        let writes = tickets.iter().map(write_of).collect();
        let answers = self.send(target, writes, time.until).await;
        let (mut settlements, mut rows, mut left) = (Vec::new(), Vec::new(), 0);
        for (ticket, answer) in tickets.into_iter().zip(answers) {
            let landing = match answer {
                Answer::Written { target_id } => Landing::Landed { target_id },
                Answer::Kept { target_id } => Landing::Kept { target_id },
                Answer::Absent => Landing::Absent,
                Answer::Not(fault) if fault.act() == Act::Poison => Landing::Never,
                Answer::Not(_) | Answer::Unknown(_) => {
                    left += 1;
                    continue;
                }
            };
            rows.push(Arc::clone(ticket.row()));
            settlements.push(Settlement { ticket, landing });
        }
        let conclusions = self.ledger.settle(settlements).await;
        let concluded = self.asserted(target, conclusions, time).await;
        left + self.ended(concluded, rows).await
    }

    /// Wakes what waits for rows that are there now. Answers how many matters are not at their end.
    async fn ended(&self, concluded: Vec<Conclusion>, rows: Vec<Arc<Row>>) -> usize {
        let left = open(&concluded);
        let awaited = |one: &Conclusion| matches!(one, Conclusion::Done { awaited: true, .. });
        let both = concluded.iter().zip(rows);
        let rows: Vec<_> = both.filter(|(one, _)| awaited(one)).map(|(_, row)| row).collect();
        match self.wake(&rows).await {
            Ok(()) => left,
            Err(_) => left + rows.len(),
        }
    }

    /// Carries out held removals through the ordinary path.
    async fn release(&self, removals: Vec<Row>, time: Time) -> usize {
        if removals.is_empty() {
            return 0;
        }
        let members: Vec<Member> = removals.iter().map(member).collect();
        let stacks = removals.into_iter().enumerate().map(|(event, row)| Stack {
            newest: Mapped { row: Arc::new(row), event },
            older: Vec::new(),
        });
        let flowed = self.flow(stacks.collect(), &members, time).await;
        flowed.counted(&mut Report::default());
        flowed.open.len()
    }
}

/// The maps of which a bucket could not be visited: their others are left for the next time, so that a
/// target that is away keeps no other waiting.
#[derive(Debug, Default)]
struct Faults<'m>(Mutex<BTreeSet<&'m str>>);

impl<'m> Faults<'m> {
    fn is_known(&self, map: &str) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).contains(map)
    }

    fn note(&self, map: &'m str, fault: &Fault) {
        if self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(map) {
            let ev = if fault.act() == Act::Halt { "halted" } else { "sweep_failed" };
            let code = fault.kind.code();
            tracing::warn!(ev, map, code, %fault, "this map is swept at the next time");
        }
    }
}

fn open(conclusions: &[Conclusion]) -> usize {
    conclusions.iter().filter(|one| matches!(one, Conclusion::Open(_))).count()
}

/// Assertions with each key at most once in a wave: several claims of one key may have been found.
fn waves(assertions: Vec<Assertion>) -> Vec<Vec<Assertion>> {
    let mut waves: Vec<Vec<Assertion>> = Vec::new();
    let mut met = HashMap::<String, usize>::new();
    for assertion in assertions {
        let wave = met.entry(assertion.row().key.to_string()).or_default();
        if waves.len() == *wave {
            waves.push(Vec::new());
        }
        if let Some(wave) = waves.get_mut(*wave) {
            wave.push(assertion);
        }
        *wave += 1;
    }
    waves
}

/// Stands for the event of a row that the ledger remembers.
pub(super) fn member(row: &Row) -> Member {
    let body = serde_json::to_vec(&row.action).unwrap_or_default();
    let event = Event { body: Bytes::from(body), ..Event::default() };
    Member { event, system: "ledger".into(), echoes: Vec::new() }
}
