//! One HTTP exchange with a storage service: signed, timed, bounded and counted.
//!
//! In: a [`Request`]. Out: an [`Answer`] whose status the caller judges, or an [`Error`] when nothing was
//! done or nothing is known. [`Client::read`] tries again in place; [`Client::send`] never does, because
//! a write whose answer was lost may have happened.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use jiff::fmt::rfc2822::DateTimePrinter;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Method, StatusCode, Url};
use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;

use super::refusal::{self, Refusal};
use super::sign;
use crate::chance::Chance;
use crate::clock::SharedClock;
use crate::identity::Tokens;
use crate::store::{Account, Call, Counters, Error};

const API_VERSION: &str = "2020-12-06";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
const TIMEOUT: Duration = Duration::from_secs(30);
const LARGEST_ANSWER: usize = 64 * 1024 * 1024;
/// A read is tried this often, within this time, first pausing this long.
const ATTEMPTS: u32 = 4;
const PATIENCE: Duration = Duration::from_secs(6);
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// Which of the account's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Tables,
    Queues,
    Blobs,
}

/// How requests are authorised.
#[derive(Clone, Debug)]
pub(super) enum Access {
    Key(SecretString),
    Identity(Arc<Tokens>),
}

/// Sends requests to one service of one account. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    account: Arc<Account>,
    access: Access,
    service: Service,
    clock: SharedClock,
    chance: Chance,
    counters: Arc<Counters>,
}

/// What is asked.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) call: Call,
    pub(super) method: Method,
    /// The encoded path below the service's address.
    pub(super) path: String,
    /// Names and values of the query, not yet encoded.
    pub(super) query: Vec<(&'static str, String)>,
    /// Headers by lower-case name.
    pub(super) headers: Vec<(&'static str, String)>,
    pub(super) body: Bytes,
}

impl Request {
    pub(super) fn new(call: Call, method: Method, path: impl Into<String>) -> Self {
        let (path, query, headers) = (path.into(), Vec::new(), Vec::new());
        Self { call, method, path, query, headers, body: Bytes::new() }
    }

    pub(super) fn query(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.query.push((name, value.into()));
        self
    }

    pub(super) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(super) fn body(mut self, kind: impl Into<String>, body: impl Into<Bytes>) -> Self {
        self.body = body.into();
        self.header("content-type", kind)
    }
}

/// What came back: any status but those that say nothing about what happened.
#[derive(Clone, Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Bytes,
    /// From sending to the last byte.
    pub(super) elapsed: Duration,
}

impl Answer {
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The service's refusal, if it is one.
    pub(super) fn refusal(&self) -> Option<Refusal> {
        let mut refusal =
            (!self.status.is_success()).then(|| Refusal::read(self.status, &self.body))?;
        if let (true, Some(code)) = (refusal.code.is_empty(), self.header("x-ms-error-code")) {
            code.clone_into(&mut refusal.code);
        }
        Some(refusal)
    }
}

impl Client {
    pub(super) fn new(
        account: &Account,
        access: Access,
        clock: SharedClock,
        chance: Chance,
        counters: Arc<Counters>,
    ) -> Result<Self, Error> {
        let builder = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(TIMEOUT)
            .redirect(Policy::none());
        // Certificates are read when a client is built, which takes time and memory.
        let roots = [&account.tables, &account.queues, &account.blobs];
        let is_plain = roots.iter().all(|root| root.scheme() == "http");
        let http = if is_plain { builder.tls_certs_only([]) } else { builder }
            .build()
            .map_err(|error| Error::Invalid { reason: lost(&error) })?;
        let (account, service) = (Arc::new(account.clone()), Service::Tables);
        Ok(Self { http, account, access, service, clock, chance, counters })
    }

    /// The same for another service.
    pub(super) fn to(&self, service: Service) -> Self {
        Self { service, ..self.clone() }
    }

    pub(super) fn access(&self) -> &Access {
        &self.access
    }

    /// The connections, which all services of the account share.
    pub(super) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    pub(super) fn account(&self) -> &str {
        &self.account.name
    }

    pub(super) fn chance(&self) -> &Chance {
        &self.chance
    }

    /// The service's address, without a final slash.
    pub(super) fn root(&self) -> &str {
        let base = match self.service {
            Service::Tables => &self.account.tables,
            Service::Queues => &self.account.queues,
            Service::Blobs => &self.account.blobs,
        };
        base.as_str().trim_end_matches('/')
    }

    /// The service's address followed by an encoded path.
    fn url(&self, path: &str) -> Result<Url, Error> {
        Url::parse(&format!("{}/{path}", self.root()))
            .map_err(|_| Error::Invalid { reason: "a name or key makes no address".into() })
    }

