use serde_json::json;

use super::*;
use crate::cli::doctor::finding::State;

/// What is not as it should be in the project's own files, after a change.
fn wrong(
    change: impl FnOnce(&mut Value, &mut BTreeMap<String, Value>),
) -> Vec<(String, &'static str, State)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut host = read(&root.join("host.json")).unwrap();
    let mut files: BTreeMap<String, Value> = ["events", "work", "sweep"]
        .into_iter()
        .map(|name| {
            (
                name.to_owned(),
                read(&root.join("functions").join(name).join("function.json")).unwrap(),
            )
        })
        .collect();
    change(&mut host, &mut files);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("host.json"), host.to_string()).unwrap();
    for (name, function) in files {
        std::fs::create_dir(folder.path().join(&name)).unwrap();
        std::fs::write(folder.path().join(name).join("function.json"), function.to_string())
            .unwrap();
    }
    found(folder.path())
}

fn found(root: &Path) -> Vec<(String, &'static str, State)> {
    let example =
        read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("local.settings.example.json")).unwrap();
    let values = example["Values"].as_object().unwrap();
    let maps = format!("{}/maps", env!("CARGO_MANIFEST_DIR"));
    let values =
        values.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    let settings = Settings::of(values.chain([("CONCORD_MAPS".to_owned(), maps)]));
    let (config, maps) = crate::config::load(&settings).unwrap();
    let findings = check(root, &settings, &config, &maps);
    let wrong = findings.into_iter().filter(|finding| finding.state != State::Ok);
    wrong.map(|finding| (finding.area, finding.check, finding.state)).collect()
}

fn one(area: &str, check: &'static str, state: State) -> Vec<(String, &'static str, State)> {
    vec![(area.to_owned(), check, state)]
}

#[test]
fn the_projects_own_files_are_as_they_should_be() {
    assert_eq!(wrong(|_, _| {}), []);
}

#[test]
fn every_contradiction_of_host_json_is_found() {
    type Change = fn(&mut Value);
    let cases: [(Change, &'static str, State); 9] = [
        (
            |host| {
                host["customHandler"]["description"]["defaultExecutablePath"] = json!("./concord");
            },
            "executable",
            State::Missing,
        ),
        (
            |host| host["customHandler"]["description"]["arguments"] = json!([]),
            "executable",
            State::Missing,
        ),
        (|host| host["functionTimeout"] = json!("00:02:10"), "functionTimeout", State::Missing),
        (|host| host["functionTimeout"] = json!("soon"), "functionTimeout", State::Missing),
        (
            |host| host["extensions"]["queues"]["messageEncoding"] = json!("none"),
            "queues",
            State::Missing,
        ),
        (
            |host| host["extensions"]["queues"]["visibilityTimeout"] = json!("00:00:00"),
            "queues",
            State::Warning,
        ),
        (
            |host| host["extensions"]["eventHubs"]["maxEventBatchSize"] = json!(5),
            "batch",
            State::Warning,
        ),
        (
            |host| host["extensions"]["http"]["routePrefix"] = json!(""),
            "routePrefix",
            State::Missing,
        ),
        (
            |host| host["customHandler"]["http"] = json!({ "routes": [] }),
            "forwarding",
            State::Missing,
        ),
    ];
    for (change, check, state) in cases {
        assert_eq!(wrong(|host, _| change(host)), one("host", check, state));
    }
}

#[test]
fn every_contradiction_of_a_function_is_found() {
    type Change = fn(&mut Value);
    let cases: [(&str, Change, &'static str, State); 9] = [
        (
            "events",
            |f| f["bindings"][0]["cardinality"] = json!("one"),
            "cardinality",
            State::Missing,
        ),
        ("events", |f| f["bindings"][0]["dataType"] = Value::Null, "dataType", State::Missing),
        ("events", |f| f["retry"] = Value::Null, "retry", State::Missing),
        ("events", |f| f["retry"]["maxRetryCount"] = json!(-1), "retry", State::Warning),
        ("events", |f| f["retry"]["maxRetryCount"] = json!(3), "retry", State::Warning),
        (
            "events",
            |f| f["bindings"][0]["connection"] = json!("Other"),
            "connection",
            State::Missing,
        ),
        ("sweep", |f| f["bindings"][0]["schedule"] = json!("%OTHER%"), "setting", State::Missing),
        ("sweep", |f| f["bindings"][0]["runOnStartup"] = json!(true), "trigger", State::Warning),
        ("work", |f| f["retry"] = json!({ "maxRetryCount": 3 }), "retry", State::Missing),
    ];
    for (name, change, check, state) in cases {
        let found = wrong(|_, files| change(files.get_mut(name).unwrap()));
        assert_eq!(found, one(&format!("function {name}"), check, state));
    }
}

#[test]
fn an_open_page_and_a_request_that_does_not_come_through_are_found() {
    let page = json!({ "bindings": [
        { "type": "httpTrigger", "name": "req", "direction": "in", "authLevel": "anonymous" },
        { "type": "http", "name": "res", "direction": "out" },
    ] });
    let open = page.clone();
    let found = wrong(|_, files| drop(files.insert("ops".into(), open)));
    assert_eq!(found, one("function ops", "authLevel", State::Missing));
    let mut closed = page;
    closed["bindings"][0]["authLevel"] = json!("function");
    let found = wrong(|host, files| {
        host["customHandler"]["enableProxyingHttpRequest"] = json!(false);
        files.insert("ops".into(), closed);
    });
    assert_eq!(found, one("host", "forwarding", State::Missing));
}

#[test]
fn files_that_are_missing_or_broken_are_told() {
    let folder = tempfile::tempdir().unwrap();
    assert_eq!(found(folder.path()), one("host", "host.json", State::Missing));
    std::fs::write(folder.path().join("host.json"), "{").unwrap();
    assert_eq!(found(folder.path()), one("host", "host.json", State::Missing));
    assert_eq!(wrong(|_, files| files.clear()), one("host", "functions", State::Missing));
}

#[test]
fn spans_of_time_are_read_as_the_host_reads_them() {
    assert_eq!(time("00:10:00"), Some(Duration::from_mins(10)));
    assert_eq!(time("1.02:00:05"), Some(Duration::from_secs(26 * 3_600 + 5)));
    for wrong in ["", "10", "00:10", "a:b:c", "00:00:00:00"] {
        assert_eq!(time(wrong), None, "{wrong}");
    }
}
