//! The way of an HTTP request: read, count, authenticate, limit, perhaps spoil, answer. Everything below
//! `/_emulator` is the operator's and knows no limits or faults.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Request};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Response};
use axum::routing::any;
use bytes::Bytes;
use tokio::time::Instant;

use crate::chance::Chance;
use crate::emulator::dataverse::admin;
use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::call::{self, Call};
use crate::emulator::dataverse::caller;
use crate::emulator::dataverse::connection::Connection;
use crate::emulator::dataverse::faults::{Fault, Kind};
use crate::emulator::dataverse::limits::{Limits, Place, Remaining};
use crate::emulator::dataverse::prefer::Prefer;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::service;
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::state::State;
use crate::emulator::dataverse::steps::{self, Mode};

/// The largest body, in bytes: the service takes files up to 128 MB in one request.
const LARGEST_BODY: usize = 130 * 1024 * 1024;

/// The emulator as an axum router, for tests in one process and for the server.
pub fn router(state: Arc<State>) -> Router {
    Router::new().fallback(any(move |request: Request| {
        let state = Arc::clone(&state);
        async move { respond(&state, request).await }
    }))
}

async fn respond(state: &State, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let connection = parts.extensions.get::<ConnectInfo<Connection>>().map(|info| info.0.clone());
    let Ok(body) = axum::body::to_bytes(body, LARGEST_BODY).await else {
        let refusal = Refusal::new(413, "0x80040203", "The request body is too large.");
        return Answer::refused(&refusal, &Prefer::default()).into_response();
    };
    if parts.uri.path().starts_with("/_emulator") {
        return admin::answer(state, &parts.method, parts.uri.path(), &body).into_response();
    }
    let server = server(state, &parts.headers);
    let answer = match read(state, parts, body) {
        Ok(call) => served(state, &call, server).await,
        Err(refusal) => Served::Answer(Answer::refused(&refusal, &Prefer::default())),
    };
    match answer {
        Served::Answer(answer) => finished(state, answer, server).into_response(),
        Served::Cut => {
            if let Some(connection) = connection {
                connection.cut();
            }
            // Without a connection of ours to cut, the body breaks off instead.
            let broken = futures::stream::once(async {
                Err::<Bytes, _>(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
            });
            Response::new(Body::from_stream(broken))
        }
    }
}

enum Served {
    Answer(Answer),
    Cut,
}

fn read(state: &State, parts: Parts, body: Bytes) -> Result<Call, Refusal> {
    let host = parts.headers.get("host").and_then(|host| host.to_str().ok());
    let origin = match &state.options.origin {
        Some(origin) => origin.trim_end_matches('/').to_owned(),
        None => format!("{}://{}", scheme(&parts.headers), host.unwrap_or("localhost")),
    };
    let url = parts.uri.path_and_query().map_or("/", |whole| whole.as_str());
    if parts.method == Method::GET {
        call::check_length(url, call::LONGEST)?;
    }
    Call::new(parts.method, url, parts.headers, body, &origin)
}

/// How the caller came: over https when a front says so.
fn scheme(headers: &HeaderMap) -> &'static str {
    let forwarded = headers.get("x-forwarded-proto").and_then(|value| value.to_str().ok());
    if forwarded == Some("https") { "https" } else { "http" }
}

/// The web server that takes the request: the one its affinity cookie names, or any.
fn server(state: &State, headers: &HeaderMap) -> u64 {
    let servers = state.limits().as_ref().map_or(1, Limits::servers);
    let cookies = headers.get_all("cookie").iter().filter_map(|value| value.to_str().ok());
    let affine = cookies
        .flat_map(|cookies| cookies.split(';'))
        .find_map(|cookie| cookie.trim().strip_prefix("ARRAffinity=")?.parse().ok());
    affine.filter(|server| *server < servers).unwrap_or_else(|| state.options.chance.below(servers))
}

async fn served(state: &State, call: &Call, server: u64) -> Served {
    state.counters().arrived(call);
    let token = call.header("authorization").unwrap_or_default();
    if state.options.secret && !token.starts_with("Bearer ") {
        return Served::Answer(unauthorized(call));
    }
    let place = (server, token.to_owned());
    let now = state.options.clock.now();
    let entered = state.limits().as_mut().map(|limits| limits.enter(now, &place)).transpose();
    let remaining = match entered {
        Ok(remaining) => remaining,
        Err(refusal) => {
            state.counters().throttled += 1;
            return Served::Answer(Answer::refused(&refusal, &call.prefer));
        }
    };
    let start = Instant::now();
    let served = spoiled(state, call).await;
    leave(state, &place, start.elapsed());
    match served {
        Served::Answer(answer) => Served::Answer(with_remaining(answer, remaining)),
        Served::Cut => Served::Cut,
    }
}

fn leave(state: &State, place: &Place, took: Duration) {
    let now = state.options.clock.now();
    if let Some(limits) = state.limits().as_mut() {
        limits.leave(now, place, took);
    }
}

