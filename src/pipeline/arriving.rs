//! What a delivery of a system that is also read and written needs before its rows are claimed.
//!
//! Changes that hold a part of their row only are read again at the source, many in one call, which
//! heals truncation and order alike; a row that is gone by then is left to the event of its removal. So
//! are rows that were parked, where rows are read again at all. A
//! removal that brings an id alone gets its key from the crosswalk. And rows that only bring back what
//! was written to their source are marked as echoes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use uuid::Uuid;

use super::Pipeline;
use super::keys::thing;
use super::read::{About, Member, Open, Read};
use crate::change::{Change, Kind as Become};
use crate::coalesce::Mapped;
use crate::crosswalk::Crosswalk;
use crate::decode::dataverse::{Reading, Table, body};
use crate::delivery::{Delivery, Event};
use crate::echo;
use crate::fault::{Fault, Kind};
use crate::ledger::{Entry, Version};
use crate::mapping::Map;
use crate::outcome::{Echo, Outcome, Report};
use crate::row::{Action, Key, Row, Thing};
use crate::system::source::{Asked, Named, Selection};

/// How many rows are looked up at once.
const PARALLEL: usize = 16;

/// What is known of systems that are both read and written.
#[derive(Debug)]
pub struct Twins {
    /// The keys of their rows by id.
    pub crosswalk: Crosswalk,
    /// The user in whose name we write there, by system.
    pub users: BTreeMap<Arc<str>, Uuid>,
}

/// A delivery whose partial changes were read again.
pub(super) struct Arrived {
    pub(super) delivery: Delivery,
    pub(super) doubts: Doubts,
}

/// Events that hold a part of their row and could not be completed.
#[derive(Default)]
pub(super) struct Doubts {
    /// Why not, by event.
    pub(super) failed: BTreeMap<usize, Fault>,
    /// Those whose row is gone by now.
    pub(super) gone: BTreeSet<usize>,
}

