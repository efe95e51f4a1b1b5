//! The one place that builds things: from settings and maps to everything that runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use axum::Router;
use secrecy::{ExposeSecret as _, SecretString};

use crate::audit::Audit;
use crate::briefing::{Briefing, Facts};
use crate::canary::{Canaries, Logbook};
use crate::chance::Chance;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{self, Config, Settings};
use crate::control::Control;
use crate::crosswalk::Crosswalk;
use crate::deferral::Deferral;
use crate::delta::{Places, Tracking};
use crate::fault::{Fault, Kind};
use crate::figures::Figures;
use crate::identity::{self, Tokens};
use crate::ledger::{Ledger, layout};
use crate::mapping::{Maps, Problem};
use crate::outcome_log::OutcomeLog;
use crate::parking::Parking;
use crate::pipeline::{Breakers, Drift, Mirror, Pipeline, Surplus, Twins};
use crate::poison::{Id, Poison};
use crate::reconcile::Reconciler;
use crate::store::{self, Stores};
use crate::system::dataverse::{Bearer, Dataverse};
use crate::system::{Source, Target};
use crate::telemetry::otlp::{self, Exporter, Sink};
use crate::trigger::{
    Changes, Events, Functions, Meter, Nightly, Queues, Sweep, Synchronous, Telling, Webhook, Work,
    Works,
};

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
    /// Who did what.
    pub audit: Audit,
    /// What measures how long changes take from end to end.
    pub canaries: Arc<Canaries>,
    /// The daily digest.
    pub briefing: Arc<Briefing>,
    /// Sums by map and hour.
    pub figures: Arc<Figures>,
    /// Where spans and metrics go, when somebody collects them.
    pub exporter: Option<Exporter>,
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
    /// The ledger is not the one that the configuration asks for.
    #[error("the ledger cannot be used")]
    Ledger(#[source] Box<Fault>),
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

impl Error {
    /// Whether it passes by itself: storage did not answer.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Storage(error) => matches!(error, store::Error::Unavailable { .. }),
            Self::Ledger(fault) => fault.kind == Kind::Storage,
            Self::Configuration(_) | Self::Target { .. } => false,
        }
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().fold(String::new(), |list, problem| list + "\n  " + &problem.to_string())
}

impl App {
    /// Reads the configuration, opens storage, and builds the path. Makes no call to a target.
    pub async fn open(settings: &Settings) -> Result<Self, Error> {
        let loaded = config::load_to_run(settings).map_err(Error::Configuration)?;
        Self::build(settings, loaded).await
    }

    /// The same, of a configuration that is read already.
    pub async fn build(
        settings: &Settings,
        (config, maps, storage): (Config, Maps, store::Config),
    ) -> Result<Self, Error> {
        let clock: SharedClock = Arc::new(SystemClock);
        let chance = Chance::from_system();
        let environments = environments(&config, &clock, &chance)?;
        let opened = store::open(&storage, Arc::clone(&clock), chance.clone()).await;
        let stores = opened.map_err(Error::Storage)?;
        let laid_out = layout::confirm(&*stores.ledger, config.ledger.buckets).await;
        laid_out.map_err(|fault| Error::Ledger(Box::new(fault)))?;
        let maps = Arc::new(maps);
        let targets = environments
            .iter()
            .map(|(name, environment)| (name.clone(), Arc::clone(environment) as Arc<dyn Target>));
        let sources = environments
            .iter()
            .map(|(name, environment)| (name.clone(), Arc::clone(environment) as Arc<dyn Source>));
        let tables = (Arc::clone(&stores.ledger), Arc::clone(&stores.blobs));
        let pipeline = Pipeline {
            decoders: config.sources.clone(),
            maps: Arc::clone(&maps),
            targets: targets.collect(),
            sources: sources.collect(),
            ledger: Ledger::new(tables, config.ledger, Arc::clone(&clock), chance.clone()),
            poison: poison(&stores, &clock),
            mirror: mirror(&config, &environments),
            deferral: Deferral::new(
                Arc::clone(&stores.work),
                Arc::clone(&stores.blobs),
                Arc::clone(&clock),
            ),
            twins: twins(&config, &stores),
            parking: Parking::new(
                Arc::clone(&stores.ledger),
                Arc::clone(&stores.blobs),
                config.parking,
            ),
            control: Control::new(Arc::clone(&stores.ledger), Arc::clone(&clock), &chance),
            breakers: Breakers::default(),
            drift: Drift::default(),
            surplus: Surplus::default(),
            clock: Arc::clone(&clock),
            chance,
        };
        let pipeline = Arc::new(pipeline);
        let logbook = Logbook::new(Arc::clone(&stores.ledger), &config.canaries);
        let canaries =
            Canaries::new(Arc::clone(&pipeline), logbook.clone(), config.canaries.clone());
        let (briefing, figures) = briefing(&config, &maps, logbook, &stores, &clock);
        let exporter = exporter(settings, &clock)?;
        let audit = Audit::new(Arc::clone(&stores.poison), Arc::clone(&clock));
        Ok(Self {
            config,
            maps,
            stores,
            environments,
            pipeline,
            audit,
            canaries: Arc::new(canaries),
            briefing,
            figures,
            exporter,
            clock,
        })
    }

