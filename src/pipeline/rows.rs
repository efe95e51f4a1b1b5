//! Rows that come from nowhere but the ledger: removals and repairs without an event of the source.

use std::sync::Arc;
use std::time::Duration;

use super::Pipeline;
use super::sweep::member;
use crate::coalesce::{Mapped, Stack};
use crate::fault::Fault;
use crate::outcome::Report;
use crate::row::Row;
use crate::system::Lane;

impl Pipeline {
    /// Takes rows of one map, each key at most once, through the ordinary path. Answers how many are
    /// not settled: they are as they were, or the sweep ends them.
    pub async fn take_rows(&self, rows: Vec<Row>, within: Duration) -> Result<usize, Fault> {
        if rows.is_empty() {
            return Ok(0);
        }
        let members: Vec<_> = rows.iter().map(member).collect();
        let stacks = rows.into_iter().enumerate().map(|(event, row)| Stack {
            newest: Mapped { row: Arc::new(row), event },
            older: Vec::new(),
        });
        let flowed = self.flow(stacks.collect(), &members, self.time(within, Lane::Bulk)).await;
        flowed.counted(&mut Report::default());
        Ok(flowed.open.len())
    }
}
