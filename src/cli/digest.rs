//! `concord digest`: what the daily card tells, for any day, here and now.

use std::process::ExitCode;

use jiff::civil::Date;

use super::columns::Columns;
use super::desk::Desk;
use super::wording::moment;
use super::{Outcome, output};
use crate::audit::{Deed, Verb};
use crate::briefing::Digest;
use crate::config::Settings;
use crate::operator::Role;

/// What is done with a digest.
#[derive(Clone, Debug, clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["print", "card", "json", "post"]))]
#[allow(clippy::struct_excessive_bools, reason = "four switches of a command line")]
pub struct Args {
    /// Print it as a table
    #[arg(long)]
    print: bool,
    /// Print the message with its Adaptive Card, as a Teams workflow takes it
    #[arg(long)]
    card: bool,
    /// Print it as one JSON object
    #[arg(long)]
    json: bool,
    /// Post it now, whether or not it was posted
    #[arg(long)]
    post: bool,
    /// The day, in UTC [default: yesterday]
    #[arg(long, value_name = "DAY")]
    day: Option<Date>,
}

/// Shows or posts it.
pub async fn run(args: &Args, settings: &Settings) -> Outcome {
    let desk = Desk::open(settings, Role::Viewer).await?;
    let briefing = &desk.app.briefing;
    let day = args.day.unwrap_or_else(|| briefing.yesterday());
    if args.post {
        let deed = Deed::new(Verb::Write, format!("digest of {day}"));
        desk.record(Role::Operator, &[deed]).await?;
        briefing.post(day).await?;
        output::line(format!("the digest of {day} is posted"));
        return Ok(ExitCode::SUCCESS);
    }
    let digest = briefing.digest(day).await?;
    if args.json {
        output::json(&digest);
    } else if args.card {
        output::json(&briefing.card(&digest));
    } else {
        lines(&digest).iter().for_each(output::line);
    }
    Ok(ExitCode::SUCCESS)
}

fn lines(digest: &Digest) -> Vec<String> {
    let mut columns = Columns::indented(0).firm(1);
    let words = ["applied", "unchanged", "poisoned", "parked", "deferred"];
    let head = ["MAP", "APPLIED", "UNCHANGED", "POISONED", "PARKED", "DEFERRED", "WEEK BEFORE"];
    columns.row(head);
    for map in &digest.maps {
        let cells = words.map(|word| map.counts.of_word(word).to_string());
        let before = format!("{} poisoned", map.before.of_word("poisoned"));
        columns.row([map.map.clone()].into_iter().chain(cells).chain([before]));
    }
    let mut lines = columns.lines();
    let waiting = &digest.waiting;
    let oldest = waiting.oldest.map(|oldest| format!(", the oldest since {}", moment(oldest)));
    let oldest = oldest.unwrap_or_default();
    lines.push(String::new());
    lines.push(format!("open records  {}{oldest}", waiting.records));
    let work = waiting.work.map_or_else(|| "not known".to_owned(), |work| work.to_string());
    lines.push(format!("work queue    {work}"));
    lines.extend(
        waiting.codes.iter().map(|(code, records)| {
            format!("  {records} × {code}: concord poison list --code {code}")
        }),
    );
    for history in &digest.canaries {
        let gone = history.lost + history.failed;
        let lag = |lag: Option<u64>| lag.map_or_else(|| "-".to_owned(), |lag| lag.to_string());
        let (p50, p95) = (lag(history.p50_ms), lag(history.p95_ms));
        let (map, flights) = (&history.map, history.flights);
        let text =
            format!("canary {map}  p50 {p50} ms, p95 {p95} ms, {gone} of {flights} did not arrive");
        lines.push(text);
    }
    if let Some(week) = &digest.week {
        lines.push(String::new());
        lines.push("seven days, against the seven before".to_owned());
        lines.push(format!("  applied  {} / {}", week.applied.0, week.applied.1));
        let codes = week.codes.iter();
        lines.extend(codes.map(|(code, now, then)| format!("  {code}  {now} / {then}")));
    }
    lines
}
