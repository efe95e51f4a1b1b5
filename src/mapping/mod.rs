//! Maps: which entity of which source becomes which table of which target, in the target's own words.
//!
//! In come the files of a folder, which people write and review; out come compiled [`Map`]s, or every
//! problem of every file at once. At run time a change goes in and, for each map that is about it, a
//! row comes out, or the fault that poisons it for that map alone.

pub mod check;
mod compile;
pub mod config;
mod contract;
pub mod datum;
pub mod document;
pub mod file;
pub mod guard;
mod levels;
pub mod load;
mod map;
pub mod owner;
mod pairs;
pub mod problem;
mod reads;
mod removal;
pub mod rule;
#[cfg(test)]
pub(crate) mod sample;
pub mod scene;
mod schema;
mod state;
mod trace;
mod vocabulary;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

pub use check::check;
pub use config::Defaults;
pub use map::{Filter, Map};
pub use problem::{Problem, Severity};
pub use reads::Reads;
pub use removal::Policy as RemovalPolicy;
pub use schema::Versions;
pub use trace::Step;

use crate::change::Change;
use crate::fault::Fault;
use crate::row::{Destination, Row};

/// What maps need to know of the configuration around them.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The defaults of `concord.toml`.
    pub defaults: &'a Defaults,
    /// The systems of `concord.toml`; not checked when empty.
    pub systems: &'a [String],
    /// Those of them that rows can be written to.
    pub targets: &'a [String],
    /// The app settings, for `${NAME}` of owners.
    pub setting: &'a dyn Fn(&str) -> Option<String>,
}

/// All maps of an installation.
#[derive(Debug, Default)]
pub struct Maps {
    all: Vec<Arc<Map>>,
    by_entity: HashMap<(String, String), Vec<Arc<Map>>>,
    levels: Vec<Vec<String>>,
    /// What the files have that works but should be decided.
    pub warnings: Vec<Problem>,
}

/// What a change becomes under one map, and how.
#[derive(Debug)]
pub struct Trace {
    /// The map.
    pub map: Arc<Map>,
    /// The row; none when the map leaves the change out.
    pub row: Result<Option<Row>, Fault>,
    /// What was done to each value, secured ones masked.
    pub steps: Vec<Step>,
}

/// The map's name, and what a change becomes under it; none when the map leaves it out.
pub type Mapped = (Arc<str>, Result<Option<Row>, Fault>);

impl Maps {
    fn of(maps: Vec<Map>, warnings: Vec<Problem>) -> Self {
        let maps: Vec<Arc<Map>> = maps.into_iter().map(Arc::new).collect();
        let mut by_entity: HashMap<_, Vec<_>> = HashMap::new();
        for map in &maps {
            let about = (map.system.clone(), entity(&map.entity));
            by_entity.entry(about).or_default().push(Arc::clone(map));
        }
        let levels = levels::levels(&maps);
        Self { all: maps, by_entity, levels, warnings }
    }

    /// All of them, by file name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Map>> {
        self.all.iter()
    }

    /// A map by its name; its highest version, when several read different payloads.
    pub fn get(&self, name: &str) -> Option<&Arc<Map>> {
        let named = self.all.iter().filter(|map| *map.name == *name);
        named.max_by_key(|map| map.destination.version)
    }

    /// Where rows go, once for each name of a map.
    pub fn destinations(&self) -> Vec<Arc<Destination>> {
        let names: BTreeSet<&str> = self.all.iter().map(|map| &*map.name).collect();
        let newest = names.into_iter().filter_map(|name| self.get(name));
        newest.map(|map| Arc::clone(&map.destination)).collect()
    }

    /// The maps that read an entity of a system.
    pub fn reading(&self, system: &str, name: &str) -> impl Iterator<Item = &Arc<Map>> {
        self.by_entity.get(&(system.to_owned(), entity(name))).into_iter().flatten()
    }

    /// The maps that write a table of a system.
    pub fn writing(&self, system: &str, table: &str) -> impl Iterator<Item = &Arc<Map>> {
        let writes = move |map: &&Arc<Map>| {
            map.destination.system == system && map.destination.table == table
        };
        self.all.iter().filter(writes)
    }

    /// The source system, when all maps read the same.
    pub fn only_source(&self) -> Option<String> {
        let first = self.iter().next()?;
        self.iter().all(|map| map.system == first.system).then(|| first.system.clone())
    }

    /// The names of the maps, parents before children: a map stands in a later level than those whose
    /// table it refers to. Maps that refer to each other share a level.
    pub fn levels(&self) -> &[Vec<String>] {
        &self.levels
    }

    /// What a change of this system becomes, map by map. Nothing when no map is about its entity. A
    /// payload version that no map to a table reads is a fault of the newest of them.
    pub fn rows(&self, system: &str, change: &Change<'_>) -> Vec<Mapped> {
        let (read, unread) = self.about(system, change);
        let read = read.into_iter().map(|map| (Arc::clone(&map.name), map.row(change)));
        let unread = unread.into_iter().map(|map| (Arc::clone(&map.name), Err(map.unread(change))));
        read.chain(unread).collect()
    }

    /// The same as [`Maps::rows`], with the maps themselves and every step, for people.
    pub fn traces(&self, system: &str, change: &Change<'_>) -> Vec<Trace> {
        let (read, unread) = self.about(system, change);
        let read = read.into_iter().map(|map| {
            let (row, steps) = map.trace(change);
            Trace { map: Arc::clone(map), row, steps }
        });
        let unread = unread.into_iter().map(|map| {
            let row = Err(map.unread(change));
            Trace { map: Arc::clone(map), row, steps: Vec::new() }
        });
        read.chain(unread).collect()
    }

    /// The properties of a change that no rule reads, for maps that want to hear of them.
    pub fn unread<'c>(&self, system: &str, change: &'c Change<'_>) -> Vec<(Arc<str>, &'c str)> {
        if self.all.iter().all(|map| map.reads.is_none()) {
            return Vec::new();
        }
        let mut unread = Vec::new();
        for map in self.about(system, change).0 {
            let names = map.reads.iter().flat_map(|reads| reads.unread(change));
            unread.extend(names.map(|name| (Arc::clone(&map.name), name)));
        }
        unread
    }

    /// The maps that read a change, and the newest of those to each further table that cannot read its
    /// payload version.
    fn about(&self, system: &str, change: &Change<'_>) -> (Vec<&Arc<Map>>, Vec<&Arc<Map>>) {
        let about = (system.to_owned(), entity(&change.entity));
        let maps = self.by_entity.get(&about).map(Vec::as_slice).unwrap_or_default();
        let (read, unread): (Vec<_>, Vec<_>) =
            maps.iter().partition(|map| map.versions.accept(change.schema));
        let lost = unread.iter().filter(|map| !read.iter().any(|other| same_table(other, map)));
        let mut newest: Vec<&Arc<Map>> = Vec::new();
        for map in lost {
            match newest.iter_mut().find(|other| same_table(other, map)) {
                Some(other) if other.destination.version < map.destination.version => *other = map,
                Some(_) => {}
                None => newest.push(map),
            }
        }
        (read, newest)
    }
}

fn same_table(one: &Map, other: &Map) -> bool {
    let (one, other) = (&one.destination, &other.destination);
    one.system == other.system && one.table == other.table
}

/// How a kind of thing is compared: without case and leading slash.
fn entity(name: &str) -> String {
    name.trim_start_matches('/').to_lowercase()
}

#[cfg(test)]
mod tests;
