//! `concord webhook`: what a Dataverse environment tells Concord, registered, listed and removed.
//!
//! The steps follow from the maps: Create, Update and Delete of every table that a map reads, Update
//! only for the columns that are read, with images of those columns. What is there already is left as it
//! is, so a second run changes nothing. The secret goes to the environment and is shown nowhere.

mod plan;
mod registered;

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Args as Arguments, Subcommand};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Serialize;

use self::plan::{Change, Wanted};
use self::registered::Registered;
use super::desk::Desk;
use super::{Outcome, output};
use crate::app;
use crate::audit::{Deed, Verb};
use crate::chance::Chance;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{self, Config, Incoming, Settings};
use crate::decode::Decoder;
use crate::mapping::Maps;
use crate::operator::Role;
use crate::system::Target as _;
use crate::system::dataverse::Dataverse;

/// The setting that names the address of the function app.
const URL: &str = "CONCORD_URL";
/// The setting that holds the key of the function `webhook`.
const KEY: &str = "WEBHOOK_FUNCTION_KEY";

/// What to do with the registrations.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Register what the maps need; a second run changes nothing
    Register(Register),
    /// Show what is registered
    List(Only),
    /// Remove what was registered
    Remove(Only),
}

/// Which environments.
#[derive(Clone, Debug, Arguments)]
pub struct Only {
    /// Only this system of concord.toml
    #[arg(long)]
    system: Option<String>,
    /// Say what would be done, and do nothing
    #[arg(long)]
    dry_run: bool,
    /// As one JSON array
    #[arg(long)]
    json: bool,
}

/// What to register, and where calls go.
#[derive(Clone, Debug, Arguments)]
pub struct Register {
    #[command(flatten)]
    only: Only,
    /// The address of the function app, `https://<app>.azurewebsites.net`; `CONCORD_URL` when not given
    #[arg(long)]
    url: Option<String>,
    /// Put the first of two secrets in the place of the second
    #[arg(long)]
    rotate: bool,
}

/// Why nothing could be registered.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("no Dataverse environment of concord.toml is read by a map{}", named(.0.as_deref()))]
    Nothing(Option<String>),
    #[error("say where calls go: --url https://<app>.azurewebsites.net, or set {URL}")]
    NoUrl,
    #[error(
        "system {0} has no secret: set `webhook_secret = \"${{{1}_WEBHOOK_SECRET}}\"` in concord.toml and \
         the setting to at least 16 characters"
    )]
    NoSecret(String, String),
    #[error(
        "system {0} has one secret only: set its setting to \"<new> <old>\", let the handler start with \
         both, and call this again"
    )]
    OneSecret(String),
}

fn named(system: Option<&str>) -> String {
    system.map(|name| format!(" (looked for `{name}`)")).unwrap_or_default()
}

/// What was done, or would be, in one environment.
#[derive(Debug, Serialize)]
struct Told {
    system: String,
    environment: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<String>,
    changes: Vec<Change>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    steps: Vec<registered::Shown>,
}

/// Runs the command.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    on_record(&command, settings).await?;
    let (config, maps) = config::load(settings).map_err(app::Error::Configuration)?;
    let (only, told) = match command {
        Command::Register(args) => {
            (args.only.clone(), register(&args, (&config, &maps), settings).await?)
        }
        Command::List(only) => (only.clone(), list(&only, &config, &maps).await?),
        Command::Remove(only) => (only.clone(), remove(&only, &config, &maps).await?),
    };
    if only.json {
        output::json(&told);
    } else {
        for one in &told {
            tell(one, only.dry_run);
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts on the audit record what is about to be changed. A pipeline that cannot reach the storage leaves
/// its setting out; then the environment's own audit alone tells who registered what.
async fn on_record(command: &Command, settings: &Settings) -> Result<(), Failed> {
    let (only, what) = match command {
        Command::Register(args) if args.rotate => (&args.only, "secret rotated"),
        Command::Register(args) => (&args.only, "registered"),
        Command::Remove(only) => (only, "removed"),
        Command::List(_) => return Ok(()),
    };
    if only.dry_run || !settings.names_storage() {
        return Ok(());
    }
    let desk = Desk::open(settings, Role::Operator).await?;
    let subject = only.system.as_deref().unwrap_or("every environment");
    desk.record(Role::Operator, &[Deed::new(Verb::Register, subject).with(what)]).await?;
    Ok(())
}

/// Registers what the maps need; calls go to the function app at `url`.
pub async fn register_at(url: &str, settings: &Settings) -> Result<(), Failed> {
    let (config, maps) = config::load(settings).map_err(app::Error::Configuration)?;
    let only = Only { system: None, dry_run: false, json: false };
    let args = Register { only, url: Some(url.to_owned()), rotate: false };
    register(&args, (&config, &maps), settings).await.map(drop)
}

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// An environment that maps read.
struct Read<'c> {
    name: &'c str,
    incoming: &'c Incoming,
    environment: Arc<Dataverse>,
}

fn environments<'c>(
    only: Option<&String>,
    config: &'c Config,
    maps: &Maps,
) -> Result<Vec<Read<'c>>, Failed> {
    let clock: SharedClock = Arc::new(SystemClock);
    let all = app::environments(config, &clock, &Chance::from_system())?;
    let is_read = |name: &str| {
        maps.iter().any(|map| map.system == name) && only.is_none_or(|only| only == name)
    };
    let read =
        config.incoming.iter().filter(|(name, _)| is_read(name)).filter_map(|(name, incoming)| {
            let environment = Arc::clone(all.get(&**name)?);
            Some(Read { name, incoming, environment })
        });
    let read: Vec<Read<'c>> = read.collect();
    if read.is_empty() { Err(Error::Nothing(only.cloned()).into()) } else { Ok(read) }
}

