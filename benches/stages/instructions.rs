//! How many instructions a stage takes, which no other load on the machine changes: this program under
//! callgrind, with the stage run a few times and a few times more; the difference is the stage's.

use std::hint::black_box;
use std::process::Command;

use crate::path::{BATCH, Path, STAGES};

/// How often a stage is run in the two measurements.
const FEW: u64 = 2;
const MORE: u64 = 12;

/// Runs a stage so often: what callgrind looks at.
pub(crate) fn once(name: &str, times: u64) {
    let path = Path::new();
    let (_, run) = STAGES.into_iter().find(|(other, _)| *other == name).unwrap();
    for _ in 0..times {
        black_box(run(&path));
    }
}

/// Prints the instructions of every stage per event.
pub(crate) fn table() {
    println!("| stage | instructions an event |\n| --- | ---: |");
    for (name, _) in STAGES {
        match (counted(name, FEW), counted(name, MORE)) {
            (Some(few), Some(more)) => {
                let each = (more - few) / (MORE - FEW) / BATCH as u64;
                println!("| {name} | {each} |");
            }
            _ => println!("| {name} | valgrind is not installed |"),
        }
    }
}

fn counted(name: &str, times: u64) -> Option<u64> {
    let program = std::env::current_exe().unwrap();
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["--once", name, &times.to_string()])
        .output()
        .ok()?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let line = said.lines().find(|line| line.contains("Collected :"))?;
    line.rsplit(": ").next()?.trim().parse().ok()
}
