//! An environment read as a source: pages by id, exact counts, and single rows.
//!
//! Out come rows as the Web API shows them. Pages follow `@odata.nextLink` verbatim, ordered by the
//! primary id, the one order in which nothing is met twice or missed while rows come and go (Dataverse
//! Web API, queries). A count beyond the service's limits is made by reading ids.

use std::borrow::Cow;
use std::collections::BTreeMap;

use async_trait::async_trait;
use bytes::Bytes;
use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer as _};
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Dataverse;
use super::batch::Operation;
use super::classify::{Cause, Failure, Fate};
use super::client::{Call, Errand};
use super::keys::{Parts, encoded, filter};
use super::names::Table;
use super::plan::{as_lookup, parts};
use super::select::property;
use crate::fault::{Act, Fault, Kind};
use crate::row::{Key, Lookup};
use crate::system::source::{Asked, Cursor, Delta, Named, Page, Record, Selection, Source, Token};

/// The largest page that the service gives.
const PAGE: &str = "odata.maxpagesize=5000";

#[derive(Deserialize)]
struct Listed<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
    #[serde(borrow, rename = "@odata.nextLink")]
    next: Option<Cow<'a, str>>,
}

#[async_trait]
impl Source for Dataverse {
    async fn page(&self, asked: &Asked, after: Option<&Cursor>) -> Result<Page, Fault> {
        let errand = self.errand(self.longest);
        self.read_page(asked, after, &errand).await.map_err(|failure| failure.fault)
    }

    async fn count(&self, table: &str, by: Option<&str>) -> Result<BTreeMap<String, u64>, Fault> {
        let errand = self.errand(self.longest);
        match self.aggregated(table, by, &errand).await {
            Ok(Some(counts)) => Ok(counts),
            Ok(None) => self.counted(table, by).await,
            Err(failure) => Err(failure.fault),
        }
    }

    async fn find(&self, asked: &Asked, rows: &[Named]) -> Result<Vec<Option<Record>>, Fault> {
        let errand = self.errand(self.longest);
        self.find_rows(asked, rows, &errand).await.map_err(|failure| failure.fault)
    }

    async fn changes(&self, asked: &Asked, token: Option<&Token>) -> Result<Delta, Fault> {
        let errand = self.errand(self.longest);
        self.read_changes(asked, token, &errand).await.map_err(|failure| failure.fault)
    }

    async fn me(&self) -> Result<Option<Uuid>, Fault> {
        let errand = self.errand(self.longest);
        match self.client.persist(&Call::get("WhoAmI"), &errand).await {
            Ok(reply) => {
                let who: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
                let id = who.as_ref().and_then(|who| who.get("UserId")?.as_str()?.parse().ok());
                Ok(id)
            }
            Err(failure) if failure.is_not_served() => Ok(None),
            Err(failure) => Err(failure.fault),
        }
    }
}

impl Dataverse {
    async fn read_page(
        &self,
        asked: &Asked,
        after: Option<&Cursor>,
        errand: &Errand,
    ) -> Result<Page, Failure> {
        let names = self.table(&asked.table, false, errand).await?;
        let path = if let Some(Cursor(path)) = after {
            path.clone()
        } else {
            let options = self.selected(&asked.table, &asked.columns, errand).await?;
            let since = asked.since.map(|since| {
                let filter = encoded(&format!("modifiedon ge {since}"));
                format!("&$filter={filter}")
            });
            let (set, id) = (&names.set, &names.id);
            format!("{set}?$orderby={id}{options}{}", since.unwrap_or_default())
        };
        let call = Call { prefer: Some(PAGE), ..Call::get(path) };
        let reply = self.client.persist(&call, errand).await?;
        let (rows, next) = listed(&reply.body, &names)?;
        Ok(Page { rows, next: next.map(|link| Cursor(self.relative(&link))) })
    }

