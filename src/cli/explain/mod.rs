//! `concord explain`: what becomes of an event, or what is known of a row, and why.
//!
//! In comes an event as its source sent it, or the key of a row; out come, for every map and column,
//! the value in, the rule and the value out, then the row, what the ledger knows of it and what would
//! be decided now. Nothing is written anywhere, and values of secured columns are masked.

mod entry;
pub(super) mod event;
pub(super) mod input;
pub(super) mod view;

use std::process::ExitCode;

use super::desk::Desk;
use super::{Outcome, named, output};
use crate::app::{self, App};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, Config, Settings};
use crate::mapping::Maps;
use crate::operator::Role;

/// Show what becomes of an event, or what is known of a row, and why
#[derive(Clone, Debug, Default, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["event", "key"]))]
#[command(after_help = "Without the setting CONCORD_STORAGE an event is explained up to its row.")]
pub struct Args {
    /// An event as its source sends it, one JSON event on each line, or - for stdin
    #[arg(long, value_name = "FILE")]
    pub event: Option<String>,
    /// The source system that the event comes from, when there are several
    #[arg(long, value_name = "NAME", conflicts_with = "key")]
    pub system: Option<String>,
    /// This map alone
    #[arg(long, value_name = "NAME")]
    pub map: Option<String>,
    /// The key of a row: its values joined by commas; a comma inside a value is written \,
    #[arg(long, value_name = "KEY", requires = "map")]
    pub key: Option<String>,
    /// As JSON
    #[arg(long)]
    pub json: bool,
}

/// Explains.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    if let (Some(map), Some(key)) = (&args.map, &args.key) {
        let app = Desk::open(settings, Role::Viewer).await?.app;
        named::map(&app.maps, map)?;
        return entry::run(&app, (map, key), args.json).await;
    }
    let mut opened = None;
    if settings.names_storage() {
        opened = Some(Desk::open(settings, Role::Viewer).await);
    }
    if let Some(Ok(desk)) = &opened {
        let app = &desk.app;
        return events(&args, (&app.config, &app.maps), Some(app)).await;
    }
    let (config, maps) = config::load(settings).map_err(app::Error::Configuration)?;
    if let Some(Err(error)) = opened {
        let why = crate::telemetry::chain(&*error);
        output::note(format!("the ledger cannot be asked: {why}"));
    }
    events(&args, (&config, &maps), None).await
}

/// Explains every event of the input.
async fn events(args: &Args, (config, maps): (&Config, &Maps), app: Option<&App>) -> Outcome {
    if let Some(map) = &args.map {
        named::map(maps, map)?;
    }
    let sources = config.sources.keys().map(|name| &**name);
    let system = named::source((args.system.as_ref(), args.map.as_ref()), maps, sources)?;
    let bodies = input::bodies(args.event.as_deref().unwrap_or("-"))?;
    let mut all = Vec::new();
    for (index, body) in bodies.into_iter().enumerate() {
        let event = input::event(body, SystemClock.now());
        let Some(decoder) = config.sources.get(&*system) else { continue };
        let mut explained = event::explain(decoder, maps, &system, &event, args.map.as_deref());
        for one in &mut explained {
            one.event = index + 1;
            if let Some(app) = app {
                one.ask(&app.pipeline.ledger).await;
            }
        }
        all.extend(explained);
    }
    if args.json {
        output::json(&all.iter().map(event::Explained::json).collect::<Vec<_>>());
    } else {
        all.iter().flat_map(view::lines).for_each(output::line);
        if app.is_none() {
            output::note(
                "set CONCORD_STORAGE to see what the ledger knows and what would be decided",
            );
        }
    }
    Ok(ExitCode::SUCCESS)
}
