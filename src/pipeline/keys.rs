//! Things of an environment that change their key: which key each has is noted before its row is claimed,
//! and the rows that it left behind under earlier keys go as the map removes rows.
//!
//! A change that is older than the key that its thing has by now writes nothing. What was left behind is
//! dealt with after the row under the new key is there, so that a row that is refused does not take the
//! last good one with it; and each time that the thing is heard of, so that a crash in between loses
//! nothing: the ledger answers at once when nothing is left to do.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use uuid::Uuid;

use super::part::Part;
use super::read::{About, Member, Open, Read};
use super::{Pipeline, Time};
use crate::coalesce::Mapped;
use crate::crosswalk::{Next, Note, Noted, Write};
use crate::fault::{Fault, Kind};
use crate::ledger::decide;
use crate::mapping::Map;
use crate::outcome::{Outcome, Report};
use crate::row::{Action, Key, Row, Thing};

/// How often notes are read again that somebody else changes.
const ROUNDS: usize = 5;

/// The row that a thing left behind, and the key that the thing has now.
#[derive(Clone, Debug)]
pub(super) struct LeftBehind {
    pub(super) mapped: Mapped,
    now: Key,
}

/// What is known of the key of one thing.
struct Standing {
    key: Key,
    was: Vec<Key>,
    moved: bool,
}

impl Pipeline {
    /// Notes the keys of rows whose thing may change it, takes out what is older than the key that its
    /// thing has, and finds what was left behind. Rows that could not be noted are not written.
    pub(super) async fn note_keys(&self, read: &mut Read, report: &mut Report) -> Vec<Open> {
        let mut maps = BTreeMap::<Arc<str>, BTreeMap<usize, String>>::new();
        for About { member, map, change } in std::mem::take(&mut read.named) {
            maps.entry(map).or_default().insert(member, change.id.into_owned());
        }
        let mut open = Vec::new();
        for (name, ids) in maps {
            let Some(map) = self.maps.get(&name) else { continue };
            let of_map = |mapped: &Mapped| mapped.row.to.map == name;
            let (own, others) = std::mem::take(&mut read.rows).into_iter().partition(of_map);
            read.rows = others;
            let own: Vec<Mapped> = own;
            match self.standings(&name, &newest(&own, &ids)).await {
                Ok(standings) => sort_out(read, map, (own, &ids), &standings, report),
                Err(fault) => {
                    let (these, others) =
                        own.into_iter().partition(|mapped| ids.contains_key(&mapped.event));
                    read.rows.extend(others);
                    let these: Vec<Mapped> = these;
                    let left = these.iter().map(|one| Open::of(one.event, Some(&name), &fault));
                    open.extend(left);
                }
            }
        }
        open
    }

    /// Notes the key of each thing, by its newest row, and answers how things then stand.
    async fn standings(
        &self,
        map: &str,
        rows: &BTreeMap<String, Arc<Row>>,
    ) -> Result<BTreeMap<String, Standing>, Fault> {
        let crosswalk = &self.twins.crosswalk;
        let mut standings = BTreeMap::new();
        let mut ids: Vec<String> = rows.keys().cloned().collect();
        let mut guess = crosswalk.expects_new(ids.len()) && rows.values().all(|row| is_there(row));
        for _ in 0..ROUNDS {
            let found = if std::mem::take(&mut guess) {
                vec![None; ids.len()]
            } else {
                crosswalk.find(map, &ids).await?
            };
            let mut writes = Vec::new();
            for (id, over) in ids.into_iter().zip(found) {
                let Some(row) = rows.get(&id) else { continue };
                let next = self.next(map, over.as_ref(), row).await?;
                let moved = over.is_some() && matches!(next, Next::Moved(_));
                let note = match next {
                    Next::Moved(note) => Some(note),
                    Next::Same | Next::Stale => None,
                };
                let shown = note.as_ref().or(over.as_ref().map(|over| &over.note));
                let key = shown.map_or_else(|| row.key.clone(), |note| note.key.clone());
                let was = shown.map(|note| note.was.clone()).unwrap_or_default();
                standings.insert(id.clone(), Standing { key, was, moved });
                writes.extend(note.map(|note| Write { id, note, over }));
            }
            ids = crosswalk.write(map, writes).await?;
            if ids.is_empty() {
                return Ok(standings);
            }
        }
        Err(Fault::new(Kind::Busy, "another instance is noting the keys of these rows"))
    }

    async fn next(&self, map: &str, noted: Option<&Noted>, row: &Row) -> Result<Next, Fault> {
        let Some(Noted { note, .. }) = noted else {
            let first = || Next::Moved(Note::first(row.key.clone(), row.order.clone()));
            return Ok(if is_there(row) { first() } else { Next::Same });
        };
        let next = note.next(&row.key, &row.order);
        if !matches!(next, Next::Moved(_)) {
            return Ok(next);
        }
        // The note says since when a thing has its key, the ledger until when it was seen there.
        let entry = self.ledger.entry(map, &note.key).await?;
        let thing = row.thing.map(Thing::id);
        let seen = decide::newest(&entry, None).is_some_and(|version| {
            let there = matches!(version.action.as_deref(), None | Some(Action::Upsert(_)));
            there && version.thing == thing && !row.order.is_newer_than(&version.order)
        });
        Ok(if seen { Next::Stale } else { next })
    }

