//! The command line: one module per command; data to stdout, everything else to stderr.

pub mod dev;
pub mod output;
pub mod serve;

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
    let (format, filter) = match cli.command {
        Command::Serve => (telemetry::Format::Json, settings.log().unwrap_or("info")),
        Command::Dev(_) | Command::Emulate(_) => {
            (telemetry::Format::Human { colour }, settings.log().unwrap_or("warn"))
        }
    };
    if let Err(error) = telemetry::init(format, filter) {
        telemetry::fatal(&error);
        return ExitCode::FAILURE;
    }
    let outcome = match cli.command {
        Command::Dev(args) => dev::run(&args).await.map(exit).map_err(Into::into),
        Command::Serve => serve::run(&settings).await,
        Command::Emulate(Emulate::Dataverse(args)) => {
            dataverse::args::run(args).await.map(|()| ExitCode::SUCCESS).map_err(Into::into)
        }
    };
    outcome.unwrap_or_else(|error| {
        telemetry::fatal(&telemetry::chain(&*error));
        ExitCode::FAILURE
    })
}

fn exit(success: bool) -> ExitCode {
    if success { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
