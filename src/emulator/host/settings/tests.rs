use super::*;

fn app(function: &str) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    std::fs::write(
        root.path().join("host.json"),
        r#"{ "customHandler": { "description": { "defaultExecutablePath": "concord" } } }"#,
    )
    .unwrap();
    std::fs::create_dir(root.path().join("one")).unwrap();
    std::fs::write(root.path().join("one/function.json"), function).unwrap();
    root
}

fn refused(function: &str) -> String {
    read(app(function).path(), &BTreeMap::new()).unwrap_err().to_string()
}

#[test]
fn the_shipped_files_are_read_with_their_settings() {
    let settings = [
        ("EVENTS_HUB", "hub1"),
        ("EVENTS_CONSUMER_GROUP", "cg"),
        ("SWEEP_CRON", "0 * * * * *"),
        ("CHANGES_CRON", "0 * * * * *"),
        ("NIGHTLY_CRON", "0 0 2 * * *"),
        ("AzureWebJobs.bus.Disabled", "true"),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let app = read(Path::new(env!("CARGO_MANIFEST_DIR")), &settings).unwrap();
    let names: Vec<_> = app.functions.iter().map(|function| function.name.as_str()).collect();
    assert_eq!(names, ["changes", "events", "nightly", "sweep", "sync", "webhook", "work"]);
    assert_eq!((app.host.executable.as_str(), app.host.batch), ("concord", 256));
    assert_eq!(app.host.function_timeout, Duration::from_mins(10));
    assert_eq!((app.host.queues.parallel, app.host.queues.hidden.as_secs()), (16, 30));
    assert_eq!(app.hub(), Some(("cg", "hub1")));
    assert_eq!(app.queues().collect::<Vec<_>>(), ["concord-work"]);
    let retry = app.functions[1].retry.unwrap();
    assert_eq!(retry.most, Some(8));
    assert_eq!(
        retry.strategy,
        Strategy::Exponential(Duration::from_secs(2), Duration::from_mins(2))
    );
}

#[test]
fn staged_functions_lie_in_folders_of_the_root_and_defaults_are_the_hosts() {
    let root = app(
        r#"{ "bindings": [{ "type": "queueTrigger", "name": "m", "queueName": "q", "dataType": "binary" }] }"#,
    );
    let app = read(root.path(), &BTreeMap::new()).unwrap();
    assert_eq!(app.functions.len(), 1);
    assert_eq!((app.host.batch, app.host.queues.hidden), (100, Duration::ZERO));
}

#[test]
fn what_the_host_would_refuse_or_spoil_is_refused_with_its_reason() {
    for (binding, reason) in [
        (r#""type": "eventHubTrigger", "name": "e", "eventHubName": "h""#, "cardinality"),
        (
            r#""type": "eventHubTrigger", "name": "e", "eventHubName": "h", "cardinality": "many""#,
            "dataType",
        ),
        (r#""type": "queueTrigger", "name": "a_b", "queueName": "q", "dataType": "string""#, "a_b"),
        (r#""type": "timerTrigger", "name": "t", "schedule": "%CRON%""#, "setting CRON"),
        (r#""type": "timerTrigger", "name": "t", "schedule": "* *""#, "* *"),
        (r#""type": "blobTrigger", "name": "t""#, "blobTrigger"),
    ] {
        let found = refused(&format!(r#"{{ "bindings": [{{ {binding} }}] }}"#));
        assert!(found.contains(reason), "{found}");
    }
}

#[test]
fn a_function_that_a_setting_switches_off_is_left_out() {
    let root = app(r#"{ "bindings": [{ "type": "serviceBusTrigger", "name": "m" }] }"#);
    let off = [("AzureWebJobs.one.Disabled".to_owned(), "true".to_owned())].into();
    assert!(read(root.path(), &off).unwrap().functions.is_empty());
}
