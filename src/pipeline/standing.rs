//! What operators decided, obeyed: events of paused maps wait, and so do removals that are held.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Pipeline;
use super::flow::Sending;
use super::flowed::Left;
use super::read::{Open, Read};
use crate::control::{Standing, Tally};
use crate::delivery::{Delivery, Event};
use crate::fault::Fault;
use crate::ledger::{Landing, Settlement};
use crate::outcome::{Outcome, Report};
use crate::row::{Action, Destination};

/// The backlogs of paused maps stand below this folder.
pub const PAUSED: &str = "paused";
/// The backlogs of removals that wait for approval stand below this folder.
pub const ASKED: &str = "asked";

impl Pipeline {
    /// Takes what is for paused maps out of a delivery and keeps it; answers what could not be kept.
    pub(super) async fn keep_paused(
        &self,
        delivery: &Delivery,
        read: &mut Read,
        report: &mut Report,
    ) -> Vec<Open> {
        let standing = match self.control.standing().await {
            Ok(standing) => standing,
            Err(fault) => return read.all_open(&fault),
        };
        if standing.pauses.is_empty() {
            return Vec::new();
        }
        let paused = read.without(|map| standing.is_paused(map));
        self.keep(delivery, (read, paused), (PAUSED, Outcome::Paused), report).await
    }

    /// Keeps events (member and map) in the backlogs of their maps; answers what could not be kept.
    pub(super) async fn keep(
        &self,
        delivery: &Delivery,
        (read, waiting): (&Read, Vec<(usize, Arc<str>)>),
        (folder, outcome): (&str, Outcome),
        report: &mut Report,
    ) -> Vec<Open> {
        let mut maps = BTreeMap::<Arc<str>, Vec<usize>>::new();
        for (member, map) in waiting {
            maps.entry(map).or_default().push(member);
        }
        let mut open = Vec::new();
        for (map, mut members) in maps {
            members.sort_unstable();
            members.dedup();
            let only = vec![map.to_string()];
            let events = members.iter().filter_map(|member| read.members.get(*member));
            let events = events.map(|one| Event { only: only.clone(), ..one.event.clone() });
            let events: Vec<Event> = events.collect();
            let backlog = format!("{folder}/{map}");
            let kept = self.deferral.keep(&backlog, &delivery.system, &events).await;
            for member in members {
                match &kept {
                    Ok(()) => report.count(&map, outcome),
                    Err(fault) => {
                        let (map, fault) = (Some(Arc::clone(&map)), fault.clone());
                        open.push(Open { member, map, fault, row: None });
                    }
                }
            }
        }
        open
    }

    /// Takes removals that may not be carried out from among claimed rows, and takes their claims back.
    pub(super) async fn guarded<'m>(
        &self,
        to: &Destination,
        sending: Vec<Sending<'m>>,
        left: &mut [Left],
    ) -> Vec<Sending<'m>> {
        let removes = |one: &Sending<'_>| matches!(*one.ticket.row().action, Action::Remove(_));
        let removals = count(sending.iter().filter(|one| removes(one)).count());
        let more = Tally { removals, rows: count(sending.len()) };
        let reason = match self.control.admits(to, more).await {
            Ok(true) => return sending,
            Ok(false) => None,
            Err(fault) => Some(fault),
        };
        let (stopped, sending): (Vec<_>, Vec<_>) = sending.into_iter().partition(removes);
        let mut settlements = Vec::new();
        for Sending { index, ticket, .. } in stopped {
            settlements.push(Settlement { ticket, landing: Landing::Never });
            if let Some(place) = left.get_mut(index) {
                *place = reason.clone().map_or(Left::Asked, Left::Not);
            }
        }
        // A claim that cannot be taken back now ends with its lease.
        self.ledger.settle(settlements).await;
        sending
    }

    /// Whether so many rows of a map may be removed now, among so many that there are: asked before
    /// anything is removed that no event asked for. `of` = 0 says that the source is empty, which is
    /// never taken for the truth. False: a hold stands, and nothing may be removed until it is approved.
    pub async fn may_remove(&self, map: &str, removals: u64, of: u64) -> Result<bool, Fault> {
        let Some(map) = self.maps.get(map) else { return Ok(false) };
        let to = &map.destination;
        let standing = self.control.look().await?;
        if standing.holds_removals(&to.map) {
            return Ok(false);
        }
        if removals == 0 || standing.approves(&to.map, self.clock.now()) {
            return Ok(true);
        }
        let why = match of {
            0 => Some(format!("{removals} removals, because the source is empty")),
            rows => Tally { removals, rows }.excess(to.ask),
        };
        match why {
            Some(why) => self.control.hold(&to.map, why).await.map(|()| false),
            None => Ok(true),
        }
    }

    /// Brings backlogs of maps that are no longer paused: what an instance kept that had not yet heard
    /// of it, or what a command left when it was cut off.
    pub(super) async fn bring_backlogs(&self) -> Result<usize, Fault> {
        let standing = self.control.look().await?;
        let mut brought = 0;
        for kept in self.deferral.backlog(PAUSED).await? {
            if !standing.pauses.contains_key(&kept.folder()) {
                self.deferral.replay(&kept).await?;
                brought += 1;
            }
        }
        let settled = |standing: &Standing, map: &str| !standing.holds_removals(map);
        for kept in self.deferral.backlog(ASKED).await? {
            if settled(&standing, &kept.folder()) {
                self.deferral.replay(&kept).await?;
                brought += 1;
            }
        }
        Ok(brought)
    }
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}
