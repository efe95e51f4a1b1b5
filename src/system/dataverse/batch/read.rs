//! The text of a `$batch` answer to its parts.
//!
//! In goes the content type, for its boundary, and the body; out come status, id and content of
//! every part, in order. Line ends may be CRLF or LF. Refused: no boundary, a part without a status
//! line, and more parts than were asked for. A missing end is no error: the parts read so far
//! count.

use bytes::Bytes;
use thiserror::Error;
use uuid::Uuid;

/// One part of the answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) status: u16,
    pub(super) retry_after: Option<String>,
    /// The GUID at the end of `OData-EntityId`, when it ends in one.
    pub(super) id: Option<Uuid>,
    pub(super) body: Bytes,
}

/// Why an answer is not one to a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub(super) enum Unreadable {
    /// The content type names none, and the first line is none.
    #[error("there is no boundary between parts")]
    Boundary,
    /// A part does not hold an HTTP answer.
    #[error("a part has no status line")]
    Status,
    /// There are more parts than operations.
    #[error("there are more parts than operations")]
    Surplus,
}

/// Reads at most `most` parts.
pub(super) fn parts(kind: &str, body: &Bytes, most: usize) -> Result<Vec<Part>, Unreadable> {
    let boundary = boundary(kind, body).ok_or(Unreadable::Boundary)?;
    let mut parts = Vec::new();
    let mut start = None;
    for (at, line) in lines(body) {
        let Some(rest) = line.strip_prefix(b"--").and_then(|rest| rest.strip_prefix(&*boundary))
        else {
            continue;
        };
        let rest = rest.trim_ascii();
        if !matches!(rest, b"" | b"--") {
            continue;
        }
        if let Some(start) = start {
            if parts.len() == most {
                return Err(Unreadable::Surplus);
            }
            parts.push(part(&body.slice(start..at))?);
        }
        if rest == b"--" {
            return Ok(parts);
        }
        start = Some(at + line.len());
    }
    Ok(parts)
}

fn boundary(kind: &str, body: &Bytes) -> Option<Vec<u8>> {
    let named = kind.split(';').skip(1).find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        let value = value.trim().trim_matches('"');
        (name.trim().eq_ignore_ascii_case("boundary") && !value.is_empty())
            .then(|| value.as_bytes().to_vec())
    });
    named.or_else(|| {
        let (_, first) = lines(body).next()?;
        first.trim_ascii_end().strip_prefix(b"--").filter(|name| !name.is_empty()).map(Vec::from)
    })
}

fn part(text: &Bytes) -> Result<Part, Unreadable> {
    let mut status = None;
    let (mut retry_after, mut id) = (None, None);
    for (at, line) in lines(text) {
        let end = at + line.len();
        let line = std::str::from_utf8(line).map_err(|_| Unreadable::Status)?.trim();
        if line.starts_with("HTTP/") {
            let code = line.split_whitespace().nth(1).and_then(|code| code.parse().ok());
            status = Some(code.filter(|code| (100..600).contains(code)).ok_or(Unreadable::Status)?);
        } else if let (true, Some(status)) = (line.is_empty(), status) {
            let body = text.slice(end..);
            let length = body.trim_ascii_end().len();
            return Ok(Part { status, retry_after, id, body: body.slice(..length) });
        } else if let Some((name, value)) = line.split_once(':') {
            if name.eq_ignore_ascii_case("retry-after") {
                retry_after = Some(value.trim().to_owned());
            } else if name.eq_ignore_ascii_case("odata-entityid") {
                id = entity_id(value);
            }
        }
    }
    let status = status.ok_or(Unreadable::Status)?;
    Ok(Part { status, retry_after, id, body: Bytes::new() })
}

fn entity_id(address: &str) -> Option<Uuid> {
    let (_, key) = address.trim().strip_suffix(')')?.rsplit_once('(')?;
    Uuid::try_parse(key).ok()
}

