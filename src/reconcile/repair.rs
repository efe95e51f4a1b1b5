//! What is wrong is sent once more, through the same path as any change: a row of the source as an event
//! of it, and what only the ledger knows as a row. Nothing is called mended before both sides were seen
//! to agree.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::class::{Act, Class};
use super::config;
use super::ground::Ground;
use super::look::{Looked, is_due};
use super::report::Done;
use crate::change::Correlation;
use crate::delivery::{Attempt, Delivery, Event};
use crate::fault::Fault;
use crate::order::Order;
use crate::outcome::Verdict;
use crate::row::{Action, Key, Row};

/// Rows of one delivery.
const BATCH: usize = 200;

impl Ground {
    /// Says of every difference what a repair would do, and what nobody can know beforehand.
    pub(super) async fn foretell(&self, looked: &mut [Looked]) -> Result<(), Fault> {
        for one in looked {
            let orphaned = match &one.row {
                Some(row) if is_due(one, Act::Write) => self.orphaned(row).await?,
                Some(_) | None => Vec::new(),
            };
            let Some(finding) = &mut one.finding else { continue };
            finding.done = match finding.act {
                Act::Nothing => Done::No,
                Act::Remove => Done::Would(
                    "it would be removed as the map says, unless too many rows would be".to_owned(),
                ),
                Act::Write if !orphaned.is_empty() => Done::Would(format!(
                    "it would wait for the row that {} refers to; whether that row comes is not known",
                    orphaned.join(", ")
                )),
                Act::Write => Done::Would(
                    "it would be written; whether the target takes it only the target can say"
                        .to_owned(),
                ),
            };
        }
        Ok(())
    }

    /// Sends what must be written, and looks again.
    pub(super) async fn mend(
        &self,
        mut looked: Vec<Looked>,
        order: &config::Order,
        within: Duration,
    ) -> Result<Vec<Looked>, Fault> {
        let due: Vec<&Looked> = looked.iter().filter(|one| is_due(one, Act::Write)).collect();
        if due.is_empty() {
            return Ok(looked);
        }
        self.doubt(&due).await?;
        let (read, remembered): (Vec<&Looked>, Vec<&Looked>) =
            due.iter().copied().partition(|one| one.record.is_some());
        let sent = self.send(&read, within).await;
        let asserted = self.assert_rows(&remembered, within).await?;
        let why = sent.or(asserted);
        let suspects = due.iter().map(|one| one.suspect.clone()).collect();
        let mut again = self.look(suspects, order).await?.into_iter();
        for one in looked.iter_mut().filter(|one| is_due(one, Act::Write)) {
            let now = again.next().and_then(|again| again.finding);
            let Some(finding) = &mut one.finding else { continue };
            finding.done = match now {
                None => Done::Mended,
                Some(now) => {
                    let more = now.why.or_else(|| why.clone());
                    let more = more.map(|more| format!("; {more}")).unwrap_or_default();
                    Done::Sent(format!("{}{more}", now.class.means()))
                }
            };
        }
        Ok(looked)
    }

    /// The ledger believes that the target holds what it does not: only then would nothing be written.
    async fn doubt(&self, due: &[&Looked]) -> Result<(), Fault> {
        let stale = due.iter().filter(|one| {
            one.finding.as_ref().is_some_and(|finding| match finding.class {
                Class::Edited | Class::Altered | Class::Deleted => true,
                Class::Missed
                | Class::NeverSeen
                | Class::MissedRemoval
                | Class::InFlight
                | Class::Poisoned
                | Class::Parked
                | Class::Held
                | Class::Filtered
                | Class::Refused
                | Class::Theirs
                | Class::Twins => false,
            })
        });
        let keys: Vec<Key> = stale.filter_map(|one| one.key.clone()).collect();
        let doubted = self.pipeline.ledger.doubt(&self.shape.map.name, keys).await;
        doubted.into_iter().try_for_each(|one| one.map(drop))
    }

    /// The source's rows as events. What cannot be applied now waits in the work queue.
    async fn send(&self, due: &[&Looked], within: Duration) -> Option<String> {
        let map = &self.shape.map;
        let table = self.source_table();
        let mut why = None;
        for batch in due.chunks(BATCH) {
            let events = batch.iter().filter_map(|one| one.record.as_ref()).map(|record| Event {
                only: vec![map.name.to_string()],
                ..record.event(table, self.now())
            });
            let delivery = Delivery {
                system: map.system.as_str().into(),
                function: "reconcile".into(),
                invocation: self.pipeline.chance.uuid().to_string(),
                traceparent: None,
                attempt: Attempt { count: 0, last: true },
                within,
                events: events.collect(),
            };
            if let Verdict::Redeliver(reason) = self.pipeline.run(&delivery).await.verdict {
                why = Some(reason);
            }
        }
        why
    }

    /// What the ledger remembers, written once more.
    async fn assert_rows(
        &self,
        due: &[&Looked],
        within: Duration,
    ) -> Result<Option<String>, Fault> {
        let now = self.now();
        let rows = due
            .iter()
            .filter_map(|one| one.row.clone())
            .map(|row| Row { order: seen_again(row.order, now), ..row });
        let left = self.pipeline.take_rows(rows.collect(), within).await?;
        Ok((left > 0).then(|| format!("{left} rows could not be written now")))
    }

    /// How a row that the source no longer gives the target is removed; none when it stays.
    pub(super) fn removal(&self, looked: &Looked) -> Option<(Key, Action)> {
        let key = looked.key.clone()?;
        let own = looked.row.as_ref().map(|row| Action::clone(&row.action));
        let own = own.filter(|action| match action {
            Action::Remove(_) | Action::Hold { .. } => true,
            Action::Upsert(_) => false,
        });
        Some((key, own.or_else(|| self.shape.map.removed.action(self.now()))?))
    }

    /// Removes rows; answers how many could not be dealt with now, and how many removals wait: for
    /// their time, or for an approval.
    pub(super) async fn remove(
        &self,
        removals: Vec<(Key, Action)>,
        within: Duration,
    ) -> Result<(usize, usize), Fault> {
        let (map, now) = (&self.shape.map, self.now());
        let (mut left, mut held) = (0, 0);
        for batch in removals.chunks(BATCH) {
            let rows = batch.iter().map(|(key, action)| Row {
                to: Arc::clone(&map.destination),
                correlation: correlation(&map.name, key, now),
                key: key.clone(),
                action: action.clone().into(),
                order: Order::emitted_at(now),
                only_if_known: true,
                thing: None,
            });
            left += self.pipeline.take_rows(rows.collect(), within).await?;
            for (key, _) in batch {
                let entry = self.pipeline.ledger.entry(&map.name, key).await?;
                held += usize::from(entry.held.is_some());
            }
        }
        Ok((left, held))
    }
}

/// The same version, seen once more: newer than itself, older than anything that comes.
fn seen_again(mut order: Order, now: Timestamp) -> Order {
    order.tie.enqueued = Some(now);
    order
}

fn correlation(map: &str, key: &Key, now: Timestamp) -> Correlation {
    let (key, now) = (key.to_string(), now.to_string());
    Correlation::derived([b"reconcile".as_slice(), map.as_bytes(), key.as_bytes(), now.as_bytes()])
}
