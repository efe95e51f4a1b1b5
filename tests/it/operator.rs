//! The operator's commands as they are typed: the real program, storage in a folder, and an emulated
//! Dataverse environment.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord::app::App;
use concord::config::Settings;
use concord::delivery::{Attempt, Delivery, Event, Origin};
use concord::emulator::dataverse::server::{Server, serve};
use concord::emulator::dataverse::state::Options;
use serde_json::Value;
use tempfile::TempDir;

const SYSTEMS: &str = r#"
[systems.mdm]
kind = "cluedin"
[systems.sales]
kind = "dataverse"
url = "${SALES_URL}"
auth = "none"
"#;

const MAP: &str = r#"
map = "customer"
version = 1
from = { system = "mdm", entity = "/Customer" }
to = { system = "sales", table = "account" }
secured = ["telephone1"]
[key]
accountnumber = { from = "number" }
[fields]
name = { from = "Name", max = 160 }
telephone1 = { from = "phone", max = 50 }
accountcategorycode = { from = "segment", values = { Key = 1 }, integer = true }
[removed]
action = "hold"
hours = 24
then = "deactivate"
state = 1
status = 2
"#;

/// One installation: maps, storage and a target.
struct Site {
    folder: TempDir,
    server: Option<Server>,
    url: String,
}

/// What a command came to.
struct Ran {
    code: i32,
    out: String,
    notes: String,
}

impl Ran {
    fn json(&self) -> Value {
        serde_json::from_str(&self.out)
            .unwrap_or_else(|error| panic!("{error}: {} {}", self.out, self.notes))
    }
}

impl Site {
    async fn open() -> Self {
        let server = serve(Options { port: 0, ..Options::default() }).await.unwrap();
        let url = format!("http://{}", server.address);
        let folder = tempfile::tempdir().unwrap();
        let site = Self { folder, server: Some(server), url };
        site.write("concord.toml", SYSTEMS);
        site.write("customer.toml", MAP);
        site
    }

    fn write(&self, name: &str, text: &str) {
        let maps = self.folder.path().join("maps");
        std::fs::create_dir_all(&maps).unwrap();
        std::fs::write(maps.join(name), text).unwrap();
    }

    fn settings(&self) -> Vec<(&'static str, String)> {
        let path = |name: &str| self.folder.path().join(name).display().to_string();
        vec![
            ("CONCORD_MAPS", path("maps")),
            ("CONCORD_STORAGE", format!("local:{}", path("storage"))),
            ("SALES_URL", self.url.clone()),
        ]
    }

    /// Takes events through the path, as the handler would.
    async fn deliver(&self, bodies: &[String]) {
        let app = App::open(&Settings::of(self.settings())).await.unwrap();
        let event = |body: &String| Event {
            body: Bytes::from(body.clone()),
            origin: Origin { received: Some(app.clock.now()), ..Origin::default() },
            ..Event::default()
        };
        let delivery = Delivery {
            system: Arc::from("mdm"),
            function: Arc::from("events"),
            invocation: "test".into(),
            traceparent: None,
            attempt: Attempt { count: 0, last: true },
            within: Duration::from_mins(1),
            events: bodies.iter().map(event).collect(),
        };
        app.pipeline.run(&delivery).await;
    }

    async fn run(&self, arguments: &[&str]) -> Ran {
        self.run_with(arguments, &self.settings()).await
    }

    async fn run_with(&self, arguments: &[&str], settings: &[(&str, String)]) -> Ran {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_concord"))
            .args(arguments)
            .env_clear()
            .envs(settings.iter().map(|(name, value)| (name, value)))
            .output()
            .await
            .unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Ran {
            code: output.status.code().unwrap(),
            out: text(output.stdout),
            notes: text(output.stderr),
        }
    }

