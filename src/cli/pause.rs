//! `concord pause` and `concord resume`: maps that wait, and what is done about what waited.
//!
//! A pause is a row that every instance reads within seconds. What comes meanwhile is kept in order, and
//! waits until somebody resumes the map: it is brought again through the same path and gate as new
//! events, put aside, or thrown away. Resuming says how much waits, and does nothing without `--yes`.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;

use super::desk::Desk;
use super::wording::{moment, plural};
use super::{Outcome, named, output};
use crate::app::App;
use crate::audit::{Deed, Verb};
use crate::config::Settings;
use crate::control::{AGE, Pause};
use crate::fault::Fault;
use crate::operator::Role;
use crate::pipeline::PAUSED;

/// Let what comes for a map wait
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// The map
    map: String,
    /// Why, for those who find it paused
    #[arg(long)]
    why: String,
}

/// Let a paused map run again, and decide about what waited
#[allow(
    clippy::struct_excessive_bools,
    reason = "options of a command, three of which exclude each other"
)]
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("fate").required(true).args(["replay", "park", "discard"]))]
pub struct ResumeArgs {
    /// The map
    map: String,
    /// What waited is brought again, through the same path as new events
    #[arg(long)]
    replay: bool,
    /// What waited is put aside, to be replayed or discarded later
    #[arg(long)]
    park: bool,
    /// What waited is thrown away
    #[arg(long)]
    discard: bool,
    /// Why, for the audit record
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Do it; without, only say how much waits
    #[arg(long)]
    yes: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// What becomes of what waited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Replay,
    Park,
    Discard,
}

/// Why nothing is done.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("the map {0} is not paused, and nothing of it waits")]
    Running(String),
}

/// Pauses a map.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    at(args, &Desk::open(settings, Role::Viewer).await?).await
}

pub(super) async fn at(args: Args, desk: &Desk) -> Outcome {
    named::map(&desk.app.maps, &args.map)?;
    let deed = Deed::new(Verb::Pause, &args.map).because(Some(args.why.clone()));
    desk.record(Role::Operator, &[deed]).await?;
    let (since, by) = (desk.app.clock.now(), desk.person.name.clone());
    let pause = Pause { since, by, why: args.why, aside: false };
    desk.app.pipeline.control.pause(&args.map, &pause).await?;
    let seconds = AGE.as_secs();
    output::note(format!("{} is paused; every instance knows within {seconds} seconds", args.map));
    Ok(ExitCode::SUCCESS)
}

/// Resumes a map.
pub async fn resume(args: ResumeArgs, settings: &Settings) -> Outcome {
    resume_at(&args, &Desk::open(settings, Role::Viewer).await?).await
}

pub(super) async fn resume_at(args: &ResumeArgs, desk: &Desk) -> Outcome {
    let app = &desk.app;
    let pause = app.pipeline.control.look().await?.pauses.get(&args.map).cloned();
    let backlog = app.pipeline.deferral.backlog(&folder(&args.map)).await?;
    if pause.is_none() && backlog.is_empty() {
        return Err(Error::Running(args.map.clone()).into());
    }
    let waits: u64 = backlog.iter().map(|kept| kept.events).sum();
    let (fate, deliveries) = (args.fate(), deliveries(backlog.len()));
    let since = pause.as_ref().map(|pause| pause.since);
    if args.json {
        output::json(&json!({ "map": args.map, "since": since, "events": waits,
            "deliveries": backlog.len(), "deed": fate.word(), "done": args.yes }));
    } else {
        let since = since.map(|since| format!(" since {}", moment(since))).unwrap_or_default();
        output::line(format!("{} in {deliveries} waited{since}", plural_of(waits)));
    }
    if !args.yes {
        output::note(format!("nothing was done; add --yes to {} that", fate.word()));
        return Ok(ExitCode::FAILURE);
    }
    let detail = format!("{}: {} in {deliveries}", fate.word(), plural_of(waits));
    let deed = Deed::new(Verb::Resume, &args.map).because(args.why.clone()).with(detail);
    desk.record(Role::Operator, &[deed]).await?;
    let now = app.clock.now();
    let (since, why) = (since.unwrap_or(now), args.why.clone().unwrap_or_default());
    let by = desk.person.name.clone();
    decide(app, &args.map, fate, &Pause { since, by, why, aside: true }).await?;
    output::note(format!("{} runs again", args.map));
    Ok(ExitCode::SUCCESS)
}

impl ResumeArgs {
    fn fate(&self) -> Fate {
        match (self.replay, self.park) {
            (true, _) => Fate::Replay,
            (false, true) => Fate::Park,
            (false, false) => Fate::Discard,
        }
    }
}

impl Fate {
    fn word(self) -> &'static str {
        match self {
            Self::Replay => "replay",
            Self::Park => "park",
            Self::Discard => "discard",
        }
    }
}

/// Ends the pause and does with the backlog as was decided. Other instances may add to the backlog until
/// they hear of it, so it is looked at again; until all is decided it counts as put aside, so that nobody
/// else brings it.
async fn decide(app: &App, map: &str, fate: Fate, aside: &Pause) -> Result<(), Fault> {
    let (control, deferral) = (&app.pipeline.control, &app.pipeline.deferral);
    control.pause(map, aside).await?;
    if fate == Fate::Park {
        return Ok(());
    }
    tokio::time::sleep(AGE + Duration::from_secs(1)).await;
    let backlog = deferral.backlog(&folder(map)).await?;
    if fate == Fate::Replay {
        for kept in &backlog {
            deferral.replay(kept).await?;
        }
    } else {
        deferral.discard_all(&backlog).await?;
    }
    control.resume(map).await
}

fn deliveries(count: usize) -> String {
    if count == 1 { "1 delivery".to_owned() } else { format!("{count} deliveries") }
}

fn folder(map: &str) -> String {
    format!("{PAUSED}/{map}")
}

pub(super) fn plural_of(events: u64) -> String {
    plural(usize::try_from(events).unwrap_or(usize::MAX), "event")
}
