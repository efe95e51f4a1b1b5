//! `maps/concord.toml` as a person writes it, and what its sections come to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::Deserialize;

use super::{Config, Limits, Settings, System, Target};
use crate::decode::Decoder;
use crate::ledger;
use crate::mapping::Defaults;
use crate::mapping::problem::Problems;
use crate::pipeline::MirrorConfig;

/// The systems that Concord keeps in agreement, and what holds for all maps. `${NAME}` in a text is
/// replaced by the app setting of that name.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Concord configuration")]
#[schemars(extend("required" = ["systems"]))]
pub struct ConfigFile {
    /// The systems by the name that maps use.
    pub systems: IndexMap<String, System>,
    /// Function = the source system that its events come from. Not needed with a single source.
    pub functions: IndexMap<String, String>,
    /// How the ledger is laid out.
    pub ledger: ledger::Config,
    /// A table of a target that shows error records, beside the poison store.
    pub poison: Option<MirrorConfig>,
    /// How much a call may hold and how long it may take.
    pub limits: Limits,
    /// What maps mean where they say nothing.
    pub defaults: Defaults,
}

impl ConfigFile {
    /// What the file comes to, as far as it goes.
    pub(super) fn checked(
        self,
        folder: &Path,
        settings: &Settings,
        problems: &mut Problems,
    ) -> Config {
        let mut sources = BTreeMap::new();
        let (mut targets, mut saved) = (BTreeMap::new(), BTreeMap::new());
        for (name, system) in &self.systems {
            match system {
                System::Source(config) => sources.extend(
                    decoder(name, config, problems)
                        .map(|decoder| (Arc::from(name.as_str()), decoder)),
                ),
                System::Dataverse(system) => {
                    let target: Target = system.checked(name, (folder, settings), problems);
                    targets.insert(name.clone(), target);
                    let file = system.tables.as_ref().map(|file| folder.join(file));
                    saved.extend(file.map(|file| (name.clone(), file)));
                }
            }
        }
        if self.systems.is_empty() {
            problems.error("systems", "key-missing-in-file", "no system is described");
        }
        let functions = self.functions(problems);
        self.ledger(problems);
        self.poison(&targets, problems);
        let limits = self.limits.checked(problems);
        let Self { ledger, defaults, poison, .. } = self;
        Config { sources, targets, saved, functions, ledger, poison, limits, defaults }
    }

    fn functions(&self, problems: &mut Problems) -> BTreeMap<String, Arc<str>> {
        let is_source = |system: &System| matches!(system, System::Source(_));
        for (function, system) in &self.functions {
            if !self.systems.get(system).is_some_and(is_source) {
                let sources = self.systems.iter().filter(|(_, system)| is_source(system));
                let known = sources.map(|(name, _)| name.as_str());
                let message = format!("`{system}` is no source system of this file");
                let path = format!("functions/{function}");
                problems.unknown(&path, ("system-unknown", system), known, message);
            }
        }
        let pairs = self.functions.iter();
        pairs.map(|(function, system)| (function.clone(), system.as_str().into())).collect()
    }

    fn poison(&self, targets: &BTreeMap<String, Target>, problems: &mut Problems) {
        let Some(poison) = &self.poison else { return };
        if !targets.contains_key(&poison.system) {
            let message = format!("`{}` is no target system of this file", poison.system);
            let known = targets.keys().map(String::as_str);
            problems.unknown("poison/system", ("system-unknown", &poison.system), known, message);
        }
        for (path, name) in
            [("poison/table", &poison.table), ("poison/columns/id", &poison.columns.id)]
        {
            if name.trim().is_empty() {
                let message = format!("`{}` is missing or empty", path.replace('/', "."));
                problems.error(path, "key-missing-in-file", message);
            }
        }
    }

    fn ledger(&self, problems: &mut Problems) {
        if !(1..=99).contains(&self.ledger.buckets) {
            problems.error("ledger/buckets", "range", "between 1 and 99");
        }
        if self.ledger.cache > 10_000_000 {
            problems.error("ledger/cache", "range", "at most ten million entries");
        }
    }
}

fn decoder(name: &str, config: &crate::decode::Config, problems: &mut Problems) -> Option<Decoder> {
    let complain = |found: Vec<crate::decode::Problem>| {
        for problem in found {
            let field = problem.field.replace('.', "/");
            problems.error(&format!("systems/{name}/{field}"), "decoding", problem.message);
        }
    };
    Decoder::new(config).map_err(complain).ok()
}
