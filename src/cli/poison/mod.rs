//! `concord poison`: what could not be applied, and what is done about it.
//!
//! Records are named by their id, or by any beginning of it that names one alone. Retrying goes through
//! the very path that events take; nothing here decides anything about rows.

mod dismiss;
mod edit;
mod filters;
mod link;
mod list;
mod names;
mod preview;
mod records;
mod retry;
mod show;
pub(super) mod since;
mod tend;

use super::Outcome;
use super::desk::Desk;
use crate::config::Settings;
use crate::operator::Role;

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
    /// Give records to somebody
    Assign(tend::Assign),
    /// Give records a word to find them by
    Tag(tend::Tag),
    /// Say until when records must be dealt with
    Due(tend::Due),
}

/// Runs one of them.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    let desk = Desk::open(settings, Role::Viewer).await?;
    match command {
        Command::List(args) => list::run(&args, &desk).await,
        Command::Show(args) => show::run(&args, &desk).await,
        Command::Retry(args) => retry::run(&args, &desk).await,
        Command::Dismiss(args) => dismiss::run(&args, &desk).await,
        Command::Edit(args) => edit::run(&args, &desk, settings).await,
        Command::Assign(args) => tend::run(&args, &desk).await,
        Command::Tag(args) => tend::run(&args, &desk).await,
        Command::Due(args) => tend::run(&args, &desk).await,
    }
}
