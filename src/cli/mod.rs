//! The command line: one module per command; data to stdout, everything else to stderr.

pub mod audit;
pub mod canary;
pub mod check;
pub mod columns;
mod desk;
pub mod dev;
pub mod digest;
pub mod doctor;
pub mod explain;
pub mod holds;
mod named;
pub mod output;
pub mod package;
pub mod parked;
pub mod pause;
mod person;
pub mod plan;
pub mod poison;
pub mod reconcile;
pub mod serve;
pub mod webhook;
pub mod wording;

use std::io::IsTerminal as _;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::Settings;
use crate::emulator::dataverse;
use crate::telemetry;

/// Keeps Microsoft Dataverse and the systems around it in agreement.
#[derive(Debug, Parser)]
#[command(name = "concord", version, about, max_term_width = 100)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything on this machine: emulated ends, local storage, a stand-in for the Functions host
    Dev(dev::Args),
    /// Run as the custom handler of the Functions host, which sets the port
    Serve,
    /// Say everything that is wrong with the maps, against the targets' own tables
    Check(check::Args),
    /// Show what becomes of an event, or what is known of a row, and why
    Explain(explain::Args),
    /// Say what would be written if these changes came now, and write nothing
    Plan(plan::Args),
    /// Compare both sides of the maps, explain every difference, repair what is wrong
    Reconcile(reconcile::Args),
    /// Measure how long a change takes from end to end, and show what was measured
    Canary(canary::Args),
    /// List, show, edit, retry or dismiss what could not be applied
    #[command(subcommand)]
    Poison(poison::Command),
    /// Say what is missing for this installation to run, and the command that adds it
    Doctor(doctor::Args),
    /// Show what the daily digest tells, or post it
    Digest(digest::Args),
    /// List who did what, and check that nothing of it was changed
    #[command(subcommand)]
    Audit(audit::Command),
    /// Register what a Dataverse environment tells, list it, or remove it
    #[command(subcommand)]
    Webhook(webhook::Command),
    /// Stage the function app and zip it, the same bytes each time
    Package(package::Args),
    /// List what waits for rows that are not in the target yet
    #[command(subcommand)]
    Parked(parked::Command),
    /// Let what comes for a map wait
    Pause(pause::Args),
    /// Let a paused map run again, and decide about what waited
    Resume(pause::ResumeArgs),
    /// List, show, approve or reject mass removals that wait for approval
    #[command(subcommand)]
    Holds(holds::Command),
    /// Run one emulated system by itself
    #[command(subcommand)]
    Emulate(Emulate),
}

#[derive(Debug, Subcommand)]
enum Emulate {
    /// A Dataverse environment
    Dataverse(dataverse::args::Args),
}

/// What a command came to: the exit code for scripts and CI.
pub type Outcome = Result<ExitCode, Box<dyn std::error::Error + Send + Sync>>;

/// Runs the command line of this process.
pub async fn run() -> ExitCode {
    let cli = Cli::parse();
    let settings = Settings::from_environment();
    let colour = std::io::stderr().is_terminal();
    let serves = matches!(cli.command, Command::Serve);
    let (format, usual) = if serves {
        (telemetry::Format::Json, "info")
    } else {
        (telemetry::Format::Human { colour }, "warn")
    };
    if let Err(error) = telemetry::init(format, settings.log().unwrap_or(usual)) {
        telemetry::fatal(&error);
        return ExitCode::FAILURE;
    }
    let outcome = dispatch(cli.command, &settings).await;
    outcome.unwrap_or_else(|error| {
        let chain = telemetry::chain(&*error);
        // The host wants one line; a person wants one problem a line.
        if serves {
            telemetry::fatal(&chain);
        } else {
            output::note(chain);
        }
        ExitCode::FAILURE
    })
}

#[allow(clippy::cognitive_complexity, reason = "one arm a command, and each is one call")]
async fn dispatch(command: Command, settings: &Settings) -> Outcome {
    match command {
        Command::Dev(args) => dev::run(&args).await.map(exit).map_err(Into::into),
        Command::Serve => serve::run(settings).await,
        Command::Check(args) => check::run(args, settings).await,
        Command::Explain(args) => explain::run(args, settings).await,
        Command::Plan(args) => plan::run(args, settings).await,
        Command::Reconcile(args) => reconcile::run(args, settings).await,
        Command::Canary(args) => canary::run(args, settings).await,
        Command::Poison(command) => poison::run(command, settings).await,
        Command::Webhook(command) => webhook::run(command, settings).await,
        Command::Package(args) => package::run(args).await,
        Command::Parked(command) => parked::run(command, settings).await,
        Command::Pause(args) => pause::run(args, settings).await,
        Command::Resume(args) => pause::resume(args, settings).await,
        Command::Holds(command) => holds::run(command, settings).await,
        Command::Doctor(args) => doctor::run(&args, settings).await,
        Command::Digest(args) => digest::run(&args, settings).await,
        Command::Audit(command) => audit::run(command, settings).await,
        Command::Emulate(Emulate::Dataverse(args)) => {
            dataverse::args::run(args).await.map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    }
}

fn exit(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[cfg(test)]
mod tests;
