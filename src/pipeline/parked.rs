//! Rows that wait for rows they refer to: parked, woken, tried again, given up.
//!
//! A child is parked in three steps: the event is made durable beneath the row it misses, the ledger
//! entry of that row is marked, and only if the row is there after all it is brought again at once.
//! Whoever settles the missing row's write finds the mark and wakes all that wait, through the work
//! queue and the same gate as new events, so the newest version wins. Either the mark comes first or
//! the settling, never neither: no wake-up is lost. The sweep is a net beneath it.
//!
//! Rows that wait for each other in a circle would wait for ever. Each is parked before it looks whether
//! what it waits for waits, step by step, for itself; so at least one of them sees the circle, and is
//! brought again to be written without the lookup that closes it, and then with it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::flowed::Flowed;
use super::read::{Member, Open};
use super::{Pipeline, Time};
use crate::coalesce::Mapped;
use crate::deferral;
use crate::delivery::{Event, Wait};
use crate::fault::{Act, Fault, Kind};
use crate::parking::{About, BUCKETS, Name, Parked};
use crate::row::{Key, Lookup, Missing, Row, Value};

/// How far a chain of rows that wait for each other is followed.
const CHAIN: usize = 12;
/// What is said of a row of which the ledger knows nothing.
const NEVER: &str = "which was never seen, was left out by its map's filter, or is in poison";
/// After so many tries a row whose parent seems to be there is left to the sweep.
const TRIES: u32 = 4;

/// Ledger entries by map and key.
type Entries = Vec<(Arc<str>, Key)>;

impl Pipeline {
    /// Parks what is open because a row is missing; what cannot be parked is handed back.
    pub(super) async fn park(
        &self,
        members: &[Member],
        open: Vec<Open>,
    ) -> Result<Vec<Open>, Fault> {
        let (mut parked, mut parents, mut rest) = (Vec::new(), Vec::new(), Vec::new());
        for open in open {
            match self.waiting(members, &open) {
                Some((one, parent)) => {
                    parked.push(one);
                    parents.push(parent);
                }
                None => rest.push(open),
            }
        }
        if parked.is_empty() {
            return Ok(rest);
        }
        self.parking.put(&parked).await?;
        let keys: Entries = parents.iter().flatten().cloned().collect();
        let there = self.ledger.expect(&keys).await?;
        let there: HashSet<&(Arc<str>, Key)> =
            keys.iter().zip(there).filter(|(_, there)| *there).map(|(key, _)| key).collect();
        let mut again = BTreeMap::<Duration, Vec<Parked>>::new();
        for (one, parents) in parked.into_iter().zip(&parents) {
            let tries = one.about.tries;
            let arrived = parents.iter().any(|parent| there.contains(parent));
            if arrived && tries <= TRIES {
                // Its parent was settled just now; if the target still does not know it, later.
                let pause = tries.checked_sub(2).map(deferral::pause).unwrap_or_default();
                again.entry(pause).or_default().push(one);
            } else if let Some(one) = self.circular(one).await? {
                again.entry(Duration::ZERO).or_default().push(one);
            }
        }
        for (pause, again) in again {
            self.bring(again, pause).await?;
        }
        Ok(rest)
    }

    /// What an open row waits for, and the entries that a write of it would settle.
    fn waiting(&self, members: &[Member], open: &Open) -> Option<(Parked, Entries)> {
        let row = open.row.as_ref().filter(|_| open.fault.act() == Act::Park)?;
        let member = members.get(open.member)?;
        let (column, lookup) = missing(row, &open.fault)?;
        let now = self.clock.now();
        let wait = waited(&member.event, now);
        let parents = self.written(row, lookup);
        let parent = Name::of_lookup(&row.to.system, lookup);
        let secured = row.to.secured.iter().any(|secured| **secured == **column);
        let waits = if secured {
            format!("a row of {}", lookup.table)
        } else {
            Value::Lookup(lookup.clone()).to_string()
        };
        let about = About {
            system: Arc::clone(&member.system),
            map: row.to.map.to_string(),
            key: row.to.shown(&row.key),
            child: Name::of(row).id(),
            column: column.to_string(),
            waits,
            parent: parent.id(),
            since: wait.since,
            tried: now,
            tries: wait.tries,
            ours: !parents.is_empty(),
        };
        let only = vec![row.to.map.to_string()];
        let event = Event { only, wait: Some(wait), ..member.event.clone() };
        Some((Parked { about, event }, parents))
    }

