//! Lookups to what `@odata.bind` takes.
//!
//! A lookup by a plain alternate key is bound by that key and costs no call. One over several hops,
//! or whose value no address can carry, is resolved to an id by a filter before the write, all of a
//! batch in one call, and remembered for a while. No row there: the lookup's own `missing` decides.
//! Two rows: refused as ambiguous.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;
use uuid::Uuid;

use super::Dataverse;
use super::batch::Operation;
use super::classify::{Cause, Failure, Fate};
use super::client::Errand;
use super::keys::{Address, Parts, address, filter, query};
use super::names::{Table, Tables};
use crate::fault::{Fault, Kind};
use crate::row::{Lookup, Missing};

/// How long a resolved id is believed; a wrong one is found out by the write.
const FRESH: Duration = Duration::from_mins(5);
/// How many are remembered.
const MOST: usize = 20_000;

/// How a lookup column is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// The name before `@odata.bind`.
    pub(super) navigation: String,
    /// The address of the row, or nothing to clear the column.
    pub(super) to: Option<String>,
}

/// The lookup columns of a row.
pub(super) type Links = BTreeMap<Arc<str>, Link>;

/// How many rows a filter found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    None,
    One(Uuid),
    Several,
}

/// What was found for each lookup that had to be resolved.
pub(super) type Resolved<'l> = HashMap<&'l Lookup, Result<Found, Failure>>;

/// Ids that were resolved a short while ago.
#[derive(Debug, Default)]
pub(super) struct Memory(Mutex<HashMap<Lookup, (Uuid, Instant)>>);

impl Memory {
    fn get(&self, lookup: &Lookup) -> Option<Uuid> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.get(lookup).filter(|(_, since)| since.elapsed() < FRESH).map(|(id, _)| *id)
    }

    /// Asks anew the next time.
    pub(super) fn forget(&self, lookup: &Lookup) {
        self.put(lookup, Found::None);
    }

    fn put(&self, lookup: &Lookup, found: Found) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MOST {
            known.retain(|_, (_, since)| since.elapsed() < FRESH);
        }
        if known.len() >= MOST {
            known.clear();
        }
        match found {
            Found::One(id) => _ = known.insert(lookup.clone(), (id, Instant::now())),
            Found::None | Found::Several => _ = known.remove(lookup),
        }
    }
}

#[derive(Deserialize)]
struct Page {
    value: Vec<serde_json::Map<String, serde_json::Value>>,
}

/// Tables that have no alternate keys of their own: their rows are found by filters.
const PRINCIPALS: [&str; 3] = ["systemuser", "team", "businessunit"];

/// The address a lookup is bound by without asking; none when it must be resolved.
pub(super) fn direct(table: &Table, lookup: &Lookup) -> Option<Address> {
    if table.keys.is_none() && PRINCIPALS.contains(&table.name.as_str()) {
        return None;
    }
    let mut parts = Parts::new();
    for (path, value) in &lookup.by {
        let [column] = path.as_slice() else { return None };
        parts.push((column.to_string(), value.clone()));
    }
    let found = address(table, &parts)?;
    let is_key = |columns: &[String]| {
        columns.len() == parts.len() && parts.iter().all(|(column, _)| columns.contains(column))
    };
    match (&found, &table.keys) {
        (Address::Key(_), Some(keys)) => {
            keys.iter().any(|key| key.active && is_key(&key.columns)).then_some(found)
        }
        (Address::Key(_), None) | (Address::Id(_), _) => Some(found),
    }
}

/// How a lookup column is written once everything that had to be resolved is.
pub(super) fn link(
    (column, lookup): (&str, &Lookup),
    table: &Table,
    tables: &Tables,
    resolved: &Resolved<'_>,
) -> Result<Link, Failure> {
    let navigation = table
        .navigation(column, &lookup.table)
        .ok_or_else(|| refused(no_such_lookup(column, &lookup.table)))?
        .to_owned();
    let target = tables.get(&*lookup.table).ok_or_else(|| {
        refused(Fault::new(Kind::SchemaGone, "the lookup's table is not in the target"))
    })?;
    let to = match resolved.get(lookup) {
        None => direct(target, lookup),
        Some(Ok(Found::One(id))) => Some(Address::Id(*id)),
        Some(Ok(Found::None)) => absent(column, lookup).map(|()| None)?,
        Some(Ok(Found::Several)) => return Err(refused(several(column, &lookup.table))),
        Some(Err(failure)) => return Err(failure.clone()),
    };
    Ok(Link { navigation, to: to.map(|address| format!("/{}", address.reference(target))) })
}

/// What a lookup wants done when there is no such row: clearing the column is no fault.
pub(super) fn absent(column: &str, lookup: &Lookup) -> Result<(), Failure> {
    let table = &lookup.table;
    let (kind, then) = match lookup.missing {
        Missing::Null => return Ok(()),
        Missing::Park => (Kind::ParentMissing, "it waits until there is one"),
        Missing::Poison => {
            (Kind::ValueUnknown, "create it, or correct the value at the source, and retry")
        }
    };
    let message = format!("the target has no row of {table} with this key; {then}");
    Err(Failure { cause: Cause::NoRow, ..refused(Fault::new(kind, message).field(column)) })
}

