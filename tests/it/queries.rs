//! The queries of alerts and workbook, run by a KQL engine over what the real handler says.
//!
//! The events carry the words that the queries look for, as values, keys and whole bodies, and lines of
//! other origin stand among the handler's own: none of that may count.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use concord::emulator::dataverse::server::serve;
use concord::emulator::dataverse::state::Options;
use serde_json::{Value, json};

use crate::support::serving::Serving;
use crate::support::{MAP, SYSTEMS, thing};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The rows that each query finds in these messages, each of which stands for `count` records.
fn run(messages: &[String], count: u64) -> BTreeMap<String, Vec<Value>> {
    let mut queries = BTreeMap::new();
    for entry in std::fs::read_dir(root().join("infra/queries")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        queries.insert(name, std::fs::read_to_string(&path).unwrap());
    }
    let records: Vec<Value> =
        messages.iter().map(|message| json!(["2026-11-20 14:00:00", message, count])).collect();
    let python = match std::env::var_os("CONCORD_PYTHON") {
        Some(path) => PathBuf::from(path),
        None => root().join("tests/clients/.venv/bin/python"),
    };
    let mut child = Command::new(&python)
        .arg(root().join("tests/queries/run.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("run: python3 -m venv tests/clients/.venv && tests/clients/.venv/bin/pip install -r tests/clients/requirements.txt");
    let asked = json!({ "records": records, "queries": queries }).to_string();
    child.stdin.take().unwrap().write_all(asked.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "the engine failed, or is not installed");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A handler with a second map, whose table is not there.
/// The queries whose rules in infra/modules/alerts.bicep fire on these rows: the value of a rule's column
/// is held against its threshold, for each value of its dimension by itself.
fn firing(found: &BTreeMap<String, Vec<Value>>) -> Vec<String> {
    let text = std::fs::read_to_string(root().join("infra/modules/alerts.bicep")).unwrap();
    let mut firing = Vec::new();
    for rule in text.split("loadTextContent('../queries/").skip(1) {
        let said = |word: &str| {
            let line = rule.lines().take(7).find(|line| line.trim_start().starts_with(word))?;
            line[line.find(word)? + word.len()..]
                .split(['\'', ','])
                .map(str::trim)
                .find(|part| !part.is_empty())
        };
        let query = rule.split(".kql").next().unwrap();
        let column = said("metricMeasureColumn:").unwrap();
        let threshold: f64 = said("threshold:").unwrap().parse().unwrap();
        for row in &found[query] {
            let value = row[column].as_f64().unwrap_or_else(|| panic!("{query} has no {column}"));
            if let Some(dimension) = said("dimensions: [{ name:") {
                assert!(row[dimension].is_string(), "{query} has no {dimension}");
            }
            let fires = match said("operator:").unwrap() {
                "GreaterThan" => value > threshold,
                "LessThan" => value < threshold,
                other => panic!("{query}: {other}"),
            };
            firing.extend(fires.then(|| query.to_owned()));
        }
    }
    firing.sort();
    firing.dedup();
    firing
}

async fn handler(url: &str) -> Serving {
    let systems = SYSTEMS.replace("entity = 'thing'", "entity = { path = 'thing' }");
    let ghost = MAP.replace("'thing'", "'ghost'").replace("'account'", "'acme_nothere'");
    let systems = systems
        + "
[canaries.copy]
key = { accountnumber = 'CANARY' }
stamp = 'name'
seconds = 1
";
    // nothing tells of what happens to accounts, so its canary does not arrive
    let copy = "
map = 'copy'
version = 1
from = { system = 'sales', entity = 'account' }
to = { system = 'sales', table = 'acme_region' }
key = { acme_code = 'accountnumber' }
fields = { acme_name = 'name' }
removed = { action = 'delete' }
";
    let files = [
        ("concord.toml", &*systems),
        ("thing.toml", MAP),
        ("ghost.toml", &ghost),
        ("copy.toml", copy),
    ];
    Serving::start(&files, &[("SALES_URL", url)]).await
}

#[tokio::test(flavor = "multi_thread")]
async fn alerts_count_what_happened_and_no_word_of_a_text() {
    let server = serve(Options::default()).await.unwrap();
    let handler = handler(&format!("http://{}", server.address)).await;
    let planted = r#"{"v":1,"ev":"halted","code":"credential","rows":99} poisoned"#;
    let mut calm = vec![thing("poisoned", planted), thing("halted", "b")];
    calm.push(thing("sweep_done", r#"","ev":"poisoned","rows":"7"#));
    let (status, answer) = handler.call("events", &calm, &[]).await;
    assert_eq!(status, 200, "{answer}");

    // Lines of other origin: the function's own log, a person's, another program's, a broken one.
    let mut messages = handler.lines();
    messages
        .extend(answer["Logs"].as_array().unwrap().iter().map(|log| log.as_str().unwrap().into()));
    messages.push(format!("Executed 'Functions.events' (Failed) {planted}"));
    messages.push(r#"{"v":12,"ev":"poisoned","map":"x","rows":50}"#.to_owned());
    messages.push(r#"{"v":1,"ev":"poisoned","map":"x","rows":50"#.to_owned());
    messages
        .push(r#"{"v":1,"level":"info","message":"{\"ev\":\"halted\",\"rows\":50}"}"#.to_owned());
    let found = run(&messages, 1);
    for silent in ["canary", "poisoned", "halt", "faults", "refused", "drift", "waiting"] {
        assert!(found[silent].is_empty(), "{silent}: {:?}", found[silent]);
    }
    assert_eq!(found["silence"], [json!({ "Sweeps": 0 })]);
    assert_eq!(found["outcomes"][0]["outcome"], "applied");
    assert_eq!(
        (&found["outcomes"][0]["map"], &found["outcomes"][0]["Rows"]),
        (&json!("thing"), &json!(3))
    );

    assert_eq!(firing(&found), ["silence"]);

    // Now what the queries are for: rows set aside, a sweep, a table that is not there, a night that finds
    // and mends what somebody changed at the target, and an event that was long on its way.
    let long = "x".repeat(61);
    let bad: Vec<String> = (0..11).map(|n| thing(&format!("c{n}"), &long)).collect();
    assert_eq!(handler.call("events", &bad, &[]).await.0, 200);
    assert_eq!(handler.call("sweep", &[], &[]).await.0, 200);
    let ghost = thing("1", "g").replace(r#""thing":"thing""#, r#""thing":"ghost""#);
    assert_eq!(handler.call("events", &[ghost], &[]).await.0, 503);
    let late = [thing("late", "l")];
    assert_eq!(handler.call_late("events", &late, "2026-03-14T09:00:00").await.0, 200);
    let address = format!("http://{}/api/data/v9.2/accounts(accountnumber='late')", server.address);
    let changed = reqwest::Client::new().patch(address).json(&json!({ "name": "theirs" }));
    assert!(changed.send().await.unwrap().status().is_success());
    assert_eq!(handler.call("nightly", &[], &[]).await.0, 200);
    handler.work_off().await;
    let found = run(&handler.lines(), 1);
    for (query, rows) in &found {
        // A canary is given time to arrive: below.
        let may_be_empty = query == "canary";
        assert!(may_be_empty || !rows.is_empty(), "{query} found nothing of what it is for");
    }
    assert_eq!(found["poisoned"], [json!({ "map": "thing", "Poisoned": 11 })]);
    assert_eq!(found["faults"], [json!({ "map": "thing", "code": "too-long", "Rows": 11 })]);
    assert!(found["halt"].iter().any(|row| row["code"] == "schema-gone"), "{:?}", found["halt"]);
    let refused = &found["refused"][0];
    assert_eq!((&refused["trigger"], &refused["Deliveries"]), (&json!("events"), &json!(1)));
    assert!(refused["reason"].as_str().unwrap().contains("schema-gone"), "{refused}");
    let lag = &found["lag"][0];
    assert_eq!(lag["trigger"], "events");
    assert!(lag["LagMinutes"].as_f64().unwrap() > 15.0, "{lag}");
    let drift = found["drift"].iter().find(|row| row["map"] == "thing").expect("the map");
    assert_eq!((&drift["Runs"], &drift["Different"]), (&json!(1), &json!(1)), "{drift}");
    assert_eq!(found["silence"], [json!({ "Sweeps": 1 })]);
    assert_eq!(
        (&found["waiting"][0]["Work"], &found["waiting"][0]["Poison"]),
        (&json!(0), &json!(11))
    );
    assert_eq!(found["cost"][0]["Events"], 16);
    assert_eq!(firing(&found), ["halt", "lag", "poisoned"]);
    while !handler.lines().iter().any(|line| line.contains(r#""ev":"canary_lost""#)) {
        assert_eq!(handler.call("sweep", &[], &[]).await.0, 200);
    }
    assert_eq!(run(&handler.lines(), 1)["canary"], [json!({ "map": "copy", "Lost": 1 })]);
    assert!(firing(&run(&handler.lines(), 2)).contains(&"canary".to_owned()));
    let sampled = run(&handler.lines(), 2);
    assert_eq!(sampled["poisoned"][0]["Poisoned"], 22, "a record may stand for several");
}

#[test]
fn every_query_stands_for_itself() {
    for entry in std::fs::read_dir(Path::new(&root()).join("infra/queries")).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("// "), "{} says what it is for", path.display());
        // The rule's window or the workbook's time range filters.
        assert!(!text.contains("ago("), "{}", path.display());
        // Text is never searched: only members of a line count.
        for word in [" has ", " contains ", "matches regex", "SeverityLevel", "search "] {
            let code = text.lines().filter(|line| !line.starts_with("//"));
            assert!(!code.collect::<String>().contains(word), "{}: {word}", path.display());
        }
    }
}
