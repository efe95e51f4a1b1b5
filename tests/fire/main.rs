//! The real `concord serve` process under fire: the host's envelopes over real HTTP, storage in Azurite
//! behind a proxy that fails, an emulated Dataverse that fails, and `kill -9` at any moment. When
//! everything is quiet, the whole final state is compared with a model of what was said.
//!
//!     cargo test --test fire                              a few fixed seeds, and redelivery
//!     FIRE=long FIRE_SEED=7 cargo test --release --test fire long_run -- --nocapture
//!                                                         one seed: a million changes, a thousand
//!                                                         kills; FIRE_CHANGES, FIRE_KILLS, FIRE_KEYS,
//!                                                         FIRE_PARTITIONS
#![cfg(test)]
#![allow(clippy::disallowed_methods, reason = "tests are told their sizes by the environment")]
#![allow(
    clippy::await_holding_refcell_ref,
    reason = "one thread drives the host; each borrow is its own"
)]
#![allow(clippy::wildcard_enum_match_arm, clippy::pedantic, reason = "a plan of events, read once")]

#[path = "../azurite.rs"]
mod azurite;
mod budget;
mod check;
mod disk;
mod envelope;
mod handler;
mod host;
mod hostile;
mod locked;
mod model;
mod plan;
mod points;
mod proxy;
mod redelivery;
mod singles;
mod stage;
mod step;

use concord::chance::Chance;
use concord::emulator::dataverse::state::Options;
use tokio::time::Instant;

use host::Host;
use plan::{Plan, Size};
use stage::Stage;

/// The most keys of a long run where none are asked for: Azurite reads all entries whenever it is asked for
/// some.
const KEYS: usize = 1_000;

/// What goes wrong in the target. A write that is late lands well before its claim's lease ends.
const STORM: &str = "429:0.02@1s,500-before:0.02,503-before:0.01,500-after:0.02,deadlock:0.03,\
                     timeout:0.01,aborted:0.01,cut:0.02,lost:0.03,slow:0.05@600ms";

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("seeds and sizes are numbers"))
}

fn size(name: &str, usual: usize) -> usize {
    number(name).map_or(usual, |said| usize::try_from(said).unwrap())
}

/// Delivers the plan of one seed, waits until everything is quiet, and compares.
async fn fire(seed: u64, size: Size) {
    let plan = Plan::new(seed, size);
    let options = Options { chance: Chance::seeded(seed), ..Options::default() };
    let stage = if size.rough {
        Stage::new(seed, size.processes, options).await
    } else {
        Stage::patient(seed, size.processes, options).await
    };
    stage.storm(size.rough.then_some(STORM), size.rough);
    let since = Instant::now();
    let host = Host::new(&stage, &plan, seed);
    host.run().await;
    let took = since.elapsed();
    stage.storm(None, false);
    let mut rest = stage.come_to_rest().await;
    while stage.approve().await.expect("commands run while nothing fails") {
        rest += stage.come_to_rest().await;
    }
    let tally = host.tally.borrow().clone();
    check::tell(seed, &size, (&plan, &tally, &stage), (took, rest));
    check::check(seed, &size, (&plan, &tally, &stage)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_a_calm_day_nothing_is_written_but_news_and_what_was_overtaken() {
    let size =
        Size { changes: 1_500, keys: 400, partitions: 4, processes: 2, kills: 0, rough: false };
    fire(1, size).await;
}

/// A short rough run; `FIRE_SEED` takes the place of the fixed seed.
async fn rough(seed: u64, processes: usize) {
    let size = Size { changes: 1_200, keys: 300, partitions: 6, processes, kills: 6, rough: true };
    fire(number("FIRE_SEED").unwrap_or(seed), size).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_two_processes_end_at_the_newest_accepted_versions() {
    rough(2, 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_fails_three_processes_end_at_the_newest_accepted_versions() {
    rough(3, 3).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn long_run() {
    if std::env::var("FIRE").is_ok_and(|how| how == "long") {
        let changes = size("FIRE_CHANGES", 1_000_000);
        let size = Size {
            changes,
            keys: size("FIRE_KEYS", (changes / 10).clamp(100, KEYS)),
            partitions: size("FIRE_PARTITIONS", 24),
            processes: 3,
            kills: size("FIRE_KILLS", 1_000),
            rough: true,
        };
        fire(number("FIRE_SEED").unwrap_or(1), size).await;
    }
}