fn several(column: &str, table: &str) -> Fault {
    let message = format!("more than one row of {table} fits; look it up by a key that is unique");
    Fault::new(Kind::Ambiguous, message).field(column)
}

fn no_such_lookup(column: &str, table: &str) -> Fault {
    let message = format!("the column cannot refer to {table}; correct the lookup in the map");
    Fault::new(Kind::SchemaGone, message).field(column)
}

fn refused(fault: Fault) -> Failure {
    Failure::unanswered(Cause::Refused, Fate::Not, fault)
}

impl Dataverse {
    /// The ids of the rows that these lookups mean: remembered ones, then one call for all others.
    pub(super) async fn resolve<'l>(
        &self,
        lookups: &[&'l Lookup],
        errand: &Errand,
    ) -> Resolved<'l> {
        let mut resolved = Resolved::new();
        let mut asked = Vec::new();
        for lookup in lookups {
            if resolved.contains_key(lookup) {
                continue;
            }
            if let Some(id) = self.memory.get(lookup) {
                resolved.insert(lookup, Ok(Found::One(id)));
                continue;
            }
            match self.conditions(lookup, errand).await {
                Err(failure) => _ = resolved.insert(lookup, Err(failure)),
                Ok(question) => {
                    resolved.insert(lookup, Err(Failure::late()));
                    asked.push((*lookup, question));
                }
            }
        }
        let questions: Vec<_> = asked.iter().map(|(_, question)| question.clone()).collect();
        let answers = self.find(&questions, errand).await;
        for ((lookup, _), answer) in asked.into_iter().zip(answers) {
            if let Ok(found) = &answer {
                self.memory.put(lookup, *found);
            }
            resolved.insert(lookup, answer);
        }
        resolved
    }

    /// Asks again, past what is remembered.
    pub(super) async fn resolve_anew<'l>(
        &self,
        lookups: &[&'l Lookup],
        errand: &Errand,
    ) -> Resolved<'l> {
        for lookup in lookups {
            self.memory.put(lookup, Found::None);
        }
        self.resolve(lookups, errand).await
    }

    /// How many rows of its table each filter finds, all in one call.
    pub(super) async fn find(
        &self,
        questions: &[(Arc<Table>, String)],
        errand: &Errand,
    ) -> Vec<Result<Found, Failure>> {
        if questions.is_empty() {
            return Vec::new();
        }
        let operations: Vec<Operation> = questions
            .iter()
            .map(|(table, filter)| {
                Operation::get(query(table, std::slice::from_ref(&table.id), filter))
            })
            .collect();
        let parts = self.batch(&operations, errand).await;
        let answered = parts.into_iter().zip(questions);
        answered.map(|(part, (table, _))| part.and_then(|done| count(&done.body, table))).collect()
    }

    /// The table of a lookup and the filter its row passes, hops written as navigation names.
    async fn conditions(
        &self,
        lookup: &Lookup,
        errand: &Errand,
    ) -> Result<(Arc<Table>, String), Failure> {
        let hops = lookup.by.iter().any(|(path, _)| path.len() > 1);
        let table = self.table(&lookup.table, hops, errand).await?;
        let mut parts = Parts::new();
        for (path, value) in &lookup.by {
            parts.push((self.way(&table, path, errand).await?, value.clone()));
        }
        let filter = filter(&table, &parts).ok_or_else(|| {
            let message = "a lookup's key is empty or of a kind that no key has; correct the map";
            refused(Fault::new(Kind::KeyMissing, message))
        })?;
        Ok((table, filter))
    }

    async fn way(
        &self,
        start: &Arc<Table>,
        path: &[Arc<str>],
        errand: &Errand,
    ) -> Result<String, Failure> {
        let Some((column, hops)) = path.split_last() else { return Ok(String::new()) };
        let mut way = String::new();
        let mut table = start.clone();
        for (index, hop) in hops.iter().enumerate() {
            let (navigation, next) = match table.references(hop).as_slice() {
                [only] => (only.navigation.clone(), Some(only.table.clone())),
                [] if table.navigation(hop, "").is_some() => (hop.to_string(), None),
                [] => return Err(refused(no_such_lookup(hop, "another table"))),
                [..] => return Err(refused(forked(hop))),
            };
            way += &navigation;
            way.push('/');
            if let Some(next) = next.filter(|_| index + 1 < hops.len()) {
                table = self.table(&next, true, errand).await?;
            }
        }
        Ok(way + column)
    }
}

fn forked(column: &str) -> Fault {
    let message =
        "the column may refer to several tables, so no lookup can go through it; use another path";
    Fault::new(Kind::Misconfigured, message).field(column)
}

fn count(body: &[u8], table: &Table) -> Result<Found, Failure> {
    let unreadable = |message: &'static str| {
        let fault = Fault::new(Kind::Unreachable, message);
        Failure::unanswered(Cause::Unreachable, Fate::Not, fault)
    };
    let page: Page = serde_json::from_slice(body)
        .map_err(|_| unreadable("the target's answer to a query could not be read; check url"))?;
    match page.value.as_slice() {
        [] => Ok(Found::None),
        [row] => row
            .get(&table.id)
            .and_then(|id| Uuid::try_parse(id.as_str()?).ok())
            .map(Found::One)
            .ok_or_else(|| unreadable("the target's answer to a query has no id; check the table")),
        [..] => Ok(Found::Several),
    }
}
