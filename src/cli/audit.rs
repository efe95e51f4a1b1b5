//! `concord audit`: who did what, and whether anything of that record was changed.

use std::process::ExitCode;

use super::columns::Columns;
use super::desk::Desk;
use super::poison::since::Since;
use super::wording::{moment, plural};
use super::{Outcome, output};
use crate::app::App;
use crate::audit::{Chain, Entry, Filter, Verb};
use crate::config::Settings;
use crate::operator::Role;

/// The commands of the audit record.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// List who did what, newest first
    List(List),
    /// Check that no entry was changed or taken away
    Check,
}

/// Which entries.
#[derive(Clone, Debug, clap::Args)]
pub struct List {
    /// By this person: a part of the name, or the whole id
    #[arg(long, value_name = "NAME")]
    who: Option<String>,
    /// Of this kind, such as retry or dismiss
    #[arg(long, value_name = "WHAT", value_parser = verb)]
    verb: Option<Verb>,
    /// To what begins like this: a record's id, a map
    #[arg(long, value_name = "TEXT")]
    subject: Option<String>,
    /// Since then: 2026-03-14T09:15:00Z, 30m, 2h, 3d
    #[arg(long, value_name = "WHEN")]
    since: Option<Since>,
    /// At most so many
    #[arg(long, value_name = "NUMBER", default_value_t = 100)]
    most: usize,
    /// The entries as one JSON array
    #[arg(long)]
    json: bool,
}

fn verb(text: &str) -> Result<Verb, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// Runs one of them.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    let desk = Desk::open(settings, Role::Viewer).await?;
    match command {
        Command::List(args) => list(args, &desk.app).await,
        Command::Check => check(&desk.app).await,
    }
}

async fn list(args: List, app: &App) -> Outcome {
    let since = args.since.map(|since| since.moment(app.clock.now()));
    let filter = Filter { who: args.who, verb: args.verb, subject: args.subject, since };
    let entries = app.audit.list(&filter, args.most).await?;
    if args.json {
        output::json(&entries);
    } else {
        lines(&entries).iter().for_each(output::line);
        output::note(plural(entries.len(), "deed"));
    }
    Ok(ExitCode::SUCCESS)
}

async fn check(app: &App) -> Outcome {
    match app.audit.check().await? {
        Chain::Whole(entries) => {
            output::line(format!("{}, each follows from the one before", plural_entries(entries)));
            Ok(ExitCode::SUCCESS)
        }
        Chain::Broken(number) => {
            output::line(format!(
                "entry {number} does not follow from the one before: one of them was changed, or \
                 entries before it were taken away"
            ));
            Ok(ExitCode::FAILURE)
        }
    }
}

fn plural_entries(entries: u64) -> String {
    format!("{entries} {}", if entries == 1 { "entry" } else { "entries" })
}

fn lines(entries: &[Entry]) -> Vec<String> {
    let mut columns = Columns::indented(0).firm(1);
    columns.row(["WHEN", "WHO", "WHAT", "TO"]);
    for entry in entries {
        let verb = serde_json::to_value(entry.deed.verb).unwrap_or_default();
        let verb = verb.as_str().unwrap_or_default().to_owned();
        columns.row([moment(entry.at), entry.who.name.clone(), verb, entry.deed.subject.clone()]);
        let more = [&entry.deed.detail, &entry.deed.why].into_iter().flatten();
        let more: Vec<&str> = more.map(String::as_str).collect();
        if !more.is_empty() {
            columns.remark(more.join("; "));
        }
    }
    columns.lines()
}
