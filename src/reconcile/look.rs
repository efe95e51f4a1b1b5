//! A closer look at rows in which the two sides did not agree: both are read again, compared column by
//! column, and the difference is given its reason. What agrees by now was on its way.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use super::class::{Act, Class, Facts, Wanted, classify};
use super::config::Order;
use super::ground::Ground;
use super::join::Suspect;
use super::report::{Done, Finding};
use super::shape::{self, Differs};
use super::side::{self, Made, Origin, Remembered};
use crate::change::Change;
use crate::decode::time;
use crate::fault::Fault;
use crate::ledger::Entry;
use crate::row::{Action, Columns, Key, Lookup, Missing, Row, Value};
use crate::system::source::{Asked, Named, Record, Selection};

/// How many entries of the ledger are read at once.
const PARALLEL: usize = 16;

/// A row that was looked at.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) suspect: Suspect,
    /// The difference; none when both sides agree.
    pub(super) finding: Option<Finding>,
    /// The key as the ledger knows it.
    pub(super) key: Option<Key>,
    /// The source's row, to be sent again.
    pub(super) record: Option<Record>,
    /// What the map makes of it, or what the ledger remembers.
    pub(super) row: Option<Row>,
}

/// What one side of a suspect comes to.
struct Ours {
    wanted: Wanted,
    row: Option<Row>,
    /// Whether values are known to compare.
    known: bool,
    key: Option<Key>,
    record: Option<Record>,
    changed: Option<jiff::Timestamp>,
    why: Option<String>,
}

impl Ours {
    fn nothing() -> Self {
        Self {
            wanted: Wanted::Nothing,
            row: None,
            known: true,
            key: None,
            record: None,
            changed: None,
            why: None,
        }
    }
}

impl Ground {
    /// Looks at these rows again.
    pub(super) async fn look(
        &self,
        suspects: Vec<Suspect>,
        order: &Order,
    ) -> Result<Vec<Looked>, Fault> {
        let mut ours = self.ours(&suspects).await?;
        let theirs = self.theirs(&suspects, &ours).await?;
        for (ours, record) in ours.iter_mut().zip(&theirs) {
            if ours.key.is_none()
                && let Some(record) = record
            {
                let change = side::change(record, self.target_table(), self.now())?;
                ours.key = self.shape.key(&change);
            }
        }
        let keys: Vec<Option<Key>> = ours.iter().map(|ours| ours.key.clone()).collect();
        let reads: Vec<_> = keys.into_iter().map(|key| self.entry(key)).collect();
        let entries: Vec<Entry> = stream::iter(reads).buffered(PARALLEL).try_collect().await?;
        if order.since.is_some() {
            self.unread(&suspects, &mut ours, &entries);
        }
        let poisoned = self.poisoned().await?;
        let mut looked = Vec::with_capacity(suspects.len());
        for (((suspect, ours), theirs), entry) in
            suspects.into_iter().zip(ours).zip(theirs).zip(entries)
        {
            let known = (&entry, &poisoned, order.started);
            looked.push(self.judge(suspect, ours, theirs.as_ref(), known).await?);
        }
        Ok(looked)
    }

    /// Only changed rows of the source were read: where it says nothing of a row, the ledger does.
    fn unread(&self, suspects: &[Suspect], ours: &mut [Ours], entries: &[Entry]) {
        for ((suspect, ours), entry) in suspects.iter().zip(ours).zip(entries) {
            if suspect.source.is_none()
                && let Some(key) = ours.key.clone()
            {
                *ours = of_entry(&self.shape.map, entry.clone(), key);
            }
        }
    }

    async fn entry(&self, key: Option<Key>) -> Result<Entry, Fault> {
        match key {
            Some(key) => self.pipeline.ledger.entry(&self.shape.map.name, &key).await,
            None => Ok(Entry::default()),
        }
    }

    /// What the source has now, mapped.
    async fn ours(&self, suspects: &[Suspect]) -> Result<Vec<Ours>, Fault> {
        let Origin::System(source, asked) = &self.origin else {
            return self.remembered(suspects).await;
        };
        let id = |suspect: &Suspect| Uuid::from_slice(suspect.source.as_deref()?).ok();
        let names: Vec<Named> = suspects.iter().filter_map(id).map(Named::Id).collect();
        let mut found = source.find(asked, &names).await?.into_iter();
        let mut all = Vec::with_capacity(suspects.len());
        let mut gone = Vec::new();
        for suspect in suspects {
            let record = if id(suspect).is_some() { found.next().flatten() } else { None };
            let ours = if let Some(record) = record {
                self.mapped(record)?
            } else {
                gone.extend(id(suspect).map(|id| (all.len(), id)));
                Ours::nothing()
            };
            all.push(ours);
        }
        let (places, ids): (Vec<usize>, Vec<Uuid>) = gone.into_iter().unzip();
        for (place, key) in places.into_iter().zip(self.keys_of_gone(&ids).await?) {
            if let Some(ours) = all.get_mut(place) {
                ours.key = key;
            }
        }
        Ok(all)
    }