    /// The records in this state.
    async fn records(&self, status: &str) -> Vec<Value> {
        let listed = self.run(&["poison", "list", "--status", status, "--json"]).await;
        assert_eq!(listed.code, 0, "{}", listed.notes);
        listed.json().as_array().unwrap().clone()
    }
}

fn customer(number: &str, segment: &str) -> String {
    format!(
        r#"{{"TimeStamp":"2026-03-14T09:15:02+00:00","VersionChangeType":"Added","Data":{{"Id":"id-{number}","EntityType":"/Customer","Name":"Acme","number":"{number}","phone":"+45 1234","segment":"{segment}"}}}}"#
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn with_roles_a_storage_key_looks_at_nothing_and_does_nothing() {
    let site = Site::open().await;
    let roles = "[roles]\nviewer = ['7']\noperator = ['8']\napprover = ['9']\n";
    site.write("concord.toml", &format!("{SYSTEMS}{roles}"));
    let mut settings = site.settings();
    settings.retain(|(name, _)| *name != "CONCORD_STORAGE");
    settings.push(("CONCORD_STORAGE", "UseDevelopmentStorage=true".to_owned()));
    let lines = [
        "poison list",
        "poison retry --all",
        "parked list",
        "pause customer --why x",
        "resume customer --replay --yes",
        "holds list",
        "holds approve customer --why x",
        "explain --map customer --key 1",
        "plan --from-source",
        "reconcile --full --repair",
        "reconcile list",
        "digest --print",
        "audit list",
        "audit check",
        "webhook register --url https://app.example.com",
        "webhook remove",
    ];
    for line in lines {
        let ran = site.run_with(&line.split(' ').collect::<Vec<_>>(), &settings).await;
        assert_eq!(ran.code, 1, "{line}");
        assert!(ran.notes.contains("a storage key is nobody"), "{line}: {}", ran.notes);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_row_lands_with_one_command_once_its_map_is_mended() {
    let site = Site::open().await;
    site.deliver(&[customer("1", "Key"), customer("2", "Standard")]).await;
    let open = site.records("open").await;
    assert_eq!(open.len(), 1, "{open:#?}");
    assert_eq!((&open[0]["code"], &open[0]["key"]), (&"value-unknown".into(), &"2".into()));

    let still = site.run(&["poison", "retry", "--all"]).await;
    assert_eq!(still.code, 1);
    assert!(still.out.contains("still open: value-unknown"), "{}", still.out);
    let open = site.records("open").await;
    assert_eq!((open.len(), &open[0]["attempts"]), (1, &2.into()));

    site.write("customer.toml", &MAP.replace("{ Key = 1 }", "{ Key = 1, Standard = 2 }"));
    let preview = ["poison", "retry", "--code", "value-unknown", "--preview", "--json"];
    let preview = site.run(&preview).await;
    let would = preview.json();
    assert_eq!((preview.code, &would[0]["lands"]), (0, &true.into()), "{would:#}");
    assert_eq!(would[0]["changes"][0]["maps"][0]["decision"], "write");
    assert_eq!(site.records("open").await.len(), 1, "a preview changes nothing");
    let unwritten = site.run(&["explain", "--map", "customer", "--key", "2"]).await;
    assert_eq!(unwritten.code, 1, "a preview writes nothing: {}", unwritten.out);

    let landed = site.run(&["poison", "retry", "--all"]).await;
    assert_eq!(landed.code, 0, "{}", landed.notes);
    assert!(landed.out.ends_with("  2  applied\n"), "{}", landed.out);
    assert!(site.records("open").await.is_empty());
    assert_eq!(site.records("resolved").await.len(), 1);
    let id = open[0]["id"].as_str().unwrap();
    let again = site.run(&["poison", "retry", &id["customer.".len()..][..6]]).await;
    assert_eq!((again.code, again.out.ends_with("unchanged\n")), (0, true), "{}", again.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_leads_to_its_page_its_original_and_its_row() {
    let site = Site::open().await;
    site.deliver(&[customer("7", "Key")]).await;
    let bad = customer("7", "None").replace("09:15:02", "09:16:00");
    site.deliver(std::slice::from_ref(&bad)).await;
    let id = site.records("open").await[0]["id"].as_str().unwrap().to_owned();
    let shown = site.run(&["poison", "show", &id]).await.out;
    for expected in ["status       open", "\n# value-unknown\n", "key          7", "it is there"] {
        assert!(shown.contains(expected), "{expected}: {shown}");
    }
    let link = format!("{}/main.aspx?pagetype=entityrecord&etn=account&id=", site.url);
    assert!(shown.contains(&link), "{shown}");
    let original = site.run(&["poison", "show", &id, "--original"]).await;
    assert_eq!((original.out, original.notes.as_str()), (bad, ""));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_event_goes_on_under_its_own_record() {
    let site = Site::open().await;
    let bad = customer("1", "Standard");
    site.deliver(std::slice::from_ref(&bad)).await;
    let id = site.records("open").await[0]["id"].as_str().unwrap().to_owned();
    let body = site.folder.path().join("body.json");
    let edit = async |text: &str| {
        std::fs::write(&body, text).unwrap();
        site.run(&["poison", "edit", &id, "--body", body.to_str().unwrap()]).await
    };
    assert_eq!(edit(" \n").await.code, 1);
    assert_eq!(edit(&bad).await.code, 1);
    assert_eq!(edit(&customer("1", "Odd")).await.code, 0);
    assert_eq!(site.run(&["poison", "retry", &id]).await.code, 1);
    let all = site.records("all").await;
    assert_eq!((all.len(), &all[0]["attempts"]), (1, &2.into()), "{all:#?}");

    let several = format!("[{},{}]", customer("5", "Odd"), customer("6", "Odd"));
    assert_eq!(edit(&several).await.code, 0);
    assert_eq!(site.run(&["poison", "retry", &id]).await.code, 1);
    let mut keys: Vec<_> =
        site.records("open").await.iter().map(|one| one["key"].clone()).collect();
    keys.sort_by_key(ToString::to_string);
    assert_eq!(keys, ["1", "5", "6"], "each of several changes is a matter of its own");

    assert_eq!(edit(&customer("1", "Key")).await.code, 0);
    assert_eq!(site.run(&["poison", "retry", &id]).await.code, 0);
    assert_eq!(site.records("resolved").await.len(), 1);
    assert_eq!(site.run(&["poison", "show", &id, "--original"]).await.out, bad);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_map_could_read_is_found_and_put_away() {
    let site = Site::open().await;
    site.deliver(&["{\"broken\"".to_owned(), customer("2", "Odd")]).await;
    let lines = site.run(&["poison", "list", "--map", "@mdm"]).await.out;
    let id = lines.lines().nth(1).unwrap().split(' ').next().unwrap().to_owned();
    assert!(id.starts_with("@mdm.") && lines.contains("malformed-event"), "{lines}");
    assert_eq!(site.run(&["poison", "retry", &id]).await.code, 1);
    let dismissed = site.run(&["poison", "dismiss", &id, "--note", "a test of the source"]).await;
    assert_eq!(dismissed.code, 0, "{}", dismissed.notes);
    assert_eq!(site.records("open").await.len(), 1);
    assert_eq!(site.records("dismissed").await[0]["note"], "a test of the source");
    let told = site.run(&["audit", "list", "--verb", "dismiss", "--json"]).await.json();
    assert!(told[0]["subject"].as_str().unwrap().starts_with(&id), "{told:#}");
    assert_eq!(told[0]["why"], "a test of the source");
    for nothing in [&["--key", "3"][..], &["--since", "1s", "--code", "too-long"]] {
        let listed = [&["poison", "list", "--json"][..], nothing].concat();
        assert_eq!(site.run(&listed).await.json(), Value::Array(vec![]));
    }
    assert_eq!(site.run(&["poison", "show", "0000"]).await.code, 1);
    assert_eq!(site.run(&["poison", "retry"]).await.code, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_given_to_people_and_found_by_word_and_day() {
    let site = Site::open().await;
    site.deliver(&[customer("1", "Odd"), customer("2", "Odd")]).await;
    let id = site.records("open").await[0]["id"].as_str().unwrap().to_owned();
    for tended in [
        &["assign", &id, "--to", "ann@acme.example"][..],
        &["tag", &id, "--add", "source:erp", "--add", "later"],
        &["tag", &id, "--remove", "later"],
        &["due", &id, "--by", "2026-03-20"],
    ] {
        let ran = site.run(&[&["poison"][..], tended].concat()).await;
        assert_eq!(ran.code, 0, "{tended:?} {}", ran.notes);
    }
    let count = async |filter: &[&str]| {
        let listed = site.run(&[&["poison", "list", "--json"][..], filter].concat()).await;
        listed.json().as_array().unwrap().len()
    };
    assert_eq!(count(&["--assignee", "Ann@acme.example", "--tag", "source:erp"]).await, 1);
    assert_eq!((count(&["--assignee", ""]).await, count(&["--tag", "later"]).await), (1, 0));
    assert_eq!(
        (count(&["--due", "2026-03-19"]).await, count(&["--due", "2026-03-20"]).await),
        (0, 1)
    );
    assert_eq!(site.run(&["poison", "retry", &id, "--why", "again"]).await.code, 1);
    let kept = site.run(&["poison", "show", &id]).await.out;
    assert!(kept.contains("given to ann@acme.example, due 2026-03-20, #source:erp"), "{kept}");
    let told = site.run(&["audit", "list"]).await;
    let verbs: Vec<_> = told.out.lines().filter(|line| line.contains(&id)).collect();
    assert_eq!(verbs.len(), 5, "{}", told.out);
    assert!(told.out.contains("again"), "{}", told.out);
    let checked = site.run(&["audit", "check"]).await;
    assert_eq!((checked.code, checked.out.starts_with("5 entries")), (0, true), "{}", checked.out);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_is_away_leaves_the_record_and_its_reason_alone() {
    let mut site = Site::open().await;
    site.deliver(&[customer("1", "Odd")]).await;
    site.write("customer.toml", &MAP.replace("Key = 1", "Odd = 1"));
    let before = site.records("open").await;
    site.server.take().unwrap().stop().await;
    let id = before[0]["id"].as_str().unwrap();
    let tried = site.run(&["poison", "retry", id, "--json"]).await;
    assert_eq!((tried.code, &tried.json()[0]["landed"]), (1, &false.into()), "{}", tried.out);
    assert_eq!(site.records("open").await, before);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_is_explained_with_and_without_a_ledger() {
    let site = Site::open().await;
    let file = site.folder.path().join("events.jsonl");
    let events = [customer("1", "Key"), customer("2", "Odd"), "{\"broken\"".to_owned()];
    std::fs::write(&file, events.join("\n")).unwrap();
    let explain = ["explain", "--event", file.to_str().unwrap(), "--json"];
    let mut settings = site.settings();
    settings.retain(|(name, _)| *name != "CONCORD_STORAGE");
    let told = site.run_with(&explain, &settings).await;
    let told = told.json();
    let map = &told[0]["maps"][0];
    assert_eq!(
        (&map["row"]["key"]["accountnumber"], &map["decision"]),
        (&"1".into(), &Value::Null)
    );
    assert_eq!(told[1]["maps"][0]["fault"]["code"], "value-unknown");
    assert_eq!(told[2]["fault"]["code"], "malformed-event");
    assert!(!told.to_string().contains("1234"), "a secured value shows: {told:#}");

    site.deliver(&[customer("1", "Key")]).await;
    let told = site.run(&explain).await.json();
    assert_eq!(told[0]["maps"][0]["decision"], "unchanged");
    let entry = site.run(&["explain", "--map", "customer", "--key", "1", "--json"]).await;
    let applied = &entry.json()["entry"]["applied"];
    assert_eq!(applied["map"], 1, "{applied:#}");
    assert!(applied.to_string().contains("Acme") && !applied.to_string().contains("1234"));
    let text = site.run(&explain[..3]).await.out;
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_maps_give_all_problems_at_once() {
    let mut site = Site::open().await;
    assert_eq!(site.run(&["check"]).await.code, 0);
    site.write("a.toml", &MAP.replace("\"customer\"", "\"a\"").replace("max = 160", "maxx = 160"));
    let b = MAP.replace("\"customer\"", "\"b\"").replace("telephone1", "telefone1");
    site.write("b.toml", &b.replace("accountnumber", "name2"));
    let found = problems(&site.run(&["check", "--json"]).await);
    for expected in [
        ("a.toml", 10, "key-unknown-in-file"),
        ("b.toml", 8, "column-unknown"),
        ("b.toml", 11, "column-unknown"),
    ] {
        let (file, line, rule) = expected;
        let there = found.iter().any(|(one, at, _)| one == file && *at == line);
        assert!(there, "{rule} of {file}:{line} is missing: {found:#?}");
    }
    let text = site.run(&["check"]).await;
    assert_eq!(text.code, 1);
    assert!(text.out.contains("did you mean `telephone1`?"), "{}", text.out);

    site.server.take().unwrap().stop().await;
    let away = site.run(&["check", "--json"]).await;
    assert_eq!(away.code, 2);
    assert!(away.notes.contains("sales could not be asked"), "{}", away.notes);
    assert!(problems(&away).iter().any(|(file, line, _)| file == "a.toml" && *line == 10));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_saved_copy_checks_maps_where_no_target_can_be_reached() {
    let mut site = Site::open().await;
    site.write("customer.toml", &MAP.replace("name = {", "nam = {"));
    site.write("concord.toml", &format!("{SYSTEMS}tables = \"sales.json\"\n"));
    let live = site.run(&["check", "--save", "--json"]).await;
    assert_eq!(live.code, 1, "{}", live.notes);
    assert!(Path::new(&site.folder.path().join("maps/sales.json")).exists(), "{}", live.notes);
    site.server.take().unwrap().stop().await;
    let offline = site.run(&["check", "--offline", "--json"]).await;
    assert_eq!((offline.code, problems(&offline)), (1, problems(&live)), "{}", offline.notes);
    let lookup = "parentaccountid = { from = \"parent\", lookup = \"contact.emailaddress1\" }";
    site.write("customer.toml", &MAP.replace("[fields]", &format!("[fields]\n{lookup}")));
    let incomplete = site.run(&["check", "--offline"]).await;
    assert_eq!(incomplete.code, 2);
    assert!(incomplete.notes.contains("does not hold contact"), "{}", incomplete.notes);
}

#[tokio::test(flavor = "multi_thread")]
async fn editors_are_told_what_both_files_may_hold() {
    let site = Site::open().await;
    let schema = site.run_with(&["check", "--schema"], &[]).await;
    let schema = schema.json();
    assert!(schema["map"]["properties"]["fields"].is_object());
    assert!(schema["concord"]["properties"]["systems"].is_object());
}

/// File, line and rule of every problem.
fn problems(ran: &Ran) -> Vec<(String, u64, String)> {
    let name = |file: &str| file.rsplit('/').next().unwrap().to_owned();
    let all = ran.json();
    let one = |problem: &Value| {
        let text = |key: &str| problem[key].as_str().unwrap().to_owned();
        (name(&text("file")), problem["line"].as_u64().unwrap(), text("rule"))
    };
    all.as_array().unwrap().iter().map(one).collect()
}
