//! `concord parked`: what waits for rows that it refers to and that are not in the target yet.

use std::process::ExitCode;

use super::columns::Columns;
use super::desk::Desk;
use super::wording::{moment, plural};
use super::{Outcome, output};
use crate::config::Settings;
use crate::fault::Fault;
use crate::operator::Role;
use crate::parking::{About, BUCKETS, Parking};

/// The commands.
#[derive(Clone, Debug, clap::Subcommand)]
pub enum Command {
    /// List it, longest waiting first
    List(Args),
}

/// Which of them.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Of this map
    #[arg(long, value_name = "NAME")]
    map: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 1_000)]
    most: usize,
    /// As one JSON array
    #[arg(long)]
    json: bool,
}

/// Runs one of them.
pub async fn run(command: Command, settings: &Settings) -> Outcome {
    let Command::List(args) = command;
    let app = Desk::open(settings, Role::Viewer).await?.app;
    let wanted = |about: &About| args.map.as_ref().is_none_or(|map| *map == about.map);
    let mut found = all(&app.pipeline.parking, wanted).await?;
    found.sort_by_key(|about| about.since);
    let more = found.len().saturating_sub(args.most);
    found.truncate(args.most);
    if args.json {
        output::json(&found);
        return Ok(ExitCode::SUCCESS);
    }
    if found.is_empty() {
        output::note("nothing waits for a row that is missing");
        return Ok(ExitCode::SUCCESS);
    }
    lines(&found).iter().for_each(output::line);
    output::note(plural(found.len() + more, "event"));
    Ok(ExitCode::SUCCESS)
}

async fn all(parking: &Parking, wanted: impl Fn(&About) -> bool) -> Result<Vec<About>, Fault> {
    let mut found = Vec::new();
    for bucket in 0..BUCKETS {
        let mut from = None;
        loop {
            let page = parking.page(bucket, from).await?;
            let abouts = page.parked.into_iter().map(|parked| parked.about);
            found.extend(abouts.filter(|about| wanted(about)));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    Ok(found)
}

fn lines(found: &[About]) -> Vec<String> {
    let mut columns = Columns::indented(0).firm(2);
    columns.row(["MAP", "KEY", "SINCE", "TRIES", "WAITS FOR"]);
    for about in found {
        let waits = format!("{} ({})", about.waits, about.column);
        let (map, key) = (about.map.clone(), about.key.clone());
        columns.row([map, key, moment(about.since), about.tries.to_string(), waits]);
    }
    columns.lines()
}
