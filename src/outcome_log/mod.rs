//! The row-level outcome log: what became of every row, as CSV files in the customer's own storage, for
//! whoever reports on it. Off unless `[outcomes]` of `concord.toml` is there.
//!
//! In come reports; out go files `outcomes/map=…/date=…/hour=…/….csv`, each written once, with a header
//! line; `docs/outcome-log.md` has every column. Lines are gathered in memory, a minute or 5,000 of a map
//! at most; the path never waits for storage longer than five seconds, and what finds no room is dropped
//! and counted. Keys of secured columns are masked. Refused: nothing.

mod line;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use schemars::JsonSchema;
use serde::Deserialize;

use crate::chance::Chance;
use crate::clock::{self, SharedClock};
use crate::outcome::Report;

/// A log of what became of every row, as files in the own storage.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The folder in the container of blobs.
    pub folder: String,
    /// How the files are written.
    pub format: Format,
}

/// How files are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Comma-separated values, with a header line (RFC 4180).
    #[default]
    Csv,
}

impl Default for Config {
    fn default() -> Self {
        Self { folder: "outcomes".to_owned(), format: Format::Csv }
    }
}

/// Gathers lines and writes files.
#[derive(Debug)]
pub struct OutcomeLog {
    blobs: Arc<dyn ObjectStore>,
    config: Config,
    clock: SharedClock,
    /// Parts the files of this process from those of others.
    process: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Lines by map and hour, as they will stand in the file.
    gathered: BTreeMap<(Arc<str>, String), Lines>,
    flushed: Option<Timestamp>,
    files: u64,
    dropped: u64,
}

#[derive(Clone, Debug, Default)]
struct Lines {
    text: Vec<u8>,
    rows: usize,
}

/// How often files are written at most, unless many lines are gathered.
const INTERVAL: Duration = Duration::from_mins(1);
/// Lines of one map that are written at once.
const ROWS: usize = 5_000;
/// How many bytes are gathered at most.
const ROOM: usize = 16 * 1024 * 1024;
/// How long the path waits for storage at most.
const PATIENCE: Duration = Duration::from_secs(5);

impl OutcomeLog {
    /// Over the container of blobs.
    pub fn new(
        config: Config,
        blobs: Arc<dyn ObjectStore>,
        clock: SharedClock,
        chance: &Chance,
    ) -> Self {
        let process = chance.uuid().simple().to_string();
        Self { blobs, config, clock, process, state: Mutex::default() }
    }

    /// Gathers the lines of a report.
    pub fn note(&self, report: &Report) {
        let now = self.clock.now();
        let hour = now.to_zoned(TimeZone::UTC).strftime("date=%Y-%m-%d/hour=%H").to_string();
        let mut state = self.state();
        let mut used: usize = state.gathered.values().map(|lines| lines.text.len()).sum();
        for told in &report.rows {
            let line = line::of(told, now);
            if used + line.len() > ROOM {
                state.dropped += 1;
                continue;
            }
            used += line.len();
            let lines = state.gathered.entry((Arc::clone(&told.map), hour.clone())).or_default();
            lines.text.extend_from_slice(&line);
            lines.rows += 1;
        }
    }

    /// Writes what is gathered, when a minute is over or a map has many lines. What cannot be written
    /// stays gathered as long as there is room, and is told in the log.
    pub async fn write_if_due(&self) {
        let now = self.clock.now();
        let due = {
            let state = self.state();
            state.flushed.is_none_or(|last| clock::between(last, now) >= INTERVAL)
                || state.gathered.values().any(|lines| lines.rows >= ROWS)
        };
        if due {
            self.write().await;
        }
    }

    /// Writes what is gathered now.
    pub async fn write(&self) {
        let gathered = {
            let mut state = self.state();
            state.flushed = Some(self.clock.now());
            std::mem::take(&mut state.gathered)
        };
        let mut left = gathered;
        let written = tokio::time::timeout(PATIENCE, async {
            while let Some((slot, lines)) = left.first_key_value() {
                self.put(slot, lines).await?;
                left.pop_first();
            }
            Ok::<(), object_store::Error>(())
        })
        .await;
        let reason = match written {
            Ok(Ok(())) => return self.tell_dropped(),
            Ok(Err(error)) => reason(&error),
            Err(_) => "storage took too long",
        };
        let rows: usize = left.values().map(|lines| lines.rows).sum();
        tracing::warn!(ev = "outcomes_not_written", rows, reason, "outcomes_not_written");
        self.give_back(left);
    }

    async fn put(
        &self,
        (map, hour): &(Arc<str>, String),
        lines: &Lines,
    ) -> Result<(), object_store::Error> {
        let number = {
            let mut state = self.state();
            state.files += 1;
            state.files
        };
        let folder = self.config.folder.trim_matches('/');
        let path = format!("{folder}/map={map}/{hour}/{}-{number:06}.csv", self.process);
        let mut file = line::HEADER.as_bytes().to_vec();
        file.extend_from_slice(&lines.text);
        self.blobs.put(&Path::from(path), file.into()).await.map(drop)
    }

    /// Puts lines back in front of those gathered meanwhile.
    fn give_back(&self, left: BTreeMap<(Arc<str>, String), Lines>) {
        let mut state = self.state();
        for (slot, mut lines) in left {
            let newer = state.gathered.remove(&slot).unwrap_or_default();
            lines.text.extend_from_slice(&newer.text);
            lines.rows += newer.rows;
            state.gathered.insert(slot, lines);
        }
    }

    fn tell_dropped(&self) {
        let dropped = std::mem::take(&mut self.state().dropped);
        if dropped > 0 {
            tracing::warn!(ev = "outcomes_dropped", rows = dropped, "outcomes_dropped");
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What happened, without the address, which may carry a signature.
fn reason(error: &object_store::Error) -> &'static str {
    use object_store::Error;
    if matches!(error, Error::PermissionDenied { .. } | Error::Unauthenticated { .. }) {
        "storage refused the credential"
    } else if matches!(error, Error::NotFound { .. }) {
        "the container is not there"
    } else {
        "storage did not answer"
    }
}

#[cfg(test)]
mod tests;
