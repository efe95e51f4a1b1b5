//! What ends an event here, and what is then said of it in quarantine.

use std::sync::Arc;

use super::read::Member;
use super::{Pipeline, drift};
use crate::coalesce::Stack;
use crate::delivery::Event;
use crate::fault::{Act, Fault};
use crate::poison::Refusal;
use crate::row::{Action, Gone, Row};

impl Pipeline {
    /// Whether a fault ends an event here: at once, or because it waited long enough for its parent.
    pub(super) fn gives_up(&self, fault: &Fault, member: Option<&Member>, row: &Row) -> bool {
        let over = |member: &Member| {
            let wait = member.event.wait.as_ref();
            wait.is_some_and(|wait| self.parking.is_over(wait.since, self.clock.now()))
        };
        match fault.act() {
            Act::Poison => true,
            Act::Park => member.is_some_and(over),
            Act::Halt => row.to.gone == Gone::Poison && drift::gone(fault, row).is_some(),
            Act::Retry => false,
        }
    }

    /// The fault as it is kept: what a row waited for in vain is told with all that stands behind it.
    pub(super) async fn explained(&self, fault: &Fault, row: &Row) -> Fault {
        if fault.act() != Act::Park {
            return fault.clone();
        }
        let hours = self.parking.longest().as_secs() / 3_600;
        let mut fault = fault.clone();
        let message = format!("after {hours} hours the row that it refers to is still missing");
        fault.message = message.into();
        let chain = self.chain(row, &fault).await;
        fault.detail = Some(match fault.detail {
            Some(detail) => format!("{chain}; the target said: {detail}"),
            None => chain,
        });
        fault
    }
}

/// Takes the refused event away where it stands once more beneath itself: it would be refused once
/// more. Answers how often it did.
pub(super) fn take_twins(stack: &mut Stack, members: &[Member]) -> usize {
    let said = |index: usize| members.get(index).map(|m| (&m.event.body, &m.event.properties));
    let (refused, before) = (said(stack.newest.event), stack.older.len());
    stack.older.retain(|other| refused.is_none() || said(other.event) != refused);
    before - stack.older.len()
}

/// A row that a fault ended, with the event that it came from.
pub(super) fn refusal(row: &Row, member: &Member, mut fault: Fault) -> Refusal {
    fault.detail = fault.detail.map(|detail| masked(detail, row));
    let key = row.to.shown(&row.key);
    Refusal {
        system: Arc::clone(&member.system),
        map: Some(Arc::clone(&row.to.map)),
        key: Some(key),
        event: Event { wait: None, ..member.event.clone() },
        fault,
        correlation: row.correlation,
    }
}

/// The target's words without the values of secured columns.
fn masked(mut detail: String, row: &Row) -> String {
    let Action::Upsert(columns) = &*row.action else { return detail };
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
