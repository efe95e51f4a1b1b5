//! Every target over its seeds, and over mutations of them that a fixed seed gives: the short form of
//! `cargo fuzz`, for any toolchain. `FUZZ_RUNS` says how many mutations a target gets;
//! without it, each gets a few seconds.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use fastrand::Rng;

use super::*;

/// What breaks readers more often than chance would find it.
const WORDS: &[&[u8]] = &[
    b"{",
    b"}",
    b"[",
    b"]",
    b"\"",
    b"\\",
    b",",
    b":",
    b"null",
    b"''",
    b"'",
    b"(",
    b")",
    b"/",
    b"%",
    b"%00",
    b"%ff",
    b"%25",
    b"\\ud800",
    b"\\udfff",
    b"\\u0000",
    b"\xff",
    b"\xed\xa0\x80",
    b"\0",
    b"\xef\xbb\xbf",
    b"\r\n",
    b"\n",
    b"\n\n",
    b"--",
    b"-",
    b"-0",
    b"1e999999",
    b"-1e-999999",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"9999-12-31T23:59:59.9999999Z",
    b"0001-01-01T00:00:00Z",
    b"HTTP/1.1 204 x\r\n",
    b"HTTP/1.1 429 x\r\nRetry-After: 99999999999\r\n",
    b"$filter=",
    b"$expand=",
    b"$orderby=",
    b" eq ",
    b"not ",
    b"((((((((",
    b"[[[[[[[[[[",
];

/// One input may not take longer, in a build without optimisation on a busy machine.
const LONGEST: Duration = Duration::from_secs(20);

/// The time that a target gets when nobody says how many mutations there are to be.
const SHARE: Duration = Duration::from_secs(4);

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

fn seeds(name: &str) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(folder().join(name))
        .unwrap_or_else(|error| panic!("the seeds of {name}: {error}"))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.into_iter().map(|file| std::fs::read(file).unwrap()).collect()
}

fn mutated(seeds: &[Vec<u8>], dice: &mut Rng) -> Vec<u8> {
    let mut data = seeds[dice.usize(0..seeds.len())].clone();
    for _ in 0..=dice.usize(0..6) {
        let at = dice.usize(0..=data.len());
        let end = (at + dice.usize(0..40)).min(data.len());
        match dice.u32(0..8) {
            0 if at < data.len() => data[at] ^= 1 << dice.u32(0..8),
            1 => drop(data.drain(at..end)),
            2 => {
                let piece = data[at..end].to_vec();
                let to = dice.usize(0..=data.len());
                data.splice(to..to, piece.repeat(1 + dice.usize(0..4)));
            }
            3 => {
                let other = &seeds[dice.usize(0..seeds.len())];
                let from = dice.usize(0..=other.len());
                data.truncate(at);
                data.extend_from_slice(&other[from..]);
            }
            4 => {
                let word = WORDS[dice.usize(0..WORDS.len())];
                data.splice(at..at, word.repeat(dice.usize(0..300)));
            }
            5 => data.truncate(at),
            _ => {
                let word = WORDS[dice.usize(0..WORDS.len())];
                data.splice(at..end, word.iter().copied());
            }
        }
        data.truncate(200_000);
    }
    data
}

/// Runs one input; one that is wrong is kept, and the message says how to run it again.
fn fed(name: &str, target: fn(&[u8]), data: &[u8]) {
    let since = Instant::now();
    let fine = catch_unwind(AssertUnwindSafe(|| target(data))).is_ok();
    if fine && since.elapsed() < LONGEST {
        return;
    }
    let kept = std::env::temp_dir().join(format!("concord-fuzz-{name}"));
    std::fs::write(&kept, data).unwrap();
    let took = since.elapsed();
    panic!(
        "{name} fails after {took:?} on {}: copy it to fuzz/seeds/{name}/ and run this again",
        kept.display()
    );
}

#[test]
fn no_target_panics_over_its_seeds_and_their_mutations() {
    #[allow(clippy::disallowed_methods, reason = "a test is told its size by the environment")]
    let told = std::env::var("FUZZ_RUNS").ok().map(|text| text.parse::<usize>().unwrap());
    let (most, share) = (told.unwrap_or(1_500), told.map_or(SHARE, |_| Duration::MAX));
    for (name, target) in TARGETS {
        let seeds = seeds(name);
        let since = Instant::now();
        for seed in &seeds {
            fed(name, *target, seed);
        }
        let mut dice = Rng::with_seed(1);
        let mut runs = 0;
        while runs < most && since.elapsed() < share {
            fed(name, *target, &mutated(&seeds, &mut dice));
            runs += 1;
        }
        println!("{name}: {} seeds, {runs} mutations, {:?}", seeds.len(), since.elapsed());
    }
}

#[test]
fn every_target_has_seeds_and_a_file_for_cargo_fuzz() {
    let manifest = std::fs::read_to_string(folder().join("../Cargo.toml")).unwrap();
    for (name, _) in TARGETS {
        assert!(!seeds(name).is_empty(), "{name} has no seeds");
        let file = folder().join(format!("../fuzz_targets/{name}.rs"));
        let text = std::fs::read_to_string(&file).unwrap();
        assert!(text.contains(&format!("run(\"{name}\", data)")), "{}", file.display());
        assert!(
            manifest.contains(&format!("name = \"{name}\"")),
            "{name} is not in fuzz/Cargo.toml"
        );
    }
}
