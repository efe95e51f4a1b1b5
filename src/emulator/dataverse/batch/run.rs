//! Running a batch: in order, stopping at the first failure unless asked to go on. A changeset is all
//! or nothing and fails as one part; `$n` stands for the row that its part n wrote.

use axum::http::Method;

use super::parse::{Item, Operation};
use super::render::{self, Part};
use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::call::{self, Call};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::{bind, service};

/// Runs all items and makes the outer answer: 200, or 400 when it stopped early.
pub fn all(session: &mut Session<'_>, call: &Call, items: &[Item]) -> Answer {
    let mut parts = Vec::new();
    let mut status = 200;
    for item in items {
        let failed = match item {
            Item::One(operation) => {
                let answer = one(session, call, operation);
                let failed = answer.status >= 400;
                parts.push(Part::One(answer));
                failed
            }
            Item::Changeset(operations) => {
                let (answers, failed) = changeset(session, call, operations);
                let boundary = session.chance.uuid();
                parts.push(Part::Changeset(boundary, answers));
                failed
            }
        };
        if failed && !call.prefer.continue_on_error {
            status = 400;
            break;
        }
    }
    let answer = render::answer(status, session.chance.uuid(), &parts);
    match call.prefer.applied() {
        Some(applied) => answer.with("Preference-Applied", applied),
        None => answer,
    }
}

fn one(session: &mut Session<'_>, call: &Call, operation: &Operation) -> Answer {
    match inner(session, call, operation) {
        Ok(call) => service::one(session, &call),
        Err(refusal) => Answer::refused(&refusal, &call.prefer),
    }
}

type Answers = Vec<(Option<String>, Answer)>;

fn changeset(session: &mut Session<'_>, call: &Call, operations: &[Operation]) -> (Answers, bool) {
    let mut failed = None;
    let done = session.attempt(|session| {
        let mut answers = Answers::new();
        for operation in operations {
            session.written = None;
            let answer = written(session, call, operation);
            if answer.status >= 400 {
                let refusal = Refusal::new(answer.status, "", "");
                failed = Some((operation.content_id.clone(), answer));
                return Err(refusal);
            }
            if let (Some(id), Some(url)) = (&operation.content_id, session.written.take()) {
                session.references.insert(format!("${id}"), url);
            }
            answers.push((operation.content_id.clone(), answer));
        }
        Ok(answers)
    });
    session.references.clear();
    match done {
        Ok(answers) => (answers, false),
        Err(_) => (failed.into_iter().collect(), true),
    }
}

/// One operation of a changeset: these may only write.
fn written(session: &mut Session<'_>, call: &Call, operation: &Operation) -> Answer {
    if operation.method == "GET" {
        let refusal = Refusal::payload("A changeset may not hold GET requests.");
        return Answer::refused(&refusal, &call.prefer);
    }
    one(session, call, operation)
}

fn inner(session: &Session<'_>, outer: &Call, operation: &Operation) -> Result<Call, Refusal> {
    let url = resolved(session, &operation.url)?;
    call::check_length(&url, call::LONGEST_IN_BATCH)?;
    let method = Method::from_bytes(operation.method.as_bytes())
        .map_err(|_| Refusal::payload("A part of the batch has no HTTP method."))?;
    let root = outer.base.find("/api/data/").and_then(|end| outer.base.get(..end));
    let headers = operation.headers.clone();
    let inner = Call::new(method, &url, headers, operation.body.clone(), root.unwrap_or_default())?;
    if inner.path.first().is_some_and(|segment| segment.name == "$batch") {
        return Err(Refusal::payload("A batch may not hold a batch."));
    }
    Ok(inner)
}

/// Puts the address of a row in the place of `$1`, alone or before a path.
fn resolved(session: &Session<'_>, url: &str) -> Result<String, Refusal> {
    let relative = url.trim_start_matches('/');
    let Some(rest) = relative.strip_prefix('$') else { return Ok(url.to_owned()) };
    if !rest.starts_with(|first: char| first.is_ascii_digit()) {
        return Ok(url.to_owned());
    }
    let end = relative.find(['/', '?']).unwrap_or(relative.len());
    let (id, path) = relative.split_at(end);
    let row = session.references.get(id).ok_or_else(|| bind::unknown_content_id(id))?;
    Ok(format!("{row}{path}"))
}