impl Pipeline {
    /// Reads partial changes again; none when there is nothing to read again.
    pub(super) async fn reread(&self, delivery: &Delivery) -> Option<Arrived> {
        let tables = self.decoders.get(&delivery.system)?.tables()?;
        let decoder = self.decoders.get(&delivery.system)?;
        let mut events = Vec::with_capacity(delivery.events.len());
        let mut partial = BTreeMap::<String, Vec<(usize, Uuid, Change<'static>)>>::new();
        let mut pairs = BTreeMap::<String, Vec<(usize, Change<'static>)>>::new();
        for event in &delivery.events {
            let decoded = decoder.decode(event);
            let single = decoded.len() == 1;
            for decoded in decoded {
                let at = events.len();
                let own = Event {
                    body: super::read::part(&event.body, &decoded.raw),
                    record: event.record.clone().filter(|_| single),
                    ..event.clone()
                };
                events.push(own);
                let Ok(change) = decoded.change else { continue };
                let about = self.maps.reading(&delivery.system, &change.entity).next().is_some();
                let table = change.entity.to_lowercase();
                // What was parked may be gone by now, and nobody told of it.
                let fetched = tables.0.get(&table).is_some_and(|table| table.fetch && !table.pairs);
                let waited = fetched && event.wait.is_some() && change.kind == Become::Upsert;
                if !(change.partial || waited) || !about {
                    continue;
                }
                if tables.0.get(&table).is_some_and(|table| table.pairs) {
                    pairs.entry(table).or_default().push((at, change.into_owned()));
                } else if let Ok(id) = change.id.parse() {
                    partial.entry(table).or_default().push((at, id, change.into_owned()));
                }
            }
        }
        if partial.is_empty() && pairs.is_empty() {
            return None;
        }
        let mut arrived = Arrived {
            delivery: Delivery { events, ..delivery.clone() },
            doubts: Doubts::default(),
        };
        for (name, changes) in partial {
            let table = tables.0.get(&name).cloned().unwrap_or_default();
            self.reread_table((&name, &table), changes, &mut arrived).await;
        }
        for (name, changes) in pairs {
            let hops = tables.0.get(&name).map(|table| table.hops.clone()).unwrap_or_default();
            self.read_ends(&hops, changes, &mut arrived).await;
        }
        Some(arrived)
    }

    async fn reread_table(
        &self,
        (name, table): (&str, &Table),
        changes: Vec<(usize, Uuid, Change<'static>)>,
        arrived: &mut Arrived,
    ) {
        let ids: BTreeSet<Uuid> = changes.iter().map(|(_, id, _)| *id).collect();
        let ids: Vec<Uuid> = ids.into_iter().collect();
        let mut columns =
            Selection::of(table.columns.iter().chain(&table.hops).map(String::as_str));
        columns.all = table.all;
        let asked = Asked { table: name.to_owned(), columns, since: None };
        let named: Vec<Named> = ids.iter().map(|id| Named::Id(*id)).collect();
        let now = self.clock.now();
        let found = if let Some(source) = self.sources.get(&*arrived.delivery.system) {
            source.find(&asked, &named).await
        } else {
            let message = "the system that it comes from cannot be asked for the whole row";
            Err(Fault::new(Kind::Misconfigured, message))
        };
        if let Err(fault) = &found {
            let failed = changes.iter().map(|(at, ..)| (*at, fault.clone()));
            arrived.doubts.failed.extend(failed);
        }
        let Ok(found) = found else { return };
        let rows: BTreeMap<Uuid, _> = ids.into_iter().zip(found).collect();
        for (at, id, change) in changes {
            let Some(Some(record)) = rows.get(&id) else {
                arrived.doubts.gone.insert(at);
                continue;
            };
            let text = String::from_utf8_lossy(&record.body);
            let reading = Reading { table: name, id: record.id, at: now };
            let read = reading.change(&text);
            let whole = read.map_err(|fault| arrived.doubts.failed.insert(at, fault));
            let Ok(whole) = whole else { continue };
            let author = change.author.or(whole.author.clone());
            let whole = Change { correlation: change.correlation, author, ..whole };
            if let Some(event) = arrived.delivery.events.get_mut(at) {
                event.body = body(&whole);
                event.properties.clear();
            }
        }
    }

    /// Finds the keys of removed rows by their ids, and makes rows of them.
    pub(super) async fn name_removed(&self, read: &mut Read, report: &mut Report) -> Vec<Open> {
        let mut maps = BTreeMap::<Arc<str>, Vec<About>>::new();
        for nameless in std::mem::take(&mut read.nameless) {
            maps.entry(Arc::clone(&nameless.map)).or_default().push(nameless);
        }
        let mut open = Vec::new();
        for (name, nameless) in maps {
            let ids: Vec<String> = nameless.iter().map(|one| one.change.id.to_string()).collect();
            let found = self.twins.crosswalk.find(&name, &ids).await;
            let keys = match found {
                Ok(keys) => keys,
                Err(fault) => {
                    let left = |one: &About| Open::of(one.member, Some(&name), &fault);
                    open.extend(nameless.iter().map(left));
                    continue;
                }
            };
            for (nameless, noted) in nameless.into_iter().zip(keys) {
                let map = self.maps.get(&name);
                let key = noted.map(|noted| noted.note.key);
                let row = key.and_then(|key| map?.removal(&nameless.change, key));
                match row {
                    Some(row) => {
                        let thing = thing(&nameless.change.id).map(Thing::Left);
                        let row = Row { thing, ..row };
                        read.rows.push(Mapped { row: Arc::new(row), event: nameless.member });
                    }
                    None => report.count(&name, Outcome::Filtered),
                }
            }
        }
        open
    }

    /// Marks the rows that bring back what was written to their source.
    pub(super) async fn mark_echoes(&self, system: &str, read: &mut Read) {
        let returning = std::mem::take(&mut read.returning);
        let looks: Vec<_> = returning.iter().map(|about| self.echo(system, about)).collect();
        let found: Vec<_> = stream::iter(looks).buffered(PARALLEL).collect().await;
        for (about, echo) in returning.into_iter().zip(found) {
            if let (Some(member), Some(echo)) = (read.members.get_mut(about.member), echo) {
                member.echoes.push((about.map, echo));
            }
        }
    }

    async fn echo(&self, system: &str, about: &About) -> Option<Echo> {
        let (map, change) = (self.maps.get(&about.map)?, &about.change);
        let key = map.key_of(change)?;
        let all = self.maps.writing(system, &change.entity);
        let back: Vec<_> = all.filter(|other| other.system == map.destination.system).collect();
        for other in back {
            let Some(their_key) = echo::key(&other.destination.key, change) else { continue };
            // Read anew: another instance may have written since, and rows are not remembered here.
            let theirs = self.ledger.entry(&other.name, &their_key).await.ok()?;
            let mine = self.ledger.entry(&map.name, &key).await.ok()?;
            let settled = mine.applied.as_ref().map(|applied| applied.at);
            // What this map wrote afterwards is newer than what came from there.
            if wrote(&theirs, &their_key, map, change).is_some_and(|when| settled <= Some(when)) {
                let own = self.twins.users.get(system).copied();
                let told = change.author.as_ref().and_then(|author| echo::told(author, own));
                return Some(told.unwrap_or(Echo::Same));
            }
        }
        None
    }
}

/// When that entry's row was written, if it is what the change holds as far as the map reads it. A write
/// that is not settled yet has landed, since it comes back.
fn wrote(entry: &Entry, key: &Key, map: &Map, change: &Change<'_>) -> Option<Timestamp> {
    let landing = entry.intent.as_ref().map(|intent| (&intent.version, Timestamp::MAX));
    let applied = entry.applied.as_ref().map(|applied| (&applied.version, applied.at));
    let same = |version: &Version| match version.action.as_deref() {
        Some(Action::Upsert(columns)) if !map.properties.any() => {
            echo::is_same((key, columns), change, map.properties.names())
        }
        Some(Action::Upsert(_) | Action::Remove(_) | Action::Hold { .. }) | None => false,
    };
    let found = landing.into_iter().chain(applied).find(|(version, _)| same(version));
    found.map(|(_, when)| when)
}

impl Member {
    /// Whether the row of this map is an echo.
    pub(super) fn echo(&self, map: &str) -> Option<Echo> {
        self.echoes.iter().find(|(name, _)| **name == *map).map(|(_, echo)| *echo)
    }
}
