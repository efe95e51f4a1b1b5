//! Many operations in one `$batch` with continue-on-error, each answered on its own.
//!
//! Changesets are not used: a row that is refused must not undo its neighbours. What may pass is
//! repeated until the deadline, alone: the operations that were answered are not sent again.

mod read;
mod write;

use std::time::Duration;

use bytes::Bytes;
use reqwest::Method;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::Dataverse;
use super::classify::{Cause, Failure, Fate, classify};
use super::client::{Call, Errand};
use crate::fault::{Act, Fault, Kind};

pub(super) use write::Operation;

/// The most operations of one batch (Dataverse Web API, `$batch`).
const MOST: usize = 1000;

/// What a part of a batch answered when it was a success.
#[derive(Clone, Debug, Default)]
pub(super) struct Done {
    /// The content.
    pub(super) body: Bytes,
    /// The id of the row written, when the answer told it.
    pub(super) id: Option<Uuid>,
}

/// What became of one operation.
pub(super) type Part = Result<Done, Failure>;

/// Reads the answer to a batch of four operations, for fuzzers.
#[cfg(any(test, fuzzing))]
pub(super) fn read_answer(kind: &str, body: &Bytes) {
    for part in read::parts(kind, body, 4).unwrap_or_default() {
        drop(classify(part.status, None, &part.body).fault.to_string());
    }
}

impl Dataverse {
    /// Runs the operations and answers for each, in order.
    pub(super) async fn batch(&self, operations: &[Operation], errand: &Errand) -> Vec<Part> {
        let mut parts = Vec::with_capacity(operations.len());
        for group in operations.chunks(MOST) {
            let refs: Vec<&Operation> = group.iter().collect();
            parts.extend(Box::pin(self.group(&refs, errand)).await);
        }
        parts
    }

    /// One batch, again for the parts that may pass, and in halves when it is too much at once.
    async fn group(&self, operations: &[&Operation], errand: &Errand) -> Vec<Part> {
        let mut parts: Vec<Part> = operations.iter().map(|_| Err(Failure::late())).collect();
        let mut left: Vec<usize> = (0..operations.len()).collect();
        for failures in 1_u32.. {
            let sent: Vec<&Operation> =
                left.iter().filter_map(|index| operations.get(*index).copied()).collect();
            let answers = match self.post_batch(&sent, errand).await {
                Err(failure) if sent.len() > 1 && is_too_much(&failure, errand) => {
                    self.batch_halves(&sent, errand).await
                }
                Err(failure) => sent.iter().map(|_| Err(failure.clone())).collect(),
                Ok(answers) => answers,
            };
            let mut pause = None;
            left = take(&mut parts, &left, answers, &mut pause);
            let pause = self.client.pause(failures, pause);
            if left.is_empty() || Instant::now() + pause >= errand.deadline {
                break;
            }
            sleep(pause).await;
        }
        parts
    }

    async fn batch_halves(&self, operations: &[&Operation], errand: &Errand) -> Vec<Part> {
        let (one, two) = operations.split_at(operations.len() / 2);
        let mut parts = Box::pin(self.group(one, errand)).await;
        parts.extend(Box::pin(self.group(two, errand)).await);
        parts
    }

    async fn post_batch(
        &self,
        operations: &[&Operation],
        errand: &Errand,
    ) -> Result<Vec<Part>, Failure> {
        if let [operation] = operations
            && operation.method == Method::GET
        {
            let call = Call::get(operation.path.as_str());
            let reply = self.client.persist(&call, errand).await.map_err(nowhere)?;
            return Ok(vec![Ok(Done { body: reply.body, id: None })]);
        }
        let boundary = format!("batch_{}", self.chance.uuid());
        let body = write::encode(self.client.root(), operations, &boundary);
        let call = Call {
            method: Method::POST,
            path: "$batch".to_owned(),
            body: Some((format!("multipart/mixed; boundary=\"{boundary}\""), body.into())),
            prefer: Some("odata.continue-on-error"),
        };
        let reply = self.client.persist(&call, errand).await.map_err(nowhere)?;
        let parts = read::parts(&reply.kind, &reply.body, operations.len()).map_err(unreadable)?;
        let answered = parts.into_iter().zip(operations);
        let mut answers: Vec<Part> =
            answered.map(|(part, operation)| self.answer(part, operation)).collect();
        answers.resize_with(operations.len(), || Err(unanswered()));
        Ok(answers)
    }

    fn answer(&self, part: read::Part, operation: &Operation) -> Part {
        if (200..300).contains(&part.status) {
            return Ok(Done { body: part.body, id: part.id });
        }
        let pause = part.retry_after.and_then(|text| self.client.retry_after(&text));
        let failure = classify(part.status, pause, &part.body);
        Err(if operation.method == Method::GET { nowhere(failure) } else { failure })
    }
}

/// Writes down what was answered, and returns what is worth another attempt.
fn take(
    parts: &mut [Part],
    left: &[usize],
    answers: Vec<Part>,
    pause: &mut Option<Duration>,
) -> Vec<usize> {
    let mut again = Vec::new();
    for (index, answer) in left.iter().copied().zip(answers) {
        let Some(part) = parts.get_mut(index) else { continue };
        let answer = answer.map_err(|failure| failure.after(part.as_ref().err()));
        if let Err(failure) = &answer
            && (failure.cause.passes() || failure.cause == Cause::Slow)
        {
            *pause = (*pause).max(failure.fault.retry_after);
            again.push(index);
        }
        *part = answer;
    }
    again
}

/// Whether smaller batches would do: it was too much, or one operation spoilt it for all.
fn is_too_much(failure: &Failure, errand: &Errand) -> bool {
    let spoilt = failure.cause == Cause::Refused && failure.fault.act() == Act::Poison;
    (spoilt || matches!(failure.cause, Cause::Slow | Cause::TooLarge))
        && Instant::now() < errand.deadline
}

/// A batch or a query that is not found speaks of an address and never of a row: a deletion must not
/// pass for done because nobody serves the batch.
fn nowhere(failure: Failure) -> Failure {
    if failure.cause != Cause::NoRow {
        return failure;
    }
    let message = "the target does not serve this query or batch; check url and table";
    let mut fault = Fault::new(Kind::SchemaGone, message);
    fault.detail = failure.fault.detail;
    Failure { cause: Cause::NoResource, fault, ..failure }
}

fn unreadable(error: read::Unreadable) -> Failure {
    let message = "the target's answer to a batch could not be read; it is tried again by itself";
    let fault = Fault::new(Kind::Unreachable, message).caused_by(error);
    Failure::unanswered(Cause::Unreachable, Fate::Unknown, fault)
}

fn unanswered() -> Failure {
    let message = "the target's answer to a batch left this row out; it is tried again by itself";
    Failure::unanswered(Cause::Unreachable, Fate::Unknown, Fault::new(Kind::Unreachable, message))
}
