//! The state of rows that were upserted, and the removal of rows.
//!
//! A state is a second step, because a create ignores or refuses it (Dataverse Web API, state); it
//! is sent only when it differs from what the row was given before. Deletions and deactivations go
//! in one batch, and a row that is not there needs neither.

use std::sync::atomic::Ordering;

use futures::{FutureExt, StreamExt, stream};

use super::Dataverse;
use super::batch::{Operation, Part};
use super::body;
use super::bulk::Upserted;
use super::classify::{Cause, Failure, Fate};
use super::client::Errand;
use super::plan::{Item, Site};
use crate::fault::{Fault, Kind};
use crate::row::{Action, Mode, Removal, State};
use crate::system::Answer;

impl Dataverse {
    /// Gives the rows that were written their state; a refusal becomes the row's failure.
    pub(super) async fn set_states(&self, upserted: &mut [Upserted<'_>], site: &Site) {
        let (mut operations, mut places) = (Vec::new(), Vec::new());
        for (place, (item, result)) in upserted.iter().enumerate() {
            if let (Ok(Answer::Written { .. }), Some(state)) = (result, wanted(item)) {
                operations.push(self.update(item, state, site));
                places.push(place);
            }
        }
        let parts = self.spread(&operations, &site.table.name, &site.errand).await;
        let taken = parts.iter().filter(|part| part.is_ok()).count() as u64;
        self.state_steps.fetch_add(taken, Ordering::Relaxed);
        for (place, part) in places.into_iter().zip(parts) {
            if let (Err(failure), Some((_, result))) = (part, upserted.get_mut(place)) {
                *result = Err(half_written(failure));
            }
        }
    }

    /// Deletes or deactivates rows.
    pub(super) async fn remove<'w>(
        &self,
        items: Vec<Item<'w>>,
        site: &Site,
    ) -> Vec<(Item<'w>, Result<(), Failure>)> {
        let tag = self.tag(&site.errand);
        let operations: Vec<Operation> = items
            .iter()
            .filter_map(|item| match *item.row.action {
                Action::Remove(Removal::Deactivate(state)) => Some(self.update(item, state, site)),
                Action::Remove(Removal::Delete) => {
                    Some(Operation::delete(format!("{}{tag}", item.address.path(&site.table))))
                }
                Action::Upsert(_) | Action::Hold { .. } => None,
            })
            .collect();
        let parts = self.spread(&operations, &site.table.name, &site.errand).await;
        items.into_iter().zip(parts.into_iter().map(gone)).collect()
    }

    fn update(&self, item: &Item<'_>, state: State, site: &Site) -> Operation {
        let path = format!("{}{}", item.address.path(&site.table), self.tag(&site.errand));
        Operation::update(path, body::state(state, item.row.to.hand_off.as_ref()))
    }

    /// Batches of the table's chunk size, some at once.
    pub(super) async fn spread(
        &self,
        operations: &[Operation],
        table: &str,
        errand: &Errand,
    ) -> Vec<Part> {
        let mut groups = Vec::new();
        for group in operations.chunks(self.chunks.rows(table)) {
            groups.push(self.batch(group, errand).boxed());
        }
        let parts: Vec<_> = stream::iter(groups).buffered(self.parallel).collect().await;
        parts.into_iter().flatten().collect()
    }
}

pub(super) fn gone(part: Part) -> Result<(), Failure> {
    match part {
        Ok(_) => Ok(()),
        Err(failure) if failure.cause == Cause::NoRow => Ok(()),
        Err(failure) => Err(failure),
    }
}

/// The state to send: none when the row was given it before, or was created with it, or when it was handed
/// off with the row. A row that a map only updates was created by somebody else.
fn wanted(item: &Item<'_>) -> Option<State> {
    if item.row.to.hand_off.is_some() {
        return None;
    }
    let state = item.columns()?.state?;
    let has_it = match item.before {
        Some(before) => before.state == Some(state),
        None => item.row.to.mode != Mode::Update && is_initial(state),
    };
    (!has_it).then_some(state)
}

/// Active with the usual status, which every new row has.
fn is_initial(state: State) -> bool {
    state.state == 0 && matches!(state.status, None | Some(1))
}

/// The columns are there and the state is not. Unless the service refused the state, the row must
/// count as unknown, so that nobody takes it for unwritten.
fn half_written(failure: Failure) -> Failure {
    if failure.cause == Cause::NoRow {
        vanished(failure)
    } else if failure.cause.is_judgement() {
        failure
    } else {
        Failure { fate: Fate::Unknown, ..failure }
    }
}

fn vanished(failure: Failure) -> Failure {
    let message = "somebody deleted the row before it got its state; it is tried again by itself";
    let mut fault = Fault::new(Kind::Conflict, message);
    fault.detail = failure.fault.detail;
    Failure { fault, ..failure }
}