    fn mapped(&self, record: Record) -> Result<Ours, Fault> {
        let change = side::change(&record, self.source_table(), self.now())?;
        let changed = changed(&change);
        let (wanted, row, key, why) = match side::made(&self.shape.map, &change) {
            Made::Row(row) => {
                let wanted = match &*row.action {
                    Action::Upsert(_) => Wanted::Row(row.order.clone()),
                    Action::Remove(_) | Action::Hold { .. } => {
                        Wanted::Gone(Some(Action::clone(&row.action)))
                    }
                };
                let key = row.key.clone();
                (wanted, Some(*row), Some(key), None)
            }
            Made::LeftOut => (Wanted::LeftOut, None, self.shape.map.key_of(&change), None),
            Made::Refused(fault) => {
                let key = self.shape.map.key_of(&change);
                (Wanted::Refused(fault.kind), None, key, Some(fault.to_string()))
            }
        };
        drop(change);
        Ok(Ours { wanted, row, known: true, key, record: Some(record), changed, why })
    }

    /// What the ledger remembers, where the source cannot be asked.
    async fn remembered(&self, suspects: &[Suspect]) -> Result<Vec<Ours>, Fault> {
        let mut all = Vec::with_capacity(suspects.len());
        for suspect in suspects {
            let text = suspect.source.as_deref().and_then(|text| std::str::from_utf8(text).ok());
            let map = &self.shape.map;
            let found = match text {
                Some(text) => self.pipeline.ledger.find(&map.name, text).await?,
                None => None,
            };
            all.push(match found {
                Some((entry, Some(key))) => of_entry(map, entry, key),
                Some((_, None)) | None => Ours::nothing(),
            });
        }
        Ok(all)
    }

    /// What the target has now: by id, else by the key that the source's row comes to, which the target
    /// compares as it compares keys.
    async fn theirs(
        &self,
        suspects: &[Suspect],
        ours: &[Ours],
    ) -> Result<Vec<Option<Record>>, Fault> {
        let name = |(suspect, ours): (&Suspect, &Ours)| {
            let id = suspect.target.as_deref().and_then(|id| Uuid::from_slice(id).ok());
            id.map(Named::Id).or_else(|| ours.key.clone().map(Named::Key))
        };
        let names: Vec<Option<Named>> = suspects.iter().zip(ours).map(name).collect();
        let asked: Vec<Named> = names.iter().flatten().cloned().collect();
        let mut found = self.target.find(&self.shape.target(false), &asked).await?.into_iter();
        Ok(names.iter().map(|name| name.as_ref().and_then(|_| found.next().flatten())).collect())
    }

    async fn judge(
        &self,
        suspect: Suspect,
        ours: Ours,
        theirs: Option<&Record>,
        (entry, poisoned, started): (&Entry, &HashMap<String, String>, jiff::Timestamp),
    ) -> Result<Looked, Fault> {
        let change = theirs.map(|record| side::change(record, self.target_table(), self.now()));
        let change = change.transpose()?;
        let columns = match (&ours.row, &change) {
            (Some(row), Some(change)) if matches!(ours.wanted, Wanted::Row(_)) && ours.known => {
                self.differing(row, change).await?
            }
            _ => Vec::new(),
        };
        let to = &self.shape.map.destination;
        let shown = ours.key.as_ref().map(|key| to.shown(key));
        let record = shown.as_ref().and_then(|key| poisoned.get(key));
        let facts = Facts {
            wanted: ours.wanted.clone(),
            source_changed: ours.changed,
            target: change.as_ref().map(|change| (changed(change), author(change))),
            inactive: change.as_ref().is_some_and(is_inactive),
            entry,
            poisoned: record.is_some(),
            parked: self.is_parked(ours.key.as_ref()).await?,
            mode: to.mode,
            removes: self.shape.map.removed.action(self.now()).is_some(),
            me: self.me,
            started,
            now: self.now(),
        };
        let agrees =
            matches!(ours.wanted, Wanted::Row(_)) && change.is_some() && columns.is_empty();
        let class = match agrees {
            true if suspect.twins => Some(Class::Twins),
            true => None,
            false => classify(&facts),
        };
        let finding = class.map(|class| Finding {
            key: shown.unwrap_or_else(|| "(no key)".to_owned()),
            class,
            why: record.map(|id| format!("concord poison show {id}")).or(ours.why.clone()),
            columns,
            source_id: ours.record.as_ref().map(|record| record.id.to_string()),
            target_id: theirs.map(|record| record.id.to_string()),
            source_changed: ours.changed,
            target_changed: facts.target.and_then(|(changed, _)| changed),
            act: class.act(),
            done: Done::No,
        });
        let Ours { key, record, row, .. } = ours;
        Ok(Looked { suspect, finding, key, record, row })
    }

