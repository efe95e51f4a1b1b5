use std::fs;

use super::*;

const SYSTEMS: &str = r#"
[systems.mdm]
kind = "cluedin"
[systems.sales]
kind = "dataverse"
url = "${SALES_URL}"
auth = "none"
"#;

const MAP: &str = r#"
map = "m"
version = 1
from = { system = "mdm", entity = "/Customer" }
to = { system = "sales", table = "account" }
key = { accountnumber = { code = "SAP" } }
"#;

fn load_from(
    files: &[(&str, &str)],
    settings: &[(&str, &str)],
) -> Result<(Config, Maps), Vec<Problem>> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(name), text).unwrap();
    }
    let maps = folder.path().display().to_string();
    let settings = settings.iter().copied().chain([("CONCORD_MAPS", maps.as_str())]);
    load(&Settings::of(settings))
}

const URL: (&str, &str) = ("SALES_URL", "http://127.0.0.1:7101");

/// File, line and rule of every problem.
fn wrong(files: &[(&str, &str)]) -> Vec<(String, usize, &'static str)> {
    let problems = load_from(files, &[URL]).unwrap_err();
    let name = |file: &str| file.rsplit('/').next().unwrap_or_default().to_owned();
    let mut all: Vec<_> =
        problems.iter().map(|problem| (name(&problem.file), problem.line, problem.rule)).collect();
    all.sort();
    all
}

#[test]
fn a_folder_becomes_configuration_and_maps() {
    let (config, maps) = load_from(&[("concord.toml", SYSTEMS), ("m.toml", MAP)], &[URL]).unwrap();
    let Target::Dataverse(sales, credential) = &config.targets["sales"];
    assert_eq!((sales.url.as_str(), credential.is_none()), (URL.1, true));
    assert_eq!(config.source_of("events").as_deref(), Some("mdm"));
    assert!(maps.get("m").is_some());
    assert_eq!((config.ledger.buckets, config.ledger.cache), (4, 30_000));
}

#[test]
fn every_section_is_read() {
    let text = format!(
        "{SYSTEMS}\nparallel = 4\nchunk = 10\nlongest = 60\ntag = true\n[systems.other]\nkind = \"cloudevents\"\n[functions]\nevents = \"other\"\n[ledger]\nbuckets = 3\n[limits]\ndeadline_seconds = 60\nbody_mib = 2\n[defaults]\ntrim = true\nnull = \"omit\"\nremoved = {{ action = \"delete\" }}\n"
    );
    let (config, maps) = load_from(&[("concord.toml", &text), ("m.toml", MAP)], &[URL]).unwrap();
    let Target::Dataverse(sales, _) = &config.targets["sales"];
    assert_eq!(
        (sales.parallel, sales.chunk, sales.longest.as_secs(), sales.tag),
        (4, 10, 60, true)
    );
    assert_eq!(config.source_of("events").as_deref(), Some("other"));
    assert_eq!(config.source_of("bus"), None);
    assert_eq!((config.ledger.buckets, config.limits.answer_within.as_secs()), (3, 60));
    assert_eq!(config.limits.body_limit, 2 * 1024 * 1024);
    assert!(config.defaults.trim);
    let removed = maps.get("m").unwrap().removed;
    assert_eq!(removed, crate::mapping::RemovalPolicy::Now(crate::row::Removal::Delete));
}

#[test]
fn an_identity_is_the_apps_own_on_azure_and_never_shown_to_this_machine() {
    let asks = |url: &str, more: &[(&str, &str)]| {
        let text = SYSTEMS.replace("auth = \"none\"", "auth = \"identity\"");
        let settings = [&[("SALES_URL", url)], more].concat();
        let (config, _) =
            load_from(&[("concord.toml", &text), ("m.toml", MAP)], &settings).unwrap();
        let Target::Dataverse(_, credential) = &config.targets["sales"];
        credential.as_ref().map(ToString::to_string)
    };
    let (azure, away) = (("IDENTITY_ENDPOINT", "http://x"), "https://acme.crm4.dynamics.com");
    assert_eq!(asks("http://127.0.0.1:7101", &[azure]), None);
    assert_eq!(asks(away, &[azure]).as_deref(), Some("system-assigned managed identity"));
    let named = asks(away, &[azure, ("AZURE_CLIENT_ID", "c")]);
    assert_eq!(named.as_deref(), Some("user-assigned managed identity"));
    assert_eq!(asks(away, &[]).as_deref(), Some("developer tools sign-in"));
}

