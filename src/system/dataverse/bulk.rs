//! Upserts in UpsertMultiple, and row by row where that is refused, not offered, or knows no condition:
//! rows of maps that only create or only update.
//!
//! A message is one transaction: any bad row undoes it. What the service refuses is therefore sent
//! once more in a `$batch`, which names the bad rows and applies the others; a row whose parent is
//! missing or whose key clashed may be mended and sent again.

use std::collections::HashMap;

use futures::{FutureExt, StreamExt, future, stream};
use tokio::time::Instant;
use uuid::Uuid;

use super::Dataverse;
use super::batch::{Operation, Part};
use super::body;
use super::classify::{Cause, Failure, Fate};
use super::client::Call;
use super::keys::Address;
use super::plan::{Item, Site};
use crate::row::Mode;
use crate::system::{Answer, Lane};

/// How often the rows of a chunk may be mended and sent again.
const ROUNDS: usize = 6;
/// Rows are parted into more messages than they need only if each keeps this many (Dataverse Web API,
/// bulk: recommended 100 to 1000).
const FEWEST: usize = 100;

/// What became of an upsert.
pub(super) type Upserted<'w> = (Item<'w>, Result<Answer, Failure>);

impl Dataverse {
    /// Upserts all rows, in chunks, some at once.
    pub(super) async fn upsert<'w>(
        &self,
        mut items: Vec<Item<'w>>,
        site: &Site,
    ) -> Vec<Upserted<'w>> {
        let most = self.chunks.rows(&site.table.name);
        let rows = most.min(items.len().div_ceil(self.messages(items.len(), site.errand.lane)));
        let mut chunks = Vec::new();
        while !items.is_empty() {
            let rest = items.split_off(rows.min(items.len()));
            chunks.push(self.chunk(std::mem::replace(&mut items, rest), site).boxed());
        }
        let answered: Vec<_> = stream::iter(chunks).buffer_unordered(self.parallel).collect().await;
        answered.into_iter().flatten().collect()
    }

    /// Into how many messages rows are parted though one would take them all: somebody waits for live
    /// ones, and those of a message are written one after the other.
    fn messages(&self, rows: usize, lane: Lane) -> usize {
        match lane {
            Lane::Live => (rows / FEWEST).clamp(1, self.parallel),
            Lane::Bulk => 1,
        }
    }

    async fn chunk<'w>(&self, mut items: Vec<Item<'w>>, site: &Site) -> Vec<Upserted<'w>> {
        let table = &site.table;
        let conditional = items.iter().any(|item| item.row.to.mode != Mode::Upsert);
        if conditional || !table.bulk || !self.chunks.bulk(&table.name) {
            return self.each_alone(items, site).await;
        }
        let failure = match self.upsert_multiple(&items, site).await {
            Ok(()) => return items.into_iter().map(written).collect(),
            Err(failure) => failure,
        };
        for item in &mut items {
            item.doubted |= failure.fate == Fate::Unknown;
        }
        let too_much = matches!(failure.cause, Cause::Slow | Cause::TooLarge);
        let in_time = Instant::now() < site.errand.deadline;
        if too_much && in_time && items.len() > 1 {
            return self.chunk_halves(items, site).await;
        }
        // A judgement on the chunk is none on its rows: without time to name them they are just late.
        let worth_naming = failure.cause.is_judgement() || (too_much && in_time);
        if !worth_naming {
            return items.into_iter().map(|item| (item, Err(failure.clone()))).collect();
        }
        let alone = self.each_alone(items, site).await;
        if is_no_message(&failure) && alone.iter().any(|(_, result)| result.is_ok()) {
            tracing::info!(table = table.name, "no bulk messages: rows go one by one");
            self.chunks.no_bulk(&table.name);
        }
        alone
    }

    async fn chunk_halves<'w>(&self, mut items: Vec<Item<'w>>, site: &Site) -> Vec<Upserted<'w>> {
        self.chunks.too_many(&site.table.name, items.len());
        let rest = items.split_off(items.len() / 2);
        let one = Box::pin(self.chunk(items, site));
        let two = Box::pin(self.chunk(rest, site));
        let (one, two) = future::join(one, two).await;
        one.into_iter().chain(two).collect()
    }

    async fn upsert_multiple(&self, items: &[Item<'_>], site: &Site) -> Result<(), Failure> {
        let table = &site.table;
        let tag = self.tag(&site.errand);
        let path = format!("{}/Microsoft.Dynamics.CRM.UpsertMultiple{tag}", table.set);
        let call = Call::post(path, body::rows(items, table)?);
        let reply = self.client.persist(&call, &site.errand).await?;
        self.chunks.took(&table.name, items.len(), reply.took);
        Ok(())
    }

    /// Upserts every row on its own, in one batch, and mends and repeats what can be mended.
    pub(super) async fn each_alone<'w>(
        &self,
        items: Vec<Item<'w>>,
        site: &Site,
    ) -> Vec<Upserted<'w>> {
        let mut settled = Vec::with_capacity(items.len());
        let mut left = items;
        for round in 1..=ROUNDS {
            let parts = self.send_alone(&left, site).await;
            let mut failed = Vec::new();
            for (mut item, part) in left.into_iter().zip(parts) {
                match part {
                    Ok(done) => settled.push(known(item, done.id)),
                    Err(failure) if round < ROUNDS && may_mend(&item, &failure) => {
                        item.doubted |= failure.fate == Fate::Unknown;
                        failed.push((item, failure));
                    }
                    Err(failure) => settled.push((item, Err(failure))),
                }
            }
            left = self.mend(failed, site, &mut settled).await;
            if left.is_empty() {
                break;
            }
        }
        settled
    }

    /// One operation per row; a row that cannot be written down is answered without being sent.
    async fn send_alone(&self, items: &[Item<'_>], site: &Site) -> Vec<Part> {
        let tag = self.tag(&site.errand);
        let mut unwritable = HashMap::new();
        let mut operations = Vec::with_capacity(items.len());
        for (place, item) in items.iter().enumerate() {
            let path = format!("{}{tag}", item.address.path(&site.table));
            match body::row(item, &site.table) {
                Ok(body) => operations.push(match item.row.to.mode {
                    Mode::Upsert => Operation::upsert(path, body),
                    Mode::Insert => Operation::insert(path, body),
                    Mode::Update => Operation::update(path, body),
                }),
                Err(failure) => _ = unwritable.insert(place, failure),
            }
        }
        let mut parts = self.batch(&operations, &site.errand).await.into_iter();
        (0..items.len())
            .map(|place| match unwritable.remove(&place) {
                Some(failure) => Err(failure),
                None => parts.next().unwrap_or_else(|| Err(Failure::late())),
            })
            .collect()
    }
}

fn may_mend(item: &Item<'_>, failure: &Failure) -> bool {
    failure.cause == Cause::NoRow || (failure.cause == Cause::Taken && !item.looked_up)
}

/// Whether the answer says that the table has no such message, as far as one answer can.
fn is_no_message(failure: &Failure) -> bool {
    let named = failure.fault.detail.as_ref().is_some_and(|text| text.contains("UpsertMultiple"));
    named || failure.cause == Cause::NoResource || failure.is_not_served()
}

fn written(item: Item<'_>) -> Upserted<'_> {
    known(item, None)
}

fn known(item: Item<'_>, told: Option<Uuid>) -> Upserted<'_> {
    let target_id = match item.address {
        Address::Id(id) => Some(id),
        Address::Key(_) => told,
    };
    (item, Ok(Answer::Written { target_id }))
}
