//! What must be known of every row before it is sent: where it is, and what its lookups bind to.
//!
//! In go the writes of one call; out come items ready to send, and answers for the rows that cannot
//! be sent. Everything asked of the service here is asked for all rows together.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Dataverse;
use super::classify::{Cause, Failure, Fate};
use super::client::Errand;
use super::keys::{Address, Parts, address, filter, made_id};
use super::lookups::{Found, Link, Links, Resolved, direct, link};
use super::names::{Table, Tables};
use crate::fault::{Fault, Kind};
use crate::row::{Action, Columns, Key, Lookup, Mode, Row, Value};
use crate::system::{Answer, Before, Write};

/// Where a write goes: its table, the tables it refers to, and until when.
#[derive(Debug)]
pub(super) struct Site {
    /// The table written to.
    pub(super) table: Arc<Table>,
    /// All tables known to this write.
    pub(super) tables: Tables,
    /// On whose behalf, and until when.
    pub(super) errand: Errand,
}

/// A row that can be sent.
#[derive(Clone, Debug)]
pub(super) struct Item<'w> {
    /// Its place among the writes.
    pub(super) index: usize,
    /// The row.
    pub(super) row: &'w Row,
    /// What the ledger knows of it.
    pub(super) before: Option<Before>,
    /// Where it is.
    pub(super) address: Address,
    /// How its lookup columns are written.
    pub(super) links: Links,
    /// It was sent, and nobody knows whether it landed.
    pub(super) doubted: bool,
    /// It was looked up by key after a clash.
    pub(super) looked_up: bool,
}

impl<'w> Item<'w> {
    /// The columns, when it is an upsert.
    pub(super) fn columns(&self) -> Option<&'w Columns> {
        match &*self.row.action {
            Action::Upsert(columns) => Some(columns),
            Action::Remove(_) | Action::Hold { .. } => None,
        }
    }
}

/// A row that is not sent: there is nothing to do, or it cannot be sent.
pub(super) type Settled = (usize, Result<Answer, Failure>);

/// The lookup in a cell, if it is one.
pub(super) fn as_lookup((_, value): &(Arc<str>, Value)) -> Option<&Lookup> {
    value.lookup()
}

/// Every cell of a row: those of the key, then the columns.
fn cells(row: &Row) -> impl Iterator<Item = &(Arc<str>, Value)> {
    let columns = match &*row.action {
        Action::Upsert(columns) => columns.values.as_slice(),
        Action::Remove(_) | Action::Hold { .. } => &[],
    };
    row.key.0.iter().chain(columns)
}

impl Dataverse {
    /// Plans these writes of one table. Fails when the table's names cannot be had.
    pub(super) async fn plan<'w>(
        &self,
        writes: &[(usize, &'w Write)],
        errand: Errand,
    ) -> Result<(Site, Vec<Item<'w>>, Vec<Settled>), Failure> {
        let site = self.site(writes, errand).await?;
        let resolved = self.resolve(&unbindable(writes, &site), &errand).await;
        let mut items = Vec::with_capacity(writes.len());
        let mut asked = Vec::new();
        let mut settled = Vec::new();
        for (index, write) in writes {
            match prepare((*index, &write.row, write.before), &site, &resolved) {
                Ok((item, None)) => items.push(item),
                Ok((item, Some(question))) => asked.push((item, question)),
                Err(failure) => settled.push((*index, Err(failure))),
            }
        }
        self.place(asked, &site, &mut items, &mut settled).await;
        Ok((site, items, settled))
    }

    async fn site(&self, writes: &[(usize, &Write)], errand: Errand) -> Result<Site, Failure> {
        let rows = || writes.iter().map(|(_, write)| &*write.row);
        let own = rows().next().map_or("", |row| row.to.table.as_str());
        let mut wanted = BTreeSet::from([own]);
        wanted.extend(rows().flat_map(Row::lookups).map(|(_, lookup)| &*lookup.table));
        let may_link = rows()
            .flat_map(cells)
            .any(|(_, value)| matches!(value, Value::Lookup(_) | Value::Null | Value::Guid(_)));
        let mut tables = self.tables(&wanted, may_link, &errand).await?;
        let table = tables.get(own).cloned();
        let table =
            table.ok_or_else(|| refuse(Kind::SchemaGone, "the target has no such table"))?;
        let guids = rows().flat_map(cells).filter(|(_, value)| matches!(value, Value::Guid(_)));
        let more: BTreeSet<&str> = guids
            .flat_map(|(column, _)| table.references(column))
            .map(|reference| reference.table.as_str())
            .collect();
        tables.extend(self.tables(&more, false, &errand).await?);
        Ok(Site { table, tables, errand })
    }

    /// Finds the rows whose key cannot stand in an address. Those not there yet get an id of our
    /// making; of removals nothing is left to do.
    async fn place<'w>(
        &self,
        asked: Vec<(Item<'w>, String)>,
        site: &Site,
        items: &mut Vec<Item<'w>>,
        settled: &mut Vec<Settled>,
    ) {
        let questions: Vec<_> =
            asked.iter().map(|(_, filter)| (site.table.clone(), filter.clone())).collect();
        let answers = self.find(&questions, &site.errand).await;
        for ((mut item, _), answer) in asked.into_iter().zip(answers) {
            match answer {
                Err(failure) => settled.push((item.index, Err(failure))),
                Ok(Found::Several) => settled.push((item.index, Err(ambiguous()))),
                Ok(Found::None) if item.columns().is_none() => {
                    settled.push((item.index, Ok(Answer::Written { target_id: None })));
                }
                Ok(Found::None) if item.row.to.mode == Mode::Update => {
                    settled.push((item.index, Ok(Answer::Absent)));
                }
                Ok(Found::One(id))
                    if item.row.to.mode == Mode::Insert && item.columns().is_some() =>
                {
                    settled.push((item.index, Ok(Answer::Kept { target_id: Some(id) })));
                }
                Ok(Found::None) => items.push(item),
                Ok(Found::One(id)) => {
                    item.address = Address::Id(id);
                    items.push(item);
                }
            }
        }
    }
}

/// The lookups that must be resolved to ids: every one in a key, and those that no address carries.
fn unbindable<'w>(writes: &[(usize, &'w Write)], site: &Site) -> Vec<&'w Lookup> {
    let needs_id = |row: &Row, column: &str, lookup: &Lookup| {
        let table = site.tables.get(&*lookup.table);
        row.key.0.iter().any(|(name, _)| **name == *column)
            || table.is_some_and(|table| direct(table, lookup).is_none())
    };
    let all = writes.iter().flat_map(|(_, write)| {
        write.row.lookups().map(|(column, lookup)| (&*write.row, column, lookup))
    });
    all.filter(|(row, column, lookup)| needs_id(row, column, lookup))
        .map(|(_, _, lookup)| lookup)
        .collect()
}

