//! `concord explain`: what becomes of an event, or what is known of a row, and why.
//!
//! In comes an event as its source sent it, or the key of a row; out come, for every map and column,
//! the value in, the rule and the value out, then the row, what the ledger knows of it and what would
//! be decided now. Nothing is written anywhere, and values of secured columns are masked.

mod entry;
pub(super) mod event;
mod input;
pub(super) mod view;

use std::process::ExitCode;

use super::{Outcome, output};
use crate::app::App;
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, Config, Settings};
use crate::mapping::Maps;

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

/// Why there is nothing to explain.
#[derive(Debug, thiserror::Error)]
enum Error {
    #[error("no map is called `{name}`; there are: {}", known.join(", "))]
    Map { name: String, known: Vec<String> },
    #[error("say with --system which source the event comes from: {}", known.join(", "))]
    System { known: Vec<String> },
    #[error("{name} cannot be read")]
    Input {
        name: String,
        #[source]
        source: std::io::Error,
    },
}

/// Explains.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    if let (Some(map), Some(key)) = (&args.map, &args.key) {
        let app = App::open(settings).await?;
        known(&app.maps, map)?;
        return entry::run(&app, (map, key), args.json).await;
    }
    let opened = match settings.storage() {
        Ok(_) => Some(App::open(settings).await),
        Err(_) => None,
    };
    match opened {
        Some(Ok(app)) => events(&args, (&app.config, &app.maps), Some(&app)).await,
        Some(Err(error @ crate::app::Error::Configuration(_))) => Err(error.into()),
        failed => {
            let (config, maps) =
                config::load(settings).map_err(crate::app::Error::Configuration)?;
            if let Some(Err(error)) = failed {
                let why = crate::telemetry::chain(&error);
                output::note(format!("the ledger cannot be asked: {why}"));
            }
            events(&args, (&config, &maps), None).await
        }
    }
}

/// Explains every event of the input.
async fn events(args: &Args, (config, maps): (&Config, &Maps), app: Option<&App>) -> Outcome {
    if let Some(map) = &args.map {
        known(maps, map)?;
    }
    let system = system(args, config, maps)?;
    let name = args.event.as_deref().unwrap_or("-");
    let bodies =
        input::bodies(name).map_err(|source| Error::Input { name: name.to_owned(), source })?;
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

/// The source of the event: the one named, that of the map named, or the only one.
fn system(args: &Args, config: &Config, maps: &Maps) -> Result<String, Error> {
    let of_map = || maps.get(args.map.as_ref()?).map(|map| map.system.clone());
    let only = || match config.sources.len() {
        1 => config.sources.keys().next().map(ToString::to_string),
        _ => None,
    };
    let named = args.system.clone().or_else(of_map).or_else(only);
    let known = || config.sources.keys().map(ToString::to_string).collect();
    named
        .filter(|name| config.sources.contains_key(name.as_str()))
        .ok_or_else(|| Error::System { known: known() })
}

fn known(maps: &Maps, name: &str) -> Result<(), Error> {
    if maps.get(name).is_some() {
        return Ok(());
    }
    let known = maps.destinations().iter().map(|to| to.map.clone()).collect();
    Err(Error::Map { name: name.to_owned(), known })
}