    /// The ledger entries of the row that a lookup means: one for each map that writes its table by the
    /// columns of the lookup.
    fn written(&self, row: &Row, lookup: &Lookup) -> Entries {
        let maps = self.maps.destinations().into_iter();
        let maps = maps.filter(|to| to.system == row.to.system && *to.table == *lookup.table);
        let key = |columns: &[String]| {
            let value = |column: &String| {
                let part = lookup.by.iter().find(|(path, _)| path.join(".") == *column)?;
                Some((Arc::from(column.as_str()), part.1.clone()))
            };
            (columns.len() == lookup.by.len())
                .then(|| columns.iter().map(value).collect::<Option<Vec<_>>>().map(Key))?
        };
        maps.filter_map(|to| Some((Arc::clone(&to.map), key(&to.key)?))).collect()
    }

    /// The event without the lookup that closes a circle, if what it waits for waits for itself.
    async fn circular(&self, mut parked: Parked) -> Result<Option<Parked>, Fault> {
        let wait = parked.event.wait.get_or_insert_default();
        if !wait.without.is_empty() {
            return Ok(None);
        }
        let about = &parked.about;
        let mut next = vec![about.parent.clone()];
        let mut seen = BTreeSet::new();
        for _ in 0..CHAIN {
            let Some(name) = next.pop() else { return Ok(None) };
            if name == about.child {
                wait.without.push(about.column.clone());
                return Ok(Some(parked));
            }
            if seen.insert(name.clone()) {
                let pointers = self.parking.pointers(&name).await?;
                next.extend(pointers.into_iter().map(|pointer| pointer.parent));
            }
        }
        Ok(None)
    }

    /// Wakes what waits for rows that are there now. Should that fail, those rows stay open, so that
    /// they come again and find the marks still there.
    pub(super) async fn wake_children(&self, flowed: &mut Flowed) {
        let awaited = std::mem::take(&mut flowed.awaited);
        let rows: Vec<Arc<Row>> = awaited.iter().map(|(_, row)| Arc::clone(row)).collect();
        let Err(fault) = self.wake(&rows).await else { return };
        for (member, row) in awaited {
            let map = Some(Arc::clone(&flowed.map));
            flowed.open.push(Open { member, map, fault: fault.clone(), row: Some(row) });
        }
    }

    /// Wakes all that wait for rows that are there now. Only then are the marks taken away, so that a
    /// crash in between wakes them once more.
    pub(super) async fn wake(&self, rows: &[Arc<Row>]) -> Result<(), Fault> {
        if rows.is_empty() {
            return Ok(());
        }
        self.rouse(rows).await?;
        let keys: Vec<_> =
            rows.iter().map(|row| (Arc::clone(&row.to.map), row.key.clone())).collect();
        self.ledger.met(&keys).await
    }

    /// Brings all that wait for rows, but leaves the marks.
    pub(super) async fn rouse(&self, rows: &[Arc<Row>]) -> Result<(), Fault> {
        for name in rows.iter().map(|row| Name::of(row).id()).collect::<BTreeSet<_>>() {
            loop {
                let waiting = self.parking.waiting_for(&name).await?;
                if waiting.is_empty() {
                    break;
                }
                tracing::info!(rows = waiting.len(), "woken");
                self.bring(waiting, Duration::ZERO).await?;
            }
        }
        Ok(())
    }

    /// Puts parked events in the work queue; only then are they removed.
    async fn bring(&self, parked: Vec<Parked>, pause: Duration) -> Result<(), Fault> {
        let mut systems = BTreeMap::<&Arc<str>, Vec<Event>>::new();
        for one in &parked {
            systems.entry(&one.about.system).or_default().push(one.event.clone());
        }
        for (system, events) in systems {
            self.deferral.bring(system, &events, pause).await?;
        }
        self.parking.remove(&parked).await
    }

