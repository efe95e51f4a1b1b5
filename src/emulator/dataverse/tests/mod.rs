//! The emulator as its callers see it: requests in, statuses, headers and bodies out.

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use jiff::Timestamp;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::router::router;
use super::state::{Options, State};
use crate::chance::Chance;
use crate::clock::RuntimeClock;

mod batches;
mod bulk;
mod columns;
mod events;
mod files;
mod keys;
mod links;
mod metadata;
mod operation;
mod outcomes;
mod queries;
mod steps;
mod tracking;

/// An emulator without a network.
pub(super) struct Service {
    router: Router,
    pub(super) state: Arc<State>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) text: String,
}

impl Reply {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("{error}: {}", self.text))
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |value| value.to_str().unwrap())
    }

    pub(super) fn code(&self) -> String {
        self.json()["error"]["code"].as_str().unwrap().to_owned()
    }

    /// Status and code of a refusal.
    pub(super) fn refusal(&self) -> (u16, String) {
        (self.status, self.code())
    }

    /// The id in `OData-EntityId`.
    pub(super) fn id(&self) -> String {
        let url = self.header("odata-entityid");
        url.split(['(', ')']).nth(1).unwrap_or_else(|| panic!("{self:?}")).to_owned()
    }
}

impl Service {
    pub(super) fn new() -> Self {
        Self::with(Options::default())
    }

    pub(super) fn with(options: Options) -> Self {
        let clock = RuntimeClock::starting_at("2026-05-01T10:20:30Z".parse::<Timestamp>().unwrap());
        let options = Options { clock: Arc::new(clock), chance: Chance::seeded(1), ..options };
        let state = Arc::new(State::new(options).unwrap());
        Self { router: router(Arc::clone(&state)), state }
    }

    /// Sends `METHOD path` with headers and a body.
    pub(super) async fn raw(
        &self,
        line: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> Reply {
        let (method, path) = line.split_once(' ').unwrap();
        let uri =
            if path.starts_with('/') { path.to_owned() } else { format!("/api/data/v9.2/{path}") };
        let mut request = Request::builder().method(method).uri(uri).header("host", "here");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = axum::body::to_bytes(body, usize::MAX).await.unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        Reply { status: parts.status.as_u16(), headers: parts.headers, text }
    }

    /// Sends a request without further headers.
    pub(super) async fn send(&self, line: &str, body: Value) -> Reply {
        self.raw(line, &[], body.to_string()).await
    }

    pub(super) async fn get(&self, path: &str) -> Reply {
        self.raw(&format!("GET {path}"), &[], "").await
    }

    /// Creates a row and gives its id.
    pub(super) async fn create(&self, set: &str, body: Value) -> String {
        let reply = self.send(&format!("POST {set}"), body).await;
        assert_eq!(reply.status, 204, "{reply:?}");
        reply.id()
    }

    /// The counters of the emulator.
    pub(super) async fn counters(&self) -> Value {
        self.get("/_emulator/counters").await.json()
    }
}

#[tokio::test]
async fn who_am_i_answers_with_three_ids_and_the_parallelism_hint() {
    let reply = Service::new().get("WhoAmI").await;
    assert_eq!(reply.header("x-ms-dop-hint"), "4");
    let body = reply.json();
    for name in ["BusinessUnitId", "UserId", "OrganizationId"] {
        assert_eq!(body[name].as_str().unwrap().len(), 36, "{name}");
    }
    assert_eq!(
        body["@odata.context"],
        "http://here/api/data/v9.2/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse"
    );
}

#[tokio::test]
async fn the_service_document_lists_the_sets_and_unknown_ones_are_named() {
    let service = Service::new();
    let sets = service.get("").await.json();
    let names: Vec<&str> =
        sets["value"].as_array().unwrap().iter().filter_map(|set| set["name"].as_str()).collect();
    assert!(names.contains(&"accounts") && names.contains(&"acme_customers"));
    let reply = service.get("account").await;
    assert_eq!(reply.refusal(), (404, "0x8006088a".to_owned()));
    assert_eq!(reply.header("content-type"), "application/json; odata.metadata=minimal");
    assert!(reply.text.contains("Resource not found for the segment 'account'."));
}

#[tokio::test]
async fn the_wrong_verb_for_a_function_finds_no_resource() {
    let reply = Service::new().send("POST WhoAmI", json!({})).await;
    assert_eq!(reply.refusal(), (404, String::new()));
}

#[tokio::test]
async fn row_counts_are_told_by_table_name() {
    let service = Service::new();
    service.create("accounts", json!({"name": "A"})).await;
    let path = "RetrieveTotalRecordCount(EntityNames=@p1)?@p1=[\"account\"]".replace('"', "%22");
    let body = service.get(&path).await.json();
    let counts = &body["EntityRecordCountCollection"];
    assert_eq!(counts["Keys"], json!(["account"]));
    assert_eq!(counts["Values"], json!([1]));
}

#[tokio::test]
async fn bulk_messages_are_announced_per_table_but_upsert_is_not() {
    let service = Service::new();
    let ask = |message: &str, table: &str| {
        format!(
            "sdkmessagefilters?$select=sdkmessagefilterid&$filter=sdkmessageid/name%20eq%20\
             '{message}'%20and%20primaryobjecttypecode%20eq%20'{table}'"
        )
    };
    for (message, table, rows) in [
        ("CreateMultiple", "account", 1),
        ("UpsertMultiple", "account", 0),
        ("CreateMultiple", "systemuser", 0),
    ] {
        let body = service.get(&ask(message, table)).await.json();
        assert_eq!(body["value"].as_array().unwrap().len(), rows, "{message} {table}");
    }
}
