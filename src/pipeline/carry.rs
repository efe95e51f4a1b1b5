//! One change carried out while its maker waits: read, mapped, claimed, written, settled, and told.
//!
//! The same steps as a delivery takes, but nothing is set aside, parked or deferred: a fault is an
//! answer. Rows that cannot be read or mapped stop everything before the first is written; a refusal
//! stops what comes after it.

use std::sync::Arc;

use serde_json::Value;
use uuid::Uuid;

use super::arriving::Doubts;
use super::flow::write_of;
use super::part::by_map;
use super::{Pipeline, Time};
use crate::coalesce::{Mapped, coalesce};
use crate::delivery::Delivery;
use crate::fault::{Fault, Kind};
use crate::ledger::{Claimed, Conclusion, Landing, Request, Settlement, Ticket};
use crate::outcome::{Outcome, Report};
use crate::row::{Action, Row};
use crate::system::{Answer, Lane, Target};

/// What became of one row.
#[derive(Debug)]
pub struct Carried {
    /// The map; none when no map could read the change.
    pub map: Option<Arc<str>>,
    /// The target system and its table.
    pub table: Option<(String, String)>,
    /// The row's key, as it may be shown.
    pub key: Option<String>,
    /// What became of it.
    pub became: Carrying,
}

/// What became of a row whose maker waited.
#[derive(Debug)]
pub enum Carrying {
    /// It is durable.
    Done {
        /// How.
        outcome: Outcome,
        /// The target's own id of the row.
        id: Option<Uuid>,
        /// What was to be written, values of secured columns masked.
        row: Value,
    },
    /// It is not applied.
    Failed(Fault),
    /// It was not tried, because another one failed.
    Left,
}

impl Pipeline {
    /// Carries out a delivery and tells what became of each row.
    pub async fn carry_out(&self, delivery: &Delivery) -> Vec<Carried> {
        let time = self.time(delivery.within, Lane::Live);
        let arrived = self.reread(delivery).await;
        let none = Doubts::default();
        let (delivery, doubts) = match &arrived {
            Some(arrived) => (&arrived.delivery, &arrived.doubts),
            None => (delivery, &none),
        };
        let mut read = self.read(delivery, doubts);
        let mut report = Report::default();
        let mut open = std::mem::take(&mut read.open);
        open.extend(self.name_removed(&mut read, &mut report).await);
        open.extend(self.note_keys(&mut read, &mut report).await);
        let refused = std::mem::take(&mut read.refusals).into_iter().map(|(_, refusal)| {
            let (map, key) = (refusal.map, refusal.key);
            Carried { map, table: None, key, became: Carrying::Failed(refusal.fault) }
        });
        let opened = open.into_iter().map(|open| {
            let became = Carrying::Failed(open.fault);
            Carried { map: open.map, table: None, key: None, became }
        });
        let mut carried: Vec<Carried> = refused.chain(opened).collect();
        let mut stacks = by_map(coalesce(std::mem::take(&mut read.rows)));
        for name in self.maps.levels().iter().flatten() {
            for stack in stacks.remove(name.as_str()).unwrap_or_default() {
                let stop = carried.iter().any(|one| matches!(one.became, Carrying::Failed(_)));
                let one = if stop { Carrying::Left } else { self.carry(&stack.newest, time).await };
                carried.push(told(&stack.newest.row, one));
            }
        }
        for left in std::mem::take(&mut read.left_behind) {
            let stop = carried.iter().any(|one| matches!(one.became, Carrying::Failed(_)));
            let one = if stop { Carrying::Left } else { self.carry(&left.mapped, time).await };
            carried.push(told(&left.mapped.row, one));
        }
        carried
    }

    async fn carry(&self, mapped: &Mapped, time: Time) -> Carrying {
        match self.carried(&mapped.row, time).await {
            Ok((outcome, id)) => {
                let row = &mapped.row;
                let shown = serde_json::to_value(row.to.masked(&row.action)).unwrap_or_default();
                Carrying::Done { outcome, id, row: shown }
            }
            Err(fault) => Carrying::Failed(fault),
        }
    }

    async fn carried(&self, row: &Arc<Row>, time: Time) -> Result<(Outcome, Option<Uuid>), Fault> {
        let unknown = || {
            let message = format!("no target system is called `{}`", row.to.system);
            Fault::new(Kind::Misconfigured, message)
        };
        let target = self.targets.get(&row.to.system).ok_or_else(unknown)?;
        target.ready().await?;
        let request = Request { row: Arc::clone(row), patient: true };
        let ticket = match self.ledger.claim(vec![request], time.lease(&**target)).await.pop() {
            Some(Claimed::Ticket(ticket)) => *ticket,
            Some(Claimed::Done { outcome, .. }) => {
                return Ok((outcome, self.id_of(&**target, row, outcome).await));
            }
            Some(Claimed::Not(fault)) => return Err(fault),
            None => return Err(Fault::new(Kind::Storage, "the ledger gave no answer")),
        };
        let (outcome, id) = self.settled(&**target, ticket, time).await?;
        let id = if id.is_some() { id } else { self.id_of(&**target, row, outcome).await };
        Ok((outcome, id))
    }

    async fn settled(
        &self,
        target: &dyn Target,
        ticket: Ticket,
        time: Time,
    ) -> Result<(Outcome, Option<Uuid>), Fault> {
        let row = Arc::clone(ticket.row());
        let answer = self.send(target, vec![write_of(&ticket)], time.until).await.pop();
        let (landing, id, refused) = match answer {
            Some(Answer::Written { target_id }) => (Landing::Landed { target_id }, target_id, None),
            Some(Answer::Kept { target_id }) => (Landing::Kept { target_id }, target_id, None),
            Some(Answer::Absent) => (Landing::Absent, None, None),
            Some(Answer::Not(fault)) => (Landing::Never, None, Some(fault)),
            Some(Answer::Unknown(fault)) => return Err(fault),
            None => return Err(Fault::new(Kind::Timeout, "the target gave no answer")),
        };
        let settled = self.ledger.settle(vec![Settlement { ticket, landing }]).await;
        let concluded = self.asserted(target, settled, time).await;
        self.surplus.note_settled(usize::from(landing.is_written()), &concluded);
        let concluded = concluded.into_iter().next();
        if let Some(fault) = refused {
            return Err(fault);
        }
        match concluded {
            Some(Conclusion::Done { outcome, awaited }) => {
                if awaited && let Err(fault) = self.wake(&[row]).await {
                    tracing::warn!(%fault, "what waits for the row is left to the sweep");
                }
                Ok((outcome, id))
            }
            Some(Conclusion::Open(fault)) => Err(fault),
            Some(Conclusion::Withdrawn | Conclusion::Assert(_)) | None => {
                Err(Fault::new(Kind::Conflict, "its claim was not concluded"))
            }
        }
    }

    /// The id of a row that is there, when the target tells it.
    async fn id_of(&self, target: &dyn Target, row: &Row, outcome: Outcome) -> Option<Uuid> {
        let there = matches!(*row.action, Action::Upsert(_))
            && matches!(outcome, Outcome::Applied | Outcome::Unchanged);
        if !there {
            return None;
        }
        let found = target.fetch(&row.to.table, std::slice::from_ref(&row.key), &[]).await;
        found.ok()?.into_iter().next()??.id
    }
}

fn told(row: &Row, became: Carrying) -> Carried {
    Carried {
        map: Some(Arc::clone(&row.to.map)),
        table: Some((row.to.system.clone(), row.to.table.clone())),
        key: Some(row.to.shown(&row.key)),
        became,
    }
}
