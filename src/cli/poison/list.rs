//! `concord poison list`: a line for each record, with its reason beneath.

use std::process::ExitCode;

use super::filters::Filters;
use super::names;
use crate::cli::columns::Columns;
use crate::cli::desk::Desk;
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
        let narrowed = args.filters.any() || args.status != State::Open;
        output::note(if narrowed { "no record fits" } else { "nothing waits in the poison store" });
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
    let mut columns = Columns::indented(0).firm(2);
    columns.row(["ID (MAP.EVENT)", "FIRST SEEN", "KEY", "CODE", "TRIES"]);
    for (record, id) in records.iter().zip(short) {
        let state = match record.status {
            Status::Open => "",
            Status::Resolved => " resolved",
            Status::Dismissed => " dismissed",
        };
        columns.row([
            id,
            moment(record.first),
            record.key.clone().unwrap_or_else(|| "-".to_owned()),
            record.code.to_string(),
            format!("{}{state}", record.attempts),
        ]);
        columns.remark(reason(record));
        let care = care(record);
        if !care.is_empty() {
            columns.remark(care.join(", "));
        }
    }
    columns.lines()
}

/// Who deals with it, until when, and the words to find it by.
pub(super) fn care(record: &Record) -> Vec<String> {
    let assignee = record.assignee.as_ref().map(|name| format!("given to {name}"));
    let due = record.due.map(|day| format!("due {day}"));
    let tags = record.tags.iter().map(|tag| format!("#{tag}"));
    assignee.into_iter().chain(due).chain(tags).collect()
}

/// The reason with the field that it is about.
pub(super) fn reason(record: &Record) -> String {
    match &record.field {
        Some(field) => format!("{field}: {}", record.reason),
        None => record.reason.clone(),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::cli::poison) fn record(partition: &str, hash: &str, key: &str) -> Record {
        serde_json::from_value(serde_json::json!({
            "id": format!("{partition}.{hash:0<32}"),
            "status": "open",
            "code": "value-unknown",
            "reason": "values of segment: it is not in the table; known are Key, Standard",
            "field": "accountcategorycode",
            "detail": "the value is \"Odd\"",
            "system": "mdm",
            "map": partition,
            "key": key,
            "correlation": "0af76519-16cd-43dd-8448-eb211c80319c",
            "origin": { "stream": "ns1/hub1", "partition": "3", "sequence": 41,
                        "enqueued": "2026-03-14T09:15:02Z" },
            "attempts": 2,
            "first": "2026-03-14T09:15:03.5Z",
            "last": "2026-03-14T10:00:00Z",
            "quarantine": "quarantine/mdm/2026/03/14/3f0c.ndjson",
        }))
        .unwrap()
    }

    #[test]
    fn records_line_up_and_each_has_its_reason_beneath() {
        let mut records = [
            record("sales-account", "3f0c12ab9", "104711"),
            record("logistics-deliverypoint", "3f0c12ab9", "US01,C-1"),
            record("@mdm", "99", "-"),
        ];
        records[1].status = Status::Dismissed;
        records[2].field = None;
        records[2].key = None;
        records[0].assignee = Some("ann@acme.example".into());
        records[0].tags.insert("source".into());
        records[0].due = Some(jiff::civil::date(2026, 3, 20));
        let records: Vec<&Record> = records.iter().collect();
        let all: Vec<&Id> = ids(&records).collect();
        let lines = lines(&records, &all);
        assert!(lines.iter().all(|line| line.chars().count() <= 100), "{lines:#?}");
        insta::assert_snapshot!(lines.join("\n"));
    }
}
