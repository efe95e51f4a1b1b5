//! The host's side: requests of the Functions host come in, calls to handlers go out, and every answer
//! is a JSON object. Refused, without a handler being asked: an unknown function (404), a body above
//! the limit (413), what is no envelope (400). A handler that panics or overruns harms its own call only.
//!
//! Source: Functions custom handler, process contract and invocation request.

mod answer;
mod bodies;
mod changes;
mod early;
mod envelope;
mod functions;
mod metadata;
mod meter;
mod quoted;
mod room;
pub mod secret;
mod server;
mod shield;
mod sync;
mod telling;
mod webhook;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_LENGTH;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::map_response;
use axum::routing::{get, post};
use bytes::{Bytes, BytesMut};
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span, error, field, info, info_span, warn};

pub use self::answer::Answer;
pub use self::changes::Changes;
pub use self::early::early;
pub use self::envelope::{Envelope, Queued, Timer};
pub use self::functions::{Events, Nightly, Queues, Sweep, Work, Works};
pub use self::meter::{Meter, Total};
pub use self::server::{bind, listen, serve};
pub use self::sync::Synchronous;
pub use self::telling::Telling;
pub use self::webhook::Webhook;

use self::room::{Place, Room};
use crate::delivery::Delivery;
use crate::telemetry::otlp::Sink;
use crate::telemetry::trace;

/// How much one call may hold and how long it may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// The longest body of a call, in bytes. The host itself sets no limit, and a hundred events of
    /// one megabyte, quoted twice, pass a hundred.
    pub body_limit: usize,
    /// How long a handler has, as in `100s`: what cannot be done by then is brought again by the host or
    /// deferred. Must be below the host's `functionTimeout`, for that one
    /// kills the process and with it every other call.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub answer_within: Duration,
    /// How long a webhook or a synchronous call has: whoever posts waits for a minute, and does not ask
    /// again.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub waiting_within: Duration,
    /// How much longer a handler may take before its call is cut off.
    #[serde(with = "jiff::fmt::serde::unsigned_duration::friendly::compact::required")]
    #[schemars(with = "String")]
    pub grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            body_limit: 128 * 1024 * 1024,
            answer_within: Duration::from_secs(100),
            waiting_within: Duration::from_secs(25),
            grace: Duration::from_secs(30),
        }
    }
}

/// The handlers by function name, in the host's exact case.
pub type Functions = BTreeMap<String, Arc<dyn Handler>>;

/// Carries out the calls of one function.
#[async_trait]
pub trait Handler: Send + Sync {
    /// Carries out one call. The same call may come again, also while it is still being carried out
    /// elsewhere; and it may end at any await, as in a crash.
    async fn handle(&self, call: Call) -> Answer;
}

/// One call of the host.
#[derive(Debug)]
pub struct Call {
    /// The function called.
    pub function: Arc<str>,
    /// What the host handed over.
    pub envelope: Envelope,
    /// The host's invocation id; it stays the same over the attempts of one delivery.
    pub invocation: String,
    /// The W3C trace context of the call, when the host sent one.
    pub traceparent: Option<String>,
    /// When it must be answered.
    pub deadline: Instant,
}

impl Call {
    /// The events of the call as a delivery of `system`. `received` is the present moment.
    pub fn delivery(self, system: Arc<str>, received: Timestamp) -> Delivery {
        Delivery {
            system,
            events: self.envelope.events(None, received),
            attempt: self.envelope.attempt(),
            within: self.deadline.saturating_duration_since(Instant::now()),
            function: self.function,
            invocation: self.invocation,
            traceparent: self.traceparent,
        }
    }
}

/// Everything the host may ask: `GET /` for readiness and `POST /<function>` for a call.
pub fn router(functions: Functions, limits: Config) -> Router {
    traced(functions, limits, None)
}

/// Adds to every answer the headers that a page must have.
pub fn shielded(router: Router) -> Router {
    router.layer(map_response(shield::shielded))
}

/// The same, with spans that are collected.
pub fn traced(functions: Functions, limits: Config, sink: Option<Arc<Sink>>) -> Router {
    let host = Arc::new(Host { functions, limits, room: Room::default(), sink });
    Router::new()
        .route("/", get(async || Answer::done([])))
        .route("/{function}", post(invoke))
        .fallback(async || Answer::refused(StatusCode::NOT_FOUND, "there is no such path"))
        .method_not_allowed_fallback(async || {
            Answer::refused(StatusCode::METHOD_NOT_ALLOWED, "functions are called with POST")
        })
        .with_state(host)
}

struct Host {
    functions: Functions,
    limits: Config,
    room: Room,
    sink: Option<Arc<Sink>>,
}