    /// Tries again what is due, and what has waited too long, which is then given up on its way. Starts
    /// at a random place, should there be more than the time allows.
    pub(super) async fn tend_parked(&self, time: Time) -> Result<usize, Fault> {
        let mut tried = 0;
        let first = self.chance.below(BUCKETS.into());
        for turn in 0..u64::from(BUCKETS) {
            let bucket = u32::try_from((first + turn) % u64::from(BUCKETS)).unwrap_or_default();
            let mut from = None;
            loop {
                let page = self.parking.page(bucket, from).await?;
                let now = self.clock.now();
                let due =
                    |about: &About| about.due() <= now || self.parking.is_over(about.since, now);
                let due: Vec<Parked> =
                    page.parked.into_iter().filter(|one| due(&one.about)).collect();
                tried += due.len();
                if !due.is_empty() {
                    self.bring(due, Duration::ZERO).await?;
                }
                from = page.next;
                if from.is_none() || time.is_over() {
                    break;
                }
            }
        }
        Ok(tried)
    }

    /// Why a row that waited too long was never written: what it waits for, what that waits for, and
    /// so on. Carries keys, so it belongs in the error record alone.
    pub(super) async fn chain(&self, row: &Row, fault: &Fault) -> String {
        let Some((_, lookup)) = missing(row, fault) else { return String::new() };
        let mut name = Name::of_lookup(&row.to.system, lookup).id();
        let mut text = format!("it waits for {}", Value::Lookup(lookup.clone()));
        let mut last = self.standing(&self.written(row, lookup)).await;
        let mut seen = BTreeSet::new();
        while seen.len() < CHAIN && seen.insert(name.clone()) {
            let pointers = self.parking.pointers(&name).await.unwrap_or_default();
            let Some(next) = pointers.into_iter().next() else { break };
            text.push_str(", which waits for ");
            text.push_str(&next.waits);
            NEVER.clone_into(&mut last);
            name = next.parent;
        }
        let circle = self.parking.pointers(&name).await.is_ok_and(|next| !next.is_empty());
        if circle { text + ", and so on" } else { format!("{text}, {last}") }
    }

    /// What the ledger knows of a row that somebody waits for.
    async fn standing(&self, entries: &[(Arc<str>, Key)]) -> String {
        let mut standing = "which no map writes by these columns";
        for (map, key) in entries {
            standing = match self.ledger.entry(map, key).await {
                Ok(entry) if entry.is_there() => {
                    return format!("which {map} wrote, and which the target lost since");
                }
                Ok(entry) if entry.applied.is_some() => "which was removed at the source",
                Ok(_) => NEVER,
                Err(_) => "of which the ledger could not be asked",
            };
        }
        standing.to_owned()
    }
}

/// Takes out of what is open in one level the rows whose parents were written beside them, by another
/// map: they are tried again at once.
pub(super) fn orphaned_no_more(open: &mut Vec<Open>, written: &HashSet<Name>) -> Vec<Mapped> {
    let left: HashSet<Name> =
        open.iter().filter_map(|open| open.row.as_deref()).map(Name::of).collect();
    let freed = |open: &Open| {
        let row = open.row.as_ref().filter(|_| open.fault.act() == Act::Park)?;
        let (_, lookup) = missing(row, &open.fault)?;
        let parent = Name::of_lookup(&row.to.system, lookup);
        let there = written.contains(&parent) && !left.contains(&parent);
        there.then(|| Mapped { row: Arc::clone(row), event: open.member })
    };
    let again: Vec<Mapped> = open.iter().filter_map(freed).collect();
    open.retain(|open| freed(open).is_none());
    again
}

/// Whether the target, and nothing of ours, is why a row is open.
pub(super) fn is_stuck(open: &Open) -> bool {
    let ours = matches!(open.fault.kind, Kind::Storage | Kind::Busy | Kind::Conflict);
    open.row.is_some() && !ours && matches!(open.fault.act(), Act::Retry | Act::Halt)
}

/// The wait of an event that was tried once more in vain.
pub(super) fn waited(event: &Event, now: jiff::Timestamp) -> Wait {
    match &event.wait {
        Some(wait) => Wait { tries: wait.tries.saturating_add(1), ..wait.clone() },
        None => Wait { since: now, tries: 1, without: Vec::new() },
    }
}

/// The lookup of a row whose row is missing: the one that the fault names, else the only one that waits.
fn missing<'r>(row: &'r Row, fault: &Fault) -> Option<(&'r Arc<str>, &'r Lookup)> {
    let lookups = || row.lookups().filter(|(_, lookup)| lookup.missing == Missing::Park);
    let named = lookups().find(|(column, _)| fault.field.as_deref() == Some(&***column));
    let mut all = lookups();
    named.or_else(|| all.next().filter(|_| all.next().is_none()))
}