#[test]
fn everything_that_is_wrong_in_all_files_is_told_at_once() {
    let text = r#"
[systems.mdm]
kind = "cludein"
[systems.a]
kind = "dataverse"
urll = "x"
parallel = "many"
[systems.b]
kind = "dataverse"
url = "https://org.example.com"
auth = "none"
[systems.c]
kind = "dataverse"
url = "${NOBODY_SET_THIS}"
auth = "secret"
tenant = "t"
[systems.d]
kind = "events"
[functions]
events = "mdmm"
[ledger]
buckets = 100
[limits]
deadline_seconds = 1
[nonsense]
"#;
    let map = MAP.replace("\"sales\"", "\"d\"").replace("version = 1", "versions = 1");
    let found = wrong(&[("concord.toml", text), ("m.toml", &map), ("n.toml", "map = ")]);
    for expected in [
        ("concord.toml", 3, "unknown-word"),
        ("concord.toml", 4, "key-missing-in-file"),
        ("concord.toml", 6, "unknown-key"),
        ("concord.toml", 7, "wrong-type"),
        ("concord.toml", 10, "url"),
        ("concord.toml", 14, "setting-missing"),
        ("concord.toml", 15, "auth-incomplete"),
        ("concord.toml", 17, "decoding"),
        ("concord.toml", 20, "system-unknown"),
        ("concord.toml", 22, "range"),
        ("concord.toml", 24, "range"),
        ("concord.toml", 25, "unknown-key"),
        ("m.toml", 1, "key-missing-in-file"),
        ("m.toml", 3, "unknown-key"),
        ("m.toml", 5, "system-kind"),
        ("n.toml", 1, "toml"),
    ] {
        let expected = (expected.0.to_owned(), expected.1, expected.2);
        assert!(found.contains(&expected), "{expected:?} is not in {found:#?}");
    }
}

#[test]
fn a_missing_configuration_is_a_problem_and_not_a_default() {
    let found = wrong(&[("m.toml", MAP)]);
    assert!(found.contains(&("concord.toml".to_owned(), 1, "file-unreadable")), "{found:?}");
}

#[test]
fn maps_of_one_name_are_versions_with_separate_payloads() {
    let with = |schema: &str| {
        MAP.replace("\"/Customer\"", &format!("\"/Customer\", schema = \"{schema}\""))
    };
    let (one, two) = (with("<2"), with(">=2"));
    let files = [("concord.toml", SYSTEMS), ("a.toml", one.as_str()), ("b.toml", two.as_str())];
    assert!(load_from(&files, &[URL]).is_ok());
    let files = [("concord.toml", SYSTEMS), ("a.toml", MAP), ("b.toml", two.as_str())];
    assert_eq!(wrong(&files), [("b.toml".to_owned(), 2, "map-twice")]);
}

#[test]
fn a_secret_of_the_settings_is_never_shown() {
    let text = format!(
        "{SYSTEMS}\n[systems.c]\nkind = \"dataverse\"\nurl = \"https://a.example.com\"\nauth = \"secret\"\ntenant = \"t\"\nclient_id = \"i\"\nclient_secret = \"${{SECRET}}\"\nparallel = \"${{SECRET}}\"\n"
    );
    let problems =
        load_from(&[("concord.toml", &text)], &[URL, ("SECRET", "hunter2")]).unwrap_err();
    assert_eq!(problems.len(), 1, "{problems:#?}");
    assert!(!problems[0].to_string().contains("hunter2"));
    let fine = text.replace("parallel = \"${SECRET}\"\n", "");
    let (config, _) = load_from(&[("concord.toml", &fine)], &[URL, ("SECRET", "hunter2")]).unwrap();
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn editors_are_told_of_every_key_with_its_help() {
    let (map, configuration) = json_schema();
    let parts = &map["$defs"]["Parts"]["properties"];
    assert!(parts["country"]["description"].as_str().unwrap().contains("ISO 3166"));
    assert_eq!(map["additionalProperties"], false);
    let required: Vec<&str> =
        map["required"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    assert_eq!(required, ["map", "version", "from", "to", "key"]);
    assert!(configuration["$defs"]["Dataverse"]["properties"]["auth"].is_object());
    assert!(configuration["properties"]["defaults"].is_object());
}