    /// Sends a request that changes nothing, or may be repeated; tries again a few times when the
    /// service does not answer, honouring the pause it asks for as far as that fits.
    pub(super) async fn read(&self, request: &Request) -> Result<Answer, Error> {
        let (started, mut pause) = (Instant::now(), FIRST_PAUSE);
        for _ in 1..ATTEMPTS {
            let error = match self.send(request).await {
                Err(error @ Error::Unavailable { .. }) => error,
                done => return done,
            };
            let asked = match &error {
                Error::Unavailable { retry_after, .. } => retry_after.unwrap_or_default(),
                Error::Conflict { .. }
                | Error::TooLarge { .. }
                | Error::Unauthorised { .. }
                | Error::Invalid { .. } => Duration::ZERO,
            };
            let wait = asked.saturating_add(self.chance.jittered(pause));
            if started.elapsed() + wait > PATIENCE {
                return Err(error);
            }
            tokio::time::sleep(wait).await;
            pause *= 3;
        }
        self.send(request).await
    }

    /// Sends a request once.
    pub(super) async fn send(&self, request: &Request) -> Result<Answer, Error> {
        let prepared = self.prepare(request).await?;
        self.counters.count(request.call);
        let started = Instant::now();
        let answer = match prepared.send().await {
            Ok(response) => receive(response, started).await,
            Err(error) => Err(unavailable(lost(&error))),
        }?;
        self.judged(answer)
    }

    fn judged(&self, answer: Answer) -> Result<Answer, Error> {
        let Some(refusal) = answer.refusal() else { return Ok(answer) };
        if refusal.is_passing() {
            return Err(refusal.unavailable(retry_after(&answer)));
        }
        if let (StatusCode::UNAUTHORIZED, Access::Identity(tokens)) = (answer.status, &self.access)
        {
            tokens.discard();
        }
        Ok(answer)
    }

    async fn prepare(&self, request: &Request) -> Result<reqwest::RequestBuilder, Error> {
        let mut url = self.url(&request.path)?;
        if !request.query.is_empty() {
            let encode = super::address::encode;
            let pairs =
                request.query.iter().map(|(name, value)| format!("{name}={}", encode(value)));
            url.set_query(Some(&pairs.collect::<Vec<_>>().join("&")));
        }
        let mut headers: BTreeMap<&str, String> = request.headers.iter().cloned().collect();
        let date = DateTimePrinter::new().timestamp_to_rfc9110_string(&self.clock.now());
        let date =
            date.map_err(|_| Error::Invalid { reason: "the clock is out of range".into() })?;
        headers.insert("x-ms-date", date);
        headers.insert("x-ms-version", API_VERSION.to_owned());
        let authorization = self.authorization(request, &url, &headers).await?;
        let mut authorization = HeaderValue::try_from(authorization)
            .map_err(|_| Error::Unauthorised { reason: "the token is no header value".into() })?;
        authorization.set_sensitive(true);
        let mut builder = self.http.request(request.method.clone(), url).body(request.body.clone());
        for (name, value) in headers {
            builder = builder.header(name, value);
        }
        Ok(builder.header(AUTHORIZATION, authorization))
    }

    async fn authorization(
        &self,
        request: &Request,
        url: &Url,
        headers: &BTreeMap<&'static str, String>,
    ) -> Result<String, Error> {
        let (account, length) = (self.account(), request.body.len());
        let date = headers.get("x-ms-date").map_or("", String::as_str);
        let signed = match (&self.access, self.service) {
            (Access::Identity(tokens), _) => {
                let token = tokens.bearer().await.map_err(|error| refusal::token(&error))?;
                return Ok(format!("Bearer {}", token.expose_secret()));
            }
            (Access::Key(key), Service::Tables) => sign::table(account, key, date, url),
            (Access::Key(key), Service::Queues | Service::Blobs) => {
                let method = &request.method;
                sign::full(account, key, &sign::Signed { method, url, headers, length })
            }
        };
        let reason = "the account key is not base64";
        signed.ok_or_else(|| Error::Unauthorised { reason: reason.to_owned() })
    }
}

async fn receive(mut response: reqwest::Response, started: Instant) -> Result<Answer, Error> {
    let (status, headers) = (response.status(), response.headers().clone());
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(|error| unavailable(lost(&error)))? {
        if body.len() + chunk.len() > LARGEST_ANSWER {
            return Err(unavailable("the answer is longer than 64 MiB".to_owned()));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Answer { status, headers, body: body.freeze(), elapsed: started.elapsed() })
}

/// The pause in seconds that the service asks for; storage never sends a date here.
fn retry_after(answer: &Answer) -> Option<Duration> {
    answer.header(RETRY_AFTER.as_str())?.trim().parse().ok().map(Duration::from_secs)
}

fn unavailable(reason: String) -> Error {
    Error::Unavailable { reason, retry_after: None }
}

/// What happened to an exchange, without its address.
fn lost(error: &reqwest::Error) -> String {
    let what = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else {
        "the connection was cut"
    };
    let mut cause: &dyn std::error::Error = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    let is_outermost = cause.downcast_ref::<reqwest::Error>().is_some();
    if is_outermost { what.to_owned() } else { format!("{what} ({cause})") }
}
