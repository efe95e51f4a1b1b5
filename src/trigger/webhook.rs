//! `webhook`: what Dataverse posts when something happened to a row.
//!
//! In comes `POST /api/webhook/<system>` with an execution context and a secret; out goes 200 when every
//! outcome is durable, applied or in the work queue, and 503 when it could not be made so. Dataverse
//! waits for a minute and tries once more after a 503, so the whole call has a deadline of its own, well
//! below that. Refused: a system that is no Dataverse environment (404), a caller without the secret
//! (401), a body above a mebibyte (413), which no context ever is.
//!
//! Source: Dataverse Web API, webhooks, the call; Functions custom handler, httpTrigger proxied.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use bytes::Bytes;
use secrecy::SecretString;
use tokio::time::{Instant, timeout};
use tracing::{Instrument as _, info_span, warn};

use super::{Answer, Works, secret};
use crate::delivery::{Attempt, Delivery, Event, Origin};

/// The largest body, in bytes: a context has at most 256 KiB.
const LARGEST: usize = 1024 * 1024;
/// How much longer than its deadline a call may take before it is cut off.
const GRACE: Duration = Duration::from_secs(15);

/// What the function works with.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The path.
    pub works: Works,
    /// The secrets by system.
    pub secrets: BTreeMap<Arc<str>, Vec<SecretString>>,
    /// How long a call may work.
    pub within: Duration,
}

impl Webhook {
    /// The routes of the function.
    pub fn router(self) -> Router {
        Router::new()
            .route("/api/webhook/{system}", post(called))
            .layer(DefaultBodyLimit::max(LARGEST))
            .with_state(Arc::new(self))
    }
}

async fn called(
    State(hook): State<Arc<Webhook>>,
    Path(system): Path<String>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let event = match taken(&hook.secrets, &system, &headers, body) {
        Ok(body) => body,
        Err(answer) => return answer,
    };
    let call = delivery("webhook", &system, &headers, (event, hook.works.clock.now()));
    let delivery = Delivery { within: hook.within, ..call };
    let started = Instant::now();
    let span = info_span!("call", invocation = %delivery.invocation, function = "webhook", %system);
    let run = hook.works.pipeline.run(&delivery).instrument(span);
    match timeout(hook.within + GRACE, run).await {
        Ok(report) => hook.works.answer("webhook", &report, (started, None)).await,
        Err(_) => Answer::again("the call overran its deadline and was cut off"),
    }
}

/// The body of a call that may be made, or the answer to one that may not.
pub(super) fn taken(
    secrets: &BTreeMap<Arc<str>, Vec<SecretString>>,
    system: &str,
    headers: &HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Bytes, Answer> {
    let refused = |status, reason: &str| {
        warn!(reason, "call refused");
        Answer::refused(status, reason)
    };
    let Some(secrets) = secrets.get(system) else {
        return Err(refused(StatusCode::NOT_FOUND, "there is no such system to call for"));
    };
    if !secret::shows(headers, secrets) {
        let reason = if secrets.is_empty() {
            "no secret is set for this system, so nobody may call; set `webhook_secret`"
        } else {
            "the secret is missing or wrong"
        };
        return Err(refused(StatusCode::UNAUTHORIZED, reason));
    }
    body.map_err(|error| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            refused(StatusCode::PAYLOAD_TOO_LARGE, "the body is above one mebibyte")
        }
        _ => refused(StatusCode::BAD_REQUEST, "the body broke off"),
    })
}

/// One event that came by itself. Nobody brings it again, so what cannot be done now waits here.
pub(super) fn delivery(
    function: &str,
    system: &str,
    headers: &HeaderMap,
    (body, now): (Bytes, jiff::Timestamp),
) -> Delivery {
    let header = |name: &str| super::header(headers, name);
    let origin = Origin { received: Some(now), ..Origin::default() };
    Delivery {
        system: system.into(),
        function: function.into(),
        invocation: header("x-azure-functions-invocationid").unwrap_or_else(|| "unknown".into()),
        traceparent: header("traceparent"),
        attempt: Attempt { count: 0, last: true },
        within: Duration::ZERO,
        events: vec![Event { body, origin, ..Event::default() }],
    }
}
