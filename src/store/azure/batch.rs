//! An entity group transaction as one multipart request (Table service REST API, "Performing entity
//! group transactions"), and its answer.
//!
//! Out of an answer comes one [`Part`] per operation, or the single part of the one that failed.

use bytes::Bytes;
use reqwest::StatusCode;
use uuid::Uuid;

use super::refusal::Refusal;
use crate::store::{Etag, Operation, Property, entity};

/// What a part begins with, after its boundary.
const PART: &str =
    "\r\nContent-Type: application/http\r\nContent-Transfer-Encoding: binary\r\n\r\n";
/// What stands behind the address of every operation.
const HEADERS: &str = " HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\n\
                       DataServiceVersion: 3.0\r\nPrefer: return-no-content\r\n";

/// One operation ready to be written: its row's address is known.
pub(super) struct Step<'a> {
    pub(super) operation: &'a Operation,
    /// The address of the row.
    pub(super) row: String,
}

impl Step<'_> {
    /// About how long it is when it is encoded.
    fn length(&self) -> usize {
        let properties = self.operation.entity().map(|entity| entity.properties.values());
        let lengths = properties.into_iter().flatten().map(|property| match property {
            Property::Text(text) => 40 + text.len() * 5 / 4,
            Property::Integer(_) => 80,
            Property::Bytes(bytes) => 80 + bytes.len() * 4 / 3,
        });
        500 + self.row.len() + lengths.sum::<usize>()
    }
}

/// What an encoded transaction needs besides its steps.
pub(super) struct Envelope<'a> {
    pub(super) partition: &'a str,
    /// The address of the table, where rows are inserted.
    pub(super) table: String,
    /// Parts the pieces; must not occur in them.
    pub(super) boundary: Uuid,
}

/// What became of one operation.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// Done; deletions have no version.
    Done(Etag),
    /// Refused, and with it the whole transaction.
    Refused(Refusal),
}

impl Envelope<'_> {
    /// The `Content-Type` of the request.
    pub(super) fn content_type(&self) -> String {
        format!("multipart/mixed; boundary=batch_{}", self.boundary)
    }

    /// The body of the request.
    pub(super) fn encode(&self, steps: &[Step<'_>]) -> Bytes {
        let boundary = self.boundary.to_string();
        let mut body = Vec::with_capacity(steps.iter().map(Step::length).sum::<usize>() + 400);
        push(&mut body, &["--batch_", &boundary, "\r\n"]);
        push(&mut body, &["Content-Type: multipart/mixed; boundary=changeset_", &boundary]);
        push(&mut body, &["\r\n\r\n"]);
        for step in steps {
            push(&mut body, &["--changeset_", &boundary, PART]);
            self.encode_step(step, &mut body);
        }
        push(&mut body, &["--changeset_", &boundary, "--\r\n--batch_", &boundary, "--\r\n"]);
        body.into()
    }

    fn encode_step(&self, Step { operation, row }: &Step<'_>, body: &mut Vec<u8>) {
        let (verb, address, condition, entity) = match operation {
            Operation::Insert(entity) => ("POST", &self.table, None, Some(entity)),
            Operation::Put(entity) => ("PUT", row, None, Some(entity)),
            Operation::Replace(entity, etag) => ("PUT", row, Some(&*etag.0), Some(entity)),
            Operation::Merge(entity, etag) => ("PATCH", row, Some(&*etag.0), Some(entity)),
            Operation::Delete(_, etag) => ("DELETE", row, Some(&*etag.0), None),
            Operation::Discard(_) => ("DELETE", row, Some("*"), None),
        };
        push(body, &[verb, " ", address, HEADERS]);
        if let Some(etag) = condition {
            push(body, &["If-Match: ", etag, "\r\n"]);
        }
        if let Some(entity) = entity {
            push(body, &["Content-Type: application/json\r\n\r\n"]);
            entity::push(Some((self.partition, &entity.row)), &entity.properties, body);
        } else {
            push(body, &["\r\n"]);
        }
        push(body, &["\r\n"]);
    }
}

fn push(body: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        body.extend_from_slice(piece.as_bytes());
    }
}

