//! `concord plan`: what would be written if these changes came now, by the real engine, without writing
//! anything.
//!
//! Exit codes: 0 when the target would stay as it is, 2 when it would change, 1 when that could not be
//! found out.

use std::process::ExitCode;
use std::sync::Arc;

use super::columns::Columns;
use super::desk::Desk;
use super::explain::input;
use super::{Outcome, named, output};
use crate::clock::{Clock as _, SystemClock};
use crate::config::Settings;
use crate::operator::Role;
use crate::reconcile::{Does, Plan, Planned, Planner};

/// Say what would be written if these changes came now, and write nothing
#[derive(Clone, Debug, clap::Args)]
#[command(
    after_help = "Exit codes: 0 nothing would change, 2 something would, 1 it could not be found out."
)]
pub struct Args {
    /// Events as their source sends them, one JSON event on each line, or - for stdin
    #[arg(value_name = "FILE", required_unless_present = "from_source")]
    file: Option<String>,
    /// Everything that the sources have now
    #[arg(long, conflicts_with = "file")]
    from_source: bool,
    /// This map alone
    #[arg(long, value_name = "NAME")]
    map: Option<String>,
    /// The source system that the events come from, when there are several
    #[arg(long, value_name = "NAME")]
    system: Option<String>,
    /// As JSON
    #[arg(long)]
    json: bool,
}

/// Events that are planned together, as one delivery would bring them.
const DELIVERY: usize = 256;

/// Plans.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    let app = Desk::open(settings, Role::Viewer).await?.app;
    if let Some(name) = &args.map {
        named::map(&app.maps, name)?;
    }
    let mut planner = Planner::new(Arc::clone(&app.pipeline), args.map.clone());
    if args.from_source {
        planner.whole_sources().await?;
    } else {
        let name = args.file.as_deref().unwrap_or("-");
        let sources = app.pipeline.decoders.keys().map(|name| &**name);
        let wanted = (args.system.as_ref(), args.map.as_ref());
        let system = named::source(wanted, &app.maps, sources)?;
        let bodies = input::bodies(name)?;
        let now = SystemClock.now();
        let events: Vec<_> = bodies.into_iter().map(|body| input::event(body, now)).collect();
        for events in events.chunks(DELIVERY) {
            planner.events(&system, events).await?;
        }
    }
    let plan = planner.into_plan();
    if args.json {
        output::json(&plan);
    } else {
        lines(&plan).iter().for_each(output::line);
    }
    Ok(if plan.changes() { ExitCode::from(2) } else { ExitCode::SUCCESS })
}

/// How many rows are shown; JSON has more.
const SHOWN: usize = 200;

fn lines(plan: &Plan) -> Vec<String> {
    let mut columns = Columns::default().firm(2);
    columns.row(["MAP", "KEY", "WOULD"]);
    for row in plan.rows.iter().take(SHOWN) {
        columns.row([row.map.clone(), row.key.clone(), row.does.word().to_owned()]);
        for remark in remarks(row) {
            columns.remark(remark);
        }
    }
    let mut lines = if plan.rows.is_empty() { Vec::new() } else { columns.lines() };
    if plan.rows.len() > SHOWN {
        lines.push(format!("and {} more: --json", plan.rows.len() - SHOWN));
    }
    for (map, counts) in &plan.counts {
        let words: Vec<String> =
            counts.iter().map(|(does, rows)| format!("{} {rows}", does.word())).collect();
        lines.push(format!("{map}: {}", words.join(", ")));
    }
    if plan.changes() {
        lines.push(
            "whether the target takes it (rules, plug-ins, rights) only the target can say"
                .to_owned(),
        );
    }
    lines
}

fn remarks(row: &Planned) -> Vec<String> {
    let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "empty".to_owned());
    let columns = row.columns.iter().map(|column| match row.does {
        Does::Create => format!("{}: {}", column.column, value(&column.source)),
        Does::Update
        | Does::Delete
        | Does::Deactivate
        | Does::Hold
        | Does::Wait
        | Does::Refuse
        | Does::Nothing
        | Does::Unknown => {
            format!("{}: {} → {}", column.column, value(&column.target), value(&column.source))
        }
    });
    columns.chain(row.why.clone()).collect()
}
