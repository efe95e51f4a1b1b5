//! What the load is told on its command line; every option can be an environment variable too.

use std::time::Duration;

use clap::Parser;

use crate::sink::Pace;
use crate::work::Size;

/// Drives `concord serve`, as its own process, with the host's envelopes, and measures it from outside.
#[derive(Clone, Debug, Parser)]
#[command(name = "cargo bench --bench load --")]
pub(crate) struct Options {
    /// How many events
    #[arg(long, env = "LOAD_EVENTS", default_value_t = Size::default().events)]
    pub(crate) events: usize,
    /// How many different things they are about
    #[arg(long, env = "LOAD_KEYS", default_value_t = Size::default().keys)]
    pub(crate) keys: usize,
    /// How many partitions deliver at once, up to ten
    #[arg(long, env = "LOAD_PARTITIONS", default_value_t = Size::default().partitions)]
    pub(crate) partitions: usize,
    /// Events in a batch
    #[arg(long, env = "LOAD_BATCH", default_value_t = Size::default().batch)]
    pub(crate) batch: usize,
    /// Duplicates in a thousand events
    #[arg(long, env = "LOAD_DUPLICATES", default_value_t = Size::default().duplicates)]
    pub(crate) duplicates: u32,
    /// Late events in a thousand
    #[arg(long, env = "LOAD_LATE", default_value_t = Size::default().late)]
    pub(crate) late: u32,
    /// Removals in a thousand events
    #[arg(long, env = "LOAD_REMOVALS", default_value_t = Size::default().removals)]
    pub(crate) removals: u32,
    /// Bad events in a thousand
    #[arg(long, env = "LOAD_BAD", default_value_t = Size::default().bad)]
    pub(crate) bad: u32,
    /// Another seed, other events
    #[arg(long, env = "LOAD_SEED", default_value_t = Size::default().seed)]
    pub(crate) seed: u64,
    /// What a call to the target takes, in milliseconds
    #[arg(long, env = "LOAD_TARGET_MS", default_value_t = 5.0)]
    pub(crate) target_ms: f64,
    /// What each row of it takes besides
    #[arg(long, env = "LOAD_ROW_MS", default_value_t = 0.2)]
    pub(crate) row_ms: f64,
    /// What a call to storage takes, in milliseconds
    #[arg(long, env = "LOAD_STORE_MS", default_value_t = 3.0)]
    pub(crate) store_ms: f64,
    /// Only this contender: concord or node
    #[arg(long, env = "LOAD_ONLY")]
    pub(crate) only: Option<String>,
    /// How often all contenders take their turn; the table shows the run of middle throughput
    #[arg(long, env = "LOAD_TURNS", default_value_t = 1)]
    pub(crate) turns: usize,
    /// The emulated Dataverse and Azurite in place of the stand-ins (`npm ci --prefix tests/clients`)
    #[arg(long, env = "LOAD_REAL")]
    pub(crate) real: bool,
    /// Show CPU and memory after each tenth of the events, to see whether they grow
    #[arg(long, env = "LOAD_GROWTH")]
    pub(crate) growth: bool,
    /// Put this in front of the handler's command, such as `perf record -g`
    #[arg(long, env = "LOAD_UNDER", default_value = "")]
    pub(crate) under: String,
    /// Given by `cargo bench`
    #[arg(long, hide = true)]
    pub(crate) bench: bool,
}

impl Options {
    pub(crate) fn size(&self) -> Size {
        Size {
            events: self.events,
            keys: self.keys,
            partitions: self.partitions.clamp(1, 10),
            batch: self.batch.max(1),
            duplicates: self.duplicates,
            late: self.late,
            removals: self.removals,
            bad: self.bad,
            seed: self.seed,
        }
    }

    pub(crate) fn pace(&self) -> Pace {
        Pace { call: millis(self.target_ms), row: millis(self.row_ms) }
    }

    pub(crate) fn store_pause(&self) -> Duration {
        millis(self.store_ms)
    }
}

fn millis(millis: f64) -> Duration {
    Duration::from_secs_f64(millis / 1_000.0)
}
