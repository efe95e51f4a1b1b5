//! The configuration: settings of the process, `maps/concord.toml`, and the maps beside it.
//!
//! In come a [`Settings`] and a folder; out come types that the parts are built from, or every problem
//! of every file and setting at once. Each part owns its own section; this module only puts them
//! together. Environment variables are read here and nowhere else.

mod canaries;
mod dataverse;
mod file;
mod incoming;
mod limits;
mod settings;
mod system;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use secrecy::SecretString;
use serde_json::Value;

pub use dataverse::{Auth, Dataverse, Incoming};
pub use file::ConfigFile;
pub use limits::Limits;
pub use settings::Settings;
pub use system::{SourceSystem, System};

use crate::decode::Decoder;
use crate::mapping::document::{Document, Edit, Places};
use crate::mapping::file::MapFile;
use crate::mapping::load::{CONFIGURATION, unreadable};
use crate::mapping::problem::Problems;
use crate::mapping::{Defaults, Maps, Problem, Severity, Surroundings, guard};
use crate::operator::Roles;
use crate::{
    briefing, canary, identity, ledger, outcome_log, parking, pipeline, reconcile, store,
    system as ends, trigger,
};

/// Everything that `concord.toml` says.
#[derive(Debug)]
pub struct Config {
    /// How the events of each source system read.
    pub sources: BTreeMap<Arc<str>, Decoder>,
    /// The Dataverse environments, as sources.
    pub incoming: BTreeMap<Arc<str>, Incoming>,
    /// What callers of the function `sync` show.
    pub sync_secret: Option<SecretString>,
    /// The systems that rows are written to.
    pub targets: BTreeMap<String, Target>,
    /// The files with saved descriptions of the tables of these systems.
    pub saved: BTreeMap<String, PathBuf>,
    /// The source system of each function.
    pub functions: BTreeMap<String, Arc<str>>,
    /// How the ledger is laid out.
    pub ledger: ledger::Config,
    /// How long rows wait for rows that they refer to.
    pub parking: parking::Config,
    /// The table that shows error records, beside the poison store.
    pub poison: Option<pipeline::MirrorConfig>,
    /// How the two sides are compared every night.
    pub reconcile: reconcile::Config,
    /// The canaries, by map.
    pub canaries: canary::Config,
    /// Where each key of the file stands.
    pub places: Arc<Places>,
    /// How much a call may hold and how long it may take.
    pub limits: trigger::Config,
    /// The daily digest.
    pub digest: briefing::Config,
    /// The log of what became of every row, when it is wanted.
    pub outcomes: Option<outcome_log::Config>,
    /// Which Entra groups may do what.
    pub roles: Roles,
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
    /// The source system that a function's events come from: the one named for it, else the only one
    /// that is nothing but a source.
    pub fn source_of(&self, function: &str) -> Option<Arc<str>> {
        let mut sources = self.sources.keys().filter(|name| !self.targets.contains_key(&***name));
        let only = || match (sources.next(), sources.next()) {
            (only, None) => only,
            (Some(_) | None, Some(_)) => None,
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
    let (mut config, names, mut problems) = configuration(&folder, settings);
    let setting = |name: &str| settings.get(name).map(str::to_owned);
    let around = Surroundings {
        defaults: &config.defaults,
        systems: &names,
        targets: &config.targets.keys().cloned().collect::<Vec<_>>(),
        setting: &setting,
    };
    let (maps, found) = Maps::inspect(&folder, &around);
    problems.extend(found);
    problems.extend(canaries::problems(&config, &maps));
    let environments = incoming::decoders(&config, &maps);
    config.sources.extend(environments);
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
    let read = std::fs::read_to_string(&path);
    let text = read.as_deref().unwrap_or_default();
    let (config, names, problems) = read_text((&name, text), folder, settings);
    match &read {
        Ok(_) => (config, names, problems.into_vec()),
        Err(error) => (config, names, vec![unreadable(&name, error)]),
    }
}

/// The same from the name and text of the file.
fn read_text(
    (name, text): (&str, &str),
    folder: &Path,
    settings: &Settings,
) -> (Config, Vec<String>, Problems) {
    let setting = |name: &str| settings.get(name).map(str::to_owned);
    let mut edit = |_: &str, text: &str| -> Edit { guard::expand(text, &setting) };
    let document: Document<ConfigFile> =
        crate::mapping::document::read_as(name, text, &mut edit, system::by_kind);
    let mut problems = Problems::new(Arc::clone(&document.places));
    problems.extend(document.problems);
    let file = document.value;
    let names = file.systems.keys().cloned().collect();
    (file.checked(folder, settings, &mut problems), names, problems)
}

/// Everything that is wrong with a `concord.toml` that stands in no folder, for fuzzers.
#[cfg(any(test, fuzzing))]
pub(crate) fn problems_of(text: &str) -> Vec<Problem> {
    let settings = Settings::of([("SALES_URL", "https://acme.crm.example")]);
    let (_, _, problems) = read_text((CONFIGURATION, text), Path::new("maps"), &settings);
    problems.into_vec()
}

#[cfg(test)]
mod tests;
