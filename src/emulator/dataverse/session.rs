//! One request's work on the data: every write goes through here, is indexed, gets its version, and can
//! be taken back. What was committed is kept as a list of [`Change`]s, in order.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use uuid::Uuid;

use crate::chance::Chance;
use crate::emulator::dataverse::files::Uploads;
use crate::emulator::dataverse::index::Index;
use crate::emulator::dataverse::model::{Cell, Environment, Record, Table};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::world::World;
use crate::emulator::dataverse::{duplicate, privileges, steps};

/// In whose name a request runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The user whose name goes into `createdby` and `modifiedby`.
    pub user: Uuid,
    /// Who called, when that is somebody else.
    pub on_behalf: Option<Uuid>,
}

/// What happened to a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message {
    /// It was created.
    Create,
    /// It was updated, possibly with the values it had.
    Update,
    /// It was deleted.
    Delete,
    /// It was associated with another row.
    Associate,
    /// It was parted from another row.
    Disassociate,
    /// Another row was merged into it.
    Merge,
}

/// What a message is about besides its row.
#[derive(Clone, Debug)]
pub enum Besides {
    /// The relationship, by schema name, and the other row.
    Related(String, (String, Uuid)),
    /// The row that was merged into this one; the columns that this one took over stand in the change.
    Subordinate(Uuid),
}

/// One committed change of a row, or what was done to it with another one.
#[derive(Clone, Debug)]
pub struct Change {
    /// What happened.
    pub message: Message,
    /// The logical name of the table.
    pub table: String,
    /// The row.
    pub id: Uuid,
    /// The columns that were in the request, changed or not.
    pub columns: Vec<String>,
    /// The row before, unless it was created.
    pub before: Option<Record>,
    /// The row after, unless it was deleted; kept only when somebody listens.
    pub after: Option<Record>,
    /// What else the message is about.
    pub besides: Option<Besides>,
    /// The `tag` of the request.
    pub tag: Option<String>,
    /// Which operation of the request it was, counted from one.
    pub operation: usize,
}

/// What a request leaves behind.
#[derive(Debug)]
pub struct Done {
    /// The committed changes in their order.
    pub changes: Vec<Change>,
    /// How many requests were answered, by verb and kind.
    pub answered: BTreeMap<String, u64>,
    /// How many of them were to change or delete a row that was not there.
    pub absent: u64,
    /// Whether definitions changed.
    pub defines: bool,
}

#[derive(Debug)]
enum Undo {
    Created { table: String, id: Uuid },
    Replaced { table: String, record: Record },
    Removed { table: String, place: usize, record: Record },
    Paired { relation: usize, pair: (Uuid, Uuid) },
    Parted { relation: usize, pair: (Uuid, Uuid) },
}

/// A request at work.
#[derive(Debug)]
pub struct Session<'w> {
    /// The data. Write rows only through the methods of the session.
    pub env: &'w mut Environment,
    /// The indexes over it.
    pub index: &'w mut Index,
    /// Chunked uploads under way; these outlive requests and are not taken back.
    pub uploads: &'w mut Uploads,
    /// By table: the version at which its definition last changed.
    pub redefined: &'w BTreeMap<String, i64>,
    /// New ids.
    pub chance: &'w Chance,
    /// In whose name.
    pub caller: Caller,
    /// The time of the request, in whole seconds.
    pub now: Timestamp,
    /// The rows that earlier operations of a changeset created: `$1` to its address.
    pub references: HashMap<String, String>,
    /// The address of the row that the last request created or updated.
    pub written: Option<String>,
    /// The `tag` of the request, carried to its changes.
    pub tag: Option<String>,
    /// Whether the request changed definitions: then the world must be told when it ends.
    pub defines: bool,
    /// How many requests were answered, by verb and kind; a batch counts its parts.
    pub answered: BTreeMap<String, u64>,
    /// How many of them were to change or delete a row that was not there.
    pub absent: u64,
    /// Operations that a synchronous step refuses.
    pub refusals: BTreeMap<usize, Refusal>,
    /// The operation at work, counted from one.
    pub operation: usize,
    watched: bool,
    undo: Vec<Undo>,
    changes: Vec<Change>,
}