async fn invoke(State(host): State<Arc<Host>>, request: Request) -> Answer {
    let started = Instant::now();
    let function: Arc<str> = request.uri().path().trim_start_matches('/').into();
    let headers = request.headers();
    let invocation = header(headers, "x-azure-functions-invocationid");
    let invocation = invocation.unwrap_or_else(|| "unknown".into());
    let span = info_span!("call", %invocation, %function, attempt = field::Empty);
    let traceparent = header(headers, "traceparent");
    let deadline = started + host.limits.answer_within;
    let (_place, body) = host.body(request).await;
    let parent = traceparent.clone();
    let name = host.span_name(&function);
    let work = async {
        let answer = match host.call(&function, body) {
            Ok((handler, envelope)) => {
                Span::current().record("attempt", envelope.attempt().count);
                trace::note("faas.invocation_id", invocation.as_str());
                let call = Call { function, envelope, invocation, traceparent, deadline };
                carry_out(&*handler, call, deadline + host.limits.grace).await
            }
            Err(answer) => answer,
        };
        trace::note("http.response.status_code", answer.status().as_u16());
        info!(status = answer.status().as_u16(), millis = millis(started.elapsed()), "answered");
        answer
    }
    .instrument(span);
    Box::pin(trace::call(host.sink.as_ref(), parent.as_deref(), name, work)).await
}

impl Host {
    /// The body of a call, once there is room for it; or the status that refuses it. One that says that
    /// it is too long is not read.
    async fn body(&self, request: Request) -> (Place<'_>, Result<Bytes, StatusCode>) {
        let limit = self.limits.body_limit;
        let said = header(request.headers(), CONTENT_LENGTH.as_str());
        let said = said.and_then(|length| length.parse::<usize>().ok());
        if let Some(length) = said {
            if length > limit {
                return (None, Err(StatusCode::PAYLOAD_TOO_LARGE));
            }
            let place = self.room.take(length).await;
            return (place, whole(request.into_body(), length, limit).await);
        }
        // Sent in pieces: how long it is shows when it is there.
        let body = whole(request.into_body(), 0, limit).await;
        let length = body.as_ref().map_or(0, Bytes::len);
        (self.room.take(length).await, body)
    }

    /// The name of a call's span; a path that is no function has none of its own.
    fn span_name(&self, function: &str) -> String {
        let known = self.functions.contains_key(function);
        format!("call {}", if known { function } else { "?" })
    }

    /// What a call needs, or the answer of one that cannot be carried out.
    fn call(
        &self,
        function: &str,
        body: Result<Bytes, StatusCode>,
    ) -> Result<(Arc<dyn Handler>, Envelope), Answer> {
        let refused = |status, reason: &str| {
            warn!(reason, "call refused");
            Answer::refused(status, reason)
        };
        let handler = self.functions.get(function).ok_or_else(|| {
            refused(StatusCode::NOT_FOUND, "there is no such function; names are case-sensitive")
        })?;
        let body = body.map_err(|status| match status {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let limit = self.limits.body_limit;
                let reason = format!(
                    "the call's body is above {limit} bytes; lower maxEventBatchSize or raise the limit"
                );
                refused(StatusCode::PAYLOAD_TOO_LARGE, &reason)
            }
            _ => refused(StatusCode::BAD_REQUEST, "the call's body broke off"),
        })?;
        let envelope = Envelope::parse(body)
            .map_err(|fault| refused(StatusCode::BAD_REQUEST, &fault.to_string()))?;
        Ok((Arc::clone(handler), envelope))
    }
}

/// Reads a body into one piece of memory, made as long as it says that it is.
async fn whole(body: Body, length: usize, limit: usize) -> Result<Bytes, StatusCode> {
    let mut whole = BytesMut::with_capacity(length);
    let mut pieces = body.into_data_stream();
    while let Some(piece) = pieces.next().await {
        let piece = piece.map_err(|_| StatusCode::BAD_REQUEST)?;
        if whole.len() + piece.len() > limit {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(whole.freeze())
}

/// Runs a handler; a panic or an overrun becomes an answer.
async fn carry_out(handler: &dyn Handler, call: Call, cut_off: Instant) -> Answer {
    match timeout_at(cut_off, AssertUnwindSafe(handler.handle(call)).catch_unwind()).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(panic)) => {
            error!(reason = literal(&*panic), "call panicked");
            Answer::refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the call failed inside; see the log",
            )
        }
        Err(_) => {
            error!("call cut off after its deadline");
            Answer::again("the call overran its deadline and was cut off")
        }
    }
}

/// The text of a panic when it is written in the code; one put together may quote a value.
fn literal(panic: &(dyn Any + Send)) -> &'static str {
    panic.downcast_ref::<&'static str>().copied().unwrap_or("not shown, it may quote values")
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = headers.get(name)?.to_str().ok()?;
    (value.len() <= 256).then(|| value.to_owned())
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;