    /// The columns that differ, but for references that are empty because the map wants them so when
    /// there is no such row.
    async fn differing(&self, row: &Row, change: &Change<'_>) -> Result<Vec<Differs>, Fault> {
        let Action::Upsert(columns) = &*row.action else { return Ok(Vec::new()) };
        let face = self.shape.ours(&row.key, Some(columns));
        let mut differs = self.shape.differs(&face, &self.shape.theirs(change));
        let mut index = 0;
        while let Some(one) = differs.get(index) {
            let reference = shape::reference(row, &one.column);
            let empty = one.target.is_none();
            match reference.filter(|lookup| empty && lookup.missing == Missing::Null) {
                Some(lookup) if !self.is_there(lookup).await? => drop(differs.remove(index)),
                Some(_) | None => index += 1,
            }
        }
        Ok(differs)
    }

    /// Whether the target has the row that a reference means. Believed where only the target could say.
    pub(super) async fn is_there(&self, lookup: &Lookup) -> Result<bool, Fault> {
        let parts = lookup.by.iter().map(|(path, value)| match path.as_slice() {
            [column] => Some((Arc::clone(column), value.clone())),
            _ => None,
        });
        let Some(key) = parts.collect::<Option<Vec<_>>>() else { return Ok(true) };
        let asked =
            Asked { table: lookup.table.to_string(), columns: Selection::default(), since: None };
        let found = self.target.find(&asked, &[Named::Key(Key(key))]).await?;
        Ok(found.iter().any(Option::is_some))
    }

    /// The references of a row whose rows the target does not have.
    pub(super) async fn orphaned(&self, row: &Row) -> Result<Vec<String>, Fault> {
        let Action::Upsert(columns) = &*row.action else { return Ok(Vec::new()) };
        let mut orphaned = Vec::new();
        for (name, value) in &columns.values {
            if let Value::Lookup(lookup) = value
                && lookup.missing == Missing::Park
                && !self.is_there(lookup).await?
            {
                orphaned.push(name.to_string());
            }
        }
        Ok(orphaned)
    }
}

fn of_entry(map: &crate::mapping::Map, entry: Entry, key: Key) -> Ours {
    let mut ours = Ours { key: Some(key.clone()), ..Ours::nothing() };
    let (columns, known) = match side::remembered(&entry) {
        Some(Remembered::Row(columns)) => (columns.clone(), true),
        Some(Remembered::Unknown) => (Columns::default(), false),
        Some(Remembered::Inactive) | None => return ours,
    };
    let Some(applied) = entry.applied else { return ours };
    ours.wanted = Wanted::Row(applied.version.order.clone());
    ours.known = known;
    ours.row = known.then(|| Row {
        to: Arc::clone(&map.destination),
        key,
        action: Action::Upsert(columns).into(),
        order: applied.version.order.clone(),
        correlation: applied.version.correlation,
        only_if_known: false,
        thing: None,
    });
    ours
}

/// When a row was changed last, as its system says.
fn changed(change: &Change<'_>) -> Option<jiff::Timestamp> {
    let raw = change.property("modifiedon")?;
    time::moment(&serde_json::from_str::<String>(raw.get()).ok()?)
}

fn author(change: &Change<'_>) -> Option<Uuid> {
    change.author.as_ref().and_then(|author| author.user)
}

fn is_inactive(change: &Change<'_>) -> bool {
    change.property("statecode").is_some_and(|state| !matches!(state.get(), "0" | "null"))
}

/// Differences by class.
pub(super) fn counted<'f>(findings: impl Iterator<Item = &'f Finding>) -> BTreeMap<Class, u64> {
    let mut counts = BTreeMap::new();
    for finding in findings {
        *counts.entry(finding.class).or_default() += 1;
    }
    counts
}

/// Whether a repair has something to do about a finding.
pub(super) fn is_due(looked: &Looked, act: Act) -> bool {
    looked.finding.as_ref().is_some_and(|finding| finding.act == act)
}