/// Reads the answer's parts, in order.
pub(super) fn decode(body: &[u8]) -> Vec<Part> {
    let (mut parts, mut lines) = (Vec::new(), Lines(body));
    while let Some(line) = lines.next() {
        if let Some(status) = line.strip_prefix(b"HTTP/1.1 ") {
            let code = status.get(..3).and_then(|code| StatusCode::from_bytes(code).ok());
            let Some(status) = code else { continue };
            parts.push(if status.is_success() {
                Part::Done(Etag::default())
            } else {
                let body = lines.by_ref().skip_while(|line| !line.is_empty());
                let body = body.take_while(|line| !line.starts_with(b"--"));
                Part::Refused(Refusal::read(status, &body.collect::<Vec<_>>().concat()))
            });
        } else if let (Some(Part::Done(etag)), Some((name, value))) =
            (parts.last_mut(), line.split_at_checked(ETAG.len()))
            && name.eq_ignore_ascii_case(ETAG)
        {
            etag.0 = String::from_utf8_lossy(value.trim_ascii()).into_owned();
        }
    }
    parts
}

/// What a header begins with that tells the version of a row.
const ETAG: &[u8] = b"etag:";

/// The lines of an answer, without what ends them.
struct Lines<'b>(&'b [u8]);

impl<'b> Iterator for Lines<'b> {
    type Item = &'b [u8];

    fn next(&mut self) -> Option<&'b [u8]> {
        if self.0.is_empty() {
            return None;
        }
        let end = memchr::memchr(b'\n', self.0).unwrap_or(self.0.len());
        let (line, rest) = self.0.split_at_checked(end)?;
        self.0 = rest.get(1..).unwrap_or_default();
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::store::{Entity, weight};

    fn envelope(partition: &str) -> Envelope<'_> {
        let table = "https://acme.table.core.windows.net/T".to_owned();
        Envelope { partition, table, boundary: Uuid::nil() }
    }

    fn step<'a>(partition: &str, operation: &'a Operation) -> Step<'a> {
        let path = super::super::address::row_path("T", partition, operation.row());
        let row = format!("https://acme.table.core.windows.net/{path}");
        Step { operation, row }
    }

    #[test]
    fn every_line_ends_in_cr_lf_and_conditions_are_headers() {
        let properties = BTreeMap::from([("n".into(), Property::Integer(1))]);
        let entity = Entity { row: "o'brien".into(), properties };
        let operations =
            [Operation::Replace(entity, Etag("W/\"1\"".into())), Operation::Discard("b".into())];
        let steps: Vec<_> = operations.iter().map(|operation| step("p", operation)).collect();
        let body = envelope("p").encode(&steps);
        insta::assert_snapshot!(String::from_utf8_lossy(&body).replace("\r\n", "␍\n"));
    }

    #[test]
    fn an_answer_gives_versions_or_the_one_refusal() {
        let done = "--batchresponse_1\r\nContent-Type: multipart/mixed\r\n\r\n\
            --changesetresponse_2\r\nContent-Type: application/http\r\n\r\n\
            HTTP/1.1 204 No Content\r\nETag: W/\"a:b\"\r\n\r\n\r\n\
            --changesetresponse_2\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n\r\n\
            --changesetresponse_2--\r\n--batchresponse_1--";
        let versions = [Part::Done(Etag("W/\"a:b\"".into())), Part::Done(Etag::default())];
        assert_eq!(decode(done.as_bytes()), versions);
        let refused = "--batchresponse_1\r\n\r\n--changesetresponse_2\r\n\r\n\
            HTTP/1.1 412 Precondition Failed\r\nContent-Type: application/json\r\n\r\n\
            {\"odata.error\":{\"code\":\"UpdateConditionNotSatisfied\",\"message\":\
            {\"lang\":\"en-US\",\"value\":\"7:No.\\nTime:1\"}}}\r\n--changesetresponse_2--\r\n";
        let parts = decode(refused.as_bytes());
        assert!(matches!(&parts[..], [Part::Refused(refusal)] if refusal.index == Some(7)));
        assert_eq!(decode(b"nonsense"), []);
    }

    proptest! {
        #[test]
        fn what_is_sent_never_weighs_more_than_was_said(
            partition in "[^\\p{Cc}/\\\\#?]{0,60}",
            row in "[^\\p{Cc}/\\\\#?]{0,60}",
            text in "\\PC{0,200}|[\\x00-\\x20\"\\\\]{0,200}",
            bytes in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let properties = BTreeMap::from([
                ("text".into(), Property::Text(text)),
                ("bytes".into(), Property::Bytes(bytes.into())),
                ("number".into(), Property::Integer(i64::MIN)),
            ]);
            let entity = Entity { row, properties };
            let operation = Operation::Replace(entity, Etag("W/\"datetime'2026-01-01'\"".into()));
            let sent = envelope(&partition).encode(&[step(&partition, &operation)]);
            prop_assert!(sent.len() <= weight(&partition, &operation));
        }
    }
}
