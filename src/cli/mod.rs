//! The command line: one module per command; data to stdout, everything else to stderr.

pub mod check;
pub mod columns;
pub mod dev;
pub mod explain;
pub mod output;
pub mod poison;
pub mod serve;
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
    /// List, show, edit, retry or dismiss what could not be applied
    #[command(subcommand)]
    Poison(poison::Command),
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
    let outcome = match cli.command {
        Command::Dev(args) => dev::run(&args).await.map(exit).map_err(Into::into),
        Command::Serve => serve::run(&settings).await,
        Command::Check(args) => check::run(args, &settings).await,
        Command::Explain(args) => explain::run(args, &settings).await,
        Command::Poison(command) => poison::run(command, &settings).await,
        Command::Emulate(Emulate::Dataverse(args)) => {
            dataverse::args::run(args).await.map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    };
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

fn exit(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