async fn register(
    args: &Register,
    (config, maps): (&Config, &Maps),
    settings: &Settings,
) -> Result<Vec<Told>, Failed> {
    let url = args.url.as_deref().or_else(|| settings.get(URL)).ok_or(Error::NoUrl)?;
    let key = settings.get(KEY).map(SecretString::from);
    let mut told = Vec::new();
    for read in environments(args.only.system.as_ref(), config, maps)? {
        let secret = secret(&read, args.rotate)?;
        let headers = plan::headers(&secret, key.as_ref());
        let mut wanted = Wanted::new(read.name, url, &headers);
        let tables = config.sources.get(read.name).and_then(Decoder::tables);
        for (name, table) in tables.iter().flat_map(|tables| &tables.0) {
            let schema = read.environment.describe(name).await?;
            wanted.table(name, table, schema.as_ref());
        }
        let there = Registered::read(&read.environment, &wanted.endpoint.name).await?;
        let changes = plan::changes(&wanted, &there);
        if !args.only.dry_run {
            plan::apply(&read.environment, &wanted, &there, &changes).await?;
        }
        told.push(Told {
            system: read.name.to_owned(),
            environment: read.environment.address().to_owned(),
            endpoint: Some(wanted.endpoint.url.clone()),
            changes,
            steps: Vec::new(),
        });
    }
    Ok(told)
}

/// The secret that the environment is to show.
fn secret(read: &Read<'_>, rotate: bool) -> Result<SecretString, Error> {
    let secrets = &read.incoming.secrets;
    let upper = read.name.to_uppercase();
    let first = secrets.first().ok_or_else(|| Error::NoSecret(read.name.to_owned(), upper))?;
    if rotate && secrets.len() < 2 {
        return Err(Error::OneSecret(read.name.to_owned()));
    }
    Ok(SecretString::from(first.expose_secret()))
}

async fn list(only: &Only, config: &Config, maps: &Maps) -> Result<Vec<Told>, Failed> {
    let mut told = Vec::new();
    for read in environments(only.system.as_ref(), config, maps)? {
        let there = Registered::read(&read.environment, &plan::name(read.name)).await?;
        told.push(Told {
            system: read.name.to_owned(),
            environment: read.environment.address().to_owned(),
            endpoint: there.endpoint.as_ref().map(|endpoint| endpoint.url.clone()),
            changes: Vec::new(),
            steps: there.steps.iter().map(registered::Step::shown).collect(),
        });
    }
    Ok(told)
}

async fn remove(only: &Only, config: &Config, maps: &Maps) -> Result<Vec<Told>, Failed> {
    let mut told = Vec::new();
    for read in environments(only.system.as_ref(), config, maps)? {
        let there = Registered::read(&read.environment, &plan::name(read.name)).await?;
        let changes = plan::removal(&there);
        if !only.dry_run {
            there.remove(&read.environment).await?;
        }
        told.push(Told {
            system: read.name.to_owned(),
            environment: read.environment.address().to_owned(),
            endpoint: None,
            changes,
            steps: Vec::new(),
        });
    }
    Ok(told)
}

fn tell(told: &Told, dry: bool) {
    let endpoint = told.endpoint.as_deref().unwrap_or("no endpoint");
    output::line(format!("{} ({}): {endpoint}", told.system, told.environment));
    for step in &told.steps {
        output::line(format!("  {step}"));
    }
    for change in &told.changes {
        output::line(format!("  {}{change}", if dry { "would " } else { "" }));
    }
    if told.steps.is_empty() && told.changes.is_empty() {
        output::note("  nothing to do");
    }
}
