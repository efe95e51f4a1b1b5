//! `concord poison retry`: events run again through the path that every event takes.
//!
//! A record is resolved when everything that its event came to is durable and nothing of it is poison.
//! Anything else leaves it open: refused again, it has the new reason; unreachable, the old one.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use serde::Serialize;

use super::filters::Filters;
use super::list::reason;
use super::preview;
use crate::audit::{Deed, Verb};
use crate::cli::desk::Desk;
use crate::cli::wording::plural;
use crate::cli::{Outcome, output};
use crate::delivery::{Attempt, Delivery, Event};
use crate::fault::{Fault, Kind};
use crate::operator::Role;
use crate::outcome::{self, Report, Verdict};
use crate::poison::{Id, Kept, Record, Status};

/// Which records, and how.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The records, by any beginning of their ids
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    #[command(flatten)]
    filters: Filters,
    /// Every open record
    #[arg(long)]
    all: bool,
    /// Show what would be done, and write nothing anywhere
    #[arg(long)]
    preview: bool,
    /// Why, for the audit record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// What became of each as one JSON array
    #[arg(long)]
    json: bool,
}

/// Why it is not known what to retry.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
enum Error {
    #[error("say which records: their ids, a filter such as --code value-unknown, or --all")]
    Nothing,
    #[error("give either ids or filters, not both")]
    Both,
}

/// What became of one record.
#[derive(Debug, Serialize)]
pub(super) struct Retried {
    pub(super) id: Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<String>,
    /// Whether it needs nobody any more.
    pub(super) landed: bool,
    /// What its rows came to, or why it did not land.
    pub(super) outcome: String,
}

/// How long one event may take.
const WITHIN: Duration = Duration::from_mins(1);
/// How many events are under way at once.
const PARALLEL: usize = 4;

pub(super) async fn run(args: &Args, desk: &Desk) -> Outcome {
    let chosen = chosen(args, desk).await?;
    if chosen.is_empty() {
        output::note("no open record fits");
    }
    if args.preview {
        return preview::run(desk, &chosen, args.json).await;
    }
    let deeds = chosen
        .iter()
        .map(|kept| Deed::new(Verb::Retry, kept.record.id.to_string()).because(args.why.clone()));
    desk.record(Role::Operator, &deeds.collect::<Vec<_>>()).await?;
    let runs: Vec<_> = chosen.into_iter().map(|kept| Box::pin(retry(desk, kept))).collect();
    let mut runs = stream::iter(runs).buffered(PARALLEL);
    let mut all = Vec::new();
    while let Some(retried) = runs.next().await {
        if !args.json {
            output::line(line(&retried));
        }
        all.push(retried);
    }
    if args.json {
        output::json(&all);
    } else if !all.is_empty() {
        let landed = all.iter().filter(|retried| retried.landed).count();
        output::note(format!("{landed} of {} landed", plural(all.len(), "record")));
    }
    Ok(code(all.iter().all(|retried| retried.landed)))
}

