//! `concord poison show`: all that is known of one record, what it means and how to mend it.

use std::process::ExitCode;

use serde_json::json;

use super::desk::Desk;
use super::link::{self, Link};
use super::list::reason;
use crate::cli::columns::Columns;
use crate::cli::wording::{moment, plural};
use crate::cli::{Outcome, output};
use crate::delivery::Origin;
use crate::poison::{Record, Status};

/// Which record, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The record, by any beginning of its id
    #[arg(value_name = "ID")]
    id: String,
    /// Print the event as it came, byte for byte, and nothing else; nothing is masked
    #[arg(long)]
    original: bool,
    /// As one JSON object
    #[arg(long, conflicts_with = "original")]
    json: bool,
}

pub(super) async fn run(args: &Args, desk: &Desk) -> Outcome {
    let record = desk.one(&args.id).await?.record;
    if args.original {
        let unedited = Record { edited: None, ..record };
        output::bytes(&desk.poison().original(&unedited).await?.event.body);
        return Ok(ExitCode::SUCCESS);
    }
    let link = link::to_row(desk, &record).await;
    if args.json {
        output::json(&json!({ "record": record, "row": link, "page": record.code.page() }));
        return Ok(ExitCode::SUCCESS);
    }
    lines(&record, &link).iter().for_each(output::line);
    output::line("");
    output::line(record.code.page().trim_end());
    Ok(ExitCode::SUCCESS)
}

fn lines(record: &Record, link: &Link) -> Vec<String> {
    let mut columns = Columns::indented(2);
    let mut row = |label: &str, text: &str| columns.row([label, text]);
    row("status", status(record));
    row("code", record.code.code());
    row("reason", &reason(record));
    record.detail.iter().for_each(|detail| row("in its words", detail));
    row("map", record.map.as_deref().unwrap_or("none could read the event"));
    row("key", record.key.as_deref().unwrap_or("not known"));
    let row_there = match &link.url {
        Some(url) => format!("{url}\n{}", link.note),
        None => link.note.clone(),
    };
    row("row", &row_there);
    row("source", &record.system);
    row("stood at", &stood(&record.origin));
    row("correlation", &record.correlation.to_string());
    let seen = format!("{} to {}", moment(record.first), moment(record.last));
    row("tried", &format!("{}, {seen}", plural(record.attempts as usize, "time")));
    row("original", &record.quarantine);
    record.edited.iter().for_each(|edited| row("edited", edited));
    record.note.iter().for_each(|note| row("note", note));
    let mut lines = vec![record.id.to_string()];
    lines.extend(columns.lines());
    lines
}

fn status(record: &Record) -> &'static str {
    match record.status {
        Status::Open => "open",
        Status::Resolved => "resolved",
        Status::Dismissed => "dismissed",
    }
}

/// Where the event stood, as far as it is known.
fn stood(origin: &Origin) -> String {
    let enqueued = origin.enqueued.map(|at| format!("enqueued {}", moment(at)));
    let received = origin.received.map(|at| format!("first seen {}", moment(at)));
    let parts = [
        origin.stream.as_ref().map(ToString::to_string),
        origin.partition.as_ref().map(|partition| format!("partition {partition}")),
        origin.sequence.map(|sequence| format!("number {sequence}")),
        enqueued.or(received),
    ];
    let known: Vec<String> = parts.into_iter().flatten().collect();
    if known.is_empty() { "not known".to_owned() } else { known.join(", ") }
}
