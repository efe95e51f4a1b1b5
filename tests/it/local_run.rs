//! `concord dev` as a newcomer starts it: the real program, its real files, real HTTP between all parts.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;

/// The project's folder as it is.
const PROJECT: &str = env!("CARGO_MANIFEST_DIR");

fn dev(root: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_concord"))
        .args(["dev", "--once", "--json", "--root"])
        .arg(root)
        .args(arguments)
        .output()
        .unwrap()
}

/// A copy of the project whose claims end after ten seconds instead of minutes, so that the sweep may
/// finish interrupted writes while a test waits.
fn impatient() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    let files = [
        "host.json",
        "local.settings.example.json",
        "samples/schema.toml",
        "maps/sales-account.toml",
        "maps/finance-debtor.toml",
        "maps/logistics-deliverypoint.toml",
        "maps/vocabularies/countries.csv",
        "functions/events/function.json",
        "functions/sweep/function.json",
        "functions/work/function.json",
    ];
    for file in files {
        let to = copy.path().join(file);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::copy(Path::new(PROJECT).join(file), to).unwrap();
    }
    let shipped = std::fs::read_to_string(Path::new(PROJECT).join("maps/concord.toml")).unwrap();
    let systems = shipped.replace("\nauth = ", "\nlongest = 1\nauth = ");
    let limits = "\n[limits]\ndeadline_seconds = 5\n";
    std::fs::write(copy.path().join("maps/concord.toml"), systems + limits).unwrap();
    copy
}

fn report(output: &Output) -> Value {
    let words = String::from_utf8_lossy(&output.stderr);
    let report = serde_json::from_slice(&output.stdout);
    report.unwrap_or_else(|error| panic!("{error}: {words}"))
}

#[test]
fn the_shipped_input_ends_as_the_model_says() {
    let output = dev(Path::new(PROJECT), &["--organisations", "600"]);
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
    let project = impatient();
    let waits = ["--rest", "11", "--pace", "10"];
    let input = ["--organisations", "300", "--seed", "5", "--faults", faults];
    let output = dev(project.path(), &[waits.as_slice(), &input].concat());
    let report = report(&output);
    assert_eq!(report["check"]["right"], true, "{report:#}");
    assert_eq!((&report["lost"], &report["waiting"]), (&0.into(), &0.into()), "{report:#}");
}

#[test]
fn own_events_go_through_the_shipped_maps() {
    let file = format!("{PROJECT}/samples/organisations.jsonl");
    let output = dev(Path::new(PROJECT), &["--input", &file]);
    let report = report(&output);
    assert_eq!(report["events"], 5);
    assert_eq!(report["poisoned"]["inconvertible"], 2, "{report:#}");
    assert_eq!(report["poisoned"]["value-unknown"], 1, "{report:#}");
    assert!(output.status.success(), "{report:#}");
}

#[test]
fn a_night_mends_what_lost_webhooks_left_and_touches_no_column_of_the_other_side() {
    let output = dev(
        Path::new(PROJECT),
        &["--scenario", "environments", "--organisations", "150", "--seed", "4"],
    );
    let report = report(&output);
    assert!(output.status.success() && report["ok"] == true, "{report:#}");
    assert!(report["webhooks"]["lost"].as_u64() > Some(0), "{report:#}");
    let wrong = |when: &str| {
        ["hotels", "rooms"].map(|side| report[when][side]["wrong_rows"].as_u64().unwrap())
    };
    assert!(wrong("before").iter().sum::<u64>() > 0, "{report:#}");
    assert_eq!(wrong("after"), [0, 0]);
    assert!(report["own"]["filled"].as_u64() > Some(0), "{report:#}");
    assert_eq!(report["own"]["filled"], report["own"]["kept"]);
}
