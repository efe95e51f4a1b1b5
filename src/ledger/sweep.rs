//! The sweep: what crashed, was overtaken or waited long enough is brought to its end.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::time::Instant;

use super::claim::{Batch, Ticket};
use super::decide::{self, Tending};
use super::entry::{Claim, Entry, Held};
use super::revise::{Revised, Revision};
use super::settle::{Assertion, again};
use super::{Depth, Ledger, PLACE, Slot, index, slot};
use crate::fault::Fault;
use crate::row::{Action, Destination, Key, Row};
use crate::store::{Entity, Operation};

/// What one visit to a bucket found to do.
#[derive(Debug, Default)]
pub struct Due {
    /// Abandoned writes, claimed again: write and settle them as usual.
    pub tickets: Vec<Ticket>,
    /// Versions to write once more, then to be told to [`Ledger::asserted`].
    pub assertions: Vec<Assertion>,
    /// Removals whose hold is over: rows for the ordinary path.
    pub removals: Vec<Row>,
    /// Whether more may be over: visit again.
    pub more: bool,
    /// Whether more removals may be due.
    pub more_removals: bool,
}

/// How many index rows one visit takes up.
const VISIT: usize = 50;

impl Ledger {
    /// How many buckets each map has: the sweep visits them all.
    pub fn buckets(&self) -> u32 {
        self.config.buckets
    }

    /// Finds what is over in one bucket of a map, and claims it until `lease`; no more of it than can be
    /// claimed by `until`, so that time is left to write what was claimed.
    pub async fn due(
        &self,
        to: &Arc<Destination>,
        bucket: u32,
        (until, lease): (Instant, Timestamp),
    ) -> Result<Due, Fault> {
        let partition = slot::partition(&to.map, bucket);
        let mut due = Due::default();
        self.tend_leases(to, &partition, (until, lease), &mut due).await?;
        self.end_holds(to, &partition, &mut due).await?;
        Ok(due)
    }

    async fn tend_leases(
        &self,
        to: &Arc<Destination>,
        partition: &str,
        (until, lease): (Instant, Timestamp),
        due: &mut Due,
    ) -> Result<(), Fault> {
        let (from, to_now) = index::leases(self.now());
        let page = self.table.scan(partition, &from, &to_now, VISIT).await;
        let page = page.map_err(|error| error.fault(PLACE))?;
        let (mut more, mut waiting) = (page.next.is_some(), 0);
        // Each key's row, and whether it waits for somebody.
        let mut tended = HashMap::<String, bool>::new();
        for (visited, stored) in page.rows.iter().enumerate() {
            if visited > 0 && Instant::now() >= until {
                more = true;
                break;
            }
            // Tended once it is on its way, with all of its claims that are over: each claim of a hot key
            // would else become another, and there would be as many the next time.
            let keyed = self.keyed(partition, &stored.entity).await?;
            let (known, keyed): (Vec<_>, Vec<_>) =
                keyed.into_iter().partition(|(slot, _)| tended.contains_key(&slot.row));
            let mut wait = known.iter().any(|(slot, _)| tended.get(&slot.row) == Some(&true));
            // One for each: the index row of a claim is put as a whole, for the keys of one call.
            let claim = self.new_claim();
            let tending = keyed.into_iter().map(|(slot, key)| {
                let to = Arc::clone(to);
                (Tend { slot, key, to, claim, lease, found: None, batch: None }, None)
            });
            for revised in self.revise(tending.collect()).await {
                let waits = matches!(revised.revision.found, Some(Tending::Wait));
                wait |= waits;
                tended.insert(revised.revision.slot.row.clone(), waits);
                self.tended(revised, due)?;
            }
            if wait {
                waiting += 1;
            } else {
                self.discard(partition, &stored.entity.row).await?;
            }
        }
        // Where all that was found waits for somebody, asking again at once finds the same.
        due.more = more && waiting < page.rows.len();
        Ok(())
    }

