//! Writes beyond the rows that are called applied: what it costs that two callers hold one key at once.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::ledger::Conclusion;
use crate::outcome::Outcome;

/// How many rows the target took so far without an outcome that speaks of it. Together with the rows
/// that were applied they are all that was written, as long as every write is answered and settled.
#[derive(Debug, Default)]
pub struct Surplus {
    overtaken: AtomicU64,
    reasserted: AtomicU64,
}

impl Surplus {
    /// Rows that landed, and that something newer had overtaken when they were settled.
    pub fn overtaken(&self) -> u64 {
        self.overtaken.load(Ordering::Relaxed)
    }

    /// Newest versions that were written once more, because an overtaken write may lie over them.
    pub fn reasserted(&self) -> u64 {
        self.reasserted.load(Ordering::Relaxed)
    }

    /// Notes what became of settlements, so many of which were of rows that landed.
    pub(super) fn note_settled(&self, landed: usize, conclusions: &[Conclusion]) {
        let applied =
            |one: &&Conclusion| matches!(one, Conclusion::Done { outcome: Outcome::Applied, .. });
        let overtaken = landed.saturating_sub(conclusions.iter().filter(applied).count());
        self.overtaken.fetch_add(overtaken as u64, Ordering::Relaxed);
    }

    pub(super) fn note_assertion(&self) {
        self.reasserted.fetch_add(1, Ordering::Relaxed);
    }
}
