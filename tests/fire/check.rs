//! The whole final state against the model, and the figures of a run.

use std::sync::atomic::Ordering;
use std::time::Duration;

use concord::ledger::Config;

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
    let mut recovered = tally.recovered.clone();
    recovered.sort_unstable();
    if let Some(longest) = recovered.last() {
        println!(
            "  {} batches lost their process: acknowledged again after {:.1} s (median), {:.1} s (95%), \
             {:.1} s (longest)",
            recovered.len(),
            recovered[recovered.len() / 2].as_secs_f64(),
            recovered[recovered.len() * 95 / 100].as_secs_f64(),
            longest.as_secs_f64(),
        );
    }
    println!("  outcomes acknowledged: {:?}", tally.outcomes);
    let told = |figure: &str| stage.told(figure);
    println!(
        "  written: {} rows applied, {} overtaken meanwhile, {} versions once more, {} states by a \
         second write",
        told("applied"),
        told("overtaken"),
        told("reasserted"),
        told("state_steps"),
    );
    println!("  target: faults {:?}, requests {:?}", served.faults, served.requests);
    let storage = &stage.proxy.state;
    println!("  storage: {:?}, faults {:?}", storage.kinds(), storage.faults());
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
    let fell: u64 = stage.handlers.iter().map(|one| one.fell.load(Ordering::Relaxed)).sum();
    if fell > 0 {
        wrong.push(format!("processes ended by themselves {fell} times"));
    }
    for side in Side::ALL {
        wrong.extend(model::compare(&plan.said, side, stage.rows(side)));
        wrong.extend(written(size, (plan, tally, stage), side));
    }
    wrong.extend(tally.miscounted.iter().cloned());
    wrong.extend(counted(size, (plan, tally, stage)));
    wrong.extend(thrifty(size, (plan, tally, stage)));
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

/// Every row that was called applied was written. On a calm day, when every write is answered, the logs
/// tell all other writes too: rows that were overtaken on their way, the newest version once more over
/// each of them, and states, which are a second write of a row.
fn counted(size: &Size, (_, tally, stage): Run<'_>) -> Option<String> {
    let served = stage.served();
    let rows = served.rows;
    // A removal that found nothing was done by another before, or overtook a write that was refused.
    let needless = served.absent;
    let written = rows.created + rows.updated + rows.deleted;
    let [applied, overtaken, reasserted, states] =
        ["applied", "overtaken", "reasserted", "state_steps"].map(|figure| stage.told(figure));
    let acknowledged = tally.outcomes.get("applied").copied().unwrap_or_default();
    let fine = if size.rough {
        written >= acknowledged
    } else {
        written + needless == applied + overtaken + reasserted + states && overtaken <= reasserted
    };
    (!fine).then(|| {
        format!(
            "{applied} rows were called applied, {overtaken} overtaken, {reasserted} versions \
             written once more and {states} states set; there were {written} writes and {needless} \
             removals of nothing"
        )
    })
}

/// On a calm day a delivery costs three requests to the ledger for each bucket that it touches (look,
/// claim, settle), one more for each fourteen keys, which is what one look takes, and three more where
/// somebody else was faster: two looks and another try.
fn thrifty(size: &Size, (plan, tally, stage): Run<'_>) -> Option<String> {
    let kinds = stage.proxy.state.kinds();
    let of = |kind: &str| kinds.get(kind).copied().unwrap_or_default();
    let deliveries = plan.partitions.iter().map(Vec::len).sum::<usize>() + tally.redelivered;
    let (sides, buckets) = (Side::ALL.len() as u64, u64::from(Config::default().buckets));
    // Each bad row is recorded besides.
    let bad = tally.outcomes.get("poisoned").copied().unwrap_or_default();
    let calm = sides * (3 * buckets * deliveries as u64 + plan.events() as u64 / 14);
    let most = calm + 3 * of("conflicts") + 2 * bad;
    let all = of("looks") + of("transactions") + of("conflicts");
    let fine = size.rough || all <= most && of("conflicts") * 3 <= of("transactions");
    (!fine).then(|| format!("{deliveries} deliveries cost {kinds:?}, at most {most} called for"))
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
