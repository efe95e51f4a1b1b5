//! Writes: an entity group transaction, all of it or nothing, or a single row.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Write as _;

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;

use super::Store;
use super::table::{Row, Table, etag, refusal, refused};
use crate::server::decoded;

/// One write.
#[derive(Debug)]
struct Operation<'a> {
    method: &'a str,
    table: String,
    partition: String,
    row: String,
    condition: Option<&'a str>,
    json: &'a str,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Keys<'a> {
    #[serde(borrow)]
    partition_key: Cow<'a, str>,
    #[serde(borrow)]
    row_key: Cow<'a, str>,
}

/// Table, partition and row of `Table(PartitionKey='…',RowKey='…')`.
pub(super) fn keys(address: &str) -> Option<(&str, String, String)> {
    let (table, rest) = address.split_once("(PartitionKey='")?;
    let (partition, rest) = rest.split_once("',RowKey='")?;
    let table = table.rsplit('/').next()?;
    let row = rest.strip_suffix("')")?;
    Some((table, partition.replace("''", "'"), row.replace("''", "'")))
}

impl<'a> Operation<'a> {
    fn new(
        method: &'a str,
        address: &str,
        condition: Option<&'a str>,
        json: &'a str,
    ) -> Option<Self> {
        let named = keys(address).map(|(table, partition, row)| (table.to_owned(), partition, row));
        let (table, partition, row) = named.or_else(|| {
            let keys: Keys<'_> = serde_json::from_str(json).ok()?;
            let table = address.rsplit('/').next()?.trim_end_matches("()").to_owned();
            Some((table, keys.partition_key.into_owned(), keys.row_key.into_owned()))
        })?;
        Some(Self { method, table, partition, row, condition, json })
    }

    /// Why it cannot be done: status and code.
    fn refused(&self, tables: &std::collections::HashMap<String, Table>) -> Option<&'static str> {
        let there = tables
            .get(&self.table)
            .and_then(|table| table.partitions.get(&self.partition))
            .and_then(|rows| rows.get(&self.row));
        match (self.method, there, self.condition) {
            ("POST", Some(_), _) => Some("EntityAlreadyExists"),
            ("DELETE", None, _) | (_, None, Some(_)) => Some("ResourceNotFound"),
            (_, Some(row), Some(wanted)) if wanted != "*" && wanted != etag(row.version) => {
                Some("UpdateConditionNotSatisfied")
            }
            _ => None,
        }
    }

    fn apply(&self, tables: &mut std::collections::HashMap<String, Table>, version: usize) {
        let table = tables.entry(self.table.clone()).or_default();
        let rows = table.partitions.entry(self.partition.clone()).or_default();
        let json = match (self.method, rows.get(&self.row)) {
            ("DELETE", _) => {
                rows.remove(&self.row);
                return;
            }
            ("PATCH", Some(before)) => merged(&before.json, self.json),
            _ => self.json.into(),
        };
        rows.insert(self.row.clone(), Row { version, json });
    }
}

/// The members of both, the later ones over the earlier.
fn merged(before: &str, with: &str) -> Box<str> {
    type Members<'a> = BTreeMap<&'a str, &'a serde_json::value::RawValue>;
    let mut members: Members<'_> = serde_json::from_str(before).unwrap();
    members.extend(serde_json::from_str::<Members<'_>>(with).unwrap());
    serde_json::to_string(&members).unwrap().into()
}

fn status(code: &str) -> StatusCode {
    match code {
        "EntityAlreadyExists" => StatusCode::CONFLICT,
        "ResourceNotFound" => StatusCode::NOT_FOUND,
        _ => StatusCode::PRECONDITION_FAILED,
    }
}

/// The operations of a transaction, in order. JSON stands on one line.
fn operations(body: &str) -> Option<Vec<Operation<'_>>> {
    let mut operations = Vec::new();
    for part in body.split("\r\n--changeset").skip(1) {
        let Some((start, rest)) = part.split_once(" HTTP/1.1\r\n") else { continue };
        let (method, address) = start.rsplit_once("\r\n")?.1.split_once(' ')?;
        let (head, content) = rest.split_once("\r\n\r\n").unwrap_or((rest, ""));
        let condition = head.lines().find_map(|line| line.strip_prefix("If-Match: "));
        operations.push(Operation::new(method, &decoded(address), condition, content.trim())?);
    }
    Some(operations)
}

impl Store {
    pub(super) fn transact(&self, body: &Bytes) -> Response {
        let text = std::str::from_utf8(body).unwrap_or_default();
        let Some(operations) = operations(text) else {
            return refusal(StatusCode::BAD_REQUEST, "InvalidInput");
        };
        let mut tables = self.tables.lock().unwrap();
        let mut answer =
            "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\r\n"
                .to_owned();
        let refusals = operations.iter().enumerate();
        let mut refusals = refusals.filter_map(|(at, one)| Some((at, one.refused(&tables)?)));
        let start = "--changesetresponse_1\r\nContent-Type: application/http\r\n\r\nHTTP/1.1";
        if let Some((at, code)) = refusals.next() {
            let json = refused(code, &format!("{at}:"));
            let status = status(code);
            write!(answer, "{start} {status}\r\nContent-Type: application/json\r\n\r\n{json}\r\n")
                .unwrap();
        } else {
            for operation in &operations {
                let version = self.version();
                operation.apply(&mut tables, version);
                let etag = etag(version);
                write!(answer, "{start} 204 No Content\r\nETag: {etag}\r\n\r\n\r\n").unwrap();
            }
        }
        answer.push_str("--changesetresponse_1--\r\n--batchresponse_1--\r\n");
        let kind = [(header::CONTENT_TYPE, "multipart/mixed; boundary=batchresponse_1")];
        (StatusCode::ACCEPTED, kind, answer).into_response()
    }

    pub(super) fn write(
        &self,
        method: &str,
        path: &str,
        condition: Option<&str>,
        body: &Bytes,
    ) -> Response {
        let json = std::str::from_utf8(body).unwrap_or_default();
        let Some(operation) = Operation::new(method, path, condition, json) else {
            return refusal(StatusCode::BAD_REQUEST, "InvalidInput");
        };
        let mut tables = self.tables.lock().unwrap();
        if let Some(code) = operation.refused(&tables) {
            return refusal(status(code), code);
        }
        let version = self.version();
        operation.apply(&mut tables, version);
        (StatusCode::NO_CONTENT, [(header::ETAG, etag(version))]).into_response()
    }
}
