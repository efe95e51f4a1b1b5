//! Everything that requests read and write, behind one lock.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use crate::emulator::dataverse::files::Uploads;
use crate::emulator::dataverse::index::Index;
use crate::emulator::dataverse::model::{Definition, Environment};
use crate::emulator::dataverse::{schema, seed};

/// The emulated environment with its indexes and what is under way.
#[derive(Debug, Default)]
pub struct World {
    /// Definitions and rows.
    pub env: Environment,
    /// The indexes over the rows.
    pub index: Index,
    /// Chunked uploads under way.
    pub uploads: Uploads,
    /// By table: the version at which its definition last changed. Older delta tokens are dead.
    pub redefined: BTreeMap<String, i64>,
    known: HashMap<String, u64>,
}

impl World {
    /// A world over an environment.
    pub fn new(env: Environment) -> Self {
        let mut world = Self { env, ..Self::default() };
        world.index = Index::rebuild(&mut world.env);
        world.known = fingerprints(&world.env);
        world
    }

    /// To be called after definitions may have changed: completes them, builds the indexes anew, lets the delta tokens
    /// of changed tables die, and offers bulk messages for new tables.
    pub fn redefined(&mut self) {
        for table in self.env.tables.values_mut() {
            schema::complete(&mut table.definition);
        }
        seed::message_filters(&mut self.env);
        self.index = Index::rebuild(&mut self.env);
        let now = fingerprints(&self.env);
        // A version of its own, so that tokens handed out from now on are younger than the change.
        self.env.version += 1;
        for (table, print) in &now {
            if self.known.get(table) != Some(print) {
                self.redefined.insert(table.clone(), self.env.version);
            }
        }
        self.env.metadata_version += 1;
        self.known = now;
    }
}

fn fingerprints(env: &Environment) -> HashMap<String, u64> {
    let print = |definition: &Definition| {
        let mut hasher = DefaultHasher::new();
        serde_json::to_string(definition).unwrap_or_default().hash(&mut hasher);
        hasher.finish()
    };
    env.tables.iter().map(|(name, table)| (name.clone(), print(&table.definition))).collect()
}
