//! What would be done with changes, by the real engine, over a target that is only read: every change is
//! decoded, mapped, coalesced and decided by the ledger's own rules, and what would be written is held
//! against what the target has.
//!
//! Rows that would be written count as there for those that refer to them. What nobody can know before
//! the target is asked is said with the row. Nothing is written, neither to the target nor to storage.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::canon::Canon;
use super::ground::Ground;
use super::planned::{Does, Plan, Planned, plain};
use super::side;
use crate::coalesce::{Mapped, coalesce};
use crate::delivery::Event;
use crate::fault::{Fault, Kind};
use crate::ledger::Preview;
use crate::mapping::Map;
use crate::pipeline::Pipeline;
use crate::row::{Action, Lookup, Missing, Mode, Removal, Row, Value};
use crate::system::source::{Asked, Cursor, Named};

/// Rows that are looked at together.
const BATCH: usize = 200;

/// Plans.
#[derive(Debug)]
pub struct Planner {
    pipeline: Arc<Pipeline>,
    only: Option<String>,
    grounds: HashMap<String, Arc<Ground>>,
    /// Values of rows that would be written: table, column, text.
    written: HashSet<(String, String, String)>,
    plan: Plan,
}

impl Planner {
    /// Over the path; for one map only, if it is named.
    pub fn new(pipeline: Arc<Pipeline>, only: Option<String>) -> Self {
        let (grounds, written) = (HashMap::new(), HashSet::new());
        Self { pipeline, only, grounds, written, plan: Plan::default() }
    }

    /// The plan.
    pub fn into_plan(self) -> Plan {
        self.plan
    }

