//! Rows read back by key.
//!
//! In go keys and columns; out come the rows, in the order asked, their values typed by the table's
//! description. Each key is one filter of one batch, so that a key of any characters is found. A
//! lookup column gives the id it holds. Without a description the JSON's own types are taken.

use std::collections::{BTreeMap, HashMap};

use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::Dataverse;
use super::batch::Operation;
use super::classify::{Cause, Failure, Fate};
use super::client::Errand;
use super::keys::{Parts, filter, query};
use super::names::Table;
use super::plan::{as_lookup, parts};
use crate::fault::{Fault, Kind};
use crate::row::{Key, Lookup, Value};
use crate::system::{ColumnKind, Fetched, TableSchema};

#[derive(Deserialize)]
struct Page {
    value: Vec<HashMap<String, Box<RawValue>>>,
}

/// A column as it is asked for and as it is called.
struct Wanted<'c> {
    column: &'c str,
    property: String,
    kind: Option<ColumnKind>,
}

impl Dataverse {
    /// The rows with these keys, in order.
    pub(super) async fn read_rows(
        &self,
        table: &str,
        keys: &[Key],
        columns: &[String],
        errand: &Errand,
    ) -> Result<Vec<Option<Fetched>>, Failure> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let schema = self.schema(table, errand).await?;
        let names = self.table(table, false, errand).await?;
        let wanted: Vec<Wanted<'_>> =
            columns.iter().map(|column| want(column, schema.as_deref())).collect();
        let mut select = vec![names.id.clone()];
        select.extend(wanted.iter().map(|wanted| wanted.property.clone()));
        let mut operations = Vec::with_capacity(keys.len());
        for parts in self.key_parts(keys, errand).await? {
            let filter =
                filter(&names, &parts).ok_or_else(|| misread("a key has an empty part"))?;
            operations.push(Operation::get(query(&names, &select, &filter)));
        }
        let answers = self.batch(&operations, errand).await;
        let rows = answers.into_iter().map(|part| row(&part?.body, &names, &wanted));
        rows.collect()
    }

    async fn key_parts(&self, keys: &[Key], errand: &Errand) -> Result<Vec<Parts>, Failure> {
        let cells = keys.iter().flat_map(|key| &key.0);
        let lookups: Vec<&Lookup> = cells.filter_map(as_lookup).collect();
        let resolved = self.resolve(&lookups, errand).await;
        keys.iter().map(|key| parts(key, &resolved)).collect()
    }
}

fn want<'c>(column: &'c str, schema: Option<&TableSchema>) -> Wanted<'c> {
    let kind = schema.and_then(|schema| schema.columns.get(column)).map(|column| column.kind);
    let property = match kind {
        Some(ColumnKind::Lookup | ColumnKind::Owner) => format!("_{column}_value"),
        _ => column.to_owned(),
    };
    Wanted { column, property, kind }
}

fn row(body: &[u8], table: &Table, wanted: &[Wanted<'_>]) -> Result<Option<Fetched>, Failure> {
    let page: Page = serde_json::from_slice(body).map_err(|_| misread("no rows could be read"))?;
    let Some(row) = page.value.into_iter().next() else { return Ok(None) };
    let text =
        |name: &str| row.get(name).and_then(|raw| serde_json::from_str::<String>(raw.get()).ok());
    let id = text(&table.id).and_then(|id| id.parse().ok());
    let mut columns = BTreeMap::new();
    for Wanted { column, property, kind } in wanted {
        let raw = row.get(property).map_or("null", |raw| raw.get());
        let value = value(*kind, raw).ok_or_else(|| misread("a column is not of its own type"))?;
        columns.insert((*column).to_owned(), value);
    }
    Ok(Some(Fetched { id, version: text("@odata.etag"), columns }))
}

/// A value as the service writes it, in our types.
fn value(kind: Option<ColumnKind>, raw: &str) -> Option<Value> {
    if raw == "null" {
        return Some(Value::Null);
    }
    let Ok(text) = serde_json::from_str::<String>(raw) else {
        return plain(kind, raw);
    };
    Some(match kind {
        Some(ColumnKind::Date) => Value::Date(text.parse().ok()?),
        Some(ColumnKind::Time) => Value::Time(text.parse().ok()?),
        Some(ColumnKind::Guid | ColumnKind::Lookup | ColumnKind::Owner) => {
            Value::Guid(text.parse().ok()?)
        }
        Some(ColumnKind::Choices) => {
            let choices: Result<Vec<i32>, _> =
                text.split(',').map(|choice| choice.trim().parse()).collect();
            let mut choices = choices.ok()?;
            choices.sort_unstable();
            Value::Choices(choices)
        }
        _ => Value::Text(text),
    })
}

/// A number or a yes or no.
fn plain(kind: Option<ColumnKind>, raw: &str) -> Option<Value> {
    if let Ok(yes) = raw.parse() {
        return Some(Value::Boolean(yes));
    }
    let decimal = || Decimal::from_str_exact(raw).or_else(|_| Decimal::from_scientific(raw)).ok();
    match kind {
        Some(ColumnKind::Decimal | ColumnKind::Money | ColumnKind::Double) => {
            decimal().map(Value::Decimal)
        }
        _ => raw.parse().ok().map(Value::Integer).or_else(|| decimal().map(Value::Decimal)),
    }
}

fn misread(what: &str) -> Failure {
    let message =
        format!("the target's rows could not be read back: {what}; check the table's schema");
    Failure::unanswered(Cause::Refused, Fate::Not, Fault::new(Kind::SchemaGone, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_typed_by_the_column_and_keep_their_digits() {
        for (kind, raw, wanted) in [
            (ColumnKind::Money, "20000.0000", "20000.0000"),
            (ColumnKind::Double, "1.5e3", "1500"),
            (ColumnKind::Integer, "7", "7"),
            (ColumnKind::Date, "\"2024-02-29\"", "2024-02-29"),
            (ColumnKind::Time, "\"2024-02-29T01:02:03Z\"", "2024-02-29T01:02:03Z"),
            (ColumnKind::Choices, "\"3,1\"", "1,3"),
            (ColumnKind::Boolean, "true", "true"),
            (ColumnKind::Text, "\"a\\u00e9\"", "aé"),
            (ColumnKind::Text, "null", "null"),
        ] {
            assert_eq!(value(Some(kind), raw).unwrap().to_string(), wanted, "{kind:?}");
        }
        assert_eq!(value(Some(ColumnKind::Date), "\"soon\""), None);
        assert_eq!(value(None, "{}"), None);
    }
}
