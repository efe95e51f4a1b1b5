//! `concord dev`: everything on this machine, with nothing installed.
//!
//! In come the real `host.json`, `functions/`, settings and maps, and events (the shipped ones or the
//! user's own). Emulated Dataverse environments stand for every target, a folder for storage, and a
//! stand-in for the Functions host drives this same program as the handler. Out goes what happened:
//! live in the terminal, or as a report of one pass. Never is anything written to a real environment.

mod compare;
mod environment;
mod environments;
mod expected;
mod folder;
mod input;
mod night;
mod organisation;
mod pass;
mod report;
mod settings;
mod shipped;
mod stage;
mod stream;
mod tally;
mod view;
mod web;

use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;

use self::pass::{Pass, Passed};
use self::report::Report;
use self::shipped::Shipped;
use self::stage::Stage;
use self::stream::PARTITIONS;
use super::output;
use crate::emulator::dataverse::faults::Faults;
use crate::emulator::dataverse::server;
use crate::emulator::host;
use crate::store;

/// Runs everything on this machine: emulated targets, local storage, a stand-in for the Functions host.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// One pass: wait until everything is settled, print a report, and end
    #[arg(long)]
    pub once: bool,
    /// The report as one JSON object
    #[arg(long, requires = "once")]
    pub json: bool,
    /// What is shown: `environments` keeps one Dataverse environment in step with another, through lost
    /// webhooks, and a night that mends them
    #[arg(long, value_name = "NAME", conflicts_with_all = ["input", "maps", "schema"])]
    pub scenario: Option<Scenario>,
    /// Own events instead of the shipped ones: a JSON event on each line, or a JSON array
    #[arg(long, value_name = "FILE")]
    pub input: Option<PathBuf>,
    /// The project's folder: host.json, functions, maps, settings
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub root: PathBuf,
    /// The maps [default: the folder `maps` of the project]
    #[arg(long, value_name = "FOLDER")]
    pub maps: Option<PathBuf>,
    /// Tables of the emulated environments [default: samples/schema.toml of the project]
    #[arg(long, value_name = "FILE")]
    pub schema: Option<PathBuf>,
    /// Faults of the emulated environments, such as 429:0.02@3s,deadlock:0.01,lost:0.01
    #[arg(long, value_name = "LIST", value_parser = Faults::parse, default_value = "")]
    pub faults: Faults,
    /// An empty folder for storage [default: .concord/dev, or a temporary one with --once]
    #[arg(long, value_name = "FOLDER")]
    pub storage: Option<PathBuf>,
    /// How many organisations of the shipped input to send [default: all, about 5,000]; in a scenario, how
    /// many edits to make
    #[arg(long, value_name = "NUMBER", conflicts_with = "input")]
    pub organisations: Option<usize>,
    /// Another seed plans other duplicates, late arrivals and removals
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    pub seed: u64,
    /// With --once: how many seconds to rest before the sweep, so that claims of interrupted writes are
    /// over and it can finish them
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub rest: u64,
    /// Divides the waits between attempts
    #[arg(long, value_name = "NUMBER", default_value_t = 1, hide = true)]
    pub pace: u32,
}

/// What a local run can show beside the shipped maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Scenario {
    /// A group's Dataverse environment, and Finance's that follows it.
    Environments,
}

/// Why a local run could not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder of the project.
    #[error("{} cannot be used: run this in the project's folder or name it with --root", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A JSON file of the project.
    #[error("{} is not the JSON it should be", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A TOML file of the project.
    #[error("{} is no TOML", path.display())]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: toml::de::Error,
    },
    /// A vocabulary of the shipped maps.
    #[error("{} is not the table it should be", path.display())]
    Vocabulary {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: csv::Error,
    },
    /// A target that a local run could write to although it is real.
    #[error("{}: systems.{system}.url must be a setting, \"${{NAME}}\", so that a local run can put it on this machine", path.display())]
    FixedAddress {
        /// The file.
        path: PathBuf,
        /// The system.
        system: String,
    },
    /// A storage folder in use.
    #[error("{} is not empty: the emulated targets start empty, so the storage must too", path.display())]
    NotEmpty {
        /// The folder.
        path: PathBuf,
    },
    /// No function is triggered by events.
    #[error("no function has an event hub trigger")]
    NoEvents,
    /// The user's events.
    #[error("the input cannot be used")]
    Input(#[from] input::Error),
    /// The host stand-in.
    #[error("the host stand-in cannot go on")]
    Host(#[from] host::Error),
    /// Storage.
    #[error("the local storage did not answer")]
    Store(#[from] store::Error),
    /// The reports of the night.
    #[error("the night's reports cannot be read")]
    Night(#[from] crate::fault::Fault),
    /// An emulated environment.
    #[error("the emulated environment of {system} cannot be started")]
    Environment {
        /// The system it stands for.
        system: String,
        /// Why.
        source: server::Error,
    },
    /// The Web API of an emulated environment.
    #[error("an emulated environment did not answer as expected")]
    Web(#[from] reqwest::Error),
    /// A system of the scenario without an environment.
    #[error("{system} is no Dataverse system of the scenario's concord.toml")]
    NoEnvironment {
        /// The system.
        system: String,
    },
    /// The webhooks of the scenario.
    #[error("the webhooks of the scenario cannot be registered")]
    Webhooks(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Ended from outside.
    #[error("interrupted")]
    Interrupted,
}

/// Runs the command; `false` when the pass was no success.
pub async fn run(args: &Args) -> Result<bool, Error> {
    if let Some(Scenario::Environments) = args.scenario {
        return environments::run(args).await;
    }
    let (stage, mut notices) = Stage::set(args, stage::Scene::default()).await?;
    let shipped = match &args.input {
        Some(_) => None,
        None => Some(Shipped::plan(args.organisations.unwrap_or(usize::MAX), args.seed)),
    };
    let sends = match (&args.input, &shipped) {
        (Some(path), _) => alternating(input::read(path)?),
        (None, Some(shipped)) => shipped.stream.sends.clone(),
        (None, None) => Vec::new(),
    };
    stage.announce();
    if !args.once {
        Pass::new(&stage, Duration::from_secs(args.rest))?.stay(sends, &mut notices).await?;
        return Ok(true);
    }
    let events = sends.iter().map(|(_, bodies)| bodies.len() as u64).sum();
    let passed =
        Pass::new(&stage, Duration::from_secs(args.rest))?.once(sends, &mut notices).await?;
    let report = report(&stage, passed, events, shipped.as_ref()).await?;
    if args.json {
        output::json(&report);
    } else {
        report.print();
    }
    Ok(report.ok)
}

/// One event at a time, each on the next partition.
fn alternating(events: Vec<Bytes>) -> stage::Sends {
    events.into_iter().enumerate().map(|(n, event)| (n % PARTITIONS, vec![event])).collect()
}

async fn report(
    stage: &Stage,
    passed: Passed,
    events: u64,
    shipped: Option<&Shipped>,
) -> Result<Report, Error> {
    let check = match shipped.filter(|_| stage.shipped_maps) {
        Some(shipped) => Some(shipped.check(stage, &passed.tally).await?),
        None => None,
    };
    let Passed { tally, took, waiting, target_calls, night } = passed;
    let seconds = took.as_secs_f64();
    Ok(Report { ok: false, events, seconds, tally, target_calls, waiting, night, check }.judged())
}