    fn tended(&self, revised: Revised<Tend>, due: &mut Due) -> Result<(), Fault> {
        let looked = revised.result?;
        let Tend { slot, key, to, claim, found, batch, .. } = revised.revision;
        match found {
            Some(Tending::Resume(_, version)) => {
                let Some(row) = again(&to, &key, &version).map(Arc::new) else { return Ok(()) };
                let outlived = decide::expired(&looked.entry, self.now());
                due.tickets.push(Ticket { slot, row, version, claim, looked, outlived, batch });
            }
            Some(Tending::Assert(_, version, claims)) => {
                let Some(row) = again(&to, &key, &version).map(Arc::new) else { return Ok(()) };
                due.assertions.push(Assertion { slot, row, version, looked, claims, mine: None });
            }
            Some(Tending::Rest | Tending::Wait | Tending::Forget(_)) | None => {}
        }
        Ok(())
    }

    async fn end_holds(
        &self,
        to: &Arc<Destination>,
        partition: &str,
        due: &mut Due,
    ) -> Result<(), Fault> {
        let now = self.now();
        let (from, until) = index::holds(now);
        let page = self.table.scan(partition, &from, &until, VISIT).await;
        let page = page.map_err(|error| error.fault(PLACE))?;
        due.more_removals = page.next.is_some();
        for stored in &page.rows {
            let mut ripe = 0;
            for (slot, key) in self.keyed(partition, &stored.entity).await? {
                let looked = self.look(&[slot], Depth::Brief).await?.pop().unwrap_or_default();
                if let Some(held) = looked.entry.held.filter(|held| held.due <= now) {
                    ripe += 1;
                    due.removals.push(removal(to, key, &held));
                }
            }
            if ripe == 0 {
                self.discard(partition, &stored.entity.row).await?;
            }
        }
        Ok(())
    }

    /// The slots that an index row names, with the keys their entries are of.
    async fn keyed(&self, partition: &str, index: &Entity) -> Result<Vec<(Slot, Key)>, Fault> {
        let rows = index::keys(index);
        let found =
            self.table.get_many(partition, &rows).await.map_err(|error| error.fault(PLACE))?;
        let mut keyed = Vec::with_capacity(rows.len());
        for (row, stored) in rows.into_iter().zip(found) {
            let Some(stored) = stored else { continue };
            if let Some(key) = Self::decode_key(&stored.entity)? {
                let slot = Slot { partition: partition.to_owned(), row };
                self.cache.forget(&slot);
                keyed.push((slot, key));
            }
        }
        Ok(keyed)
    }

    async fn discard(&self, partition: &str, row: &str) -> Result<(), Fault> {
        let discarded = self.table.transact(partition, vec![Operation::Discard(row.to_owned())]);
        discarded.await.map(drop).map_err(|error| error.fault(PLACE))
    }
}

fn removal(to: &Arc<Destination>, key: Key, held: &Held) -> Row {
    Row {
        to: Arc::clone(to),
        key,
        action: Action::Remove(held.then).into(),
        order: held.order.clone(),
        correlation: held.correlation,
        only_if_known: false,
        thing: None,
    }
}

/// One entry that the sweep looks after.
struct Tend {
    slot: Slot,
    key: Key,
    to: Arc<Destination>,
    claim: Claim,
    lease: Timestamp,
    found: Option<Tending>,
    batch: Option<Arc<Batch>>,
}

impl Revision for Tend {
    fn slot(&self) -> &Slot {
        &self.slot
    }

    fn key(&self) -> &Key {
        &self.key
    }

    fn revise(&mut self, entry: &Entry, now: Timestamp) -> Option<Entry> {
        let found = decide::tend(entry, self.claim, self.lease, now);
        let next = match &found {
            Tending::Rest | Tending::Wait => None,
            Tending::Forget(next) | Tending::Resume(next, _) | Tending::Assert(next, ..) => {
                Some(next.clone())
            }
        };
        self.found = Some(found);
        next
    }

    fn batch(&self) -> Option<&str> {
        None
    }

