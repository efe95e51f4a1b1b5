//! The sweep: what crashed, was overtaken or waited long enough is brought to its end.

use std::sync::Arc;

use jiff::Timestamp;

use super::claim::{Batch, Ticket};
use super::decide::{self, Tending};
use super::entry::{Claim, Entry, Held};
use super::revise::{Revised, Revision};
use super::settle::{Assertion, again};
use super::{Ledger, PLACE, Slot, index, slot};
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
    /// Whether there may be more: visit again.
    pub more: bool,
}

/// How many index rows one visit takes up.
const VISIT: usize = 50;

impl Ledger {
    /// How many buckets each map has: the sweep visits them all.
    pub fn buckets(&self) -> u32 {
        self.config.buckets
    }

    /// Finds what is over in one bucket of a map, and claims it until `lease`.
    pub async fn due(
        &self,
        to: &Arc<Destination>,
        bucket: u32,
        lease: Timestamp,
    ) -> Result<Due, Fault> {
        let partition = slot::partition(&to.map, bucket);
        let mut due = Due::default();
        self.tend_leases(to, &partition, lease, &mut due).await?;
        self.end_holds(to, &partition, &mut due).await?;
        Ok(due)
    }

    async fn tend_leases(
        &self,
        to: &Arc<Destination>,
        partition: &str,
        lease: Timestamp,
        due: &mut Due,
    ) -> Result<(), Fault> {
        let (from, until) = index::leases(self.now());
        let page = self.table.scan(partition, &from, &until, VISIT).await;
        let page = page.map_err(|error| error.fault(PLACE))?;
        due.more |= page.next.is_some();
        for stored in &page.rows {
            // One for each: the index row of a claim is put as a whole, for the keys of one call.
            let claim = self.new_claim();
            let tending =
                self.keyed(partition, &stored.entity).await?.into_iter().map(|(slot, key)| {
                    (
                        Tend {
                            slot,
                            key,
                            to: Arc::clone(to),
                            claim,
                            lease,
                            found: None,
                            batch: None,
                        },
                        None,
                    )
                });
            let revised = self.revise(tending.collect()).await;
            let mut wait = false;
            for revised in revised {
                wait |= matches!(revised.revision.found, Some(Tending::Wait));
                self.tended(revised, due)?;
            }
            if !wait {
                self.discard(partition, &stored.entity.row).await?;
            }
        }
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
        due.more |= page.next.is_some();
        for stored in &page.rows {
            let mut ripe = 0;
            for (slot, key) in self.keyed(partition, &stored.entity).await? {
                let looked = self.look(&[slot]).await?.pop().unwrap_or_default();
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
            if let Some(key) = self.decode_key(&stored.entity).await? {
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
        action: Action::Remove(held.then),
        order: held.order.clone(),
        correlation: held.correlation,
        only_if_known: false,
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
    use crate::chance::Chance;
    use crate::clock::{RuntimeClock, after};
    use crate::ledger::{Claimed, Config, Request};
    use crate::order::Order;
    use crate::row::{Columns, Value};
    use crate::store::{self, Stores};

    const SECOND: Duration = Duration::from_secs(1);

    fn request(to: &Arc<Destination>, number: i64) -> Request {
        let row = Row {
            to: Arc::clone(to),
            key: Key(vec![("k".into(), Value::Integer(number))]),
            action: Action::Upsert(Columns::default()),
            order: Order::emitted_at(Timestamp::UNIX_EPOCH),
            correlation: crate::change::Correlation::default(),
            only_if_known: false,
        };
        Request { row: Arc::new(row), patient: false }
    }

    fn ledger(stores: &Stores, clock: RuntimeClock) -> Ledger {
        let tables = (Arc::clone(&stores.ledger), Arc::clone(&stores.blobs));
        let config = Config { buckets: 1, ..Config::default() };
        Ledger::new(tables, config, Arc::new(clock), Chance::seeded(1))
    }

    /// Two deliveries died; then so did the sweep that took up both, and the next one.
    #[tokio::test(start_paused = true)]
    async fn what_a_sweep_took_up_and_did_not_finish_is_found_again_all_of_it() {
        let folder = tempfile::tempdir().unwrap();
        let place = store::Config::parse(&format!("local:{}", folder.path().display())).unwrap();
        let clock = RuntimeClock::starting_at(Timestamp::UNIX_EPOCH);
        let stores = store::open(&place, Arc::new(clock), Chance::seeded(1)).await.unwrap();
        let (ledger, to) = (ledger(&stores, clock), Arc::new(Destination::default()));
        let lease = || after(crate::clock::Clock::now(&clock), SECOND);
        for number in [1, 2] {
            let claimed = ledger.claim(vec![request(&to, number)], lease()).await;
            assert!(matches!(*claimed, [Claimed::Ticket(_)]), "{claimed:?}");
        }
        for _ in 0..3 {
            tokio::time::sleep(2 * SECOND).await;
            let due = ledger.due(&to, 0, lease()).await.unwrap();
            assert_eq!(due.tickets.len(), 2);
        }
    }
}
