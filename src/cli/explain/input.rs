//! Events from a file or from stdin: one JSON document, or one on each line.

use std::io::Read;

use bytes::Bytes;
use jiff::Timestamp;
use serde::de::IgnoredAny;

use crate::delivery::{Event, Origin};

/// No more than this is read.
const LONGEST: u64 = 256 * 1024 * 1024;

/// A file without events.
#[derive(Debug, thiserror::Error)]
#[error("{name} cannot be read")]
pub(in crate::cli) struct Unreadable {
    name: String,
    source: std::io::Error,
}

/// The bodies in a file; `-` is stdin.
pub(in crate::cli) fn bodies(name: &str) -> Result<Vec<Bytes>, Unreadable> {
    let content = read(name).map_err(|source| Unreadable { name: name.to_owned(), source })?;
    Ok(cut(&Bytes::from(content)))
}

fn read(name: &str) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    match name {
        "-" => std::io::stdin().lock().take(LONGEST).read_to_end(&mut content)?,
        path => std::fs::File::open(path)?.take(LONGEST).read_to_end(&mut content)?,
    };
    Ok(content)
}

/// Lines, when the first one is a JSON document by itself; else the whole is one event.
fn cut(content: &Bytes) -> Vec<Bytes> {
    let blank = |line: &&[u8]| !line.trim_ascii().is_empty();
    let mut lines = content.split(|byte| *byte == b'\n').filter(blank);
    let first = lines.next().unwrap_or_default();
    let alone = serde_json::from_slice::<IgnoredAny>(first).is_ok();
    if !alone || lines.next().is_none() {
        return vec![content.clone()];
    }
    let lines = content.split(|byte| *byte == b'\n').filter(blank);
    lines.map(|line| content.slice_ref(line)).collect()
}

/// A body as an event that was seen now.
pub(in crate::cli) fn event(body: Bytes, now: Timestamp) -> Event {
    let origin = Origin { received: Some(now), ..Origin::default() };
    Event { body, origin, ..Event::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &'static str) -> usize {
        cut(&Bytes::from_static(text.as_bytes())).len()
    }

    #[test]
    fn lines_are_events_and_anything_else_is_one() {
        assert_eq!(count("{\"a\":1}\n{\"a\":2}\n\n"), 2);
        assert_eq!(count("{\"a\":1}\n{\"a\":"), 2);
        assert_eq!(count("{\n  \"a\": 1\n}\n"), 1);
        assert_eq!(count("[\n1,\n2]"), 1);
        assert_eq!(count("{\"a\":"), 1);
        assert_eq!(count(""), 1);
    }
}
