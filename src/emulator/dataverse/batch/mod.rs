//! `$batch`: many requests in one, some of them together in changesets that are all or nothing
//! (Dataverse Web API, batch operations). A batch that cannot be read is refused as plain JSON.

pub mod parse;
pub mod render;
pub mod run;

use axum::http::Method;

use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::session::Session;

/// The most operations in one batch.
pub const MOST: usize = 1000;

/// Answers a batch.
pub fn answer(session: &mut Session<'_>, call: &Call) -> Answer {
    let items = if call.method == Method::POST {
        parse::items(call.header("content-type").unwrap_or_default(), &call.body)
    } else {
        Err(call.unknown())
    };
    match items.and_then(|items| check(&items).map(|()| items)) {
        Ok(items) => run::all(session, call, &items),
        Err(refusal) => Answer::refused(&refusal, &call.prefer),
    }
}

fn check(items: &[parse::Item]) -> Result<(), Refusal> {
    let count: usize = items
        .iter()
        .map(|item| match item {
            parse::Item::One(_) => 1,
            parse::Item::Changeset(operations) => operations.len(),
        })
        .sum();
    if count > MOST {
        let message = format!("The batch holds {count} operations; at most {MOST} are allowed.");
        return Err(Refusal::payload(message));
    }
    Ok(())
}
