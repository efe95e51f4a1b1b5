//! The end of a delivery: what is still open is brought again by the host, or waits in the work queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Pipeline;
use super::parked::{is_stuck, waited};
use super::read::{Member, Open};
use crate::delivery::{Delivery, Event};
use crate::fault::{Act, Fault};
use crate::outcome::{Outcome, Report, Verdict};

impl Pipeline {
    /// Sees to it that nothing is acknowledged that is not durable.
    ///
    /// What waits for a target, while another did its part, is deferred at once (`spared`). What waits for a parent is parked at once, because repeating the whole delivery would not
    /// help it. Anything else is left to the host, until the host would not bring it again.
    pub(super) async fn conclude(
        &self,
        delivery: &Delivery,
        (members, open, spared): (&[Member], Vec<Open>, bool),
        report: &mut Report,
    ) {
        let waits = |open: &Open| open.fault.act() == Act::Park;
        let spares = |open: &Open| spared && is_stuck(open);
        let stuck = open.iter().find(|open| !waits(open) && !spares(open));
        tell_halts(&open);
        if let Some(stuck) = stuck.filter(|_| !delivery.attempt.last) {
            report.verdict = Verdict::Redeliver(stuck.fault.to_string());
            return;
        }
        if open.is_empty() {
            return;
        }
        let durable = match self.park(members, open.clone()).await {
            Ok(rest) if rest.is_empty() => Ok(()),
            Ok(rest) => self.defer(delivery, members, &rest).await,
            Err(fault) => Err(fault),
        };
        if let Err(fault) = durable {
            report.verdict = Verdict::Redeliver(fault.to_string());
            return;
        }
        for open in &open {
            let outcome = if waits(open) { Outcome::Parked } else { Outcome::Deferred };
            match &open.row {
                Some(row) => report.tell(row, outcome),
                None => report.count(&open.map.clone().unwrap_or_else(|| "-".into()), outcome),
            }
        }
        log_why(&open);
    }

    /// Puts each open member in the work queue once, for the maps that are still to handle it.
    async fn defer(
        &self,
        delivery: &Delivery,
        members: &[Member],
        open: &[Open],
    ) -> Result<(), Fault> {
        let mut maps = BTreeMap::<usize, (Vec<String>, bool)>::new();
        for open in open {
            let (maps, waits) = maps.entry(open.member).or_default();
            maps.extend(open.map.iter().map(ToString::to_string));
            *waits |= open.fault.act() == Act::Park;
        }
        let now = self.clock.now();
        let events = maps.into_iter().filter_map(|(member, (only, waits))| {
            let event = members.get(member)?.event.clone();
            let only = if only.is_empty() { event.only.clone() } else { only };
            let wait = if waits { Some(waited(&event, now)) } else { event.wait.clone() };
            Some(Event { only, wait, ..event })
        });
        let events: Vec<Event> = events.collect();
        self.deferral.put(&Arc::clone(&delivery.system), events).await
    }
}

/// One line for each map and code that only somebody who mends the installation can help.
fn tell_halts(open: &[Open]) {
    let mut halted = BTreeMap::<(&str, &str), (usize, &Fault)>::new();
    for open in open.iter().filter(|open| open.fault.act() == Act::Halt) {
        let at = (open.map.as_deref().unwrap_or("-"), open.fault.kind.code());
        halted.entry(at).or_insert((0, &open.fault)).0 += 1;
    }
    for ((map, code), (rows, reason)) in halted {
        tracing::error!(ev = "halted", map, code, rows, %reason, "halted");
    }
}

fn log_why(open: &[Open]) {
    let mut reasons = BTreeMap::<String, usize>::new();
    for open in open {
        *reasons.entry(open.fault.to_string()).or_default() += 1;
    }
    for (reason, rows) in reasons.into_iter().take(10) {
        tracing::warn!(ev = "deferred", rows, %reason, "deferred");
    }
}
