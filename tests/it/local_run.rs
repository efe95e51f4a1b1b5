//! `concord dev` as a newcomer starts it: the real program, its real files, real HTTP between all parts.

use std::process::{Command, Output};

use serde_json::Value;

fn dev(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_concord"))
        .args(["dev", "--root", env!("CARGO_MANIFEST_DIR"), "--once", "--json"])
        .args(arguments)
        .output()
        .unwrap()
}

fn report(output: &Output) -> Value {
    let words = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout);
    report.unwrap_or_else(|error| panic!("{error}: {words}"))
}

#[test]
fn the_shipped_input_ends_as_the_model_says() {
    let output = dev(&["--organisations", "600"]);
    let report = report(&output);
    assert_eq!(report["check"]["right"], true, "{report:#}");
    assert!(output.status.success() && report["ok"] == true, "{report:#}");
    let counted = ["applied", "unchanged", "superseded"].map(|word| report["rows"][word].as_u64());
    assert!(counted.into_iter().flatten().sum::<u64>() > 1_500, "{report:#}");
    assert!(report["storage_operations"].as_u64() > Some(0), "{report:#}");
}

#[test]
fn faults_of_the_targets_change_nothing_in_the_end() {
    let faults = "429:0.05@1s,deadlock:0.03,lost:0.02,cut:0.02,500-before:0.03";
    let output =
        dev(&["--organisations", "600", "--seed", "5", "--faults", faults, "--pace", "10"]);
    let report = report(&output);
    assert_eq!(report["check"]["right"], true, "{report:#}");
    assert_eq!((&report["lost"], &report["waiting"]), (&0.into(), &0.into()), "{report:#}");
}

#[test]
fn own_events_go_through_the_shipped_maps() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/organisations.jsonl");
    let output = dev(&["--input", file]);
    let report = report(&output);
    assert_eq!(report["events"], 5);
    assert_eq!(report["poisoned"]["inconvertible"], 2, "{report:#}");
    assert_eq!(report["poisoned"]["value-unknown"], 1, "{report:#}");
    assert!(output.status.success(), "{report:#}");
}
