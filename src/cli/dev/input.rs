//! The user's own events: a file of JSON lines, or one JSON array.
//!
//! A line goes out byte for byte, whatever it holds, so that bad records reach the handler as they
//! are; only empty lines are left out.

use std::path::{Path, PathBuf};

use bytes::Bytes;
use serde_json::value::RawValue;

/// Why a file cannot be the input.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("{} cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It starts like an array but is none.
    #[error("{} starts with [ but is no JSON array", path.display())]
    NoArray {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// Nothing is in it.
    #[error("{} holds no event", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
}

/// Reads the events of a file, in their order.
pub(super) fn read(path: &Path) -> Result<Vec<Bytes>, Error> {
    let content = std::fs::read(path)
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    let events =
        split(&content).map_err(|source| Error::NoArray { path: path.to_owned(), source })?;
    if events.is_empty() {
        return Err(Error::Empty { path: path.to_owned() });
    }
    Ok(events)
}

fn split(content: &[u8]) -> Result<Vec<Bytes>, serde_json::Error> {
    let content = content.strip_prefix(b"\xef\xbb\xbf").unwrap_or(content).trim_ascii();
    if content.starts_with(b"[") {
        let events: Vec<Box<RawValue>> = serde_json::from_slice(content)?;
        return Ok(events.iter().map(|event| Bytes::from(event.get().to_owned())).collect());
    }
    let lines = content.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    Ok(lines.filter(|line| !line.is_empty()).map(Bytes::copy_from_slice).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(content: &str) -> Vec<String> {
        let events = split(content.as_bytes()).unwrap();
        events.iter().map(|event| String::from_utf8(event.to_vec()).unwrap()).collect()
    }

    #[test]
    fn lines_go_out_as_they_are_and_empty_ones_do_not() {
        assert_eq!(texts("{\"a\": 1.10}\r\n\n{broken\n"), ["{\"a\": 1.10}", "{broken"]);
        assert_eq!(texts("\u{feff}{}"), ["{}"]);
    }

    #[test]
    fn the_elements_of_an_array_keep_their_text() {
        assert_eq!(texts(" [ {\"a\": 1.10},\n \"x\" ] "), ["{\"a\": 1.10}", "\"x\""]);
        assert!(split(b"[{").is_err());
    }
}
