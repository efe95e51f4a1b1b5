//! The host's side: requests of the Functions host come in, calls to handlers go out, and every answer
//! is a JSON object. Refused, without a handler being asked: an unknown function (404), a body above
//! the limit (413), what is no envelope (400). A handler that panics or overruns harms its own call only.
//!
//! Source: Functions custom handler, process contract and invocation request.

mod answer;
mod bodies;
mod envelope;
mod functions;
mod metadata;
mod meter;
mod server;

use std::any::Any;
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use axum::Router;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::routing::{get, post};
use bytes::Bytes;
use futures::FutureExt;
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::{Instant, timeout_at};
use tracing::{Instrument, Span, error, field, info, info_span, warn};

pub use self::answer::Answer;
pub use self::envelope::{Envelope, Queued, Timer};
pub use self::functions::{Events, Sweep, Work, Works};
pub use self::meter::{Meter, Total};
pub use self::server::{bind, listen, serve};

use crate::delivery::Delivery;

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
    let host = Arc::new(Host { functions, limits });
    Router::new()
        .route("/", get(async || Answer::done([])))
        .route("/{function}", post(invoke))
        .fallback(async || Answer::refused(StatusCode::NOT_FOUND, "there is no such path"))
        .method_not_allowed_fallback(async || {
            Answer::refused(StatusCode::METHOD_NOT_ALLOWED, "functions are called with POST")
        })
        .layer(DefaultBodyLimit::max(limits.body_limit))
        .with_state(host)
}

struct Host {
    functions: Functions,
    limits: Config,
}

async fn invoke(
    State(host): State<Arc<Host>>,
    uri: Uri,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Answer {
    let started = Instant::now();
    let function: Arc<str> = uri.path().trim_start_matches('/').into();
    let invocation = header(&headers, "x-azure-functions-invocationid");
    let invocation = invocation.unwrap_or_else(|| "unknown".into());
    let span = info_span!("call", %invocation, %function, attempt = field::Empty);
    let traceparent = header(&headers, "traceparent");
    let deadline = started + host.limits.answer_within;
    async {
        let answer = match host.call(&function, body) {
            Ok((handler, envelope)) => {
                Span::current().record("attempt", envelope.attempt().count);
                let call = Call { function, envelope, invocation, traceparent, deadline };
                carry_out(&*handler, call, deadline + host.limits.grace).await
            }
            Err(answer) => answer,
        };
        info!(status = answer.status().as_u16(), millis = millis(started.elapsed()), "answered");
        answer
    }
    .instrument(span)
    .await
}

impl Host {
    /// What a call needs, or the answer of one that cannot be carried out.
    fn call(
        &self,
        function: &str,
        body: Result<Bytes, BytesRejection>,
    ) -> Result<(Arc<dyn Handler>, Envelope), Answer> {
        let refused = |status, reason: &str| {
            warn!(reason, "call refused");
            Answer::refused(status, reason)
        };
        let handler = self.functions.get(function).ok_or_else(|| {
            refused(StatusCode::NOT_FOUND, "there is no such function; names are case-sensitive")
        })?;
        let body = body.map_err(|error| match error.status() {
            StatusCode::PAYLOAD_TOO_LARGE => {
                let limit = self.limits.body_limit;
                let reason = format!(
                    "the call's body is above {limit} bytes; lower maxEventBatchSize or raise the limit"
                );
                refused(StatusCode::PAYLOAD_TOO_LARGE, &reason)
            }
            _ => refused(StatusCode::BAD_REQUEST, "the call's body broke off"),
        })?;
        let envelope = Envelope::parse(&body)
            .map_err(|fault| refused(StatusCode::BAD_REQUEST, &fault.to_string()))?;
        Ok((Arc::clone(handler), envelope))
    }
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
