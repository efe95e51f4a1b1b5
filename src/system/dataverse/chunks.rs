//! How many rows one message of each table takes, by how long messages took. Shared by all writes of the
//! process.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// The most rows of one message (Dataverse Web API, bulk: recommended 100 to 1000).
const MOST_ROWS: usize = 1000;
/// A message that took longer was too large.
const SLOW: Duration = Duration::from_secs(15);
/// A full message that took less may be larger.
const FAST: Duration = Duration::from_secs(3);

/// How many rows one message of each table takes, and which tables take none.
#[derive(Debug)]
pub(super) struct Chunks {
    first: usize,
    tables: Mutex<HashMap<String, Chunk>>,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    rows: usize,
    /// Whether something was too much already: from then on it grows by a sixteenth.
    careful: bool,
    bulk: bool,
}

impl Chunks {
    /// Every table starts with `first` rows.
    pub(super) fn new(first: usize) -> Self {
        Self { first: first.clamp(1, MOST_ROWS), tables: Mutex::default() }
    }

    /// How many rows to send at once.
    pub(super) fn rows(&self, table: &str) -> usize {
        self.with(table, |chunk| chunk.rows)
    }

    /// Whether bulk messages are still believed to be there.
    pub(super) fn bulk(&self, table: &str) -> bool {
        self.with(table, |chunk| chunk.bulk)
    }

    /// The table has no bulk messages: not asked again in this process.
    pub(super) fn no_bulk(&self, table: &str) {
        self.with(table, |chunk| chunk.bulk = false);
    }

    /// A message of `sent` rows was too much for the service.
    pub(super) fn too_many(&self, table: &str, sent: usize) {
        self.with(table, |chunk| {
            chunk.rows = chunk.rows.min(sent / 2).max(1);
            chunk.careful = true;
        });
    }

    /// A message of `sent` rows took this long. At first a full one makes the next as much larger as the
    /// time allows, fourfold at most.
    pub(super) fn took(&self, table: &str, sent: usize, time: Duration) {
        if time > SLOW {
            self.too_many(table, sent);
        } else if time < FAST {
            self.with(table, |chunk| {
                if sent < chunk.rows {
                    return;
                }
                let rows = if chunk.careful {
                    chunk.rows + chunk.rows.div_ceil(16)
                } else {
                    chunk.rows * fits(time)
                };
                chunk.rows = rows.min(MOST_ROWS);
            });
        }
    }

    fn with<T>(&self, table: &str, act: impl FnOnce(&mut Chunk) -> T) -> T {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let first = Chunk { rows: self.first, careful: false, bulk: true };
        act(tables.entry(table.to_owned()).or_insert(first))
    }
}

/// How many times as many rows would still be fast.
fn fits(time: Duration) -> usize {
    match FAST.as_millis() / time.as_millis().max(1) {
        0 | 1 => 1,
        2 => 2,
        3 => 3,
        _ => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_shrink_when_slow_and_grow_when_full_and_fast() {
        let chunks = Chunks::new(100);
        chunks.took("a", 100, Duration::from_secs(1));
        assert_eq!(chunks.rows("a"), 300, "as many as are still fast");
        chunks.took("a", 10, Duration::from_millis(10));
        assert_eq!(chunks.rows("a"), 300, "a small message says nothing");
        chunks.took("a", 300, Duration::from_secs(16));
        assert_eq!(chunks.rows("a"), 150);
        chunks.took("a", 150, Duration::from_secs(1));
        assert_eq!(chunks.rows("a"), 160, "carefully, once it was too much");
        for _ in 0..60 {
            chunks.took("a", 1000, Duration::from_secs(1));
        }
        assert_eq!(chunks.rows("a"), 1000);
        chunks.too_many("b", 1);
        assert_eq!(chunks.rows("b"), 1, "never nothing");
    }
}
