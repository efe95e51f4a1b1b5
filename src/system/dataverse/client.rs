//! One HTTP call, and the same call until the deadline.
//!
//! [`Client::once`] adds the headers, makes the call and reads a bounded answer;
//! [`Client::persist`] repeats it while the cause may pass. Both keep no cookies (each would bind
//! all work to one web server) and follow no redirects.
//!
//! A call whose fate is unknown is repeated like any other: within one claim the content is the
//! same, upserts by key are idempotent, and no newer version of the row can have been written by us
//! before the claim ends. Only what the service says last counts, with one exception: after an
//! unknown fate, a failure that is no judgement on the content (throttled, cut again) leaves the
//! fate unknown.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use jiff::fmt::rfc2822;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::{Method, Response};
use tokio::time::{Instant, sleep};

use super::allowance::Left;
use super::classify::{Cause, Failure, Fate, classify, gateway};
use super::pace::Pace;
use super::{Bearer, Config};
use crate::chance::Chance;
use crate::change::Correlation;
use crate::clock::{SharedClock, between};
use crate::fault::{Act, Fault, Kind};
use crate::retry::{Backoff, LONGEST_ASKED};
use crate::system::Lane;
use crate::telemetry::trace;

/// Answers larger than this are refused; a page of 5000 rows stays far below.
const LARGEST_ANSWER: usize = 64 << 20;
/// How long an answer is still waited for after the deadline.
const GRACE: Duration = Duration::from_secs(2);
/// What is left of the allowance (Dataverse Web API, limits).
const REQUESTS_LEFT: &str = "x-ms-ratelimit-burst-remaining-xrm-requests";
const SECONDS_LEFT: &str = "x-ms-ratelimit-time-remaining-xrm-requests";
/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(10);

/// One call, before the headers that every call has.
#[derive(Clone, Debug)]
pub(super) struct Call {
    /// The verb.
    pub(super) method: Method,
    /// Path and query below the root of the Web API, encoded.
    pub(super) path: String,
    /// The content and its type.
    pub(super) body: Option<(String, Bytes)>,
    /// What is preferred, for `Prefer`.
    pub(super) prefer: Option<&'static str>,
}

impl Call {
    /// A read.
    pub(super) fn get(path: impl Into<String>) -> Self {
        Self { method: Method::GET, path: path.into(), body: None, prefer: None }
    }

    /// A write with a JSON body.
    pub(super) fn post(path: impl Into<String>, body: Vec<u8>) -> Self {
        let body = Some(("application/json".to_owned(), body.into()));
        Self { method: Method::POST, path: path.into(), body, prefer: None }
    }
}

/// On whose behalf a call is made, and until when calls may start.
#[derive(Clone, Copy, Debug)]
pub(super) struct Errand {
    /// Follows the change into the service's own traces.
    pub(super) correlation: Correlation,
    /// No call starts after it.
    pub(super) deadline: Instant,
    /// Whether it may have to wait for others.
    pub(super) lane: Lane,
}

/// An answer that is a success.
#[derive(Debug)]
pub(super) struct Reply {
    /// The content.
    pub(super) body: Bytes,
    /// The type of the content; empty when there is none.
    pub(super) kind: String,
    /// How long the service took.
    pub(super) took: Duration,
    /// What it says besides.
    pub(super) headers: HeaderMap,
}

/// Makes calls to one environment.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    root: String,
    tokens: Option<Arc<dyn Bearer>>,
    pace: Pace,
    backoff: Backoff,
    longest: Duration,
    agent: String,
    chance: Chance,
    clock: SharedClock,
    calls: AtomicU64,
    troubled: AtomicBool,
}

