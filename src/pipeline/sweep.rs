//! The sweep: brings to an end what crashed, was overtaken, or waited long enough.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use serde::Serialize;

use super::flow::write_of;
use super::read::Member;
use super::{Pipeline, Time};
use crate::coalesce::{Mapped, Stack};
use crate::delivery::Event;
use crate::fault::{Act, Fault};
use crate::ledger::{Conclusion, Landing, Settlement, Ticket};
use crate::outcome::Report;
use crate::row::{Destination, Row};
use crate::system::{Answer, Target};

/// What a sweep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Swept {
    /// Abandoned writes that were finished.
    pub resumed: usize,
    /// Versions that were written once more over a write of unknown place.
    pub asserted: usize,
    /// Held removals that were carried out, or found to be needless.
    pub released: usize,
    /// What could not be brought to an end this time.
    pub left: usize,
}

/// How many buckets are visited at once.
const PARALLEL: usize = 4;

impl Pipeline {
    /// Visits every bucket of every map. What cannot be ended now is found again next time.
    pub async fn sweep(&self, within: Duration) -> Result<Swept, Fault> {
        let time = self.time(within);
        let buckets =
            self.maps.destinations().into_iter().flat_map(|to| {
                (0..self.ledger.buckets()).map(move |bucket| (Arc::clone(&to), bucket))
            });
        let buckets: Vec<_> = buckets.collect();
        let visits: Vec<_> =
            buckets.into_iter().map(|(to, bucket)| self.visit(to, bucket, time)).collect();
        let mut visits = stream::iter(visits).buffer_unordered(PARALLEL);
        let mut swept = Swept::default();
        while let Some(visited) = visits.next().await {
            let Swept { resumed, asserted, released, left } = visited?;
            swept.resumed += resumed;
            swept.asserted += asserted;
            swept.released += released;
            swept.left += left;
        }
        Ok(swept)
    }

    async fn visit(&self, to: Arc<Destination>, bucket: u32, time: Time) -> Result<Swept, Fault> {
        let mut swept = Swept::default();
        let Some(target) = self.targets.get(&to.system) else { return Ok(swept) };
        let mut more = !time.is_over();
        while more {
            target.ready().await?;
            let due = self.ledger.due(&to, bucket, time.lease(&**target)).await?;
            more = due.more && !time.is_over();
            swept.asserted += due.assertions.len();
            for assertion in due.assertions {
                let conclusion = Conclusion::Assert(Box::new(assertion));
                let concluded = self.asserted(&**target, conclusion, time).await;
                swept.left += usize::from(matches!(concluded, Conclusion::Open(_)));
            }
            swept.resumed += due.tickets.len();
            swept.left += self.resume(&**target, due.tickets, time).await;
            swept.released += due.removals.len();
            swept.left += self.release(due.removals, time).await;
        }
        Ok(swept)
    }

    /// Finishes abandoned writes. One that the target refuses is taken back and no more: its event was
    /// never acknowledged, so it comes again, or stands in quarantine already.
    async fn resume(&self, target: &dyn Target, tickets: Vec<Ticket>, time: Time) -> usize {
        let writes = tickets.iter().map(write_of).collect();
        let answers = self.send(target, writes, time.deadline).await;
        let (mut settlements, mut left) = (Vec::new(), 0);
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
            settlements.push(Settlement { ticket, landing });
        }
        for conclusion in self.ledger.settle(settlements).await {
            let concluded = self.asserted(target, conclusion, time).await;
            left += usize::from(matches!(concluded, Conclusion::Open(_)));
        }
        left
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

/// Stands for the event of a row that the ledger remembers.
fn member(row: &Row) -> Member {
    let body = serde_json::to_vec(&row.action).unwrap_or_default();
    Member { event: Event { body: Bytes::from(body), ..Event::default() }, system: "ledger".into() }
}