/// Every line with its line end, and where it starts.
fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    text.split_inclusive(|byte| *byte == b'\n').map(move |line| {
        let start = at;
        at += line.len();
        (start, line)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: &str = "multipart/mixed; boundary=batchresponse_7";

    fn read(kind: &str, text: &str) -> Result<Vec<(u16, String)>, Unreadable> {
        let parts = parts(kind, &Bytes::from(text.to_owned()), 3)?;
        let text = |body: Bytes| String::from_utf8(body.to_vec()).unwrap();
        Ok(parts.into_iter().map(|part| (part.status, text(part.body))).collect())
    }

    fn answer(line_end: &str) -> String {
        let id = "00000000-0000-0000-0000-0000000000aa";
        [
            "--batchresponse_7",
            "Content-Type: application/http",
            "",
            "HTTP/1.1 204 No Content",
            &format!("OData-EntityId: http://h/api/data/v9.2/accounts({id})"),
            "",
            "",
            "--batchresponse_7",
            "content-type: application/http",
            "",
            "HTTP/1.1 429 Too Many Requests",
            "Retry-After: 7",
            "",
            "{\"a\":\"--batchresponse_7 inside\"}",
            "--batchresponse_7--",
            "",
        ]
        .join(line_end)
    }

    #[test]
    fn parts_are_read_in_order_with_either_line_end() {
        for line_end in ["\r\n", "\n"] {
            let text = Bytes::from(answer(line_end));
            let parts = parts(KIND, &text, 2).unwrap();
            let statuses: Vec<u16> = parts.iter().map(|part| part.status).collect();
            assert_eq!(statuses, [204, 429]);
            assert_eq!(parts[0].id, Some(Uuid::from_u128(0xaa)));
            assert_eq!(parts[0].body, "");
            assert_eq!(parts[1].retry_after.as_deref(), Some("7"));
            assert_eq!(parts[1].body, "{\"a\":\"--batchresponse_7 inside\"}");
        }
    }

    #[test]
    fn the_boundary_may_be_quoted_or_taken_from_the_first_line() {
        let text = answer("\r\n");
        for kind in
            ["multipart/mixed; charset=utf-8; Boundary=\"batchresponse_7\"", "multipart/mixed"]
        {
            assert_eq!(read(kind, &text).unwrap().len(), 2, "{kind}");
        }
    }

    #[test]
    fn hostile_answers_are_refused_or_cut_short_and_never_panic() {
        assert_eq!(read("text/plain", "{}"), Err(Unreadable::Boundary));
        assert_eq!(read(KIND, ""), Ok(vec![]));
        assert_eq!(read(KIND, "--batchresponse_7"), Ok(vec![]));
        assert_eq!(read(KIND, "--batchresponse_7--"), Ok(vec![]));
        assert_eq!(read("multipart/mixed; boundary=", "--\n--\n"), Err(Unreadable::Boundary));
        for status in
            ["", "HTTP/1.1", "HTTP/1.1 abc", "HTTP/1.1 99999", "HTTP/1.1 -1", "HTTP/1.1 7"]
        {
            let text = format!("--batchresponse_7\r\n\r\n{status}\r\n\r\n--batchresponse_7--");
            assert_eq!(read(KIND, &text), Err(Unreadable::Status), "{status}");
        }
        let cut = answer("\r\n");
        for end in 0..cut.len() {
            assert!(read(KIND, &cut[..end]).is_ok_and(|parts| parts.len() <= 2), "{end}");
        }
        let one = "--batchresponse_7\n\nHTTP/1.1 204 x\n\n";
        assert_eq!(read(KIND, &one.repeat(6)), Err(Unreadable::Surplus));
    }

    #[test]
    fn a_longer_boundary_is_another_boundary() {
        let text = answer("\n").replace("inside", "") + "\n--batchresponse_77\n";
        assert_eq!(read(KIND, &text).unwrap().len(), 2);
    }
}