    fn rows(&self) -> usize {
        1
    }

    fn index(chunk: &mut [Self], part: u64) -> Vec<Operation> {
        let claims =
            |tend: &&Self| matches!(tend.found, Some(Tending::Resume(..) | Tending::Assert(..)));
        let Some((claim, lease)) = chunk.iter().find(claims).map(|t| (t.claim, t.lease)) else {
            return Vec::new();
        };
        let keys: Vec<&str> = chunk.iter().filter(claims).map(|t| t.slot.row.as_str()).collect();
        let index = index::lease(lease, claim, part, &keys);
        let batch = Arc::new(Batch { row: index.row.clone(), keys: keys.len() });
        for tend in chunk.iter_mut() {
            tend.batch = Some(Arc::clone(&batch));
        }
        vec![Operation::Put(index)]
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::ledger::bench::{Bench, LEASE, bench, row};
    use crate::ledger::{Claimed, Landing, Request, Settlement};
    use crate::row::{Columns, Removal};

    const SECOND: Duration = Duration::from_secs(1);

    fn upsert(key: i64, second: i64) -> Arc<Row> {
        row(key, second, Action::Upsert(Columns::default()))
    }

    impl Bench {
        /// What is due once the leases so far are over, with so long to claim it.
        async fn due(&self, within: Duration) -> Due {
            tokio::time::sleep(2 * LEASE).await;
            let until = (Instant::now() + within, self.lease());
            self.ledger.due(&upsert(1, 0).to, 0, until).await.unwrap()
        }
    }

    /// Two deliveries died; then so did the sweep that took up both, and the next one.
    #[tokio::test(start_paused = true)]
    async fn what_a_sweep_took_up_and_did_not_finish_is_found_again_all_of_it() {
        let bench = bench().await;
        for key in [1, 2] {
            let claimed = bench.claim(&upsert(key, 0)).await;
            assert!(matches!(claimed, Claimed::Ticket(_)), "{claimed:?}");
        }
        for _ in 0..3 {
            assert_eq!(bench.due(SECOND).await.tickets.len(), 2);
        }
        // the second sweep took each up under a claim of its own
        let due = bench.due(Duration::ZERO).await;
        assert_eq!((due.tickets.len(), due.more), (1, true), "no more than there is time for");
    }

    /// The first version may have landed; the second, which overtook it, was refused.
    #[tokio::test(start_paused = true)]
    async fn a_removal_finds_what_may_have_landed_though_its_version_is_forgotten() {
        let bench = bench().await;
        bench.claim(&upsert(1, 0)).await;
        let Claimed::Ticket(ticket) = bench.claim(&upsert(1, 1)).await else {
            panic!("not overtaken");
        };
        let refused = Settlement { ticket: *ticket, landing: Landing::Never };
        bench.ledger.settle(vec![refused]).await;
        let due = bench.due(SECOND).await;
        assert!(due.tickets.is_empty() && due.assertions.is_empty(), "nothing is remembered");
        let gone = row(1, 2, Action::Remove(Removal::Delete));
        let request = Request { row: gone, patient: false };
        let claimed = bench.fresh().claim(vec![request], bench.lease()).await;
        assert!(matches!(*claimed, [Claimed::Ticket(_)]), "{claimed:?}");
    }

    /// Deliveries of one key died one after the other, each with an index row of its own.
    #[tokio::test(start_paused = true)]
    async fn a_key_with_many_claims_is_taken_up_once() {
        let bench = bench().await;
        for second in 0..5 {
            bench.claim(&upsert(1, second)).await;
        }
        for _ in 0..3 {
            let due = bench.due(SECOND).await;
            assert_eq!((due.tickets.len(), due.assertions.len()), (1, 0));
        }
        let (from, until) = index::leases(Timestamp::MAX);
        let page = bench.stores.ledger.scan(&slot::partition("m", 0), &from, &until, VISIT).await;
        assert_eq!(page.unwrap().rows.len(), 1, "one index row is left");
    }
}