impl<'w> Session<'w> {
    /// Starts a request.
    pub fn new(world: &'w mut World, chance: &'w Chance, caller: Caller, now: Timestamp) -> Self {
        let World { env, index, uploads, redefined, .. } = world;
        let watched = steps::is_watched(env);
        Self {
            env,
            index,
            uploads,
            redefined,
            chance,
            caller,
            now: Timestamp::from_second(now.as_second()).unwrap_or(now),
            references: HashMap::new(),
            written: None,
            tag: None,
            defines: false,
            answered: BTreeMap::new(),
            absent: 0,
            refusals: BTreeMap::new(),
            operation: 0,
            watched,
            undo: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// What was done so far.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Takes everything back: as if the request had never come.
    pub fn take_all_back(&mut self) {
        self.changes.clear();
        while let Some(step) = self.undo.pop() {
            self.take_back(step);
        }
    }

    /// Ends the request.
    pub fn finish(self) -> Done {
        let Self { changes, answered, absent, defines, .. } = self;
        Done { changes, answered, absent, defines }
    }

    /// Does all of something or nothing: what was written is taken back when it is refused.
    pub fn attempt<T>(
        &mut self,
        work: impl FnOnce(&mut Self) -> Result<T, Refusal>,
    ) -> Result<T, Refusal> {
        let (undo, changes) = (self.undo.len(), self.changes.len());
        let done = work(self);
        if done.is_err() {
            self.changes.truncate(changes);
            while self.undo.len() > undo {
                if let Some(step) = self.undo.pop() {
                    self.take_back(step);
                }
            }
        }
        done
    }

    /// The table with this logical name.
    pub fn table(&self, name: &str) -> Result<&Table, Refusal> {
        self.env.tables.get(name).ok_or_else(|| Refusal::no_segment(name))
    }

    /// The row, or the refusal for its absence.
    pub fn row(&self, table: &str, id: Uuid) -> Result<&Record, Refusal> {
        let table = self.table(table)?;
        let shown = &table.definition.schema_name;
        table.rows.get(&id).ok_or_else(|| Refusal::no_row(shown, id))
    }

    /// Adds a row. Refuses an id or a key that is taken.
    pub fn insert(
        &mut self,
        table: &str,
        id: Uuid,
        cells: BTreeMap<String, Cell>,
        columns: Vec<String>,
    ) -> Result<(), Refusal> {
        let version = self.next_version();
        let record = Record { id, version, cells };
        privileges::permit(self.env, table, "Create")?;
        self.check_keys(table, &record)?;
        steps::check(self.env, table, &record)?;
        let Some(target) = self.env.tables.get_mut(table) else { return Ok(()) };
        if target.rows.contains_key(&id) {
            let message = "A record with matching key values already exists.";
            return Err(Refusal::new(412, "0x80040237", message));
        }
        self.index.insert(&target.definition, &record);
        target.rows.insert(id, record);
        self.undo.push(Undo::Created { table: table.to_owned(), id });
        self.note(Message::Create, table, id, columns, None);
        Ok(())
    }

    /// Replaces a row's cells. Refuses a key that is taken.
    pub fn replace(
        &mut self,
        table: &str,
        id: Uuid,
        cells: BTreeMap<String, Cell>,
        columns: Vec<String>,
    ) -> Result<(), Refusal> {
        let version = self.next_version();
        let record = Record { id, version, cells };
        privileges::permit(self.env, table, "Write")?;
        if columns.iter().any(|column| column == "ownerid") {
            privileges::permit(self.env, table, "Assign")?;
        }
        self.check_keys(table, &record)?;
        steps::check(self.env, table, &record)?;
        let Some(target) = self.env.tables.get_mut(table) else { return Ok(()) };
        let Some(row) = target.rows.get_mut(&id) else { return Ok(()) };
        self.index.remove(&target.definition, row);
        self.index.insert(&target.definition, &record);
        let before = std::mem::replace(row, record);
        self.note(Message::Update, table, id, columns, Some(before.clone()));
        self.undo.push(Undo::Replaced { table: table.to_owned(), record: before });
        Ok(())
    }

    /// Removes a row, leaving those that refer to it alone.
    pub fn remove(&mut self, table: &str, id: Uuid) {
        let version = self.next_version();
        let Some(target) = self.env.tables.get_mut(table) else { return };
        let Some((place, _, record)) = target.rows.swap_remove_full(&id) else { return };
        self.index.remove(&target.definition, &record);
        target.deleted.push((version, id));
        self.note(Message::Delete, table, id, Vec::new(), Some(record.clone()));
        self.undo.push(Undo::Removed { table: table.to_owned(), place, record });
    }

    /// Associates two rows, and says whether they were not associated before.
    pub fn pair(&mut self, relation: usize, pair: (Uuid, Uuid)) -> bool {
        let Some(target) = self.env.many_to_many.get_mut(relation) else { return false };
        let new = target.pairs.insert(pair);
        if new {
            self.undo.push(Undo::Paired { relation, pair });
        }
        new
    }

    /// Parts two rows, and says whether they were associated.
    pub fn part(&mut self, relation: usize, pair: (Uuid, Uuid)) -> bool {
        let Some(target) = self.env.many_to_many.get_mut(relation) else { return false };
        let there = target.pairs.swap_remove(&pair);
        if there {
            self.undo.push(Undo::Parted { relation, pair });
        }
        there
    }

    /// Notes a message that is about more than one row; what it changed in rows is noted by itself.
    pub fn raise(
        &mut self,
        message: Message,
        (table, id): (&str, Uuid),
        columns: Vec<String>,
        besides: Besides,
    ) {
        self.note(message, table, id, columns, None);
        if let Some(change) = self.changes.last_mut() {
            change.besides = Some(besides);
        }
    }

    fn next_version(&mut self) -> i64 {
        self.env.version += 1;
        self.env.version
    }

    fn check_keys(&self, table: &str, record: &Record) -> Result<(), Refusal> {
        let definition = &self.table(table)?.definition;
        let taken = self.index.taken(definition, record);
        taken.map_or(Ok(()), |key| Err(duplicate::refusal(definition, key, record)))
    }

    fn note(
        &mut self,
        message: Message,
        table: &str,
        id: Uuid,
        columns: Vec<String>,
        before: Option<Record>,
    ) {
        let current = self.env.tables.get(table).and_then(|table| table.rows.get(&id));
        let after = current.filter(|_| self.watched).cloned();
        let (table, tag, operation) = (table.to_owned(), self.tag.clone(), self.operation);
        let besides = None;
        let change = Change { message, table, id, columns, before, after, besides, tag, operation };
        self.changes.push(change);
    }

    fn take_back(&mut self, step: Undo) {
        match step {
            Undo::Created { table, id } => {
                let Some(target) = self.env.tables.get_mut(&table) else { return };
                if let Some((_, _, record)) = target.rows.swap_remove_full(&id) {
                    self.index.remove(&target.definition, &record);
                }
            }
            Undo::Replaced { table, record } => {
                let Some(target) = self.env.tables.get_mut(&table) else { return };
                let Some(row) = target.rows.get_mut(&record.id) else { return };
                self.index.remove(&target.definition, row);
                self.index.insert(&target.definition, &record);
                *row = record;
            }
            Undo::Removed { table, place, record } => {
                let Some(target) = self.env.tables.get_mut(&table) else { return };
                target.deleted.pop();
                self.index.insert(&target.definition, &record);
                let (last, _) = target.rows.insert_full(record.id, record);
                target.rows.swap_indices(place, last);
            }
            Undo::Paired { relation, pair } => {
                if let Some(target) = self.env.many_to_many.get_mut(relation) {
                    target.pairs.swap_remove(&pair);
                }
            }
            Undo::Parted { relation, pair } => {
                if let Some(target) = self.env.many_to_many.get_mut(relation) {
                    target.pairs.insert(pair);
                }
            }
        }
    }
}
