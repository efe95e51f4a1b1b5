//! The whole final state against the model, and the figures of a run.

use std::time::Duration;

use crate::host::Tally;
use crate::model::{self, Side};
use crate::plan::{Plan, Size};
use crate::stage::Stage;

/// A run: what was planned, what the host saw, and where it stands.
type Run<'a> = (&'a Plan, &'a Tally, &'a Stage);

/// The most rows of one batch and map: what a lost answer or a dead process may cause to be written
/// once more.
const BATCH: u64 = 256;

/// Says what was run and what it came to.
pub(crate) fn tell(
    seed: u64,
    size: &Size,
    (plan, tally, stage): Run<'_>,
    (took, rest): (Duration, Duration),
) {
    let events = plan.events();
    let served = stage.served();
    #[allow(clippy::cast_precision_loss, reason = "for people to read")]
    let pace = events as f64 / took.as_secs_f64();
    println!(
        "seed {seed}: {} changes of {} keys as {events} events in {} partitions, {} processes, \
         delivered in {:.1} s ({pace:.0} events/s), quiet {:.1} s later",
        size.changes,
        size.keys,
        size.partitions,
        size.processes,
        took.as_secs_f64(),
        rest.as_secs_f64(),
    );
    println!(
        "  {} kills, {} batches doubled, {} deliveries unanswered, {} asked for again ({} of them on \
         the last attempt), {} events posted, {} work messages (one at most {} times), {} sweeps",
        tally.kills,
        tally.doubled,
        tally.unanswered,
        tally.redelivered,
        tally.refused_last,
        tally.posted,
        tally.work,
        tally.handed_out,
        tally.sweeps,
    );
    println!("  target: faults {:?}, requests {:?}", served.faults, served.requests);
    let storage = &stage.proxy.state;
    println!("  storage: {} requests, faults {:?}", storage.requests(), storage.faults());
    println!("  asked for again because: {:?}", tally.reasons);
    for side in Side::ALL {
        let written = served.tables.get(side.table()).copied().unwrap_or_default();
        let versions = model::versions(&plan.said, side);
        println!("  {}: {versions} accepted versions, written {written:?}", side.table());
    }
}

/// Everything that must be so.
pub(crate) async fn check(seed: u64, size: &Size, (plan, tally, stage): Run<'_>) {
    let mut wrong = Vec::new();
    for side in Side::ALL {
        wrong.extend(model::compare(&plan.said, side, stage.rows(side)));
        wrong.extend(written(size, (plan, tally, stage), side));
    }
    let expected = model::poison(&plan.said);
    let found = stage.poison().await;
    for one in expected.certain.iter().filter(|one| !found.contains_key(one)) {
        wrong.push(format!("not in quarantine: {one:?}"));
    }
    for (one, code) in &found {
        if !expected.certain.contains(one) && !expected.possible.contains(one) {
            wrong.push(format!("in quarantine as {code}, and is not bad: {one:?}"));
        }
    }
    wrong.extend(stage.open_rows().await.into_iter().map(|row| format!("not settled: {row}")));
    let shown = wrong.iter().take(20).cloned().collect::<Vec<_>>().join("\n  ");
    assert!(wrong.is_empty(), "seed {seed}: {} things are wrong:\n  {shown}", wrong.len());
    println!("  {} records in quarantine; nothing lost, nothing older over newer", found.len());
}

/// Every key was written; and none more often than there were versions, unless something happened that
/// leaves a write in doubt.
fn written(size: &Size, (plan, tally, stage): Run<'_>, side: Side) -> Option<String> {
    let served = stage.served();
    let rows = served.tables.get(side.table()).copied().unwrap_or_default();
    let all = rows.created + rows.updated + rows.deleted;
    let there = stage.rows(side).len() as u64;
    let doubts: u64 = served
        .faults
        .iter()
        .filter(|(name, _)| name.ends_with("-after") || *name == "lost" || *name == "slow")
        .map(|(_, count)| count)
        .sum();
    let storage: u64 = stage.proxy.state.faults().values().sum();
    let happened = doubts + storage + (tally.kills + tally.doubled + tally.unanswered) as u64;
    let most = model::versions(&plan.said, side) as u64 + happened * BATCH;
    let fine = there <= rows.created && all <= most;
    let calm = size.rough || happened == 0;
    (!fine || !calm).then(|| {
        let keys = model::keys(&plan.said, side);
        format!("{}: {all} writes of {keys} keys, at most {most} called for", side.table())
    })
}