    /// A link below the root of the Web API.
    pub(super) fn relative(&self, link: &str) -> String {
        let path = link.strip_prefix(self.client.root()).map(|path| path.trim_start_matches('/'));
        path.or_else(|| after_version(link)).unwrap_or(link).to_owned()
    }

    /// The service's own count; `None` when there are too many rows for it.
    async fn aggregated(
        &self,
        table: &str,
        by: Option<&str>,
        errand: &Errand,
    ) -> Result<Option<BTreeMap<String, u64>>, Failure> {
        let names = self.table(table, false, errand).await?;
        let schema = self.schema(table, errand).await?;
        let column = by.and_then(|by| property(by, schema.as_deref()));
        let total = "aggregate($count%20as%20total)";
        let apply = match &column {
            Some(column) => format!("groupby(({column}),{total})"),
            None => total.to_owned(),
        };
        let path = format!("{}?$apply={apply}", names.set);
        let reply = match self.client.persist(&Call::get(path), errand).await {
            Ok(reply) => reply,
            // beyond the limit of aggregates, or an endpoint that does not aggregate
            Err(failure) if failure.status == Some(400) || failure.is_not_served() => {
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        };
        let Ok(listed) = serde_json::from_slice::<Listed<'_>>(&reply.body) else { return Ok(None) };
        let mut counts = BTreeMap::new();
        for row in listed.value {
            let Ok(row) = serde_json::from_str::<serde_json::Value>(row.get()) else {
                return Ok(None);
            };
            let Some(total) = row.get("total").and_then(serde_json::Value::as_u64) else {
                return Ok(None);
            };
            let value = column.as_ref().and_then(|column| row.get(column));
            *counts.entry(value.map(shown).unwrap_or_default()).or_default() += total;
        }
        Ok(Some(counts))
    }

    /// A count made by reading every row's id.
    async fn counted(&self, table: &str, by: Option<&str>) -> Result<BTreeMap<String, u64>, Fault> {
        let columns = Selection::of(by);
        let asked = Asked { table: table.to_owned(), columns, since: None };
        let schema = self.schema(table, &self.errand(self.longest)).await;
        let schema = schema.map_err(|failure| failure.fault)?;
        let column = by.and_then(|by| property(by, schema.as_deref()));
        let (mut counts, mut after) = (BTreeMap::<String, u64>::new(), None);
        loop {
            let page = self.page(&asked, after.as_ref()).await?;
            for record in &page.rows {
                let value = column.as_ref().and_then(|column| {
                    let row = serde_json::from_slice::<serde_json::Value>(&record.body).ok()?;
                    row.get(column).map(shown)
                });
                *counts.entry(value.unwrap_or_default()).or_default() += 1;
            }
            after = page.next;
            if after.is_none() {
                return Ok(counts);
            }
        }
    }

    async fn find_rows(
        &self,
        asked: &Asked,
        rows: &[Named],
        errand: &Errand,
    ) -> Result<Vec<Option<Record>>, Failure> {
        let names = self.table(&asked.table, false, errand).await?;
        let options = self.selected(&asked.table, &asked.columns, errand).await?;
        let keys = rows.iter().filter_map(|named| match named {
            Named::Key(key) => Some(key),
            Named::Id(_) => None,
        });
        let lookups: Vec<&Lookup> =
            keys.flat_map(|Key(cells)| cells).filter_map(as_lookup).collect();
        let resolved = self.resolve(&lookups, errand).await;
        // A key that refers to a row that is not there is the key of no row.
        let (mut operations, mut places) = (Vec::new(), Vec::new());
        for (place, named) in rows.iter().enumerate() {
            let path = match named {
                Named::Id(id) => {
                    let options = options.trim_start_matches('&');
                    Some(format!("{}({id})?{options}", names.set))
                }
                Named::Key(key) => match parts(key, &resolved) {
                    Ok(parts) => query(&names, &options, &parts),
                    Err(failure) if of_no_row(&failure) => None,
                    Err(failure) => return Err(failure),
                },
            };
            if let Some(path) = path {
                operations.push(Operation::get(path));
                places.push((place, named));
            }
        }
        let mut found = vec![None; rows.len()];
        for ((place, named), part) in places.into_iter().zip(self.batch(&operations, errand).await)
        {
            let record = match (named, part) {
                (Named::Id(_), Ok(done)) => {
                    Some(record(&done.body, &names.id).ok_or_else(misread)?)
                }
                (Named::Id(_), Err(failure)) if is_gone(&failure) => None,
                (Named::Key(_), Ok(done)) => listed(&done.body, &names)?.0.into_iter().next(),
                (Named::Id(_) | Named::Key(_), Err(failure)) => return Err(failure),
            };
            if let Some(slot) = found.get_mut(place) {
                *slot = record;
            }
        }
        Ok(found)
    }
}

/// Whether the service itself said that there is no such row (Dataverse Web API, errors): a path that
/// nobody serves must not pass for a row that is gone.
fn is_gone(failure: &Failure) -> bool {
    let said = failure.fault.detail.as_ref();
    failure.status == Some(404) && said.is_some_and(|said| said.contains("80040217"))
}

/// Whether it is the key itself that no row can have.
fn of_no_row(failure: &Failure) -> bool {
    match failure.fault.act() {
        Act::Park | Act::Poison => true,
        Act::Retry | Act::Halt => false,
    }
}

/// What stands after `/api/data/v9.2/`.
fn after_version(link: &str) -> Option<&str> {
    let (_, rest) = link.split_once("/api/data/v")?;
    rest.split_once('/').map(|(_, path)| path)
}

fn query(names: &Table, options: &str, parts: &Parts) -> Option<String> {
    let filter = encoded(&filter(names, parts)?);
    Some(format!("{}?$top=2{options}&$filter={filter}", names.set))
}

/// A value as a heading of counts.
fn shown(value: &serde_json::Value) -> String {
    match value {
        serde_json::Value::Null => String::new(),
        serde_json::Value::String(text) => text.clone(),
        serde_json::Value::Bool(_)
        | serde_json::Value::Number(_)
        | serde_json::Value::Array(_)
        | serde_json::Value::Object(_) => value.to_string(),
    }
}

/// The rows of an answer, as stretches of it, and the link to the next page.
pub(super) fn listed(
    body: &Bytes,
    table: &Table,
) -> Result<(Vec<Record>, Option<String>), Failure> {
    let page: Listed<'_> = serde_json::from_slice(body).map_err(|_| misread())?;
    let rows = page
        .value
        .into_iter()
        .map(|raw| record(&body.slice_ref(raw.get().as_bytes()), &table.id).ok_or_else(misread));
    let rows: Result<Vec<Record>, Failure> = rows.collect();
    Ok((rows?, page.next.map(Cow::into_owned)))
}

/// One row as a record.
pub(super) fn record(row: &Bytes, id: &str) -> Option<Record> {
    let text = std::str::from_utf8(row).ok()?;
    Some(Record { id: id_of(text, id)?, body: row.clone() })
}

/// The id of a row, without reading the rest of it.
fn id_of(row: &str, column: &str) -> Option<Uuid> {
    let mut reader = serde_json::Deserializer::from_str(row);
    (&mut reader).deserialize_map(Member(column)).ok()?
}

/// Finds one member of an object.
struct Member<'c>(&'c str);

impl<'de> Visitor<'de> for Member<'_> {
    type Value = Option<Uuid>;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a row")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = None;
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            if name == self.0 {
                found = Some(members.next_value()?);
            } else {
                members.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }
}

pub(super) fn misread() -> Failure {
    let message = "a page of rows could not be read; check url, and the table with concord check";
    Failure::unanswered(Cause::Unreachable, Fate::Not, Fault::new(Kind::Unreachable, message))
}
