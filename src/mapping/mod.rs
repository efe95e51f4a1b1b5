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
mod owner;
pub mod problem;
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
pub use removal::Policy as RemovalPolicy;
pub use schema::Versions;
pub use trace::Step;

use crate::change::Change;
use crate::fault::{Fault, Kind};
use crate::row::{Destination, Row};

/// What maps need to know of the configuration around them.
#[derive(Clone, Copy)]
pub struct Surroundings<'a> {
    /// The defaults of `concord.toml`.
    pub defaults: &'a Defaults,
    /// The systems of `concord.toml`; not checked when empty.
    pub systems: &'a [String],
    /// The app settings, for `${NAME}` of owners.
    pub setting: &'a dyn Fn(&str) -> Option<String>,
}

/// All maps of an installation.
#[derive(Debug, Default)]
pub struct Maps {
    maps: Vec<Arc<Map>>,
    by_entity: HashMap<(String, String), Vec<Arc<Map>>>,
    levels: Vec<Vec<String>>,
    /// What the files have that works but should be decided.
    pub warnings: Vec<Problem>,
}

/// What a change becomes under one map; none when the map leaves it out.
pub type Mapped = (Arc<Map>, Result<Option<Row>, Fault>);

impl Maps {
    fn of(maps: Vec<Map>, warnings: Vec<Problem>) -> Self {
        let maps: Vec<Arc<Map>> = maps.into_iter().map(Arc::new).collect();
        let mut by_entity: HashMap<_, Vec<_>> = HashMap::new();
        for map in &maps {
            let about = (map.system.clone(), entity(&map.entity));
            by_entity.entry(about).or_default().push(Arc::clone(map));
        }
        let levels = levels::levels(&maps);
        Self { maps, by_entity, levels, warnings }
    }

    /// The names of the maps in the order in which their rows are written: parents before the rows
    /// that refer to them. Maps of one level do not wait for each other.
    pub fn levels(&self) -> &[Vec<String>] {
        &self.levels
    }

    /// Where rows go: one destination for each name, that of its highest version.
    pub fn destinations(&self) -> Vec<Arc<Destination>> {
        let names: BTreeSet<&str> = self.maps.iter().map(|map| map.name()).collect();
        let maps = names.into_iter().filter_map(|name| self.get(name));
        maps.map(|map| Arc::clone(&map.destination)).collect()
    }

    /// All of them, by file name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Map>> {
        self.maps.iter()
    }

    /// A map by its name; its highest version, when several read different payloads.
    pub fn get(&self, name: &str) -> Option<&Arc<Map>> {
        let named = self.maps.iter().filter(|map| map.name() == name);
        named.max_by_key(|map| map.destination.version)
    }

    /// What a change of this system becomes, map by map. Nothing when no map is about its entity. A
    /// payload version that no map to a table reads is a fault of the newest of them.
    pub fn rows(&self, system: &str, change: &Change<'_>) -> Vec<Mapped> {
        let about = (system.to_owned(), entity(&change.entity));
        let Some(maps) = self.by_entity.get(&about) else { return Vec::new() };
        let accepts = |map: &&Arc<Map>| map.versions.accept(change.schema);
        let mut rows: Vec<Mapped> =
            maps.iter().filter(accepts).map(|map| (Arc::clone(map), map.row(change))).collect();
        let mut left: HashMap<(&str, &str), &Arc<Map>> = HashMap::new();
        for map in maps {
            let to = (map.destination.system.as_str(), map.destination.table.as_str());
            if maps.iter().filter(accepts).any(|other| same_table(other, map)) {
                continue;
            }
            let newest = left.entry(to).or_insert(map);
            if map.destination.version > newest.destination.version {
                *newest = map;
            }
        }
        let mut left: Vec<_> = left.into_values().collect();
        left.sort_by(|one, other| one.name().cmp(other.name()));
        for map in left {
            let version = change.schema.unwrap_or_default();
            let text = format!("no map reads payload version {version} of {}", map.entity);
            rows.push((Arc::clone(map), Err(Fault::new(Kind::SchemaUnknown, text))));
        }
        rows
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
