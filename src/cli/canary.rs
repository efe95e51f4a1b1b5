//! `concord canary`: a stamp is written at the source and looked for at the target, here and now; or what
//! was measured before.

use std::process::ExitCode;
use std::sync::Arc;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::columns::Columns;
use super::desk::Desk;
use super::wording::moment;
use super::{Outcome, output};
use crate::audit::{Deed, Verb};
use crate::canary::{Became, Flight, History};
use crate::config::Settings;
use crate::fault::Fault;
use crate::operator::Role;

/// What is measured or shown.
#[derive(Clone, Debug, clap::Args)]
pub struct Args {
    /// Of this map [default: every map that has a canary]
    #[arg(long, value_name = "NAME")]
    map: Option<String>,
    /// Write nothing, and show what was measured before
    #[arg(long)]
    list: bool,
    /// Of so many days
    #[arg(long, value_name = "DAYS", default_value_t = 7)]
    days: u32,
    /// As one JSON array
    #[arg(long)]
    json: bool,
}

/// Why nothing is measured.
#[derive(Debug, thiserror::Error)]
enum Error {
    /// No map has one.
    #[error("no map has a canary; describe one in concord.toml, as [canaries.<map>]")]
    None,
}

/// What is told of one map.
#[derive(Serialize)]
struct Told {
    #[serde(flatten)]
    history: History,
    /// Why nothing could be measured now.
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<String>,
}

/// Measures, or shows.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let role = if args.list { Role::Viewer } else { Role::Operator };
    let desk = Desk::open(settings, role).await?;
    let app = &desk.app;
    let logbook = app.canaries.logbook();
    let maps: Vec<String> = match &args.map {
        Some(map) => vec![map.clone()],
        None => logbook.maps().map(str::to_owned).collect(),
    };
    if maps.is_empty() {
        return Err(Error::None.into());
    }
    let mut flown = Vec::new();
    if args.list {
        flown.extend(maps.iter().map(|_| None));
    } else {
        let deeds: Vec<Deed> =
            maps.iter().map(|map| Deed::new(Verb::Write, format!("canary of {map}"))).collect();
        desk.record(role, &deeds).await?;
        let canaries = Arc::clone(&app.canaries);
        let flights = maps.iter().map(|map| canaries.fly(map));
        flown.extend(join_all(flights).await.into_iter().map(Some));
    }
    let days = SignedDuration::from_hours(24 * i64::from(args.days.min(366)));
    let since = app.clock.now().checked_sub(days).unwrap_or(Timestamp::MIN);
    let mut told = Vec::new();
    for (map, flown) in maps.iter().zip(&flown) {
        let history = logbook.history(map, (since, Timestamp::MAX)).await?;
        let fault = flown.as_ref().and_then(|flown| flown.as_ref().err());
        told.push(Told { history, fault: fault.map(ToString::to_string) });
    }
    if args.json {
        output::json(&told);
    } else {
        lines(&told).iter().for_each(output::line);
    }
    Ok(code(&flown))
}

/// 0 what was sent arrived, 2 it did not, 1 it could not be sent.
fn code(flown: &[Option<Result<Flight, Fault>>]) -> ExitCode {
    let code = |flown: &Option<Result<Flight, Fault>>| match flown {
        None | Some(Ok(Flight { became: Became::Seen(_), .. })) => 0,
        Some(Ok(Flight { became: Became::Lost(_), .. })) => 2,
        Some(Ok(Flight { became: Became::Failed(_), .. }) | Err(_)) => 1,
    };
    let codes: Vec<u8> = flown.iter().map(code).collect();
    // Not to know is worse than to know that it is bad.
    let worst = codes.iter().find(|code| **code == 1).or(codes.iter().max());
    ExitCode::from(worst.copied().unwrap_or_default())
}

fn lines(told: &[Told]) -> Vec<String> {
    let mut columns = Columns::indented(0).firm(1);
    columns.row(["MAP", "LAST", "AT", "P50 MS", "P95 MS", "SENT", "LOST", "FAILED"]);
    for Told { history, fault } in told {
        let number = |lag: Option<u64>| lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string());
        let last = history.last.as_ref();
        let became = last.map_or_else(|| "-".to_owned(), |last| word(&last.became));
        let at = last.map_or_else(|| "-".to_owned(), |last| moment(last.at));
        let (p50, p95) = (number(history.p50_ms), number(history.p95_ms));
        let [flights, lost, failed] =
            [history.flights, history.lost, history.failed].map(|count| count.to_string());
        columns.row([history.map.clone(), became, at, p50, p95, flights, lost, failed]);
        let failed = last.and_then(|last| match &last.became {
            Became::Failed(why) => Some(why.clone()),
            Became::Seen(_) | Became::Lost(_) => None,
        });
        if let Some(why) = fault.clone().or(failed) {
            columns.remark(why);
        }
    }
    columns.lines()
}

fn word(became: &Became) -> String {
    match became {
        Became::Seen(lag) => format!("{lag} ms"),
        Became::Lost(seconds) => format!("not within {seconds} s"),
        Became::Failed(_) => "not sent".to_owned(),
    }
}