    /// Plans for everything that a source has, parents before children. Fails when no map reads from a
    /// source that can be asked.
    pub async fn whole_sources(&mut self) -> Result<(), Fault> {
        let levels = self.pipeline.maps.levels().to_vec();
        let mut any = false;
        for name in levels.into_iter().flatten() {
            if self.only.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            let Some(map) = self.pipeline.maps.get(&name).cloned() else { continue };
            if !map.compares() && self.only.is_none() {
                continue;
            }
            let Some(source) = self.pipeline.sources.get(&map.system).cloned() else { continue };
            any = true;
            let ground = self.ground(&map).await?;
            let asked = ground.shape.source();
            let mut after: Option<Cursor> = None;
            loop {
                let page = source.page(&asked, after.as_ref()).await?;
                let now = self.pipeline.clock.now();
                for rows in page.rows.chunks(BATCH) {
                    let events = rows.iter().map(|record| Event {
                        only: vec![name.clone()],
                        ..record.event(&asked.table, now)
                    });
                    self.events(&map.system, &events.collect::<Vec<_>>()).await?;
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        let none = "no map reads from a source that can be asked; give a file with events";
        if any { Ok(()) } else { Err(Fault::new(Kind::Misconfigured, none)) }
    }

    /// Plans for the events of one system.
    pub async fn events(&mut self, system: &str, events: &[Event]) -> Result<(), Fault> {
        let pipeline = Arc::clone(&self.pipeline);
        let Some(decoder) = pipeline.decoders.get(system) else {
            let message = format!("no source system is called `{system}`");
            return Err(Fault::new(Kind::Misconfigured, message));
        };
        let mut rows = Vec::new();
        for (index, event) in events.iter().enumerate() {
            for decoded in decoder.decode(event) {
                match decoded.change {
                    Ok(change) if change.partial => {
                        self.partial(system, &change, index, &mut rows).await?;
                    }
                    Ok(change) => self.mapped(system, &change, (index, event), &mut rows),
                    Err(fault) => self.refused("-", "(unreadable)", &fault),
                }
            }
        }
        let mut by_map = BTreeMap::<Arc<str>, Vec<Arc<Row>>>::new();
        for stack in coalesce(rows) {
            let row = stack.newest.row;
            by_map.entry(Arc::clone(&row.to.map)).or_default().push(row);
        }
        let levels = pipeline.maps.levels().iter().flatten();
        for name in levels {
            let Some(rows) = by_map.remove(name.as_str()) else { continue };
            let Some(map) = pipeline.maps.get(name) else { continue };
            let ground = self.ground(map).await?;
            for rows in rows.chunks(BATCH) {
                self.rows(&ground, rows).await?;
            }
        }
        Ok(())
    }

    /// A change that has only a part of its row: the row is read again.
    async fn partial(
        &mut self,
        system: &str,
        change: &crate::change::Change<'_>,
        index: usize,
        rows: &mut Vec<Mapped>,
    ) -> Result<(), Fault> {
        let source = self.pipeline.sources.get(system).cloned();
        let id = change.id.parse().ok().map(Named::Id);
        let (Some(source), Some(id)) = (source, id) else {
            let why = "the event has only a part of the row, and the source cannot be asked";
            self.plan.add(plain("-", &change.id, Does::Unknown, Some(why.to_owned())));
            return Ok(());
        };
        let asked = Asked {
            table: change.entity.to_string(),
            columns: crate::system::source::Selection::all(),
            since: None,
        };
        let found = source.find(&asked, &[id]).await?.pop().flatten();
        let Some(record) = found else {
            let why = "the row is no longer at the source; its removal decides";
            self.plan.add(plain("-", &change.id, Does::Unknown, Some(why.to_owned())));
            return Ok(());
        };
        let now = self.pipeline.clock.now();
        let whole = side::change(&record, &asked.table, now)?;
        let event = Event::default();
        self.mapped(system, &whole, (index, &event), rows);
        Ok(())
    }

    fn mapped(
        &mut self,
        system: &str,
        change: &crate::change::Change<'_>,
        (index, event): (usize, &Event),
        rows: &mut Vec<Mapped>,
    ) {
        for (map, row) in self.pipeline.maps.rows(system, change) {
            let named = event.only.is_empty() || event.only.iter().any(|name| **name == *map);
            if !named || self.only.as_ref().is_some_and(|only| **only != *map) {
                continue;
            }
            match row {
                Ok(Some(row)) => rows.push(Mapped { row: Arc::new(row), event: index }),
                Ok(None) => {
                    let why = "the map leaves it out".to_owned();
                    self.plan.add(plain(&map, &change.id, Does::Nothing, Some(why)));
                }
                Err(fault) => {
                    let known = self.pipeline.maps.get(&map);
                    let key = known
                        .and_then(|map| map.key_of(change).map(|key| map.destination.shown(&key)));
                    self.refused(&map, key.as_deref().unwrap_or(&change.id), &fault);
                }
            }
        }
    }

    fn refused(&mut self, map: &str, key: &str, fault: &Fault) {
        self.plan.add(plain(map, key, Does::Refuse, Some(fault.to_string())));
    }

    async fn ground(&mut self, map: &Arc<Map>) -> Result<Arc<Ground>, Fault> {
        if let Some(ground) = self.grounds.get(&*map.name) {
            return Ok(Arc::clone(ground));
        }
        let ground = Arc::new(Ground::open(&self.pipeline, map).await?);
        self.grounds.insert(map.name.to_string(), Arc::clone(&ground));
        Ok(ground)
    }

    async fn rows(&mut self, ground: &Ground, rows: &[Arc<Row>]) -> Result<(), Fault> {
        let names: Vec<Named> = rows.iter().map(|row| Named::Key(row.key.clone())).collect();
        let found = ground.target.find(&ground.shape.target(false), &names).await?;
        for (row, record) in rows.iter().zip(found) {
            let (_, preview) = self.pipeline.ledger.preview(row).await?;
            let shown = row.to.shown(&row.key);
            let known = |does, why: &str| plain(&row.to.map, &shown, does, Some(why.to_owned()));
            let planned = match preview {
                Preview::Unchanged => known(Does::Nothing, "the ledger knows that it is there"),
                Preview::Superseded => known(Does::Nothing, "something newer is there"),
                Preview::Filtered => known(Does::Nothing, "nothing of it was ever written"),
                Preview::Hold => known(Does::Hold, "the removal would wait for its time"),
                Preview::Busy => known(Does::Unknown, "another instance is writing the row"),
                Preview::Write => self.write(ground, row, record.as_ref()).await?,
            };
            if planned.does.changes() {
                self.note(row);
            }
            self.plan.add(planned);
        }
        Ok(())
    }

    /// A row that would be handed to the target.
    async fn write(
        &self,
        ground: &Ground,
        row: &Row,
        record: Option<&crate::system::source::Record>,
    ) -> Result<Planned, Fault> {
        let mut planned = plain(&row.to.map, &row.to.shown(&row.key), Does::Nothing, None);
        let columns = match &*row.action {
            Action::Upsert(columns) => columns,
            Action::Remove(removal) => {
                planned.does = match (removal, record) {
                    (_, None) => Does::Nothing,
                    (Removal::Delete, Some(_)) => Does::Delete,
                    (Removal::Deactivate(_), Some(_)) => Does::Deactivate,
                };
                planned.unsure = record.map(|_| TARGET.to_owned());
                return Ok(planned);
            }
            Action::Hold { .. } => return Ok(planned),
        };
        let missing = self.missing(ground, row).await?;
        if !missing.is_empty() {
            planned.does = Does::Wait;
            planned.why =
                Some(format!("the target has no row that {} refers to", missing.join(", ")));
            planned.unsure = Some("whether that row comes".to_owned());
            return Ok(planned);
        }
        let ours = ground.shape.ours(&row.key, Some(columns));
        let theirs = match record {
            Some(record) => {
                let change = side::change(record, ground.target_table(), ground.now())?;
                Some(ground.shape.theirs(&change))
            }
            None => None,
        };
        planned.columns = match &theirs {
            Some(theirs) => ground.shape.differs(&ours, theirs),
            None => ground.shape.all(&ours),
        };
        planned.does = match (&theirs, row.to.mode) {
            (None, Mode::Upsert | Mode::Insert) => Does::Create,
            (Some(_), Mode::Upsert | Mode::Update) if !planned.columns.is_empty() => Does::Update,
            (None, Mode::Update) | (Some(_), Mode::Upsert | Mode::Insert | Mode::Update) => {
                Does::Nothing
            }
        };
        if planned.does.changes() {
            planned.unsure = Some(TARGET.to_owned());
        } else {
            planned.columns.clear();
        }
        Ok(planned)
    }

    /// The references of a row to rows that are neither there nor would be written before.
    async fn missing(&self, ground: &Ground, row: &Row) -> Result<Vec<String>, Fault> {
        let Action::Upsert(columns) = &*row.action else { return Ok(Vec::new()) };
        let mut missing = Vec::new();
        for (name, value) in &columns.values {
            if let Value::Lookup(lookup) = value
                && lookup.missing == Missing::Park
                && !self.comes(lookup)
                && !ground.is_there(lookup).await?
            {
                missing.push(name.to_string());
            }
        }
        Ok(missing)
    }

    /// Whether a row with these values would be written.
    fn comes(&self, lookup: &Lookup) -> bool {
        lookup.by.iter().all(|(path, value)| {
            let [column] = path.as_slice() else { return false };
            let text = Canon::default().key(value).unwrap_or_default();
            self.written.contains(&(lookup.table.to_string(), column.to_string(), text))
        })
    }

    /// Remembers the values of a row that would be written.
    fn note(&mut self, row: &Row) {
        let Action::Upsert(columns) = &*row.action else { return };
        for (name, value) in row.key.0.iter().chain(&columns.values) {
            if let Some(text) = Canon::default().key(value) {
                self.written.insert((row.to.table.clone(), name.to_string(), text));
            }
        }
    }
}

/// What only the target can say.
const TARGET: &str =
    "whether the target takes it (rules, plug-ins, rights) only the target can say";
