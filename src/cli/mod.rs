//! The command line: one module per command; data to stdout, everything else to stderr.

pub mod check;
pub mod columns;
pub mod wording;
pub mod dev;
pub mod output;

/// What a command came to: the exit code for scripts and CI.
pub type Outcome = Result<std::process::ExitCode, Box<dyn std::error::Error + Send + Sync>>;
