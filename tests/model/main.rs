//! The ledger's rules, explored exhaustively: one key, every interleaving.
//!
//! The model drives the very functions that ship (`ledger::decide`) with two or three writers, several
//! versions of one row and a removal, duplicated and reordered deliveries, crashes between any two
//! steps, writes that land late or whose answer is lost, lost answers of storage, leases that end, and
//! a newest version that the target refuses. Each deliberate breakage in [`mutant`] must be caught.
//!
//! Small configurations run everywhere; the large ones are for a release build:
//!
//!     cargo test --release --test model -- --nocapture --test-threads 1
#![cfg(test)]
#![allow(
    clippy::wildcard_enum_match_arm,
    clippy::large_enum_variant,
    clippy::needless_pass_by_value,
    reason = "a model is read as a table of steps, not tuned"
)]

mod protocol;
mod world;

use std::time::Instant;

use protocol::{Mutant, Protocol};
use stateright::{Checker as _, Model as _};

fn states(protocol: Protocol) -> Result<usize, String> {
    let (name, since) = (format!("{protocol:?}"), Instant::now());
    let threads = std::thread::available_parallelism().map_or(2, usize::from);
    let checker = protocol.checker().threads(threads).spawn_bfs().join();
    match checker.discoveries().into_iter().next() {
        None => {
            let took = since.elapsed().as_secs();
            println!("{:>9} states hold in {took} s: {name}", checker.unique_state_count());
            Ok(checker.unique_state_count())
        }
        Some((property, path)) => Err(format!("{property}: {:#?}", path.into_actions())),
    }
}

fn holds(protocol: Protocol) {
    match states(protocol) {
        Ok(count) => assert!(count > 1_000, "too few states to mean anything: {count}"),
        Err(path) => panic!("{path}"),
    }
}

fn plain() -> Protocol {
    Protocol { writers: 2, messages: vec![1, 2, 3], crashes: 1, unknown: 1, ..Protocol::default() }
}

#[test]
fn two_writers_with_crashes_and_lost_answers_end_at_the_newest_version() {
    holds(plain());
}

#[test]
fn two_writers_with_two_crashes_end_at_the_newest_version() {
    holds(Protocol { messages: vec![1, 2], crashes: 2, ..plain() });
}

#[test]
fn duplicated_deliveries_change_nothing() {
    holds(Protocol { messages: vec![1, 2, 2], ..plain() });
}

#[test]
fn a_refused_newest_version_leaves_the_newest_accepted_one() {
    holds(Protocol { refused: Some(3), ..plain() });
}

#[test]
fn a_removal_after_a_refused_version_leaves_nothing_behind() {
    holds(Protocol { messages: vec![1, 3, 5], refused: Some(3), ..plain() });
}

#[test]
fn an_answer_that_storage_lost_changes_nothing() {
    holds(Protocol { messages: vec![1, 2], lost: 2, ..plain() });
}

#[test]
fn three_writers_end_at_the_newest_version() {
    holds(Protocol { writers: 3, messages: vec![1, 2, 3], crashes: 1, unknown: 0, ..plain() });
}

/// Three writers, and one more of everything than above: minutes each, so not without optimisation.
fn large() -> Protocol {
    Protocol { writers: 3, ..plain() }
}

#[test]
#[cfg_attr(debug_assertions, ignore = "large: cargo test --release --test model")]
fn large_three_writers_with_a_crash_and_a_lost_answer_of_the_target() {
    holds(large());
}

#[test]
#[cfg_attr(debug_assertions, ignore = "large: cargo test --release --test model")]
fn large_three_writers_three_versions_and_a_removal() {
    holds(Protocol { messages: vec![1, 2, 3, 4], unknown: 0, ..large() });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "large: cargo test --release --test model")]
fn large_three_writers_with_duplicates() {
    holds(Protocol { messages: vec![1, 2, 3, 3], unknown: 0, ..large() });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "large: cargo test --release --test model")]
fn large_three_writers_with_a_refused_newest_version() {
    holds(Protocol { refused: Some(3), ..large() });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "large: cargo test --release --test model")]
fn large_three_writers_with_a_refused_version_and_a_removal_after_it() {
    holds(Protocol { messages: vec![1, 3, 5], refused: Some(3), ..large() });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "large: cargo test --release --test model")]
fn large_three_writers_with_lost_answers_of_storage() {
    holds(Protocol { messages: vec![1, 3], lost: 1, ..large() });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "large: cargo test --release --test model")]
fn large_two_writers_three_versions_and_a_removal_with_everything() {
    holds(Protocol { writers: 2, messages: vec![1, 2, 3, 4], lost: 1, ..large() });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "large: cargo test --release --test model")]
fn large_two_writers_with_two_crashes_and_two_lost_answers() {
    holds(Protocol { writers: 2, messages: vec![1, 2, 3], crashes: 2, unknown: 2, ..large() });
}

#[test]
#[cfg_attr(debug_assertions, ignore = "large: cargo test --release --test model")]
fn large_two_writers_with_duplicates_and_a_refused_newest_version() {
    holds(Protocol {
        writers: 2,
        messages: vec![1, 2, 3, 3],
        refused: Some(3),
        lost: 1,
        ..large()
    });
}

#[test]
fn every_mutant_is_caught() {
    let cases = [
        plain(),
        Protocol { messages: vec![1, 2, 2], ..plain() },
        Protocol { refused: Some(3), ..plain() },
        Protocol { crashes: 2, messages: vec![1, 2], ..plain() },
        Protocol { refused: Some(3), crashes: 1, unknown: 1, messages: vec![1, 3, 3], ..plain() },
        Protocol { refused: Some(3), messages: vec![1, 3, 5], ..plain() },
    ];
    let mut survived = Vec::new();
    for mutant in Mutant::ALL {
        let caught = cases
            .iter()
            .position(|case| states(Protocol { mutant: Some(*mutant), ..case.clone() }).is_err());
        match caught {
            Some(case) => println!("{mutant:?} is caught by case {case}"),
            None => survived.push(mutant),
        }
    }
    assert!(survived.is_empty(), "these breakages were not noticed: {survived:?}");
}
