//! `concord dev --scenario environments`: the group's environment is the authoritative source, Finance's
//! follows it by the second, and a night finds and mends what went missing.
//!
//! In comes a seed; an hour of edits is made in the group's environment over its Web API, and the
//! environment itself posts webhooks from its steps. On purpose some are lost, doubled, late or cut down.
//! Then the nightly comparison runs. Out goes what differed before it and after it, read on both sides by
//! somebody who knows nothing of maps or ledgers. Both environments live a day in the past, so that what
//! was lost is no longer in flight when the night comes.

mod own;
mod report;
mod sides;
mod traffic;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use self::own::Own;
use self::report::Report;
use self::traffic::{Edit, What, key_of};
use super::environment::Environment;
use super::night::{self, NIGHTLY};
use super::pass::Pass;
use super::stage::{Scene, Stage};
use super::web::Web;
use super::{Args, Error, output};
use crate::chance::Chance;
use crate::cli::webhook;
use crate::clock::{Clock as _, RuntimeClock, SystemClock};
use crate::config::Settings;
use crate::emulator::dataverse::steps::trouble::Shares;

/// The system whose environment is the authoritative source.
const GROUP: &str = "group";
/// The system whose environment follows.
const FINANCE: &str = "finance";

/// What becomes of the group's webhooks on purpose.
const TROUBLE: Shares =
    Shares { lost: 0.05, doubled: 0.05, late: 0.1, cut: 0.02, late_seconds: 2.0 };

/// Edits of the hour, when nothing else is said.
const EDITS: usize = 2_000;
/// How far in the past the environments live.
const PAST: Duration = Duration::from_hours(24);
/// How often it is asked whether all is quiet.
const POLL: Duration = Duration::from_millis(200);
/// Between two edits, when a person watches.
const WATCHED: Duration = Duration::from_millis(150);

/// The settings of the scenario's own maps and of timers that must not come in between.
fn settings(chance: &Chance) -> Vec<(String, String)> {
    let never = "0 0 0 1 1 *";
    let mut settings = vec![("GROUP_WEBHOOK_SECRET", chance.uuid().simple().to_string())];
    settings.extend(["CHANGES_CRON", "NIGHTLY_CRON"].map(|name| (name, never.to_owned())));
    settings.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Runs the scenario; `false` when the environments are not in step in the end.
pub(super) async fn run(args: &Args) -> Result<bool, Error> {
    let samples = args.root.join("samples").join("environments");
    let args = Args {
        maps: Some(samples.join("maps")),
        schema: Some(samples.join("schema.toml")),
        ..args.clone()
    };
    let chance = Chance::seeded(args.seed);
    let past = SystemClock.now().checked_sub(PAST).unwrap_or(Timestamp::UNIX_EPOCH);
    let clock = Arc::new(RuntimeClock::starting_at(past));
    let scene = Scene { clock: Some(clock), settings: settings(&chance) };
    let (stage, mut notices) = Stage::set(&args, scene).await?;
    stage.announce();
    let scenario = Scenario::over(&stage, args.once)?;
    let edits = traffic::hour(args.organisations.unwrap_or(EDITS), &chance);
    let pass = Pass::new(&stage, Duration::ZERO)?;
    if !args.once {
        let staying = async {
            let report = scenario.day(&edits, &pass).await?;
            report.print();
            pass.say("both environments stay; stop with ctrl-c");
            std::future::pending::<Result<(), Error>>().await
        };
        return match pass.during(staying, &mut notices).await {
            Ok(ended) => ended.map(|()| true),
            Err(Error::Interrupted) => Ok(true),
            Err(error) => Err(error),
        };
    }
    let report = pass.during(scenario.day(&edits, &pass), &mut notices).await??;
    if args.json {
        output::json(&report);
    } else {
        report.print();
    }
    Ok(report.ok)
}

/// The two environments and what stands between them.
struct Scenario<'a> {
    stage: &'a Stage,
    source: &'a Environment,
    group: Web,
    finance: Web,
    /// Between two edits.
    pause: Duration,
}

impl<'a> Scenario<'a> {
    fn over(stage: &'a Stage, hurried: bool) -> Result<Self, Error> {
        let find = |system: &str| {
            let missing = || Error::NoEnvironment { system: system.to_owned() };
            stage.environment(system).ok_or_else(missing)
        };
        let (source, follower) = (find(GROUP)?, find(FINANCE)?);
        let [group, finance] = [source, follower].map(|it| Web::at(it.address()));
        let pause = if hurried { Duration::ZERO } else { WATCHED };
        Ok(Self { stage, source, group, finance, pause })
    }

    /// An hour of edits, and the night after it.
    async fn day(&self, edits: &[Edit], pass: &Pass<'_>) -> Result<Report, Error> {
        let start = Instant::now();
        let address = self.stage.host.address().unwrap_or_default();
        let settings = Settings::of(self.stage.settings.clone());
        webhook::register_at(&address, &settings).await.map_err(Error::Webhooks)?;
        self.source.spoil(TROUBLE);
        let half = edits.len() / 2;
        let (morning, afternoon) = edits.split_at_checked(half).unwrap_or((edits, &[]));
        self.make(morning).await?;
        self.quiet().await?;
        let own = Own::fill(&self.finance).await?;
        self.make(afternoon).await?;
        self.quiet().await?;
        let webhooks = self.source.webhooks();
        let before = sides::differences(&self.group, &self.finance).await?;
        pass.say(&format!("the hour is over: {} rows differ; the night begins", before.rows()));
        self.source.spoil(Shares::default());
        self.stage.host.fire(NIGHTLY).await;
        self.quiet().await?;
        let night = night::read(self.stage, &self.stage.maps).await?;
        let after = sides::differences(&self.group, &self.finance).await?;
        let own = own.left(&self.finance).await?;
        let seconds = start.elapsed().as_secs_f64();
        let report =
            Report { ok: false, edits: edits.len(), seconds, webhooks, before, night, after, own };
        Ok(report.judged())
    }

    async fn make(&self, edits: &[Edit]) -> Result<(), Error> {
        for edit in edits {
            let key = (key_of(edit.set), edit.key.as_str());
            match &edit.what {
                What::Create(row) => self.group.create(edit.set, row).await?,
                What::Change(columns) => self.group.change(edit.set, key, columns).await?,
                What::Delete => self.group.delete(edit.set, key).await?,
            }
            sleep(self.pause).await;
        }
        Ok(())
    }

    /// Waits until every webhook is answered and nothing waits in the work queue.
    async fn quiet(&self) -> Result<(), Error> {
        let mut still = 0;
        while still < 3 {
            sleep(POLL).await;
            let waiting =
                self.source.webhooks().waiting > 0 || self.stage.stores.work.depth().await? > 0;
            still = if waiting { 0 } else { still + 1 };
        }
        Ok(())
    }
}
