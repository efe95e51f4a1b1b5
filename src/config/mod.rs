//! The configuration: settings of the process, `maps/concord.toml`, and the maps beside it.
//!
//! In come a [`Settings`] and a folder; out come types that the parts are built from, or every problem
//! of every file and setting at once. Each part owns its own section; this module only puts them
//! together. Environment variables are read here and nowhere else.

mod dataverse;
mod file;
mod limits;
mod settings;
mod system;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::Value;

pub use dataverse::{Auth, Dataverse};
pub use file::ConfigFile;
pub use limits::Limits;
pub use settings::Settings;
pub use system::{SourceSystem, System};

use crate::decode::Decoder;
use crate::mapping::document::{Document, Edit};
use crate::mapping::file::MapFile;
use crate::mapping::load::CONFIGURATION;
use crate::mapping::problem::Problems;
use crate::mapping::{Defaults, Maps, Problem, Severity, Surroundings, guard};
use crate::{identity, ledger, pipeline, store, system as ends, trigger};

/// Everything that `concord.toml` says.
#[derive(Debug)]
pub struct Config {
    /// How the events of each source system read.
    pub sources: BTreeMap<Arc<str>, Decoder>,
    /// The systems that rows are written to.
    pub targets: BTreeMap<String, Target>,
    /// The files with saved descriptions of the tables of these systems.
    pub saved: BTreeMap<String, PathBuf>,
    /// The source system of each function.
    pub functions: BTreeMap<String, Arc<str>>,
    /// How the ledger is laid out.
    pub ledger: ledger::Config,
    /// The table that shows error records, beside the poison store.
    pub poison: Option<pipeline::MirrorConfig>,
    /// How much a call may hold and how long it may take.
    pub limits: trigger::Config,
    /// What maps mean where they say nothing.
    pub defaults: Defaults,
}

/// A system that rows are written to.
#[derive(Clone, Debug)]
pub enum Target {
    /// A Dataverse environment, and who asks; nobody for one on this machine.
    Dataverse(Box<ends::dataverse::Config>, Option<identity::Credential>),
}

impl Config {
    /// The source system that a function's events come from: the one named for it, else the only one.
    pub fn source_of(&self, function: &str) -> Option<Arc<str>> {
        let only = || match self.sources.len() {
            1 => self.sources.keys().next(),
            _ => None,
        };
        self.functions.get(function).or_else(only).cloned()
    }
}

/// Reads `concord.toml` and all maps of the settings' folder. Fails with all problems of all files when
/// one of them is an error; warnings are in [`Maps::warnings`].
pub fn load(settings: &Settings) -> Result<(Config, Maps), Vec<Problem>> {
    let (config, mut maps, problems) = inspect(settings);
    if errors(&problems) > 0 {
        return Err(problems);
    }
    maps.warnings = problems;
    Ok((config, maps))
}

/// The same for checking: everything as far as it goes, and all problems, warnings too. Nothing may run
/// on it while one of them is an error.
pub fn inspect(settings: &Settings) -> (Config, Maps, Vec<Problem>) {
    let folder = settings.maps();
    let (config, names, mut problems) = configuration(&folder, settings);
    let setting = |name: &str| settings.get(name).map(str::to_owned);
    let around = Surroundings {
        defaults: &config.defaults,
        systems: &names,
        targets: &config.targets.keys().cloned().collect::<Vec<_>>(),
        setting: &setting,
    };
    let (maps, found) = Maps::inspect(&folder, &around);
    problems.extend(found);
    (config, maps, problems)
}

/// The same together with where storage is, for everything that runs rather than checks.
pub fn load_to_run(settings: &Settings) -> Result<(Config, Maps, store::Config), Vec<Problem>> {
    match (load(settings), settings.storage()) {
        (Ok((config, maps)), Ok(storage)) => Ok((config, maps, storage)),
        (Ok(_), Err(problem)) => Err(vec![problem]),
        (Err(problems), Ok(_)) => Err(problems),
        (Err(mut problems), Err(problem)) => {
            problems.push(problem);
            Err(problems)
        }
    }
}

/// The JSON Schemas of a map file and of `concord.toml`, for editors.
pub fn json_schema() -> (Value, Value) {
    (schemars::schema_for!(MapFile).into(), schemars::schema_for!(ConfigFile).into())
}

fn errors(problems: &[Problem]) -> usize {
    problems.iter().filter(|problem| problem.severity == Severity::Error).count()
}

/// The configuration as far as it goes, the names of all systems, and what is wrong.
fn configuration(folder: &Path, settings: &Settings) -> (Config, Vec<String>, Vec<Problem>) {
    let path = folder.join(CONFIGURATION);
    let name = path.display().to_string();
    let (text, unreadable) = match std::fs::read_to_string(&path) {
        Ok(text) => (text, None),
        Err(error) => (String::new(), Some(format!("it cannot be read: {error}"))),
    };
    let setting = |name: &str| settings.get(name).map(str::to_owned);
    let mut edit = |_: &str, text: &str| -> Edit { guard::expand(text, &setting) };
    let document: Document<ConfigFile> =
        crate::mapping::document::read_as(&name, &text, &mut edit, system::by_kind);
    let mut problems = Problems::new(Arc::clone(&document.places));
    problems.extend(document.problems);
    let file = document.value;
    let names = file.systems.keys().cloned().collect();
    let config = file.checked(folder, settings, &mut problems);
    match unreadable {
        None => (config, names, problems.into_vec()),
        Some(message) => {
            let mut problems = Problems::new(Arc::clone(&document.places));
            problems.error("", "file-unreadable", message);
            (config, names, problems.into_vec())
        }
    }
}

#[cfg(test)]
mod tests;
