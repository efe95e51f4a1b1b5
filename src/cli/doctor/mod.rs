//! `concord doctor`: what is missing for this installation to run, and the command that adds it.
//!
//! In come settings, maps, the host's files, storage and the environments; out come findings. Everything
//! is only read, all checks run at once, and each is given up after ten seconds. The exit code is 0 when
//! nothing is missing, 1 when something is, and 2 when somebody did not answer.

mod environment;
mod finding;
mod host;
mod rights;
mod settings;
mod storage;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;

use self::finding::Finding;
use super::{Outcome, output};
use crate::app;
use crate::chance::Chance;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{self, Settings};

/// Say what is missing for this installation to run, and the command that adds it
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Exit code: 0 nothing is missing; 1 something is; 2 somebody did not answer."
)]
pub struct Args {
    /// The folder of host.json and the functions [default: the current one]
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    root: PathBuf,
    /// The findings as one JSON array
    #[arg(long)]
    json: bool,
    /// Only what is not as it should be
    #[arg(long)]
    short: bool,
}

/// How long one question may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Checks everything.
pub async fn run(args: &Args, settings: &Settings) -> Outcome {
    let mut findings = findings(args, settings).await;
    let code = finding::code(&findings);
    let summary = finding::summary(&findings);
    if args.short {
        findings.retain(|finding| finding.state != finding::State::Ok);
    }
    if args.json {
        output::json(&findings);
    } else {
        finding::lines(&findings).iter().for_each(output::line);
    }
    output::note(summary);
    Ok(ExitCode::from(code))
}

async fn findings(args: &Args, settings: &Settings) -> Vec<Finding> {
    let (config, maps, problems) = config::inspect(settings);
    let mut findings = settings::check(settings, &problems);
    findings.extend(host::check(&args.root, settings, &config, &maps));
    let clock: SharedClock = Arc::new(SystemClock);
    let chance = Chance::from_system();
    let environments = match app::environments(&config, &clock, &chance) {
        Ok(environments) => environments,
        Err(error) => {
            let told = crate::telemetry::chain(&error);
            findings.push(Finding::missing("settings", "systems", told));
            std::collections::BTreeMap::new()
        }
    };
    let asked = environments
        .iter()
        .map(|(name, environment)| environment::check((name, environment), &config, &maps, &clock));
    let (storage, asked) =
        futures::join!(storage::check(settings, (&clock, &chance)), join_all(asked));
    findings.extend(storage);
    findings.extend(asked.into_iter().flatten());
    findings
}
