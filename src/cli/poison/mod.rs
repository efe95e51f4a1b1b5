//! `concord poison`: what could not be applied, and what is done about it.
//!
//! Records are named by their id, or by any beginning of it that names one alone. Retrying goes through
//! the very path that events take; nothing here decides anything about rows.

mod desk;
mod dismiss;
mod edit;
mod filters;
mod link;
mod list;
mod names;
mod preview;
mod retry;
mod show;
mod since;

use super::Outcome;
use crate::app::App;
use crate::config::Settings;

/// The commands of the poison store.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// List what could not be applied, oldest first
    List(list::Args),
    /// Show all that is known of one record, and how to mend it
    Show(show::Args),
    /// Run events again, through the same path as ever
    Retry(retry::Args),
    /// Put records away for good
    Dismiss(dismiss::Args),
    /// Change the body that a retry will use
    Edit(edit::Args),
}

/// Runs one of them.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    let desk = desk::Desk::new(App::open(settings).await?);
    match command {
        Command::List(args) => list::run(&args, &desk).await,
        Command::Show(args) => show::run(&args, &desk).await,
        Command::Retry(args) => retry::run(&args, &desk).await,
        Command::Dismiss(args) => dismiss::run(&args, &desk).await,
        Command::Edit(args) => edit::run(&args, &desk, settings).await,
    }
}
