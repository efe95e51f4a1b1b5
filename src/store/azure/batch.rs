//! An entity group transaction as one multipart request (Table service REST API, "Performing entity
//! group transactions"), and its answer.
//!
//! Out of an answer comes one [`Part`] per operation, or the single part of the one that failed.

use std::iter;

use bytes::Bytes;
use reqwest::{StatusCode, Url};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::refusal::Refusal;
use crate::store::{Entity, Etag, Operation, entity};

/// One operation ready to be written: its row's address is known.
pub(super) struct Step<'a> {
    pub(super) operation: &'a Operation,
    /// The address of the row.
    pub(super) row: Url,
}

/// What an encoded transaction needs besides its steps.
pub(super) struct Envelope<'a> {
    pub(super) partition: &'a str,
    /// The address of the table, where rows are inserted.
    pub(super) table: Url,
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
        let boundary = self.boundary;
        let start = format!(
            "--batch_{boundary}\r\n\
             Content-Type: multipart/mixed; boundary=changeset_{boundary}\r\n\r\n"
        );
        let steps = steps.iter().map(|step| {
            format!(
                "--changeset_{boundary}\r\nContent-Type: application/http\r\n\
                 Content-Transfer-Encoding: binary\r\n\r\n{}",
                self.encode_step(step)
            )
        });
        let end = format!("--changeset_{boundary}--\r\n--batch_{boundary}--\r\n");
        iter::once(start).chain(steps).chain([end]).collect::<String>().into()
    }

    fn encode_step(&self, step: &Step<'_>) -> String {
        let Step { operation, row } = step;
        let (start, condition, entity) = match operation {
            Operation::Insert(entity) => (format!("POST {}", self.table), None, Some(entity)),
            Operation::Put(entity) => (format!("PUT {row}"), None, Some(entity)),
            Operation::Replace(entity, etag) => {
                (format!("PUT {row}"), Some(etag.0.as_str()), Some(entity))
            }
            Operation::Delete(_, etag) => (format!("DELETE {row}"), Some(etag.0.as_str()), None),
            Operation::Discard(_) => (format!("DELETE {row}"), Some("*"), None),
        };
        let condition = condition.map(|etag| format!("If-Match: {etag}\r\n")).unwrap_or_default();
        let body = match entity {
            Some(entity) => format!("Content-Type: application/json\r\n\r\n{}", self.json(entity)),
            None => "\r\n".to_owned(),
        };
        format!(
            "{start} HTTP/1.1\r\nAccept: application/json;odata=minimalmetadata\r\n\
             DataServiceVersion: 3.0\r\nPrefer: return-no-content\r\n{condition}{body}\r\n"
        )
    }

    fn json(&self, entity: &Entity) -> String {
        let mut members = Map::new();
        members.insert("PartitionKey".to_owned(), self.partition.into());
        members.insert("RowKey".to_owned(), entity.row.as_str().into());
        members.append(&mut entity::to_json(&entity.properties));
        Value::Object(members).to_string()
    }
}

/// Reads the answer's parts, in order.
pub(super) fn decode(body: &[u8]) -> Vec<Part> {
    String::from_utf8_lossy(body)
        .split("--changesetresponse_")
        .filter_map(|piece| part(piece.split_once("HTTP/1.1 ")?.1))
        .collect()
}

fn part(text: &str) -> Option<Part> {
    let end = text.find("\r\n\r\n").unwrap_or(text.len());
    let (head, body) = text.split_at_checked(end)?;
    let status = head.get(..3)?.parse().ok().and_then(|code| StatusCode::from_u16(code).ok())?;
    if !status.is_success() {
        return Some(Part::Refused(Refusal::read(status, body.as_bytes())));
    }
    let etag = head.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("etag").then(|| Etag(value.trim().to_owned()))
    });
    Some(Part::Done(etag.unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::store::{Property, weight};

    fn envelope(partition: &str) -> Envelope<'_> {
        let table = Url::parse("https://acme.table.core.windows.net/T").unwrap();
        Envelope { partition, table, boundary: Uuid::nil() }
    }

    fn step<'a>(partition: &str, operation: &'a Operation) -> Step<'a> {
        let path = super::super::address::row_path("T", partition, operation.row());
        let row = Url::parse(&format!("https://acme.table.core.windows.net/{path}")).unwrap();
        Step { operation, row }
    }

    #[test]
    fn every_line_ends_in_cr_lf_and_conditions_are_headers() {
        let properties = BTreeMap::from([("n".to_owned(), Property::Integer(1))]);
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
                ("text".to_owned(), Property::Text(text)),
                ("bytes".to_owned(), Property::Bytes(bytes.into())),
                ("number".to_owned(), Property::Integer(i64::MIN)),
            ]);
            let entity = Entity { row, properties };
            let operation = Operation::Replace(entity, Etag("W/\"datetime'2026-01-01'\"".into()));
            let sent = envelope(&partition).encode(&[step(&partition, &operation)]);
            prop_assert!(sent.len() <= weight(&partition, &operation));
        }
    }
}
