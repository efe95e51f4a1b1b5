//! Batch answers, byte for byte as clients read them: CRLF, no preamble, a reason phrase on each status
//! line, one empty line before each inner body.

use axum::http::StatusCode;
use uuid::Uuid;

use crate::emulator::dataverse::answer::Answer;

/// The answer to one item of a batch.
#[derive(Clone, Debug)]
pub enum Part {
    /// To a request of its own.
    One(Answer),
    /// To a changeset: all answers, or the one that made it fail.
    Changeset(Uuid, Vec<(Option<String>, Answer)>),
}

/// The outer answer.
pub fn answer(status: u16, boundary: Uuid, parts: &[Part]) -> Answer {
    let boundary = format!("batchresponse_{boundary}");
    let mut body = Vec::new();
    for part in parts {
        line(&mut body, &format!("--{boundary}"));
        match part {
            Part::One(answer) => operation(&mut body, None, answer),
            Part::Changeset(id, answers) => changeset(&mut body, *id, answers),
        }
    }
    line(&mut body, &format!("--{boundary}--"));
    Answer { body: body.into(), ..Answer::empty(status) }
        .with("Content-Type", format!("multipart/mixed; boundary={boundary}"))
}

fn changeset(body: &mut Vec<u8>, id: Uuid, answers: &[(Option<String>, Answer)]) {
    let boundary = format!("changesetresponse_{id}");
    line(body, &format!("Content-Type: multipart/mixed; boundary={boundary}"));
    line(body, "");
    for (content_id, answer) in answers {
        line(body, &format!("--{boundary}"));
        operation(body, content_id.as_deref(), answer);
    }
    line(body, &format!("--{boundary}--"));
}

fn operation(body: &mut Vec<u8>, content_id: Option<&str>, answer: &Answer) {
    line(body, "Content-Type: application/http");
    line(body, "Content-Transfer-Encoding: binary");
    if let Some(content_id) = content_id {
        line(body, &format!("Content-ID: {content_id}"));
    }
    line(body, "");
    let reason = StatusCode::from_u16(answer.status).ok().and_then(|s| s.canonical_reason());
    line(body, &format!("HTTP/1.1 {} {}", answer.status, reason.unwrap_or("Unknown")));
    for (name, value) in &answer.headers {
        line(body, &format!("{name}: {value}"));
    }
    line(body, "OData-Version: 4.0");
    line(body, "");
    body.extend_from_slice(&answer.body);
    line(body, "");
}

fn line(body: &mut Vec<u8>, text: &str) {
    body.extend_from_slice(text.as_bytes());
    body.extend_from_slice(b"\r\n");
}
