//! The files of maps, what targets and storage answer, and what clients ask of the emulated Dataverse.

use std::sync::{LazyLock, Mutex, PoisonError};

use axum::http::{HeaderMap, HeaderValue, Method};
use bytes::Bytes;
use serde::de::IgnoredAny;

use crate::chance::Chance;
use crate::config;
use crate::emulator::dataverse::answer::{Answer, JSON};
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::router;
use crate::emulator::dataverse::state::{Options, State};
use crate::mapping::load;
use crate::store;
use crate::system::dataverse;

pub(super) fn map(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (_, problems) = load::texts(&[text.to_owned()]);
    placed(text, problems.iter().map(|problem| problem.line));
}

pub(super) fn configuration(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let problems = config::problems_of(text);
    placed(text, problems.iter().map(|problem| problem.line));
}

/// Every problem points into the file.
fn placed(text: &str, lines: impl Iterator<Item = usize>) {
    let last = text.split('\n').count();
    for line in lines {
        assert!((1..=last).contains(&line), "a problem in line {line} of {last}");
    }
}

/// The first line is the content type.
pub(super) fn batch_answer(data: &[u8]) {
    let (kind, body) = halves(data);
    dataverse::read_batch_answer(&kind, &body);
}

/// The first line is the status.
pub(super) fn transaction_answer(data: &[u8]) {
    let (status, body) = halves(data);
    store::azure::read_answer(status.trim().parse().unwrap_or(202), &body);
}

fn emulator() -> State {
    State::new(Options { chance: Chance::seeded(1), ..Options::default() }).expect("an emulator")
}

/// The path and query of a `GET`.
pub(super) fn query(data: &[u8]) {
    // Nothing is written, so that all runs may share it.
    static STATE: LazyLock<State> = LazyLock::new(|| {
        let state = emulator();
        for number in 0..4 {
            let body = format!(
                r#"{{"name":"A{number}","accountnumber":"{number}","revenue":{number}.5}}"#
            );
            answered(&state, Method::POST, "accounts", &HeaderMap::new(), body.into());
        }
        state
    });
    let url = String::from_utf8_lossy(data);
    answered(&STATE, Method::GET, &url, &HeaderMap::new(), Bytes::new());
}

/// The first line is the content type of a `$batch`.
pub(super) fn batch(data: &[u8]) {
    // Made anew only when it was written to, because that takes long.
    static STATE: LazyLock<Mutex<State>> = LazyLock::new(|| Mutex::new(emulator()));
    let (kind, body) = halves(data);
    let mut headers = HeaderMap::new();
    if let Ok(kind) = HeaderValue::from_str(kind.trim()) {
        headers.insert("content-type", kind);
    }
    let mut state = STATE.lock().unwrap_or_else(PoisonError::into_inner);
    let versions = |state: &State| {
        let env = &state.world().env;
        (env.version, env.metadata_version)
    };
    let before = versions(&state);
    answered(&state, Method::POST, "$batch", &headers, body);
    if versions(&state) != before {
        *state = emulator();
    }
}

fn answered(state: &State, method: Method, url: &str, headers: &HeaderMap, body: Bytes) {
    let Ok(call) = Call::new(method, url, headers.clone(), body, "http://here") else { return };
    let Some(answer) = router::answered(state, &call) else { return };
    assert!((200..600).contains(&answer.status), "status {}", answer.status);
    let is_json = |answer: &Answer| answer.headers.iter().any(|(_, value)| value == JSON);
    if is_json(&answer) && !answer.body.is_empty() {
        let read = serde_json::from_slice::<IgnoredAny>(&answer.body);
        assert!(read.is_ok(), "an answer is no JSON: {}", String::from_utf8_lossy(&answer.body));
    }
}

/// The first line, and the rest.
fn halves(data: &[u8]) -> (String, Bytes) {
    let end = data.iter().position(|byte| *byte == b'\n').unwrap_or(data.len());
    let (line, rest) = data.split_at(end);
    let rest = rest.strip_prefix(b"\n").unwrap_or(rest);
    (String::from_utf8_lossy(line).into_owned(), Bytes::copy_from_slice(rest))
}
