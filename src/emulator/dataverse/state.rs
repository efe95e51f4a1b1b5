//! What a running emulator holds. Each part has its own lock, held for short and never across an await.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc;
use uuid::Uuid;

use crate::chance::Chance;
use crate::clock::{SharedClock, SystemClock};
use crate::emulator::dataverse::counters::Counters;
use crate::emulator::dataverse::faults::Faults;
use crate::emulator::dataverse::limits::{self, Limits};
use crate::emulator::dataverse::model::Environment;
use crate::emulator::dataverse::schema::{self, Schema};
use crate::emulator::dataverse::seed;
use crate::emulator::dataverse::steps::{self, Buses, Job, Trouble};
use crate::emulator::dataverse::world::World;

/// How an emulator is set up.
#[derive(Clone, Debug)]
pub struct Options {
    /// The port on loopback; 0 takes a free one.
    pub port: u16,
    /// Tables beyond the shipped ones, or instead of them.
    pub schema: Option<PathBuf>,
    /// Faults that come by chance.
    pub faults: Faults,
    /// Service-protection limits, when they are on.
    pub limits: Option<limits::Settings>,
    /// Scheme and host in the addresses of answers, such as `https://acme.crm.example`; without it
    /// they follow each request's `Host`.
    pub origin: Option<String>,
    /// Whether requests must carry a bearer token. It is not looked into.
    pub secret: bool,
    /// Whether callers lack the permissions for secured columns.
    pub column_security: bool,
    /// Privileges that callers lack, such as `prvDeleteAccount`.
    pub denied: Vec<String>,
    /// The recommended parallelism told in `x-ms-dop-hint`.
    pub parallelism: u32,
    /// What goes wrong with webhooks.
    pub webhooks: steps::Shares,
    /// The time.
    pub clock: SharedClock,
    /// Randomness: ids, faults, the choice of a web server.
    pub chance: Chance,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            port: 0,
            schema: None,
            faults: Faults::default(),
            limits: None,
            origin: None,
            secret: false,
            column_security: false,
            denied: Vec::new(),
            parallelism: 4,
            webhooks: steps::Shares::default(),
            clock: Arc::new(SystemClock),
            chance: Chance::from_system(),
        }
    }
}

/// The state that all requests share.
#[derive(Debug)]
pub struct State {
    /// How it was set up.
    pub options: Options,
    schema: Schema,
    world: Mutex<World>,
    counters: Mutex<Counters>,
    faults: Mutex<Faults>,
    limits: Mutex<Option<Limits>>,
    trouble: Mutex<Trouble>,
    buses: Mutex<Buses>,
    jobs: mpsc::UnboundedSender<Job>,
    waiting: Mutex<Option<mpsc::UnboundedReceiver<Job>>>,
}

impl State {
    /// An environment with its first rows. Refuses a schema file that cannot be used.
    pub fn new(options: Options) -> Result<Self, schema::Error> {
        let schema = match &options.schema {
            Some(path) => Schema::with_file(path)?,
            None => Schema::built_in()?,
        };
        let world = Mutex::new(World::new(environment(&schema, &options)));
        let faults = Mutex::new(options.faults.clone());
        let limits = Mutex::new(options.limits.map(Limits::new));
        let trouble = Mutex::new(Trouble::new(options.webhooks, options.chance.clone()));
        let (jobs, waiting) = mpsc::unbounded_channel();
        Ok(Self {
            options,
            schema,
            world,
            counters: Mutex::default(),
            faults,
            limits,
            trouble,
            buses: Mutex::default(),
            jobs,
            waiting: Mutex::new(Some(waiting)),
        })
    }

    /// Puts everything back to the start: rows, definitions, counters, faults, limits.
    pub fn reset(&self) {
        *self.world() = World::new(environment(&self.schema, &self.options));
        *self.counters() = Counters::default();
        *self.faults() = self.options.faults.clone();
        *self.limits() = self.options.limits.map(Limits::new);
        *self.trouble() = Trouble::new(self.options.webhooks, self.options.chance.clone());
        *self.buses() = Buses::default();
    }

    /// The troubles of webhooks, and how often each came.
    pub fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The messages that wait for their readers.
    pub fn buses(&self) -> MutexGuard<'_, Buses> {
        self.buses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands a job to whoever delivers; nobody does without a server.
    pub fn send(&self, job: Job) {
        self.jobs.send(job).ok();
    }

    /// The jobs to deliver; for the first who asks.
    pub fn jobs(&self) -> Option<mpsc::UnboundedReceiver<Job>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// The host name of the environment, for the headers of webhooks.
    pub fn host(&self) -> &str {
        let origin = self.options.origin.as_deref().unwrap_or("http://localhost");
        origin.split("://").nth(1).unwrap_or(origin).trim_end_matches('/')
    }

    /// The data.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The counters.
    pub fn counters(&self) -> MutexGuard<'_, Counters> {
        self.counters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The faults to come.
    pub fn faults(&self) -> MutexGuard<'_, Faults> {
        self.faults.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The limits, when they are on.
    pub fn limits(&self) -> MutexGuard<'_, Option<Limits>> {
        self.limits.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A new random id.
    pub fn new_id(&self) -> Uuid {
        self.options.chance.uuid()
    }
}

fn environment(schema: &Schema, options: &Options) -> Environment {
    let mut env = schema.clone().environment();
    env.column_security = options.column_security;
    env.denied = options.denied.iter().cloned().collect();
    seed::environment(&mut env, options.clock.now());
    env
}
