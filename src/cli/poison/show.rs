//! `concord poison show`: all that is known of one record, what it means and how to mend it.

use std::process::ExitCode;

use serde_json::json;

use super::link::{self, Link};
use super::list::{care, reason};
use crate::audit::{Deed, Verb};
use crate::cli::columns::labelled;
use crate::cli::desk::Desk;
use crate::cli::wording::{moment, plural};
use crate::cli::{Outcome, output};
use crate::delivery::Origin;
use crate::operator::Role;
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
        desk.record(Role::Operator, &[Deed::new(Verb::Reveal, record.id.to_string())]).await?;
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
    let mut labels = Vec::new();
    let mut row = |label, text: &str| labels.push((label, text.to_owned()));
    row("status", status(record));
    row("code", record.code.code());
    row("reason", &reason(record));
    record.detail.iter().for_each(|detail| row("detail", detail));
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
    let (first, last) = (moment(record.first), moment(record.last));
    let last = if first == last { String::new() } else { format!(", last changed {last}") };
    let seen = format!("{}, first {first}{last}", plural(record.attempts as usize, "time"));
    row("refused", &seen);
    row("original", &record.quarantine);
    record.edited.iter().for_each(|edited| row("edited", edited));
    record.note.iter().for_each(|note| row("note", note));
    if !care(record).is_empty() {
        row("care", &care(record).join(", "));
    }
    let mut lines = vec![record.id.to_string()];
    lines.extend(labelled(&labels));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::poison::list::tests::record;

    #[test]
    fn everything_of_a_record_is_shown_and_the_address_of_its_row_stays_whole() {
        let mut record = record("sales-account", "3f0c12ab9", "104711");
        record.note = Some("asked the source".into());
        let id = uuid::Uuid::nil();
        let url = format!(
            "https://acme.crm4.dynamics.com/main.aspx?pagetype=entityrecord&etn=account&id={id}"
        );
        let link = Link { url: Some(url.clone()), note: "it is there".into() };
        let text = lines(&record, &link).join("\n");
        assert!(text.contains(&url), "{text}");
        insta::assert_snapshot!(text);
    }
}
