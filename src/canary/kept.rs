//! What is kept of canaries: the stamp that is on its way, one at a time for each map, and what became of
//! those before.
//!
//! One partition of a table for each map. A stamp is begun by an insert and ended by a delete under its
//! version, in one transaction with its result: of several instances one does either.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::flight::Became;
use super::{Flight, Sent};
use crate::fault::{Fault, Kind};
use crate::store::{Entity, Error, Etag, Operation, Property, Stored, Table};

/// The row of the stamp that is on its way, and that of the last one's time.
const PENDING: &str = "pending";
const LAST: &str = "last";
/// Results begin with this.
const RESULT: &str = "r";
/// The end of them.
const RESULTS_END: &str = "s";
/// How many are read, and dropped, at once.
const TOGETHER: usize = 100;
const PAGE: usize = 1_000;

/// The name of this part of storage in messages.
const PLACE: &str = "canaries";

/// A stamp that is on its way.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    pub(super) at: Timestamp,
    /// What is looked for; none as long as it is not written at the source.
    pub(super) sent: Option<Sent>,
    pub(super) etag: Etag,
}

fn partition(map: &str) -> String {
    format!("~canary-{map}")
}

/// A result's row key; they stand in the order of time.
fn result(at: Timestamp) -> String {
    format!("{RESULT}{}", at.strftime("%Y%m%dT%H%M%S%3f"))
}

fn entity(row: &str, part: &impl Serialize) -> Result<Entity, Fault> {
    let text = serde_json::to_string(part).map_err(unreadable)?;
    let properties = BTreeMap::from([("json".into(), Property::Text(text))]);
    Ok(Entity { row: row.to_owned(), properties })
}

fn part<T: for<'de> Deserialize<'de>>(entity: &Entity) -> Result<T, Fault> {
    match entity.properties.get("json") {
        Some(Property::Text(text)) => serde_json::from_str(text).map_err(unreadable),
        Some(Property::Integer(_) | Property::Bytes(_)) | None => {
            Err(Fault::new(Kind::Misconfigured, UNREADABLE))
        }
    }
}

const UNREADABLE: &str =
    "what is kept of a canary cannot be read; was it changed by hand, or by a newer version?";

fn unreadable(error: serde_json::Error) -> Fault {
    Fault::new(Kind::Misconfigured, UNREADABLE).caused_by(error)
}

#[derive(Serialize, Deserialize)]
struct OnItsWay {
    at: Timestamp,
    sent: Option<Sent>,
}

/// The stamp that is on its way.
pub(super) async fn pending(table: &dyn Table, map: &str) -> Result<Option<Pending>, Fault> {
    let found = get(table, map, PENDING).await?;
    let Some(Stored { entity, etag }) = found else { return Ok(None) };
    let OnItsWay { at, sent } = part(&entity)?;
    Ok(Some(Pending { at, sent, etag }))
}

/// When the last one was begun.
pub(super) async fn last(table: &dyn Table, map: &str) -> Result<Option<Timestamp>, Fault> {
    let found = get(table, map, LAST).await?;
    found.map(|stored| part(&stored.entity)).transpose()
}

async fn get(table: &dyn Table, map: &str, row: &str) -> Result<Option<Stored>, Fault> {
    let found = table.get_many(&partition(map), &[row.to_owned()]).await;
    Ok(found.map_err(|error| error.fault(PLACE))?.pop().flatten())
}

/// Begins one; none when another is on its way.
pub(super) async fn begin(
    table: &dyn Table,
    map: &str,
    at: Timestamp,
) -> Result<Option<Pending>, Fault> {
    let pending = Operation::Insert(entity(PENDING, &OnItsWay { at, sent: None })?);
    let operations = vec![pending, Operation::Put(entity(LAST, &at)?)];
    let done = done(table.transact(&partition(map), operations).await)?;
    let etag = done.and_then(|etags| etags.into_iter().next());
    Ok(etag.map(|etag| Pending { at, sent: None, etag }))
}

/// Keeps what is looked for; false when somebody else ended it meanwhile.
pub(super) async fn sent(
    table: &dyn Table,
    map: &str,
    pending: &mut Pending,
    sent: Sent,
) -> Result<bool, Fault> {
    let on = OnItsWay { at: pending.at, sent: Some(sent) };
    let replace = Operation::Replace(entity(PENDING, &on)?, pending.etag.clone());
    let done = done(table.transact(&partition(map), vec![replace]).await)?;
    let Some(etag) = done.and_then(|etags| etags.into_iter().next()) else { return Ok(false) };
    (pending.sent, pending.etag) = (on.sent, etag);
    Ok(true)
}

/// Ends one; false when somebody else did. Without a result it is as if it had never been begun.
pub(super) async fn end(
    table: &dyn Table,
    map: &str,
    pending: &Pending,
    became: Option<Became>,
) -> Result<bool, Fault> {
    let mut operations = vec![Operation::Delete(PENDING.to_owned(), pending.etag.clone())];
    if let Some(became) = became {
        let flight = Flight { at: pending.at, became };
        operations.push(Operation::Put(entity(&result(pending.at), &flight)?));
    }
    Ok(done(table.transact(&partition(map), operations).await)?.is_some())
}

/// None when a condition did not hold.
fn done(result: Result<Vec<Etag>, Error>) -> Result<Option<Vec<Etag>>, Fault> {
    match result {
        Ok(etags) => Ok(Some(etags)),
        Err(Error::Conflict { .. }) => Ok(None),
        Err(error) => Err(error.fault(PLACE)),
    }
}

/// The results since a moment and before another, oldest first.
pub(super) async fn flights(
    table: &dyn Table,
    map: &str,
    (since, before): (Timestamp, Timestamp),
) -> Result<Vec<Flight>, Fault> {
    let (mut from, to) = (result(since), result(before));
    let mut flights = Vec::new();
    loop {
        let page = table.scan(&partition(map), &from, &to, PAGE).await;
        let page = page.map_err(|error| error.fault(PLACE))?;
        for stored in &page.rows {
            flights.push(part(&stored.entity)?);
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok(flights),
        }
    }
}

/// Drops results from before a moment, some at a time.
pub(super) async fn forget(table: &dyn Table, map: &str, before: Timestamp) -> Result<(), Fault> {
    let (partition, to) = (partition(map), result(before));
    let to = to.as_str().min(RESULTS_END);
    let page = table.scan(&partition, RESULT, to, TOGETHER).await;
    let page = page.map_err(|error| error.fault(PLACE))?;
    let discard = page.rows.into_iter().map(|stored| Operation::Discard(stored.entity.row));
    let discard: Vec<Operation> = discard.collect();
    if discard.is_empty() {
        return Ok(());
    }
    table.transact(&partition, discard).await.map(drop).map_err(|error| error.fault(PLACE))
}
