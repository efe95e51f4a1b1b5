//! The guard before removals: how many are too many to be no mistake.
//!
//! Counted are removals that would really be carried out, and all rows written, of each map and hour.
//! Beyond the map's limits (`ask_above`, `ask_percent`) a hold is opened, which every instance obeys. An
//! instance counts by itself at first; once it has seen a part of what may be, its count is shared, so
//! that several together do not remove what one alone may not. Small removals cost nothing.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Control, Hold, entity, read};
use crate::fault::Fault;
use crate::row::{Ask, Destination};
use crate::store::Operation;

/// What this process counted.
#[derive(Debug)]
pub(super) struct Tallies {
    instance: Uuid,
    hour: i64,
    maps: HashMap<String, Tally>,
}

/// What was counted of a map in one hour.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows removed, or about to be.
    pub removals: u64,
    /// All rows, those among them.
    pub rows: u64,
}

/// Counts are shared once a process has seen this part of what may be.
const SHARED: u64 = 8;
/// Fewer removals than this are never a share of anything.
const FEW: u64 = 100;

impl Tallies {
    pub(super) fn of(instance: Uuid) -> Self {
        Self { instance, hour: 0, maps: HashMap::new() }
    }

    /// Adds to the count of a map; answers it, and who counted.
    fn add(&mut self, map: &str, tally: Tally, hour: i64) -> (Tally, Uuid) {
        if self.hour != hour {
            self.hour = hour;
            self.maps.clear();
        }
        let sum = self.maps.entry(map.to_owned()).or_default();
        *sum = sum.with(tally);
        (*sum, self.instance)
    }
}

impl Tally {
    fn with(self, other: Self) -> Self {
        Self {
            removals: self.removals.saturating_add(other.removals),
            rows: self.rows.saturating_add(other.rows),
        }
    }

    /// Why these are too many; none when they are not.
    pub fn excess(self, ask: Ask) -> Option<String> {
        let Self { removals, rows } = self;
        if removals > ask.above.into() {
            let above = ask.above;
            return Some(format!("{removals} removals within the hour, more than {above}"));
        }
        let share = removals.saturating_mul(100) >= rows.saturating_mul(ask.percent.into());
        (removals >= FEW && share && ask.percent <= 100).then(|| {
            let percent = ask.percent;
            format!("{removals} removals among {rows} rows within the hour, {percent} % or more")
        })
    }

    fn is_shared(self, ask: Ask) -> bool {
        self.removals.saturating_mul(SHARED) > u64::from(ask.above).min(FEW)
    }
}

impl Control {
    /// Whether so many rows of a map may be removed now, among so many that are written. False: a hold
    /// stands, and nothing of it may be carried out.
    pub async fn admits(&self, to: &Destination, more: Tally) -> Result<bool, Fault> {
        let now = self.clock.now();
        let hour = now.as_second() / 3_600;
        let (mut sum, instance) = {
            let mut tallies =
                self.tallies.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            tallies.add(&to.map, more, hour)
        };
        if more.removals == 0 {
            return Ok(true);
        }
        let standing = self.standing().await?;
        if standing.holds_removals(&to.map) {
            return Ok(false);
        }
        if standing.approves(&to.map, now) {
            return Ok(true);
        }
        if sum.is_shared(to.ask) {
            sum = self.shared(&to.map, (hour, instance), sum).await?;
        }
        match sum.excess(to.ask) {
            Some(why) => self.hold(&to.map, why).await.map(|()| false),
            None => Ok(true),
        }
    }

    /// Holds all removals of a map until somebody approves or rejects them.
    pub async fn hold(&self, map: &str, why: String) -> Result<(), Fault> {
        let since = self.clock.now();
        tracing::warn!(map, %why, "removals_held");
        self.put(&format!("hold~{map}"), &Hold { since, why, approved: None }).await
    }

    /// The sum over all instances, once this one's own count is told.
    async fn shared(
        &self,
        map: &str,
        (hour, instance): (i64, Uuid),
        own: Tally,
    ) -> Result<Tally, Fault> {
        let partition = format!("~tally-{map}");
        let own_row = format!("{hour:012}~{}", instance.simple());
        self.transact(&partition, Operation::Put(entity(&own_row, &own)?)).await?;
        let (from, to) = (format!("{hour:012}~"), format!("{hour:012}~~"));
        let mut sum = own;
        for (row, entity) in self.scan(&partition, &from, &to).await? {
            if row != own_row {
                sum = sum.with(read(&entity)?);
            }
        }
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ASK: Ask = Ask { above: 1_000, percent: 50 };

    #[test]
    fn too_many_are_more_than_the_count_or_the_share_of_what_is_written() {
        let excess = |removals, rows| Tally { removals, rows }.excess(ASK).is_some();
        assert!(!excess(1_000, 10_000));
        assert!(excess(1_001, 10_000));
        assert!(excess(100, 200));
        assert!(!excess(100, 201));
        assert!(!excess(99, 99), "a few are never too many");
    }

    #[test]
    fn a_share_above_all_is_never_reached() {
        let ask = Ask { above: 1_000, percent: 101 };
        assert_eq!(Tally { removals: 500, rows: 500 }.excess(ask), None);
    }

    #[test]
    fn each_hour_is_counted_by_itself() {
        let mut tallies = Tallies::of(Uuid::nil());
        let one = Tally { removals: 1, rows: 2 };
        tallies.add("m", one, 7);
        assert_eq!(tallies.add("m", one, 7).0, Tally { removals: 2, rows: 4 });
        assert_eq!(tallies.add("other", one, 7).0, one);
        assert_eq!(tallies.add("m", one, 8).0, one);
    }
}
