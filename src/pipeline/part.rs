//! The part of a delivery that is for one target: its maps, parents before children.
//!
//! The parts of several targets go side by side and fail apart. One that waits in vain is given up after
//! a while of its own, and its rows go to the work queue, so that the others' next batch does not wait.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use futures::future::join_all;

use super::breaker::{self, PATIENCE};
use super::read::{Member, Open};
use super::{Pipeline, Time, parked};
use crate::coalesce::{Mapped, Stack, coalesce};
use crate::fault::Fault;
use crate::outcome::Report;
use crate::parking::Name;
use crate::telemetry::trace;

/// What became of one target's part.
#[derive(Debug, Default)]
pub(super) struct Part {
    /// Its outcomes.
    pub(super) report: Report,
    /// What is not settled.
    pub(super) open: Vec<Open>,
    /// Removals that wait for approval: member and map.
    pub(super) asked: Vec<(usize, Arc<str>)>,
}

impl Part {
    /// Whether something of it could not be done for the target's sake.
    pub(super) fn is_stuck(&self) -> bool {
        self.open.iter().any(parked::is_stuck)
    }
}

impl Pipeline {
    /// Takes the rows of a delivery to their targets, each by itself.
    pub(super) async fn parts(
        &self,
        rows: Vec<Mapped>,
        members: &[Member],
        time: Time,
    ) -> Vec<Part> {
        let mut systems = BTreeMap::<String, Vec<Stack>>::new();
        for stack in coalesce(rows) {
            match systems.get_mut(&stack.newest.row.to.system) {
                Some(stacks) => stacks.push(stack),
                None => _ = systems.insert(stack.newest.row.to.system.clone(), vec![stack]),
            }
        }
        let time = if systems.len() > 1 { time.at_most(PATIENCE) } else { time };
        // Nobody waits for a target that is away when all that are meant are.
        let alone = self.breakers.are_broken(systems.keys());
        let parts = systems
            .into_iter()
            .map(|(system, stacks)| Box::pin(self.part(system, stacks, members, (time, alone))));
        join_all(parts).await
    }

    async fn part(
        &self,
        system: String,
        stacks: Vec<Stack>,
        members: &[Member],
        (time, alone): (Time, bool),
    ) -> Part {
        let mut part = Part::default();
        // The only target of an installation is nobody's neighbour.
        let breaks = self.targets.len() > 1;
        if breaks && let Err(fault) = self.breakers.admit(&system, alone) {
            part.open = left(stacks, &fault);
            return part;
        }
        let mut maps = by_map(stacks);
        for level in self.maps.levels() {
            let due = level.iter().filter_map(|map| maps.remove(map.as_str())).collect();
            self.level(due, members, time, &mut part).await;
        }
        if breaks {
            let in_vain = part.open.iter().any(|open| breaker::is_in_vain(&open.fault));
            self.breakers.note(&system, in_vain);
        }
        part
    }

    /// The maps of one level, side by side. Maps that refer to each other share one: a row whose parent
    /// was written beside it is tried once more.
    async fn level(
        &self,
        mut due: Vec<Vec<Stack>>,
        members: &[Member],
        time: Time,
        part: &mut Part,
    ) {
        while !due.is_empty() {
            let rows = due.iter().flatten().map(|stack| &stack.newest.row);
            let names: HashSet<Name> = match due.len() {
                0 | 1 => HashSet::new(),
                _ => rows.map(|row| Name::of(row)).collect(),
            };
            let flows = due.into_iter().map(|stacks| {
                let map = stacks.first().map_or("", |stack| &*stack.newest.row.to.map);
                let name = format!("map {map}");
                trace::stage(name, self.flow(stacks, members, time))
            });
            let mut open = Vec::new();
            for flowed in join_all(flows).await {
                flowed.counted(&mut part.report);
                open.extend(flowed.open);
                part.asked.extend(flowed.asked);
            }
            let again = parked::orphaned_no_more(&mut open, &names);
            due = by_map(coalesce(again)).into_values().collect();
            part.open.extend(open);
        }
    }
}

/// Every row of these, not even tried.
fn left(stacks: Vec<Stack>, fault: &Fault) -> Vec<Open> {
    let rows =
        stacks.into_iter().flat_map(|stack| std::iter::once(stack.newest).chain(stack.older));
    let open = rows.map(|mapped| Open {
        member: mapped.event,
        map: Some(Arc::clone(&mapped.row.to.map)),
        fault: fault.clone(),
        row: Some(mapped.row),
    });
    open.collect()
}

pub(super) fn by_map(stacks: Vec<Stack>) -> BTreeMap<Arc<str>, Vec<Stack>> {
    let mut maps = BTreeMap::<Arc<str>, Vec<_>>::new();
    for stack in stacks {
        maps.entry(Arc::clone(&stack.newest.row.to.map)).or_default().push(stack);
    }
    maps
}
