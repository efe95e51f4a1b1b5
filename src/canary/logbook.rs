//! What became of stamps, by map and time: for people, and for the daily digest.

use std::sync::Arc;

use jiff::Timestamp;

use super::{Config, Flight, History, kept};
use crate::fault::Fault;
use crate::store::Table;

/// What became of the stamps of some maps.
#[derive(Clone, Debug)]
pub struct Logbook {
    pub(super) table: Arc<dyn Table>,
    maps: Vec<String>,
}

impl Logbook {
    /// In a table that others may use too: all partitions begin with `~canary`.
    pub fn new(table: Arc<dyn Table>, config: &Config) -> Self {
        Self { table, maps: config.keys().cloned().collect() }
    }

    /// The maps that have a canary.
    pub fn maps(&self) -> impl Iterator<Item = &str> {
        self.maps.iter().map(String::as_str)
    }

    /// What became of a map's stamps since a moment and before another.
    pub async fn history(&self, map: &str, span: (Timestamp, Timestamp)) -> Result<History, Fault> {
        Ok(History::of(map, self.flights(map, span).await?))
    }

    /// The stamps themselves, oldest first.
    pub async fn flights(
        &self,
        map: &str,
        span: (Timestamp, Timestamp),
    ) -> Result<Vec<Flight>, Fault> {
        kept::flights(&*self.table, map, span).await
    }
}
