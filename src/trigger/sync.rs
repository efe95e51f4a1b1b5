//! `sync`: one change, applied before the answer.
//!
//! In comes `POST /api/sync/<system>` with a change as that system sends it and a secret; out goes what
//! became of each row: its key, outcome, id in the target, or the fault with its code and remedy. All or
//! nothing as far as one target reaches: what cannot be read or mapped is found before anything is
//! written, and after the first refusal nothing more is. Nothing waits, is parked or set aside: whoever
//! calls decides. As a synchronous step of Dataverse a refusal rolls the user's transaction back, with
//! the message of the fault; should the transaction fail for another reason afterwards, the next
//! comparison of both sides finds the row.
//!
//! 200 when all is applied; 422 when a row cannot be; 503 when it may be later.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, http};
use bytes::Bytes;
use secrecy::SecretString;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use tracing::{Instrument as _, info_span};

use super::webhook::{delivery, taken};
use super::{Answer, Works};
use crate::delivery::Delivery;
use crate::fault::{Act, Fault, Kind};
use crate::pipeline::{Carried, Carrying};

/// The largest body, in bytes.
const LARGEST: usize = 1024 * 1024;
/// How much longer than its deadline a call may take before it is cut off.
const GRACE: Duration = Duration::from_secs(15);

/// What the function works with.
#[derive(Clone, Debug)]
pub struct Synchronous {
    /// The path.
    pub works: Works,
    /// The secrets by system.
    pub secrets: BTreeMap<Arc<str>, Vec<SecretString>>,
    /// How long a call may work.
    pub within: Duration,
}

impl Synchronous {
    /// The routes of the function.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/sync/{system}", post(called))
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(Arc::new(self))
    }
}

async fn called(
    State(sync): State<Arc<Synchronous>>,
    Path(system): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Response {
    let body = match taken(&sync.secrets, &system, &headers, body) {
        Ok(body) => body,
        Err(answer) => return answer.into_response(),
    };
    let call = delivery("sync", &system, &headers, (body, sync.works.clock.now()));
    let delivery = Delivery { within: sync.within, ..call };
    let span = info_span!("call", invocation = %delivery.invocation, function = "sync", %system);
    let run = sync.works.pipeline.carry_out(&delivery).instrument(span);
    if let Ok(carried) = timeout(sync.within + GRACE, run).await {
        return answer(&carried);
    }
    let reason = "the call overran its deadline; what became of its rows is not known";
    Answer::again(reason).into_response()
}

fn answer(carried: &[Carried]) -> Response {
    let faults = || {
        carried.iter().filter_map(|one| match &one.became {
            Carrying::Failed(fault) => Some(fault),
            Carrying::Done { .. } | Carrying::Left => None,
        })
    };
    let status = faults().map(status).max().unwrap_or(StatusCode::OK);
    let results: Vec<Value> = carried.iter().map(result).collect();
    let mut body = Map::new();
    if let Some(fault) = faults().next() {
        body.insert("error".to_owned(), shown(fault));
    }
    body.insert("results".to_owned(), Value::Array(results));
    (status, [(http::header::CACHE_CONTROL, "no-store")], Json(Value::Object(body))).into_response()
}

/// A row that cannot be applied is the caller's; anything else may pass.
fn status(fault: &Fault) -> StatusCode {
    match fault.act() {
        Act::Poison | Act::Park => StatusCode::UNPROCESSABLE_ENTITY,
        Act::Retry | Act::Halt => StatusCode::SERVICE_UNAVAILABLE,
    }
}

fn result(carried: &Carried) -> Value {
    let mut result = Map::new();
    let mut put = |name: &str, value: Value| result.insert(name.to_owned(), value);
    put("map", carried.map.as_deref().into());
    if let Some((system, table)) = &carried.table {
        put("system", system.as_str().into());
        put("table", table.as_str().into());
    }
    if let Some(key) = &carried.key {
        put("key", key.as_str().into());
    }
    match &carried.became {
        Carrying::Done { outcome, id, row } => {
            put("outcome", outcome.word().into());
            put("id", json!(id));
            put("row", row.clone());
        }
        Carrying::Failed(fault) => {
            put("outcome", "refused".into());
            put("fault", shown(fault));
        }
        Carrying::Left => drop(put("outcome", "not tried".into())),
    }
    Value::Object(result)
}

fn shown(fault: &Fault) -> Value {
    json!({ "code": fault.kind.code(), "message": fault.message, "field": fault.field,
            "remedy": remedy(fault.kind) })
}

/// What the page of a fault says under this heading.
const MEND: &str = "## How to mend it";

/// How to mend a fault, as its page says it.
fn remedy(kind: Kind) -> String {
    let mend = kind.page().split_once(MEND).map_or("", |(_, mend)| mend);
    let mend = mend.split("\n## ").next().unwrap_or_default();
    mend.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ")
}