impl Client {
    pub(super) fn new(
        config: &Config,
        tokens: Option<Arc<dyn Bearer>>,
        clock: SharedClock,
        chance: Chance,
    ) -> Result<Self, Fault> {
        let root = config.root(tokens.is_some())?;
        let builder = reqwest::Client::builder()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT)
            .gzip(true);
        // Certificates are read when a client is built, which takes time and memory.
        let http = if root.starts_with("http:") { builder.tls_certs_only([]) } else { builder }
            .build()
            .map_err(|error| {
                Fault::new(Kind::Misconfigured, "no HTTP client could be made").caused_by(error)
            })?;
        Ok(Self {
            http,
            root,
            tokens,
            pace: Pace::new(config.parallel, config.window),
            backoff: config.backoff,
            longest: config.longest,
            agent: config.user_agent.clone(),
            chance,
            clock,
            calls: AtomicU64::new(0),
            troubled: AtomicBool::new(false),
        })
    }

    /// The root of the Web API, without a final slash.
    pub(super) fn root(&self) -> &str {
        &self.root
    }

    /// How many HTTP calls were made.
    pub(super) fn calls(&self) -> u64 {
        self.calls.load(Ordering::Relaxed)
    }

    /// Whether the last call found nobody there, or was turned away.
    pub(super) fn is_troubled(&self) -> bool {
        self.troubled.load(Ordering::Relaxed)
    }

    /// A token, when the environment wants one. Cheap when it is cached.
    pub(super) async fn token(&self) -> Result<Option<String>, Failure> {
        let Some(tokens) = &self.tokens else { return Ok(None) };
        tokens.bearer().await.map(Some).map_err(|fault| {
            let cause = match fault.act() {
                Act::Retry => Cause::Unreachable,
                Act::Park | Act::Poison | Act::Halt => Cause::Token,
            };
            Failure::unanswered(cause, Fate::Not, fault)
        })
    }

    /// Makes the call until it succeeds, is refused, or the deadline is there.
    pub(super) async fn persist(&self, call: &Call, errand: &Errand) -> Result<Reply, Failure> {
        let mut last: Option<Failure> = None;
        for failures in 1_u32.. {
            let entered = self.pace.enter(errand.deadline, errand.lane).await;
            let Some(permit) = entered else { break };
            let failure = match self.once(call, errand).await {
                Ok(reply) => return Ok(reply),
                Err(failure) => failure.after(last.as_ref()),
            };
            if !failure.cause.passes() {
                return Err(failure);
            }
            let pause = self.pause(failures, failure.fault.retry_after);
            tracing::debug!(failures, kind = %failure.fault.kind, ?pause, "call is repeated");
            if failure.cause == Cause::Throttled {
                permit.throttled(pause);
            }
            drop(permit);
            let fits = Instant::now() + pause < errand.deadline;
            let throttled = failure.cause == Cause::Throttled;
            last = Some(failure);
            if !fits {
                break;
            }
            if !throttled {
                sleep(pause).await;
            }
        }
        Err(last.unwrap_or_else(Failure::late))
    }

    /// The pause after so many failures.
    pub(super) fn pause(&self, failures: u32, asked: Option<Duration>) -> Duration {
        self.backoff.pause(failures, asked, &self.chance)
    }

    /// Makes the call once; a token that is not taken is renewed once.
    pub(super) async fn once(&self, call: &Call, errand: &Errand) -> Result<Reply, Failure> {
        if Instant::now() >= errand.deadline {
            return Err(Failure::late());
        }
        let token = self.token().await?;
        let result = trace::client("target", self.exchange(call, errand, token.as_deref())).await;
        let result = match (result, &self.tokens, token) {
            (Err(failure), Some(tokens), Some(token)) if failure.cause == Cause::Token => {
                tokens.forget(&token);
                let fresh = self.token().await?;
                trace::client("target", self.exchange(call, errand, fresh.as_deref())).await
            }
            (result, _, _) => result,
        };
        self.note(&result);
        result
    }

    fn note(&self, result: &Result<Reply, Failure>) {
        let troubled = result.as_ref().err().is_some_and(|failure| {
            matches!(
                failure.fault.kind,
                Kind::Unreachable | Kind::Timeout | Kind::Credential | Kind::Forbidden
            )
        });
        self.troubled.store(troubled, Ordering::Relaxed);
        if result.is_ok() {
            self.pace.went_well();
        }
    }

    async fn exchange(
        &self,
        call: &Call,
        errand: &Errand,
        token: Option<&str>,
    ) -> Result<Reply, Failure> {
        let url = format!("{}/{}", self.root, call.path);
        let left = errand.deadline.saturating_duration_since(Instant::now()) + GRACE;
        let mut request = self
            .http
            .request(call.method.clone(), url)
            .headers(self.headers(call, errand))
            .timeout(left.min(self.longest));
        if let Some(token) = token {
            request = request.bearer_auth(token);
        }
        if let Some((kind, body)) = &call.body {
            request = request.header(CONTENT_TYPE, kind).body(body.clone());
        }
        self.calls.fetch_add(1, Ordering::Relaxed);
        trace::note("http.request.method", call.method.as_str());
        trace::note("concord.correlation", errand.correlation.to_string());
        let sent = Instant::now();
        let response = request.send().await.map_err(unsent)?;
        self.read(response, sent).await
    }

    fn headers(&self, call: &Call, errand: &Errand) -> HeaderMap {
        let correlation = errand.correlation;
        let mut headers = HeaderMap::new();
        let mut set = |name: &'static str, value: &str| {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(name, value);
            }
        };
        set("accept", "application/json");
        set("odata-version", "4.0");
        set("odata-maxversion", "4.0");
        set("user-agent", &format!("{} ({correlation})", self.agent));
        set("x-ms-client-session-id", &correlation.to_string());
        // Within the trace of the host's call, else in the change's own.
        let own = || correlation.traceparent(self.chance.below(u64::MAX));
        set("traceparent", &trace::traceparent().unwrap_or_else(own));
        if call.method == Method::GET {
            set("if-none-match", "null");
        }
        if let Some(prefer) = call.prefer {
            set("prefer", prefer);
        }
        headers
    }

    async fn read(&self, mut response: Response, sent: Instant) -> Result<Reply, Failure> {
        let status = response.status();
        trace::note("http.response.status_code", status.as_u16());
        let headers = response.headers();
        if let Some(hint) = text(headers, "x-ms-dop-hint").and_then(|hint| hint.parse().ok()) {
            self.pace.hint(hint);
        }
        let number = |name| text(headers, name).and_then(|left| left.trim().parse().ok());
        if let (Some(requests), Some(seconds)) = (number(REQUESTS_LEFT), number(SECONDS_LEFT)) {
            self.pace.left(sent, Left { requests, seconds });
        }
        let pause = text(headers, RETRY_AFTER.as_str()).and_then(|text| self.retry_after(text));
        let kind = text(headers, CONTENT_TYPE.as_str()).unwrap_or_default().to_owned();
        let id = ["x-ms-service-request-id", "req_id", "x-ms-request-id"];
        let id = id.iter().find_map(|name| text(headers, name)).unwrap_or("-").to_owned();
        let headers = std::mem::take(response.headers_mut());
        let body = bounded(response).await?;
        tracing::debug!(status = status.as_u16(), request = id, bytes = body.len(), "answered");
        // A batch that stopped at its first failure says 400 and still answers part by part.
        if status.is_success() || kind.starts_with("multipart/mixed") {
            if kind.starts_with("text/html") {
                return Err(gateway(status.as_u16(), &body));
            }
            return Ok(Reply { body, kind, took: sent.elapsed(), headers });
        }
        Err(classify(status.as_u16(), pause, &body))
    }

    /// Seconds, or a date (HTTP semantics, Retry-After).
    pub(super) fn retry_after(&self, text: &str) -> Option<Duration> {
        let pause = if let Ok(seconds) = text.trim().parse() {
            Duration::from_secs(seconds)
        } else {
            between(self.clock.now(), rfc2822::parse(text.trim()).ok()?.timestamp())
        };
        Some(pause.min(LONGEST_ASKED))
    }
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

