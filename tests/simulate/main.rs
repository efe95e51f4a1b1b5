//! The real pipeline, ledger, decoding, mapping and work-queue code of several instances, on one
//! thread with paused time, over a simulated store, target and host that share one seeded source of
//! randomness. A seed and a commit replay a run exactly.
//!
//!     cargo test --release --test simulate                  a few hundred seeds
//!     SEEDS=100000 cargo test --release --test simulate     many
//!     SEED=4711 cargo test --release --test simulate        one, told step by step
#![cfg(test)]
#![allow(clippy::pedantic, clippy::wildcard_enum_match_arm, reason = "a plan of events, read once")]

mod check;
mod host;
mod store;
mod target;
mod world;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use world::{Mutant, Tally, World};

fn number(name: &str) -> Option<u64> {
    #[allow(clippy::disallowed_methods, reason = "a test is told its seeds by the environment")]
    std::env::var(name).ok().map(|text| text.parse().expect("SEED and SEEDS are numbers"))
}

/// Runs one seed in a runtime of its own and says what it came to.
fn run(seed: u64, mutant: Option<Mutant>) -> Result<Tally, String> {
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.unwrap().block_on(async { World::new(seed, mutant).run().await })
}

#[test]
fn whatever_happens_the_target_ends_at_the_newest_accepted_versions() {
    if let Some(seed) = number("SEED") {
        println!("{:#?}", run(seed, None).unwrap_or_else(|wrong| panic!("seed {seed}: {wrong}")));
        return;
    }
    let seeds = number("SEEDS").unwrap_or(300);
    let (next, tally) = (Arc::new(AtomicU64::new(0)), Arc::new(Mutex::new(Tally::default())));
    let workers: Vec<_> = (0..2)
        .map(|_| {
            let (next, tally) = (Arc::clone(&next), Arc::clone(&tally));
            std::thread::spawn(move || {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds {
                        return;
                    }
                    match run(seed, None) {
                        Ok(one) => tally.lock().unwrap().add(&one),
                        Err(wrong) => panic!("seed {seed}: {wrong}"),
                    }
                }
            })
        })
        .collect();
    for worker in workers {
        worker.join().expect("a seed failed; its number is printed above");
    }
    println!("{seeds} seeds: {}", tally.lock().unwrap());
}

#[test]
fn one_seed_replays_exactly() {
    for seed in 0..20 {
        assert_eq!(run(seed, None), run(seed, None), "seed {seed}");
    }
}

#[test]
fn every_mutant_is_caught() {
    let mut survived = Vec::new();
    for mutant in Mutant::ALL {
        let wrong = (0..4_000).find_map(|seed| Some((seed, run(seed, Some(*mutant)).err()?)));
        match wrong {
            Some((seed, wrong)) => {
                println!("{mutant:?} is caught by seed {seed}: {}", wrong.lines().next().unwrap());
            }
            None => survived.push(mutant),
        }
    }
    assert!(survived.is_empty(), "these breakages were not noticed: {survived:?}");
}
