//! `concord poison list`: a line for each record, with its reason beneath.

use std::process::ExitCode;

use super::desk::Desk;
use super::filters::Filters;
use super::names;
use crate::cli::columns::Columns;
use crate::cli::wording::{moment, plural};
use crate::cli::{Outcome, output};
use crate::poison::{Id, Record, Status};

/// Which records to list.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    #[command(flatten)]
    filters: Filters,
    /// In this state
    #[arg(long, value_enum, default_value_t = State::Open)]
    status: State,
    /// The records as one JSON array
    #[arg(long)]
    json: bool,
}

/// A state of records, or all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum State {
    /// They wait for somebody
    Open,
    /// A retry landed
    Resolved,
    /// Somebody put them away
    Dismissed,
    /// Every record
    All,
}

impl State {
    fn status(self) -> Option<Status> {
        match self {
            Self::Open => Some(Status::Open),
            Self::Resolved => Some(Status::Resolved),
            Self::Dismissed => Some(Status::Dismissed),
            Self::All => None,
        }
    }
}

pub(super) async fn run(args: &Args, desk: &Desk) -> Outcome {
    let listed = desk.filtered(&args.filters, args.status.status()).await?;
    let records: Vec<&Record> = listed.iter().map(|kept| &kept.record).collect();
    if args.json {
        output::json(&records);
        return Ok(ExitCode::SUCCESS);
    }
    if records.is_empty() {
        output::note(match args.filters.any() || args.status != State::Open {
            true => "no record fits",
            false => "nothing is poisoned",
        });
        return Ok(ExitCode::SUCCESS);
    }
    let all = desk.all().await?;
    let all: Vec<&Id> = all.iter().map(|kept| &kept.record.id).chain(ids(&records)).collect();
    lines(&records, &distinct(all)).iter().for_each(output::line);
    output::note(format!(
        "{}; see one with `concord poison show ID`",
        plural(records.len(), "record")
    ));
    Ok(ExitCode::SUCCESS)
}

fn ids<'r>(records: &[&'r Record]) -> impl Iterator<Item = &'r Id> {
    records.iter().map(|record| &record.id)
}

fn distinct(mut ids: Vec<&Id>) -> Vec<&Id> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// The table; `all` are the ids that a short one must be told from.
fn lines(records: &[&Record], all: &[&Id]) -> Vec<String> {
    let short = names::short(&ids(records).collect::<Vec<_>>(), all);
    let mut columns = Columns::indented(0);
    columns.row(["ID", "FIRST SEEN", "MAP", "KEY", "CODE", "TRIES"]);
    for (record, id) in records.iter().zip(short) {
        let state = match record.status {
            Status::Open => "",
            Status::Resolved => " resolved",
            Status::Dismissed => " dismissed",
        };
        columns.row([
            id,
            moment(record.first),
            record.map.clone().unwrap_or_else(|| record.id.partition.clone()),
            record.key.clone().unwrap_or_else(|| "-".to_owned()),
            record.code.to_string(),
            format!("{}{state}", record.attempts),
        ]);
        columns.remark(reason(record));
    }
    columns.lines()
}

/// The reason with the field that it is about.
pub(super) fn reason(record: &Record) -> String {
    match &record.field {
        Some(field) => format!("{field}: {}", record.reason),
        None => record.reason.clone(),
    }
}