/// Answers the request unless a fault says otherwise.
async fn spoiled(state: &State, call: &Call) -> Served {
    let drawn = state.faults().draw(&state.options.chance, call.method.as_str(), &call.url);
    let Some(fault) = drawn else { return Served::Answer(done(state, call).await) };
    state.counters().injected(&fault.kind.name());
    match fault.kind {
        Kind::Throttled | Kind::Before(_) | Kind::Deadlock | Kind::Timeout | Kind::Aborted => {
            Served::Answer(shown(fault, call))
        }
        Kind::After(_) => {
            done(state, call).await;
            Served::Answer(shown(fault, call))
        }
        Kind::Cut => Served::Cut,
        Kind::Lost => {
            done(state, call).await;
            Served::Cut
        }
        Kind::Slow => {
            tokio::time::sleep(fault.span).await;
            Served::Answer(done(state, call).await)
        }
    }
}

fn shown(fault: Fault, call: &Call) -> Answer {
    let refusal = fault.refusal().unwrap_or_else(|| Refusal::new(500, "0x80040216", ""));
    Answer::refused(&refusal, &call.prefer)
}

/// Carries a request out. When synchronous steps listen to what it does, it is taken back, they are
/// asked, and it is carried out again, with the operations refused that they refuse.
async fn done(state: &State, call: &Call) -> Answer {
    let seed = state.options.chance.below(u64::MAX);
    match attempted(state, call, seed, None) {
        Attempted::Done(answer) => answer,
        Attempted::Asks(jobs) => {
            let refusals = steps::ask(state, jobs).await;
            match attempted(state, call, seed, Some(refusals)) {
                Attempted::Done(answer) => answer,
                Attempted::Asks(_) => Answer::refused(&Refusal::payload(""), &call.prefer),
            }
        }
    }
}

/// Answers a request at once, for fuzzers; nothing when steps listen to it.
#[cfg(any(test, fuzzing))]
pub(crate) fn answered(state: &State, call: &Call) -> Option<Answer> {
    match attempted(state, call, 0, None) {
        Attempted::Done(answer) => Some(answer),
        Attempted::Asks(_) => None,
    }
}

enum Attempted {
    Done(Answer),
    Asks(Vec<steps::Job>),
}

/// One attempt; both attempts of a request draw the same ids.
fn attempted(
    state: &State,
    call: &Call,
    seed: u64,
    agreed: Option<BTreeMap<usize, Refusal>>,
) -> Attempted {
    let mut world = state.world();
    let caller = match caller::of(call, &world.env) {
        Ok(caller) => caller,
        Err(refusal) => return Attempted::Done(Answer::refused(&refusal, &call.prefer)),
    };
    let chance = Chance::seeded(seed);
    let now = state.options.clock.now();
    let on = steps::Occasion { caller, now, chance: &chance };
    let mut session = Session::new(&mut world, &chance, caller, now);
    let first = agreed.is_none();
    session.refusals = agreed.unwrap_or_default();
    let answer = service::answer(&mut session, call);
    if first {
        let asks = steps::jobs(session.env, session.changes(), Mode::Synchronous, on);
        if !asks.is_empty() {
            session.take_all_back();
            return Attempted::Asks(asks);
        }
    }
    let done = session.finish();
    if done.defines {
        world.redefined();
    }
    let jobs = steps::queued(&world.env, &done.changes, on, &mut state.trouble());
    for job in jobs {
        state.send(job);
    }
    state.counters().done(done);
    Attempted::Done(answer)
}

fn unauthorized(call: &Call) -> Answer {
    let root = call.base.split("/api/").next().unwrap_or_default();
    let refusal = Refusal::new(401, "", "Authorization has been denied for this request.");
    Answer::refused(&refusal, &call.prefer).with(
        "WWW-Authenticate",
        format!(
            "Bearer authorization_uri=https://login.microsoftonline.com/common/oauth2/authorize, \
             resource_id={root}/"
        ),
    )
}

fn with_remaining(answer: Answer, remaining: Option<Remaining>) -> Answer {
    let Some(remaining) = remaining else { return answer };
    let seconds = remaining.time.as_secs_f64();
    answer
        .with("x-ms-ratelimit-burst-remaining-xrm-requests", remaining.requests.to_string())
        .with("x-ms-ratelimit-time-remaining-xrm-requests", format!("{seconds:.2}"))
}

/// The headers of every answer.
fn finished(state: &State, answer: Answer, server: u64) -> Answer {
    state.counters().answered(answer.status);
    let id = state.new_id();
    answer
        .with("x-ms-service-request-id", id.to_string())
        .with("REQ_ID", id.to_string())
        .with("x-ms-dop-hint", state.options.parallelism.to_string())
        .with("Set-Cookie", format!("ARRAffinity={server};Path=/;HttpOnly"))
}
