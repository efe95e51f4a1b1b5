//! Batch bodies: `multipart/mixed` with HTTP requests in its parts. Line ends may be CRLF or LF, the
//! boundary quoted or not, URLs unencoded; what is not multipart at all is refused.

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use bytes::Bytes;

use crate::emulator::dataverse::refusal::Refusal;

/// One part of a batch.
#[derive(Clone, Debug)]
pub enum Item {
    /// A request of its own.
    One(Operation),
    /// Requests that are all or nothing.
    Changeset(Vec<Operation>),
}

/// A request inside a batch.
#[derive(Clone, Debug)]
pub struct Operation {
    /// The `Content-ID` of its part.
    pub content_id: Option<String>,
    /// `PATCH`
    pub method: String,
    /// As it was written.
    pub url: String,
    /// Its own headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

/// Reads a batch.
pub fn items(content_type: &str, body: &Bytes) -> Result<Vec<Item>, Refusal> {
    let boundary = boundary(content_type)
        .ok_or_else(|| malformed("The content type is not multipart/mixed with a boundary."))?;
    let parts = parts(&boundary, body)?;
    parts.iter().map(item).collect()
}

fn item(part: &Bytes) -> Result<Item, Refusal> {
    let (headers, content) = headers(part);
    if let Some(inner) =
        headers.get("content-type").and_then(|v| v.to_str().ok()).and_then(boundary)
    {
        let operations = parts(&inner, &content)?;
        let operations = operations.iter().map(|part| {
            let (headers, content) = self::headers(part);
            operation(&headers, &content)
        });
        return operations.collect::<Result<_, _>>().map(Item::Changeset);
    }
    operation(&headers, &content).map(Item::One)
}

fn operation(part: &HeaderMap, content: &Bytes) -> Result<Operation, Refusal> {
    let content_id = part.get("content-id").and_then(|id| id.to_str().ok()).map(str::to_owned);
    let content = skip_empty_lines(content);
    let (line, rest) = line(&content);
    let line = std::str::from_utf8(&line).map_err(|_| malformed("A request line is no text."))?;
    let (method, rest_of_line) =
        line.trim().split_once(' ').ok_or_else(|| malformed("A part holds no request."))?;
    // URLs may hold spaces: the version is what stands behind the last one.
    let (url, version) = rest_of_line.rsplit_once(' ').unwrap_or((rest_of_line, ""));
    let url = if version.starts_with("HTTP/") { url } else { rest_of_line };
    let (headers, body) = headers(&rest);
    let body = body.slice(..body.trim_ascii_end().len());
    let (method, url) = (method.to_owned(), url.trim().to_owned());
    Ok(Operation { content_id, method, url, headers, body })
}

/// The boundary of a multipart content type.
fn boundary(content_type: &str) -> Option<String> {
    if !content_type.trim_start().to_ascii_lowercase().starts_with("multipart/mixed") {
        return None;
    }
    let mut parameters = content_type.split(';').skip(1).map(str::trim);
    let value = parameters.find_map(|parameter| {
        let (name, value) = parameter.split_once('=')?;
        name.trim().eq_ignore_ascii_case("boundary").then(|| value.trim().trim_matches('"'))
    })?;
    (!value.is_empty()).then(|| value.to_owned())
}

/// What stands between the boundary lines. The closing one may be missing.
fn parts(boundary: &str, body: &Bytes) -> Result<Vec<Bytes>, Refusal> {
    let (open, close) = (format!("--{boundary}"), format!("--{boundary}--"));
    let mut parts = Vec::new();
    let mut start = None;
    let mut rest = body.clone();
    while !rest.is_empty() {
        let (line, next) = line(&rest);
        let mark = line.trim_ascii();
        let is_close = mark == close.as_bytes();
        if mark == open.as_bytes() || is_close {
            if let Some(start) = start {
                parts.push(body.slice(start..body.len() - rest.len()));
            }
            start = (!is_close).then(|| body.len() - next.len());
            if is_close {
                return Ok(parts);
            }
        }
        rest = next;
    }
    match start {
        Some(start) if start < body.len() => parts.push(body.slice(start..)),
        Some(_) => {}
        None => return Err(malformed("The body does not hold the boundary of its content type.")),
    }
    Ok(parts)
}

/// The headers up to the first empty line, and what follows it.
fn headers(part: &Bytes) -> (HeaderMap, Bytes) {
    let mut headers = HeaderMap::new();
    let mut rest = part.clone();
    while !rest.is_empty() {
        let (line, next) = line(&rest);
        rest = next;
        if line.trim_ascii().is_empty() {
            break;
        }
        let mut halves = line.splitn(2, |byte| *byte == b':');
        let name = halves.next().unwrap_or_default().trim_ascii();
        let value = halves.next().unwrap_or_default().trim_ascii();
        if let (Ok(name), Ok(value)) =
            (HeaderName::from_bytes(name), HeaderValue::from_bytes(value))
        {
            headers.append(name, value);
        }
    }
    (headers, rest)
}

/// The first line without its end, and the rest.
fn line(text: &Bytes) -> (Bytes, Bytes) {
    match text.iter().position(|byte| *byte == b'\n') {
        Some(end) => {
            let line = text.slice(..end);
            let line = line.slice(..line.strip_suffix(b"\r").map_or(end, <[u8]>::len));
            (line, text.slice(end + 1..))
        }
        None => (text.clone(), Bytes::new()),
    }
}

fn skip_empty_lines(text: &Bytes) -> Bytes {
    text.slice(text.len() - text.trim_ascii_start().len()..)
}

fn malformed(reason: &str) -> Refusal {
    Refusal::payload(format!("The batch request cannot be read. {reason}"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn urls_may_hold_spaces_and_lack_a_version() {
        for line in ["GET /a?$filter=b eq 'c d' HTTP/1.1", "GET /a?$filter=b eq 'c d'"] {
            let part = Bytes::from(format!("{line}\nAccept: x\n\n"));
            let operation = operation(&HeaderMap::new(), &part).unwrap();
            assert_eq!(operation.url, "/a?$filter=b eq 'c d'");
            assert_eq!(operation.headers.get("accept").unwrap(), "x");
        }
    }

    proptest! {
        #[test]
        fn no_body_panics(lines in proptest::collection::vec(
            prop_oneof![
                Just("--b".to_owned()), Just("--b--".to_owned()), Just("--c".to_owned()),
                Just("Content-Type: multipart/mixed; boundary=c".to_owned()),
                Just("GET /x HTTP/1.1".to_owned()), Just(String::new()), ".*",
            ], 0..30), end in "\r?\n")
        {
            let body = Bytes::from(lines.join(&end));
            drop(items("multipart/mixed; boundary=b", &body));
        }
    }
}