    /// The functions that are called by HTTP from outside, by name.
    pub fn called(&self) -> Vec<(&'static str, Router)> {
        let within = self.config.limits.waiting_within;
        let (works, incoming) = (self.works(), &self.config.incoming);
        let own = incoming.iter().map(|(name, system)| (Arc::clone(name), system.secrets.clone()));
        let secrets: BTreeMap<Arc<str>, Vec<SecretString>> = own.collect();
        let webhook = Webhook { works: works.clone(), secrets: secrets.clone(), within };
        let of = |name: &Arc<str>| {
            let own = secrets.get(name).into_iter().flatten();
            own.chain(&self.config.sync_secret).cloned().collect()
        };
        let all = self.config.sources.keys().map(|name| (Arc::clone(name), of(name)));
        let sync = Synchronous { works, secrets: all.collect(), within };
        vec![("webhook", webhook.router()), ("sync", sync.router())]
    }

    fn works(&self) -> Works {
        Works {
            pipeline: Arc::clone(&self.pipeline),
            reconciler: Arc::new(self.reconciler()),
            meter: Arc::new(self.meter()),
            queues: Queues {
                work: Arc::clone(&self.stores.work),
                poison: Arc::clone(&self.stores.poisoned),
            },
            canaries: Arc::clone(&self.canaries),
            telling: self.telling(),
            clock: Arc::clone(&self.clock),
        }
    }

    /// Who asks sources what changed.
    pub fn tracking(&self) -> Tracking {
        let systems = self.config.incoming.iter().filter(|(_, system)| system.changes);
        Tracking {
            pipeline: Arc::clone(&self.pipeline),
            places: Places(Arc::clone(&self.stores.ledger)),
            systems: systems.map(|(name, _)| Arc::clone(name)).collect(),
            clock: Arc::clone(&self.clock),
        }
    }

    /// The functions that this configuration serves.
    pub fn functions(&self) -> Functions {
        let works = self.works();
        let mut functions = Functions::new();
        functions.insert("work".into(), Arc::new(Work(works.clone())));
        functions.insert("sweep".into(), Arc::new(Sweep(works.clone())));
        functions.insert("nightly".into(), Arc::new(Nightly(works.clone())));
        let named = self.config.functions.keys().map(String::as_str);
        let tracking = Arc::new(self.tracking());
        functions.insert("changes".into(), Arc::new(Changes { works: works.clone(), tracking }));
        for name in named.chain(["events", "bus"]) {
            if let Some(system) = self.config.source_of(name) {
                let events = Events { works: works.clone(), system };
                functions.insert(name.to_owned(), Arc::new(events));
            }
        }
        functions
    }

