//! One table: rows by partition and row key, each with a version, read by key or by filter.

use std::collections::{BTreeMap, HashMap};

use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use super::filter::Filter;
use super::{Served, Store, transaction};

/// Rows by partition and row key.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) partitions: HashMap<String, BTreeMap<String, Row>>,
}

/// A row as it was sent, and its version.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) version: usize,
    pub(super) json: Box<str>,
}

/// The most rows of one answer.
const PAGE: usize = 1_000;

impl Row {
    /// The row with its version in it, as it is read.
    fn shown(&self) -> String {
        let members = self.json.get(1..).unwrap_or_default();
        format!("{{\"odata.etag\":\"{}\",{members}", etag(self.version).replace('"', "\\\""))
    }
}

/// A version as it stands in headers.
pub(super) fn etag(version: usize) -> String {
    format!("W/\"{version}\"")
}

impl Store {
    pub(super) fn serve_table(
        &self,
        method: &Method,
        path: &str,
        body: &Bytes,
        head: &HeaderMap,
    ) -> Served {
        if path.starts_with("$batch") {
            return ("transaction", self.transact(body));
        }
        if path.starts_with("Tables") {
            return ("prepare", StatusCode::NO_CONTENT.into_response());
        }
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        if *method != Method::GET {
            let condition = head.get("if-match").and_then(|value| value.to_str().ok());
            return ("write row", self.write(method.as_str(), path, condition, body));
        }
        if let Some((table, partition, row)) = transaction::keys(path) {
            return ("get", self.get(table, &partition, &row));
        }
        let kind = if query.contains("$filter") { "query" } else { "prepare" };
        (kind, self.query(path.trim_end_matches("()"), query))
    }

    fn get(&self, table: &str, partition: &str, row: &str) -> Response {
        let tables = self.tables.lock().unwrap();
        let partition = tables.get(table).and_then(|table| table.partitions.get(partition));
        match partition.and_then(|partition| partition.get(row)) {
            Some(row) => json(StatusCode::OK, row.shown()),
            None => refusal(StatusCode::NOT_FOUND, "ResourceNotFound"),
        }
    }

    fn query(&self, table: &str, query: &str) -> Response {
        let parameter =
            |name: &str| query.split('&').find_map(|part| part.strip_prefix(name)).unwrap_or("");
        let filter = Filter::parse(parameter("$filter="));
        let most = parameter("$top=").parse().unwrap_or(PAGE).min(PAGE);
        let from = parameter("NextRowKey=");
        let tables = self.tables.lock().unwrap();
        let partition = tables.get(table).and_then(|table| table.partitions.get(&filter.partition));
        let found = partition.map(|rows| filter.rows(rows, from)).unwrap_or_default();
        let next = found.get(most).map(|(key, _)| (*key).clone());
        let shown: Vec<String> = found.iter().take(most).map(|(_, row)| row.shown()).collect();
        let mut answer = json(StatusCode::OK, format!("{{\"value\":[{}]}}", shown.join(",")));
        if let Some(next) = next {
            let headers = answer.headers_mut();
            let partition = filter.partition.parse().unwrap();
            headers.insert("x-ms-continuation-nextpartitionkey", partition);
            headers.insert("x-ms-continuation-nextrowkey", next.parse().unwrap());
        }
        answer
    }
}

pub(super) fn json(status: StatusCode, text: String) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// A refusal as the Table service words it.
pub(super) fn refusal(status: StatusCode, code: &str) -> Response {
    json(status, refused(code, ""))
}

pub(super) fn refused(code: &str, text: &str) -> String {
    format!(
        "{{\"odata.error\":{{\"code\":\"{code}\",\"message\":{{\"lang\":\"en-US\",\"value\":\"{text}{code}.\"}}}}}}"
    )
}
