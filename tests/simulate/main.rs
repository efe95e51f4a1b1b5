//! The real pipeline, ledger, decoding, mapping and work-queue code of several instances, on one
//! thread with paused time, over a simulated store, target and host that share one seeded source of
//! randomness. A seed and a commit replay a run exactly; one that fails is made as small as it gets.
//!
//!     cargo test --release --test simulate                  a few hundred seeds
//!     SEEDS=100000 cargo test --release --test simulate whatever -- --nocapture
//!                                                           many; FROM=n starts elsewhere
//!     SEED=4711 cargo test --release --test simulate        one, told step by step
//!     RUN='{…}' cargo test --release --test simulate        one that was made smaller, likewise
#![cfg(test)]
#![allow(clippy::pedantic, clippy::wildcard_enum_match_arm, reason = "a plan of events, read once")]

mod check;
mod host;
mod plan;
mod shrink;
mod store;
mod target;
mod world;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use plan::Plan;
use world::{Mutant, Tally, World};

fn told(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "a test is told its seeds by the environment")]
    std::env::var(name).ok()
}

fn number(name: &str) -> Option<u64> {
    told(name).map(|text| text.parse().expect("SEED, SEEDS and FROM are numbers"))
}

/// What went wrong, and how many faults had happened by then.
type Wrong = (String, u64);

/// Runs a plan in a runtime of its own and says what it came to.
fn run(plan: &Plan) -> Result<Tally, Wrong> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async {
        let world = World::new(plan);
        let dice = world.dice.clone();
        let ran = futures::FutureExt::catch_unwind(AssertUnwindSafe(world.run())).await;
        let ran = ran.unwrap_or_else(|_| Err("it panicked; see above".to_owned()));
        ran.map_err(|wrong| (wrong, dice.faults_drawn()))
    })
}

/// What to say of a run that failed: itself, and the smallest one that fails like it.
fn report(seed: u64, plan: &Plan, wrong: &str) -> String {
    println!("seed {seed} fails: {wrong}\nit is made smaller …");
    let (small, why) = shrink::shrunk(plan, wrong.to_owned());
    let text = serde_json::to_string(&small).unwrap();
    let deliveries = |plan: &Plan| plan.partitions.iter().flatten().flatten().count();
    format!(
        "seed {seed} fails: {wrong}\nthe smallest run that fails: {} of {} changes, {} of {} \
         deliveries, {} instances, {} faults: {why}\n  RUN='{text}' cargo test --release --test \
         simulate whatever -- --nocapture",
        small.said.len(),
        plan.said.len(),
        deliveries(&small),
        deliveries(plan),
        small.instances,
        small.faults - small.spared.len() as u64,
    )
}

/// One run, told step by step.
fn shown(plan: &Plan) {
    println!("{}", run(plan).unwrap_or_else(|wrong| panic!("{}", wrong.0)));
}

/// These seeds on all processors, up to the first that fails.
fn many(from: u64, seeds: u64) -> Tally {
    let (next, stop) = (AtomicU64::new(from), AtomicBool::new(false));
    let (tally, failed) = (Mutex::new(Tally::default()), Mutex::new(None));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= from + seeds {
                return;
            }
            match run(&Plan::of(seed, None)) {
                Ok(one) => tally.lock().unwrap().add(&one),
                Err((wrong, _)) => {
                    stop.store(true, Ordering::Relaxed);
                    failed.lock().unwrap().get_or_insert((seed, wrong));
                }
            }
            let done = seed + 1 - from;
            if done.is_multiple_of((seeds / 20).max(1_000)) {
                println!("{done} seeds: {}", tally.lock().unwrap());
            }
        }
    };
    std::thread::scope(|scope| {
        let threads = std::thread::available_parallelism().map_or(2, usize::from);
        (0..threads).for_each(|_| drop(scope.spawn(work)));
    });
    if let Some((seed, wrong)) = failed.into_inner().unwrap() {
        panic!("{}", report(seed, &Plan::of(seed, None), &wrong));
    }
    tally.into_inner().unwrap()
}

#[test]
fn whatever_happens_the_target_ends_at_the_newest_accepted_versions() {
    if let Some(text) = told("RUN") {
        return shown(&serde_json::from_str(&text).expect("RUN is the text of a plan"));
    }
    if let Some(seed) = number("SEED") {
        return shown(&Plan::of(seed, None));
    }
    let (from, seeds) = (number("FROM").unwrap_or(0), number("SEEDS").unwrap_or(300));
    let tally = many(from, seeds);
    println!("{seeds} seeds from {from}: {tally}; lost 0, older over newer 0");
}

#[test]
fn one_seed_replays_exactly() {
    for seed in 0..20 {
        let plan = Plan::of(seed, None);
        assert_eq!(run(&plan), run(&plan), "seed {seed}");
    }
}

/// The first of these seeds that a breakage makes fail.
fn caught(mutant: Mutant) -> Option<(u64, Plan, String)> {
    (0..4_000).find_map(|seed| {
        let plan = Plan::of(seed, Some(mutant));
        let wrong = catch_unwind(AssertUnwindSafe(|| run(&plan))).ok()?.err()?;
        Some((seed, plan, wrong.0))
    })
}

#[test]
fn every_mutant_is_caught() {
    let mut survived = Vec::new();
    for mutant in Mutant::ALL {
        match caught(*mutant) {
            Some((seed, _, wrong)) => {
                println!("{mutant:?} is caught by seed {seed}: {}", wrong.lines().next().unwrap());
            }
            None => survived.push(mutant),
        }
    }
    assert!(survived.is_empty(), "these breakages were not noticed: {survived:?}");
}

#[test]
fn a_run_that_fails_is_made_small_and_its_text_replays_it() {
    for mutant in [Mutant::IgnoreConditions, Mutant::NeverRedeliver] {
        let (seed, plan, wrong) = caught(mutant).unwrap();
        let text = report(seed, &plan, &wrong);
        println!("{mutant:?}: {text}");
        let (_, text) = text.split_once("RUN='").unwrap();
        let small: Plan = serde_json::from_str(text.split_once('\'').unwrap().0).unwrap();
        let faults = small.faults - small.spared.len() as u64;
        assert!(small.said.len() <= 3 && faults <= 3, "{small:#?}");
        let (once, again) = (run(&small).unwrap_err(), run(&small).unwrap_err());
        assert_eq!(once, again, "it does not replay");
    }
}
