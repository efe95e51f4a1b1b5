//! `concord holds`: mass removals that wait for approval, and what is decided about them.
//!
//! While a hold stands, nothing of its map is removed, on any instance. Approved, what was held is brought
//! again through the same path and gate, so a row that came back meanwhile stays; and removals of that
//! map pass for some hours. Rejected, what was held is thrown away: those rows stay.

use std::process::ExitCode;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::columns::Columns;
use super::desk::Desk;
use super::pause::plural_of;
use super::wording::moment;
use super::{Outcome, output};
use crate::app::App;
use crate::audit::{Deed, Verb};
use crate::clock;
use crate::config::Settings;
use crate::control::Hold;
use crate::deferral::Kept;
use crate::fault::Fault;
use crate::operator::Role;
use crate::pipeline::ASKED;

/// The commands.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// List the holds
    List(List),
    /// Show one hold
    Show(Show),
    /// Let what was held be removed
    Approve(Approve),
    /// Throw what was held away: the rows stay
    Reject(Decide),
}

/// All holds.
#[derive(Clone, Debug, clap::Args)]
pub struct List {
    /// As one JSON array
    #[arg(long)]
    json: bool,
}

/// One hold.
#[derive(Clone, Debug, clap::Args)]
pub struct Show {
    /// The map whose removals are held
    map: String,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// A decision.
#[derive(Clone, Debug, clap::Args)]
pub struct Decide {
    /// The map whose removals are held
    map: String,
    /// Why, for the audit record
    #[arg(long)]
    why: String,
}

/// An approval.
#[derive(Clone, Debug, clap::Args)]
pub struct Approve {
    #[command(flatten)]
    decide: Decide,
    /// For so many hours removals of the map pass without asking
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=720))]
    hours: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("no removals of {0} wait for approval; see `concord holds list`")]
struct Unheld(String);

/// Runs one of them.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    at(command, &Desk::open(settings, Role::Viewer).await?).await
}

pub(super) async fn at(command: Command, desk: &Desk) -> Outcome {
    match command {
        Command::List(args) => list(&desk.app, &args).await,
        Command::Show(args) => show(&desk.app, &args).await,
        Command::Approve(args) => {
            let hours = std::time::Duration::from_hours(args.hours);
            let until = clock::after(desk.app.clock.now(), hours);
            decide(desk, &args.decide, Some(until)).await
        }
        Command::Reject(args) => decide(desk, &args, None).await,
    }
}

async fn list(app: &App, args: &List) -> Outcome {
    let standing = app.pipeline.control.look().await?;
    let mut columns = Columns::indented(0).firm(2);
    columns.row(["MAP", "SINCE", "HELD", "STATE", "WHY"]);
    let mut all = Vec::new();
    for (map, hold) in &standing.holds {
        let (_, events) = held(app, map).await?;
        all.push(as_json(map, hold, events));
        let (since, why) = (moment(hold.since), hold.why.clone());
        columns.row([map.clone(), since, events.to_string(), state(hold), why]);
    }
    if args.json {
        output::json(&all);
    } else if all.is_empty() {
        output::note("no removals wait for approval");
    } else {
        columns.lines().iter().for_each(output::line);
    }
    Ok(ExitCode::SUCCESS)
}

async fn show(app: &App, args: &Show) -> Outcome {
    let standing = app.pipeline.control.look().await?;
    let hold = standing.holds.get(&args.map).ok_or_else(|| Unheld(args.map.clone()))?;
    let (_, events) = held(app, &args.map).await?;
    if args.json {
        output::json(&as_json(&args.map, hold, events));
        return Ok(ExitCode::SUCCESS);
    }
    output::line(format!("{}: {}", args.map, state(hold)));
    output::line(format!("  {}, since {}", hold.why, moment(hold.since)));
    output::line(format!(
        "  {} wait; removals that wait their hours in the ledger stay there",
        plural_of(events)
    ));
    Ok(ExitCode::SUCCESS)
}

/// Approves until then, or rejects.
async fn decide(desk: &Desk, args: &Decide, until: Option<Timestamp>) -> Outcome {
    let app = &desk.app;
    let (control, deferral) = (&app.pipeline.control, &app.pipeline.deferral);
    let standing = control.look().await?;
    let hold = standing.holds.get(&args.map).ok_or_else(|| Unheld(args.map.clone()))?;
    let (backlog, events) = held(app, &args.map).await?;
    let verb = if until.is_some() { Verb::Approve } else { Verb::Reject };
    let detail = format!("{}; {} held since {}", hold.why, plural_of(events), moment(hold.since));
    let deed = Deed::new(verb, &args.map).because(Some(args.why.clone())).with(detail);
    desk.record(Role::Approver, &[deed]).await?;
    if let Some(until) = until {
        control.approve(&args.map, hold, until).await?;
        // An instance that has not heard of it yet holds them once more, and the sweep brings them.
        for kept in &backlog {
            deferral.replay(kept).await?;
        }
    } else {
        deferral.discard_all(&backlog).await?;
        control.end_hold(&args.map).await?;
    }
    let done = if until.is_some() { "brought again" } else { "thrown away" };
    output::note(format!("{} {done}", plural_of(events)));
    Ok(ExitCode::SUCCESS)
}

async fn held(app: &App, map: &str) -> Result<(Vec<Kept>, u64), Fault> {
    let backlog = app.pipeline.deferral.backlog(&format!("{ASKED}/{map}")).await?;
    let events = backlog.iter().map(|kept| kept.events).sum();
    Ok((backlog, events))
}

fn state(hold: &Hold) -> String {
    match hold.approved {
        Some(until) => format!("approved until {}", moment(until)),
        None => "waits for approval".to_owned(),
    }
}

fn as_json(map: &str, hold: &Hold, events: u64) -> Value {
    json!({ "map": map, "since": hold.since, "why": hold.why, "approved": hold.approved,
        "held": events })
}