async fn bounded(response: Response) -> Result<Bytes, Failure> {
    let mut stream = response.bytes_stream();
    let mut body = BytesMut::new();
    while let Some(piece) = stream.next().await {
        body.extend_from_slice(&piece.map_err(unsent)?);
        if body.len() > LARGEST_ANSWER {
            let fault = Fault::new(Kind::Unreachable, "the target's answer was too large to read");
            return Err(Failure::unanswered(Cause::Unreachable, Fate::Unknown, fault));
        }
    }
    Ok(body.freeze())
}

/// What is known when there is no answer: before a connection stands nothing was sent.
fn unsent(error: reqwest::Error) -> Failure {
    let error = error.without_url();
    let (cause, fate, kind, message) = if error.is_builder() {
        (Cause::Refused, Fate::Not, Kind::Misconfigured, "the call could not be built; check url")
    } else if error.is_connect() {
        let message = "the target could not be reached; check url, network and certificate";
        (Cause::Unreachable, Fate::Not, Kind::Unreachable, message)
    } else if error.is_timeout() {
        let message = "the target did not answer in time; it is tried again by itself";
        (Cause::Slow, Fate::Unknown, Kind::Timeout, message)
    } else {
        let message = "the connection was cut before the answer; it is tried again by itself";
        (Cause::Unreachable, Fate::Unknown, Kind::Unreachable, message)
    };
    Failure::unanswered(cause, fate, Fault::new(kind, message).caused_by(error))
}
