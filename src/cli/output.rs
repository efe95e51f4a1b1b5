//! The only place that prints: data to stdout, everything else to stderr.
//!
//! A reader that went away (`concord … | head`) is no error: what it does not want is not written.

use std::io::Write;

use serde::Serialize;

/// Writes a line of data to stdout.
pub fn line(text: impl AsRef<str>) {
    writeln!(std::io::stdout().lock(), "{}", text.as_ref()).ok();
}

/// Writes a value to stdout as one line of JSON.
pub fn json(value: &impl Serialize) {
    match serde_json::to_string(value) {
        Ok(text) => line(text),
        Err(error) => note(format!("this cannot be written as JSON: {error}")),
    }
}

/// Writes bytes to stdout as they are.
pub fn bytes(content: &[u8]) {
    std::io::stdout().lock().write_all(content).ok();
}

/// Writes a line for people to stderr.
pub fn note(text: impl AsRef<str>) {
    writeln!(std::io::stderr().lock(), "{}", text.as_ref()).ok();
}
