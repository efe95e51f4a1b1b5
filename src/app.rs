//! The one place that builds things: from settings and maps to everything that runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use secrecy::ExposeSecret as _;

use crate::chance::Chance;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{self, Config, Settings};
use crate::deferral::Deferral;
use crate::fault::{Fault, Kind};
use crate::identity::{self, Tokens};
use crate::ledger::Ledger;
use crate::mapping::{Maps, Problem};
use crate::pipeline::{Drift, Mirror, Pipeline};
use crate::poison::Poison;
use crate::store::{self, Stores};
use crate::system::Target;
use crate::system::dataverse::{Bearer, Dataverse};
use crate::trigger::{Events, Functions, Meter, Sweep, Work, Works};

/// Everything that runs, as one configuration describes it.
#[derive(Debug)]
pub struct App {
    /// What `concord.toml` says.
    pub config: Config,
    /// The maps.
    pub maps: Arc<Maps>,
    /// What is durable.
    pub stores: Stores,
    /// The Dataverse environments among the targets, for their counters and descriptions.
    pub environments: BTreeMap<String, Arc<Dataverse>>,
    /// The path.
    pub pipeline: Arc<Pipeline>,
    /// The time.
    pub clock: SharedClock,
}

/// Why nothing can run.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration has problems: all of them.
    #[error("the configuration has {} problem{}:{}", .0.len(), if .0.len() == 1 { "" } else { "s" }, list(.0))]
    Configuration(Vec<Problem>),
    /// Storage cannot be used.
    #[error("storage cannot be used")]
    Storage(#[source] store::Error),
    /// A target cannot be built.
    #[error("the target `{name}` cannot be used")]
    Target {
        /// The system's name in `concord.toml`.
        name: String,
        /// Why.
        #[source]
        source: Box<Fault>,
    },
}

fn list(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |list, problem| list + "\n  " + &problem.to_string())
}

impl App {
    /// Reads the configuration, opens storage, and builds the path. Makes no call to a target.
    pub async fn open(settings: &Settings) -> Result<Self, Error> {
        let (config, maps, storage) =
            config::load_to_run(settings).map_err(Error::Configuration)?;
        let clock: SharedClock = Arc::new(SystemClock);
        let chance = Chance::from_system();
        let environments = environments(&config, &clock, &chance)?;
        let opened = store::open(&storage, Arc::clone(&clock), chance.clone()).await;
        let stores = opened.map_err(Error::Storage)?;
        let maps = Arc::new(maps);
        let targets = environments
            .iter()
            .map(|(name, environment)| (name.clone(), Arc::clone(environment) as Arc<dyn Target>));
        let tables = (Arc::clone(&stores.ledger), Arc::clone(&stores.blobs));
        let pipeline = Pipeline {
            decoders: config.sources.clone(),
            maps: Arc::clone(&maps),
            targets: targets.collect(),
            ledger: Ledger::new(tables, config.ledger, Arc::clone(&clock), chance.clone()),
            poison: poison(&stores, &clock),
            mirror: mirror(&config, &environments),
            deferral: Deferral::new(
                Arc::clone(&stores.work),
                Arc::clone(&stores.blobs),
                Arc::clone(&clock),
            ),
            drift: Drift::default(),
            clock: Arc::clone(&clock),
            chance,
        };
        let pipeline = Arc::new(pipeline);
        Ok(Self { config, maps, stores, environments, pipeline, clock })
    }

    /// The functions that this configuration serves.
    pub fn functions(&self) -> Functions {
        let works = Works {
            pipeline: Arc::clone(&self.pipeline),
            meter: Arc::new(self.meter()),
            clock: Arc::clone(&self.clock),
        };
        let mut functions = Functions::new();
        functions.insert("work".into(), Arc::new(Work(works.clone())));
        functions.insert("sweep".into(), Arc::new(Sweep(works.clone())));
        let named = self.config.functions.keys().map(String::as_str);
        for name in named.chain(["events"]) {
            if let Some(system) = self.config.source_of(name) {
                let events = Events { works: works.clone(), system };
                functions.insert(name.to_owned(), Arc::new(events));
            }
        }
        functions
    }

    fn meter(&self) -> Meter {
        let counters = Arc::clone(&self.stores.counters);
        let environments: Vec<_> = self.environments.values().cloned().collect();
        let calls = move || environments.iter().map(|environment| environment.calls()).sum();
        let pipeline = Arc::clone(&self.pipeline);
        Meter::new([
            ("storage_operations", Box::new(move || counters.total()) as _),
            ("target_calls", Box::new(calls) as _),
            ("dropped_values", Box::new(move || pipeline.drift.dropped()) as _),
        ])
    }
}

/// The poison store over these stores.
pub fn poison(stores: &Stores, clock: &SharedClock) -> Poison {
    Poison::new(
        Arc::clone(&stores.poison),
        Arc::clone(&stores.poisoned),
        Arc::clone(&stores.blobs),
        Arc::clone(clock),
    )
}

/// Where error records are shown besides, if `concord.toml` names a table.
fn mirror(config: &Config, environments: &BTreeMap<String, Arc<Dataverse>>) -> Option<Mirror> {
    let shown = config.poison.as_ref()?;
    let target = Arc::clone(environments.get(&shown.system)?) as Arc<dyn Target>;
    Some(Mirror::new(shown, target))
}

/// Every Dataverse environment of the configuration, without calling any.
pub fn environments(
    config: &Config,
    clock: &SharedClock,
    chance: &Chance,
) -> Result<BTreeMap<String, Arc<Dataverse>>, Error> {
    let mut environments = BTreeMap::new();
    for (name, target) in &config.targets {
        let config::Target::Dataverse(settings, credential) = target;
        let failed = |fault| Error::Target { name: name.clone(), source: Box::new(fault) };
        let tokens = credential.as_ref().map(|credential| {
            let scope = format!("{}/.default", settings.url.trim_end_matches('/'));
            let tokens = Tokens::new(credential, &scope, Arc::clone(clock)).map_err(fault)?;
            Ok(Arc::new(Identity(tokens)) as Arc<dyn Bearer>)
        });
        let tokens = tokens.transpose().map_err(failed)?;
        let built = Dataverse::new((**settings).clone(), tokens, Arc::clone(clock), chance.clone());
        environments.insert(name.clone(), Arc::new(built.map_err(failed)?));
    }
    Ok(environments)
}

/// Gives a target the tokens of an identity.
#[derive(Debug)]
struct Identity(Tokens);

#[async_trait]
impl Bearer for Identity {
    async fn bearer(&self) -> Result<String, Fault> {
        let token = self.0.bearer().await.map_err(fault)?;
        Ok(token.expose_secret().to_owned())
    }

    fn forget(&self, _token: &str) {
        self.0.discard();
    }
}

fn fault(error: identity::Error) -> Fault {
    let kind = match &error {
        identity::Error::Misconfigured { .. } | identity::Error::Refused { .. } => Kind::Credential,
        identity::Error::Unreachable { .. } => Kind::Unreachable,
    };
    Fault::new(kind, error.to_string()).caused_by(error)
}
