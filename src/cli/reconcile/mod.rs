//! `concord reconcile`: the two sides of the maps compared, every difference explained, and what is wrong
//! repaired if that is asked for.
//!
//! Exit codes: 0 when both sides are as the maps want them, 2 when something is open, 1 when they could
//! not be compared.

mod kept;
mod view;

use std::process::ExitCode;
use std::sync::Arc;

use clap::Subcommand;

use super::desk::Desk;
use super::{Outcome, named, output};
use crate::audit::{Deed, Verb};
use crate::config::Settings;
use crate::operator::Role;
use crate::reconcile::{Depth, Reconciler, Report, Wish};

/// Compare both sides of the maps, explain every difference, repair what is wrong
#[allow(clippy::struct_excessive_bools, reason = "independent switches of a command")]
#[derive(Clone, Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
#[command(group = clap::ArgGroup::new("depth").args(["counts", "sample", "full", "since_verified"]))]
#[command(
    after_help = "Exit codes: 0 both sides agree, 2 something is open, 1 they could not be compared."
)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    /// This map alone, as often as there are maps
    #[arg(long, value_name = "NAME")]
    map: Vec<String>,
    /// How many rows each side has, by company where the map has one
    #[arg(long)]
    counts: bool,
    /// Every key, and all columns of N rows of each side
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "100")]
    sample: Option<usize>,
    /// Draw the same sample again
    #[arg(long, value_name = "NUMBER", requires = "sample")]
    seed: Option<u64>,
    /// Every column of every row (without any other, this)
    #[arg(long)]
    full: bool,
    /// Every column of the rows that changed since the point that was verified last
    #[arg(long)]
    since_verified: bool,
    /// Send what is wrong once more, through the same path as any change
    #[arg(long)]
    repair: bool,
    /// Change nothing and say what a repair would do
    #[arg(long)]
    dry_run: bool,
    /// As JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum Command {
    /// List what was compared, the newest last
    List(kept::List),
    /// Show one report; the newest without a name
    Show(kept::Show),
}

/// What cannot be shown.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("there is no such report; see concord reconcile list")]
    Report,
    #[error("the page cannot be written to {path}")]
    Page {
        path: String,
        #[source]
        source: std::io::Error,
    },
}

/// Compares, or shows what was compared.
pub async fn run(args: Args, settings: &Settings) -> Outcome {
    at(args, &Desk::open(settings, Role::Viewer).await?).await
}

pub(super) async fn at(args: Args, desk: &Desk) -> Outcome {
    let (app, reconciler) = (&desk.app, desk.app.reconciler());
    match &args.command {
        Some(Command::List(list)) => kept::list(list, app, &reconciler).await,
        Some(Command::Show(show)) => kept::show(show, app, &reconciler).await,
        None => compare(&args, desk, &Arc::new(reconciler)).await,
    }
}

/// Compares, and repairs when that is asked for. A comparison leaves a report and the point through which
/// all is verified, so it is not for those who only look; a repair is on record first.
async fn compare(args: &Args, desk: &Desk, reconciler: &Arc<Reconciler>) -> Outcome {
    let maps = named::maps(&desk.app.maps, &args.map)?;
    let wish = Wish {
        depth: args.depth(),
        sample: args.sample,
        seed: args.seed,
        repair: args.repair && !args.dry_run,
        dry: args.dry_run,
    };
    let repaired = maps.iter().filter(|_| wish.repair);
    let deed = |map: &String| {
        Deed::new(Verb::Write, map).with(format!("repairs what {} finds", wish.depth.word()))
    };
    desk.record(Role::Operator, &repaired.map(deed).collect::<Vec<_>>()).await?;
    let pieces = reconciler.begin(&maps, wish).await?;
    let (mut reports, mut failed) = (Vec::<Report>::new(), false);
    for done in reconciler.finish(pieces).await? {
        match done {
            Ok(report) => reports.push(report),
            Err(fault) => {
                failed = true;
                output::note(format!("not compared: {}", crate::telemetry::chain(&fault)));
            }
        }
    }
    if args.json {
        output::json(&reports);
    } else {
        reports.iter().flat_map(view::lines).for_each(output::line);
    }
    let open = reports.iter().any(|report| !report.is_equal());
    Ok(match (failed, open) {
        (true, _) => ExitCode::FAILURE,
        (false, true) => ExitCode::from(2),
        (false, false) => ExitCode::SUCCESS,
    })
}

impl Args {
    fn depth(&self) -> Depth {
        match (self.counts, self.sample, self.since_verified) {
            (true, _, _) => Depth::Counts,
            (false, Some(_), _) => Depth::Sample,
            (false, None, true) => Depth::Since,
            (false, None, false) => Depth::Full,
        }
    }
}
