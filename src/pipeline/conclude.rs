//! The end of a delivery: what is still open is brought again by the host, or waits in the work queue.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Pipeline;
use super::read::{Member, Open};
use crate::delivery::{Delivery, Event};
use crate::fault::{Act, Fault};
use crate::outcome::{Outcome, Report, Verdict};

impl Pipeline {
    /// Sees to it that nothing is acknowledged that is not durable.
    ///
    /// What waits for a parent is deferred at once, because repeating the whole delivery would not
    /// help it. Anything else is left to the host, until the host would not bring it again.
    pub(super) async fn conclude(
        &self,
        delivery: &Delivery,
        (members, open): (&[Member], Vec<Open>),
        report: &mut Report,
    ) {
        let waits = |open: &Open| open.fault.act() == Act::Park;
        let stuck = open.iter().find(|open| !waits(open));
        if let Some(stuck) = stuck.filter(|_| !delivery.attempt.last) {
            report.verdict = Verdict::Redeliver(stuck.fault.to_string());
            return;
        }
        if open.is_empty() {
            return;
        }
        if let Err(fault) = self.defer(delivery, members, &open).await {
            report.verdict = Verdict::Redeliver(fault.to_string());
            return;
        }
        for open in &open {
            let outcome = if waits(open) { Outcome::Parked } else { Outcome::Deferred };
            let map = open.map.clone().unwrap_or_else(|| "-".into());
            report.count(&map, outcome);
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
        let mut maps = BTreeMap::<usize, Vec<String>>::new();
        for open in open {
            let maps = maps.entry(open.member).or_default();
            maps.extend(open.map.iter().map(ToString::to_string));
        }
        let events = maps.into_iter().filter_map(|(member, only)| {
            let member = members.get(member)?;
            let only = if only.is_empty() { member.event.only.clone() } else { only };
            Some(Event { only, ..member.event.clone() })
        });
        let events: Vec<Event> = events.collect();
        self.deferral.put(&Arc::clone(&delivery.system), events).await
    }
}

fn log_why(open: &[Open]) {
    let mut reasons = BTreeMap::<String, usize>::new();
    for open in open {
        *reasons.entry(open.fault.to_string()).or_default() += 1;
    }
    for (reason, rows) in reasons.into_iter().take(10) {
        tracing::warn!(rows, %reason, "deferred");
    }
}