    /// Removes what was left behind by things whose rows are there under their new keys.
    pub(super) async fn leave_behind(
        &self,
        mut left: Vec<LeftBehind>,
        (parts, members): (&[Part], &[Member]),
        time: Time,
    ) -> Vec<Part> {
        let settled: HashSet<(&str, String)> = parts.iter().flat_map(settled).collect();
        left.retain(|one| settled.contains(&(&*one.mapped.row.to.map, one.now.to_string())));
        let mut done = Vec::new();
        while !left.is_empty() {
            let mut met = HashSet::new();
            // Each key once at a time: two things that left it are two matters.
            let (now, later) = left.into_iter().partition(|one| {
                met.insert((one.mapped.row.to.map.clone(), one.mapped.row.key.to_string()))
            });
            left = later;
            let now: Vec<LeftBehind> = now;
            let rows = now.into_iter().map(|one| one.mapped).collect();
            done.extend(self.parts(rows, members, time).await);
        }
        done
    }
}

/// Whether a row is to be there.
fn is_there(row: &Row) -> bool {
    matches!(*row.action, Action::Upsert(_))
}

/// The newest row of each thing, by its id.
fn newest(rows: &[Mapped], ids: &BTreeMap<usize, String>) -> BTreeMap<String, Arc<Row>> {
    let mut newest = BTreeMap::<String, Arc<Row>>::new();
    for Mapped { row, event } in rows {
        let Some(id) = ids.get(event) else { continue };
        match newest.get(id) {
            Some(known) if known.order.is_newer_than(&row.order) => {}
            Some(_) | None => _ = newest.insert(id.clone(), Arc::clone(row)),
        }
    }
    newest
}

/// Keeps the rows whose key is that of their thing, and notes what was left behind.
fn sort_out(
    read: &mut Read,
    map: &Map,
    (rows, ids): (Vec<Mapped>, &BTreeMap<usize, String>),
    standings: &BTreeMap<String, Standing>,
    report: &mut Report,
) {
    let (mut kept, mut stay) = (Vec::new(), 0);
    for mapped in rows {
        let standing = ids.get(&mapped.event).and_then(|id| standings.get(id));
        match standing {
            Some(standing) if standing.key != mapped.row.key => {
                report.tell(&mapped.row, Outcome::Superseded);
            }
            Some(_) | None => kept.push(mapped),
        }
    }
    for (id, row) in newest(&kept, ids) {
        let Some(standing) = standings.get(&id) else { continue };
        let event = kept.iter().find(|one| Arc::ptr_eq(&one.row, &row)).map(|one| one.event);
        let left = event.zip(leaving(map, &row));
        let Some((event, left)) = left else {
            stay += usize::from(standing.moved);
            continue;
        };
        read.left_behind.extend(standing.was.iter().map(|key| {
            let row = Row { key: key.clone(), ..left.clone() };
            LeftBehind { mapped: Mapped { row: Arc::new(row), event }, now: standing.key.clone() }
        }));
    }
    let moved = standings.values().filter(|standing| standing.moved).count();
    if moved > 0 {
        tracing::info!(ev = "key_changed", map = &*map.name, rows = moved, "key_changed");
    }
    if stay > 0 {
        let reason = "the map removes no rows, so the rows of their old keys stay";
        tracing::warn!(ev = "key_left", map = &*map.name, rows = stay, reason, "key_left");
    }
    read.rows.extend(kept);
}

/// The removal of what a thing left behind; none when the map leaves removed rows alone.
fn leaving(map: &Map, row: &Row) -> Option<Row> {
    let action = match &*row.action {
        Action::Upsert(_) => map.removed.action(row.order.emitted)?.into(),
        Action::Remove(_) | Action::Hold { .. } => Arc::clone(&row.action),
    };
    let thing = row.thing.map(|thing| Thing::Left(thing.id()));
    Some(Row { action, thing, only_if_known: true, ..row.clone() })
}

/// The rows of a part that are durable, by map and key.
fn settled(part: &Part) -> impl Iterator<Item = (&str, String)> {
    let done = part.report.rows.iter().filter(|told| match told.outcome {
        Outcome::Applied
        | Outcome::Unchanged
        | Outcome::Superseded
        | Outcome::Filtered
        | Outcome::Held
        | Outcome::Echo(_) => true,
        Outcome::Deferred
        | Outcome::Parked
        | Outcome::Paused
        | Outcome::Asked
        | Outcome::Poisoned(_) => false,
    });
    let rows = done.filter_map(|told| told.row.as_ref());
    rows.map(|row| (&*row.to.map, row.key.to_string()))
}

/// The thing that a change of an environment is about: a row, or a pair of rows.
pub(super) fn thing(id: &str) -> Option<Uuid> {
    let pair = || id.contains(',').then(|| Uuid::new_v5(&Uuid::NAMESPACE_OID, id.as_bytes()));
    id.parse().ok().or_else(pair)
}