/// A row ready to send that was never written before and needs no question.
pub(super) fn alone<'w>(index: usize, row: &'w Row, site: &Site) -> Result<Item<'w>, Failure> {
    prepare((index, row, None), site, &Resolved::default()).map(|(item, _)| item)
}

/// A row ready to send, or with it the filter that finds it first.
fn prepare<'w>(
    (index, row, before): (usize, &'w Row, Option<Before>),
    site: &Site,
    resolved: &Resolved<'_>,
) -> Result<(Item<'w>, Option<String>), Failure> {
    let table = &site.table;
    let links = links(row, site, resolved)?;
    let parts = parts(&row.key, resolved)?;
    let found = address(table, &parts);
    // A removal by an id that is no longer the row's would find nothing and pass for done.
    let known = match *row.action {
        Action::Upsert(_) => before.and_then(|before| before.target_id).map(Address::Id),
        Action::Remove(_) | Action::Hold { .. } => None,
    };
    let (address, question) = match found.or(known) {
        Some(address) => (address, None),
        None => (Address::Id(made_id(&table.name, &row.key)), filter(table, &parts)),
    };
    Ok((Item { index, row, before, address, links, doubted: false, looked_up: false }, question))
}

/// The parts of a key, lookups as ids.
pub(super) fn parts(key: &Key, resolved: &Resolved<'_>) -> Result<Parts, Failure> {
    let empty = |column: &str| {
        let fault =
            Fault::new(Kind::KeyMissing, "a part of the key is empty; correct the map's key");
        Failure::unanswered(Cause::Refused, Fate::Not, fault.field(column))
    };
    if key.0.is_empty() {
        return Err(refuse(Kind::KeyMissing, "the row has no key; the map must name one"));
    }
    let mut parts = Parts::new();
    for (column, value) in &key.0 {
        let value = match value {
            Value::Lookup(lookup) => match resolved.get(lookup) {
                Some(Ok(Found::One(id))) => Value::Guid(*id),
                Some(Err(failure)) => return Err(failure.clone()),
                Some(Ok(Found::Several)) => return Err(ambiguous()),
                Some(Ok(Found::None)) | None => {
                    super::lookups::absent(column, lookup)?;
                    return Err(empty(column));
                }
            },
            Value::Null | Value::Choices(_) => return Err(empty(column)),
            Value::Text(_)
            | Value::Integer(_)
            | Value::Decimal(_)
            | Value::Boolean(_)
            | Value::Date(_)
            | Value::Time(_)
            | Value::Guid(_) => value.clone(),
        };
        parts.push((column.to_string(), value));
    }
    Ok(parts)
}

fn links(row: &Row, site: &Site, resolved: &Resolved<'_>) -> Result<Links, Failure> {
    let table = &site.table;
    let mut links = BTreeMap::new();
    for (column, value) in cells(row) {
        let references = table.references(column);
        let found = match value {
            Value::Lookup(lookup) => link((column, lookup), table, &site.tables, resolved)?,
            Value::Null => match references.first() {
                Some(first) => Link { navigation: first.navigation.clone(), to: None },
                None => continue,
            },
            Value::Guid(id) => match references.as_slice() {
                [] => continue,
                [only] => {
                    let set = site.tables.get(&only.table).map_or("", |table| &table.set);
                    let to = Some(format!("/{set}({id})"));
                    Link { navigation: only.navigation.clone(), to }
                }
                [..] => return Err(undecided(column)),
            },
            Value::Text(_)
            | Value::Integer(_)
            | Value::Decimal(_)
            | Value::Boolean(_)
            | Value::Date(_)
            | Value::Time(_)
            | Value::Choices(_) => continue,
        };
        links.insert(column.clone(), found);
    }
    Ok(links)
}

fn undecided(column: &str) -> Failure {
    let message = "the column may refer to several tables and an id does not say which; write it \
                   as a lookup in the map";
    let fault = Fault::new(Kind::Misconfigured, message).field(column);
    Failure::unanswered(Cause::Refused, Fate::Not, fault)
}

fn ambiguous() -> Failure {
    refuse(Kind::Ambiguous, "more than one row of the target has this key; merge them or add a key")
}

fn refuse(kind: Kind, message: impl Into<Cow<'static, str>>) -> Failure {
    Failure::unanswered(Cause::Refused, Fate::Not, Fault::new(kind, message))
}