/// Zero when everything landed.
pub(super) fn code(landed: bool) -> ExitCode {
    if landed { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn chosen(
    args: &Args,
    desk: &Desk,
) -> Result<Vec<Kept>, Box<dyn std::error::Error + Send + Sync>> {
    match args.selection()? {
        Selection::Named => Ok(desk.named(&args.ids).await?),
        Selection::Filtered => Ok(desk.filtered(&args.filters, Some(Status::Open)).await?),
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Selection {
    Named,
    Filtered,
}

impl Args {
    fn selection(&self) -> Result<Selection, Error> {
        let many = self.all || self.filters.any();
        match (self.ids.is_empty(), many) {
            (true, false) => Err(Error::Nothing),
            (false, true) => Err(Error::Both),
            (false, false) => Ok(Selection::Named),
            (true, true) => Ok(Selection::Filtered),
        }
    }
}

fn line(Retried { id, key, landed, outcome }: &Retried) -> String {
    let key = key.as_deref().unwrap_or("-");
    match landed {
        true => format!("{id}  {key}  {outcome}"),
        false => format!("{id}  {key}  still open: {outcome}"),
    }
}

async fn retry(desk: &Desk, kept: Kept) -> Retried {
    let (id, key) = (kept.record.id.clone(), kept.record.key.clone());
    let landed = attempt(desk, kept).await;
    let (landed, outcome) = match landed {
        Ok(words) => (true, words),
        Err(why) => (false, why),
    };
    Retried { id, key, landed, outcome }
}

/// Runs one event; fails with what is to be said about a record that stays open.
async fn attempt(desk: &Desk, kept: Kept) -> Result<String, String> {
    let record = kept.record.clone();
    let said = |fault: Fault| fault.to_string();
    let (system, event) = event(desk, &record).await?;
    let delivery = Delivery {
        system,
        function: "poison".into(),
        invocation: record.id.to_string(),
        traceparent: None,
        // Not the last attempt: what cannot be done now is said, and not deferred behind one's back.
        attempt: Attempt { count: record.attempts, last: false },
        within: WITHIN,
        events: vec![event],
    };
    let report = desk.app.pipeline.run(&delivery).await;
    let words = landed(desk, &record, &report).await?;
    resolve(desk, kept).await.map_err(said)?;
    Ok(words)
}

/// The event of a record as it is run again, and the source that it is from.
pub(super) async fn event(desk: &Desk, record: &Record) -> Result<(Arc<str>, Event), String> {
    let Some(system) = desk.source(record) else {
        return Err(format!(
            "it comes from `{}`, which is no source of concord.toml; dismiss it if it is not needed",
            record.system
        ));
    };
    let original = desk.poison().original(record).await.map_err(|fault| fault.to_string())?;
    let event = Event {
        only: record.map.iter().cloned().collect(),
        record: Some(record.id.row.as_str().into()),
        deferred: 0,
        ..original.event
    };
    Ok((system, event))
}

/// The words for what landed, or what is to be said when not everything did.
async fn landed(desk: &Desk, record: &Record, report: &Report) -> Result<String, String> {
    if let Verdict::Redeliver(why) = &report.verdict {
        return Err(why.clone());
    }
    let mut words = Vec::new();
    for (map, outcome) in report.outcomes.keys() {
        match outcome {
            outcome::Outcome::Poisoned(kind) => return Err(refused(desk, record, map, *kind).await),
            outcome::Outcome::Paused => {
                return Err("its map is paused; it waits until that is resumed".to_owned());
            }
            outcome::Outcome::Asked => {
                return Err("its removal waits for approval; see `concord holds list`".to_owned());
            }
            outcome::Outcome::Parked => {
                return Err(
                    "it waits for a row that it refers to; see `concord parked list`".to_owned()
                );
            }
            outcome::Outcome::Deferred => {
                return Err("it waits in the work queue and will be tried again".to_owned());
            }
            outcome::Outcome::Applied
            | outcome::Outcome::Unchanged
            | outcome::Outcome::Superseded
            | outcome::Outcome::Filtered
            | outcome::Outcome::Echo(_)
            | outcome::Outcome::Held => words.push(match record.map {
                Some(_) => outcome.word().to_owned(),
                None => format!("{} by {map}", outcome.word()),
            }),
        }
    }
    if words.is_empty() {
        let map = record.map.as_deref().unwrap_or("any map");
        return Err(format!("it is not about {map} any more; dismiss it if it is not needed"));
    }
    Ok(words.join(", "))
}

/// Why it was refused again, from the record that says so.
async fn refused(desk: &Desk, record: &Record, map: &str, kind: Kind) -> String {
    let partition = if map == "-" { record.id.partition.clone() } else { map.to_owned() };
    let id = Id { partition, row: record.id.row.clone() };
    match desk.poison().get(&id).await {
        Ok(Some(kept)) => format!("{kind}: {}", reason(&kept.record)),
        Ok(None) | Err(_) => kind.to_string(),
    }
}

/// Marks a record as done; somebody else may have touched it meanwhile.
async fn resolve(desk: &Desk, kept: Kept) -> Result<(), Fault> {
    let id = kept.record.id.clone();
    match desk.app.pipeline.mark(kept, Status::Resolved, None).await {
        Err(fault) if fault.kind == Kind::Conflict => match desk.poison().get(&id).await? {
            Some(kept) => desk.app.pipeline.mark(kept, Status::Resolved, None).await,
            None => Ok(()),
        },
        marked => marked,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    fn selection(arguments: &[&str]) -> Result<Selection, Error> {
        let line = std::iter::once("retry").chain(arguments.iter().copied());
        Line::try_parse_from(line).unwrap().args.selection()
    }

    #[test]
    fn many_are_retried_only_when_that_is_said() {
        assert_eq!(selection(&[]), Err(Error::Nothing));
        assert_eq!(selection(&["3f0c", "--all"]), Err(Error::Both));
        assert_eq!(selection(&["3f0c", "a.99"]), Ok(Selection::Named));
        assert_eq!(selection(&["--all"]), Ok(Selection::Filtered));
        assert_eq!(selection(&["--code", "too-long", "--preview"]), Ok(Selection::Filtered));
    }

    #[test]
    fn a_line_says_whether_it_landed() {
        let mut retried = Retried {
            id: Id { partition: "m".into(), row: "3f".into() },
            key: None,
            landed: true,
            outcome: "applied".into(),
        };
        assert_eq!(line(&retried), "m.3f  -  applied");
        retried.landed = false;
        retried.outcome = "too-long: name: 161 characters".into();
        assert_eq!(line(&retried), "m.3f  -  still open: too-long: name: 161 characters");
    }
}