    fn telling(&self) -> Telling {
        let (blobs, clock) = (&self.stores.blobs, &self.clock);
        let outcomes = self.config.outcomes.clone().map(|config| {
            let chance = Chance::from_system();
            Arc::new(OutcomeLog::new(config, Arc::clone(blobs), Arc::clone(clock), &chance))
        });
        Telling {
            figures: Arc::clone(&self.figures),
            outcomes,
            briefing: Arc::clone(&self.briefing),
            sink: self.exporter.as_ref().map(|exporter| Arc::clone(exporter.sink())),
        }
    }

    /// What compares the two sides of the maps.
    pub fn reconciler(&self) -> Reconciler {
        let kept = (Arc::clone(&self.stores.blobs), Arc::clone(&self.stores.work));
        let places = Places(Arc::clone(&self.stores.ledger));
        Reconciler::new(Arc::clone(&self.pipeline), kept, places, self.config.reconcile)
    }

    fn meter(&self) -> Meter {
        let counters = Arc::clone(&self.stores.counters);
        let all: Vec<_> = self.environments.values().cloned().collect();
        let sum = |total: fn(&Dataverse) -> u64| {
            let all = all.clone();
            Box::new(move || all.iter().map(|environment| total(environment)).sum()) as _
        };
        let of = |total: fn(&Pipeline) -> u64| {
            let pipeline = Arc::clone(&self.pipeline);
            Box::new(move || total(&pipeline)) as _
        };
        Meter::new([
            ("storage_operations", Box::new(move || counters.total()) as _),
            ("target_calls", sum(Dataverse::calls)),
            ("state_steps", sum(Dataverse::state_steps)),
            ("dropped_values", of(|pipeline| pipeline.drift.dropped())),
            ("overtaken", of(|pipeline| pipeline.surplus.overtaken())),
            ("reasserted", of(|pipeline| pipeline.surplus.reasserted())),
        ])
    }
}

/// The daily digest, and the sums that it tells.
fn briefing(
    config: &Config,
    maps: &Maps,
    logbook: Logbook,
    stores: &Stores,
    clock: &SharedClock,
) -> (Arc<Briefing>, Arc<Figures>) {
    let table = || Arc::clone(&stores.poison);
    let figures = Arc::new(Figures::new(table(), Arc::clone(clock), &Chance::from_system()));
    let names = maps.destinations().into_iter().map(|to| to.map.to_string());
    let sources = config.sources.keys().map(|system| Id::unread(system));
    let facts = Facts {
        figures: Arc::clone(&figures),
        poison: poison(stores, clock),
        partitions: names.chain(sources).collect(),
        work: Arc::clone(&stores.work),
        logbook,
    };
    let briefing = Briefing::new(config.digest.clone(), facts, table(), Arc::clone(clock));
    (Arc::new(briefing), figures)
}

/// Where spans and metrics go.
fn exporter(settings: &Settings, clock: &SharedClock) -> Result<Option<Exporter>, Error> {
    let collector = settings.collector().map_err(|problem| Error::Configuration(vec![problem]))?;
    let Some(collector) = collector else { return Ok(None) };
    let sink = Arc::new(Sink::new(Arc::clone(clock), Chance::from_system()));
    let exporter = Exporter::new(collector, sink);
    let failed = |error: otlp::ConfigError| {
        let fault = Fault::new(Kind::Misconfigured, error.to_string());
        Error::Target { name: "OpenTelemetry collector".to_owned(), source: Box::new(fault) }
    };
    exporter.map(Some).map_err(failed)
}

/// What is known of systems that are both read and written.
fn twins(config: &Config, stores: &Stores) -> Twins {
    let users = config.incoming.iter();
    let users = users.filter_map(|(name, system)| Some((Arc::clone(name), system.user?)));
    Twins { crosswalk: Crosswalk::new(Arc::clone(&stores.ledger)), users: users.collect() }
}

/// The poison store over these stores.
pub fn poison(stores: &Stores, clock: &SharedClock) -> Poison {
    Poison::new(
        Arc::clone(&stores.poison),
        Arc::clone(&stores.poisoned),
        Arc::clone(&stores.quarantine),
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
