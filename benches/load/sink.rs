//! A stand-in for Dataverse: enough of the Web API to be written to in every way that a handler may
//! choose, five milliseconds a call and a fifth of one a row. It keeps the rows as they were sent.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{Method, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::calls::{Calls, Side};
use crate::server::{decoded, read};

/// How long it takes to answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    pub(crate) call: Duration,
    pub(crate) row: Duration,
}

/// The target.
#[derive(Debug)]
pub(crate) struct Sink {
    rows: Mutex<HashMap<String, Box<str>>>,
    pace: Pace,
    calls: Arc<Calls>,
}

#[derive(Deserialize)]
struct Bulk<'a> {
    #[serde(borrow, rename = "Targets")]
    targets: Vec<&'a RawValue>,
}

#[derive(Deserialize)]
struct Named<'a> {
    #[serde(borrow, rename = "@odata.id")]
    id: Option<std::borrow::Cow<'a, str>>,
    #[serde(borrow, rename = "acme_number")]
    number: Option<std::borrow::Cow<'a, str>>,
}

#[derive(Deserialize)]
struct Revised<'a> {
    #[serde(borrow)]
    acme_revision: &'a RawValue,
}

/// What one call asks for.
struct Done {
    kind: &'static str,
    rows: usize,
    answer: Response,
}

impl Sink {
    pub(crate) fn new(pace: Pace, calls: Arc<Calls>) -> Self {
        Self { rows: Mutex::default(), pace, calls }
    }

    /// Every row by its number, with its revision.
    pub(crate) fn revisions(&self) -> std::collections::BTreeMap<String, u64> {
        let rows = self.rows.lock().unwrap();
        let revision = |row: &str| {
            let row: Revised<'_> = serde_json::from_str(row).ok()?;
            row.acme_revision.get().trim_matches('"').parse().ok()
        };
        rows.iter().map(|(key, row)| (key.clone(), revision(row).unwrap_or_default())).collect()
    }

    fn bulk(&self, body: &Bytes) -> Option<Done> {
        let bulk: Bulk<'_> = serde_json::from_slice(body).ok()?;
        let mut rows = self.rows.lock().unwrap();
        for row in &bulk.targets {
            let named: Named<'_> = serde_json::from_str(row.get()).ok()?;
            let key = named.id.as_deref().and_then(key).or(named.number.map(Into::into))?;
            rows.insert(key, row.get().into());
        }
        let answer = StatusCode::NO_CONTENT.into_response();
        Some(Done { kind: "UpsertMultiple", rows: bulk.targets.len(), answer })
    }

    /// The operations of a `$batch`, each on its own.
    fn batch(&self, body: &[u8]) -> Option<Done> {
        let text = std::str::from_utf8(body).ok()?;
        let (mut rows, mut answer) = (0, String::new());
        for part in text.split("Content-Transfer-Encoding: binary\r\n").skip(1) {
            let (start, rest) = part.trim_start().split_once(" HTTP/1.1\r\n")?;
            let (method, address) = start.split_once(' ')?;
            let content = rest.split_once("\r\n\r\n").map_or("", |(_, content)| content);
            let content = content.split("\r\n").next().unwrap_or_default();
            let found = self.one(method, &decoded(address), content);
            rows += 1;
            answer.push_str("--b\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 ");
            answer.push_str(if found { "204 No Content" } else { "404 Not Found" });
            answer.push_str("\r\n\r\n\r\n");
        }
        answer.push_str("--b--\r\n");
        let kind = [(header::CONTENT_TYPE, "multipart/mixed; boundary=b")];
        Some(Done { kind: "$batch", rows, answer: (kind, answer).into_response() })
    }

    /// One row written or removed; whether it was there to be removed.
    fn one(&self, method: &str, address: &str, content: &str) -> bool {
        let Some(key) = key(address) else { return false };
        let mut rows = self.rows.lock().unwrap();
        if method == "DELETE" {
            return rows.remove(&key).is_some();
        }
        rows.insert(key, content.into());
        true
    }

    fn serve(&self, method: &Method, address: &str, body: &Bytes) -> Done {
        let plain = |kind, answer: Response| Done { kind, rows: 1, answer };
        let done = match (method, address) {
            (&Method::POST, path) if path.contains("UpsertMultiple") => self.bulk(body),
            (&Method::POST, path) if path.contains("$batch") => self.batch(body),
            (&Method::PATCH | &Method::DELETE, path) => {
                let content = std::str::from_utf8(body).unwrap_or_default();
                let found = self.one(method.as_str(), path, content);
                let status = if found { StatusCode::NO_CONTENT } else { StatusCode::NOT_FOUND };
                let kind = if *method == Method::PATCH { "PATCH" } else { "DELETE" };
                Some(plain(kind, status.into_response()))
            }
            (&Method::GET, path) if path.contains("EntityDefinitions") => {
                Some(plain("metadata", json(DEFINITION)))
            }
            (&Method::GET, _) => Some(plain("WhoAmI", json("{}"))),
            _ => None,
        };
        done.unwrap_or_else(|| plain("refused", StatusCode::BAD_REQUEST.into_response()))
    }
}

/// Answers one call.
pub(crate) async fn answer(State(sink): State<Arc<Sink>>, request: Request) -> Response {
    let from = Instant::now();
    let (method, address, body, _) = read(request).await;
    let done = sink.serve(&method, &address, &body);
    let rows = u32::try_from(done.rows).unwrap();
    tokio::time::sleep(sink.pace.call + sink.pace.row * rows).await;
    sink.calls.note((Side::Target, done.kind), (&address, &body), from);
    done.answer
}

const DEFINITION: &str = r#"{"LogicalName":"acme_partner","EntitySetName":"acme_partners",
    "PrimaryIdAttribute":"acme_partnerid","ManyToOneRelationships":[]}"#;

fn json(text: &'static str) -> Response {
    ([(header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// The key in `acme_partners(acme_number='…')`.
fn key(address: &str) -> Option<String> {
    let (_, rest) = address.split_once("acme_number='")?;
    Some(rest.split_once('\'')?.0.to_owned())
}
