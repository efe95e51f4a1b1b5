//! `maps/concord.toml` as a person writes it, and what its sections come to.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use indexmap::IndexMap;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;

use super::{Config, Limits, Settings, System, Target};
use crate::decode::Decoder;
use crate::mapping::Defaults;
use crate::mapping::problem::Problems;
use crate::operator::Roles;
use crate::pipeline::MirrorConfig;
use crate::{briefing, canary, ledger, outcome_log, parking, reconcile};

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
    /// How long rows wait for rows that they refer to.
    pub parking: parking::Config,
    /// A table of a target that shows error records, beside the poison store.
    pub poison: Option<MirrorConfig>,
    /// How the two sides are compared every night.
    pub reconcile: reconcile::Config,
    /// Rows that measure how long changes take from end to end, by the name of their map.
    pub canaries: canary::Config,
    /// How much a call may hold and how long it may take.
    pub limits: Limits,
    /// A daily digest, posted as an Adaptive Card to a Teams workflow.
    pub digest: briefing::Config,
    /// A log of what became of every row, as files in the own storage. Off when it is not there.
    pub outcomes: Option<outcome_log::Config>,
    /// The Entra groups whose members may look, operate and approve.
    pub roles: Roles,
    /// What callers of the function `sync` show in the header `x-concord-secret`; always a setting,
    /// `"${SYNC_SECRET}"`. For a Dataverse environment its own `webhook_secret` is taken besides.
    #[schemars(with = "Option<String>")]
    pub sync_secret: Option<SecretString>,
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
        let mut incoming = BTreeMap::new();
        for (name, system) in &self.systems {
            match system {
                System::Source(config) => sources.extend(
                    decoder(name, config, problems)
                        .map(|decoder| (Arc::from(name.as_str()), decoder)),
                ),
                System::Dataverse(system) => {
                    incoming.insert(Arc::from(name.as_str()), system.incoming(name, problems));
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
        self.digest(problems);
        self.canaries(problems);
        let limits = self.limits.checked(problems);
        let Self { ledger, parking, defaults, poison, reconcile, sync_secret, .. } = self;
        let (roles, digest, outcomes) = (self.roles, self.digest, self.outcomes);
        let (canaries, places) = (self.canaries, problems.places());
        Config {
            sources,
            incoming,
            sync_secret,
            targets,
            saved,
            functions,
            ledger,
            parking,
            poison,
            reconcile,
            canaries,
            places,
            limits,
            digest,
            outcomes,
            roles,
            defaults,
        }
    }

    fn functions(&self, problems: &mut Problems) -> BTreeMap<String, Arc<str>> {
        // Every kind of system can be a source.
        for (function, system) in &self.functions {
            if !self.systems.contains_key(system) {
                let known = self.systems.keys().map(String::as_str);
                let message = format!("`{system}` is no system of this file");
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

    fn digest(&self, problems: &mut Problems) {
        if !(0..=23).contains(&self.digest.hour) {
            problems.error("digest/hour", "range", "between 0 and 23, in UTC");
        }
    }

    fn canaries(&self, problems: &mut Problems) {
        for (map, canary) in &self.canaries {
            for (key, message) in canary.problems() {
                problems.error(&format!("canaries/{map}/{key}"), "canary", message);
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
        if !(1..=8_784).contains(&self.parking.hours) {
            problems.error("parking/hours", "range", "between an hour and a year");
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
