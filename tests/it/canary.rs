//! Canaries: a stamp is written at one end and looked for at the other, by whichever instance comes, and
//! what does not arrive is said.

use std::time::Duration;

use concord::app::App;
use concord::canary::{Became, Flight, History};
use concord::config::Settings;
use concord::control::Pause;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::support::azurite;
use crate::support::twins::Twins;
use crate::twin::regions;

const CANARY: &str = "
[canaries.regions-one]
key = { acme_code = 'CANARY' }
stamp = 'acme_name'
seconds = 1
";

const ALWAYS: (Timestamp, Timestamp) = (Timestamp::UNIX_EPOCH, Timestamp::MAX);

async fn start(more: &str, map: String) -> Twins {
    let twins = Twins::start(&format!("read = 'fetch'\ntag = true\n{CANARY}{more}"), &[map]).await;
    twins.register().await;
    twins
}

/// Two environments without webhooks: change tracking is asked by hand.
async fn tracked() -> Twins {
    let read = format!("changes = true\ntag = true\n{CANARY}");
    Twins::start(&read, &[regions("one", "two")]).await
}

/// `concord canary`, as an operator calls it.
async fn command(twins: &Twins, arguments: &[&str]) -> (i32, Value) {
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_concord"))
        .arg("canary")
        .args(arguments)
        .arg("--json")
        .envs(twins.settings.iter().cloned())
        .output()
        .await
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| json!(told));
    (output.status.code().unwrap(), told)
}

async fn flights(app: &App) -> Vec<Flight> {
    app.canaries.logbook().flights("regions-one", ALWAYS).await.unwrap()
}

#[tokio::test]
async fn the_command_stamps_a_row_and_sees_it_arrive_by_webhook() {
    let twins = start("", regions("one", "two")).await;
    let (code, told) = command(&twins, &[]).await;
    assert_eq!(code, 0, "{told}");
    assert_eq!((&told[0]["map"], &told[0]["flights"]), (&json!("regions-one"), &json!(1)));
    let lag = told[0]["last"]["lag_ms"].as_u64().unwrap();
    assert!(lag > 0 && told[0]["p50_ms"] == lag && told[0]["p95_ms"] == lag, "{told}");
    assert_eq!(twins.regions(&twins.one).await, twins.regions(&twins.two).await);
    let (_, again) = command(&twins, &[]).await;
    assert_eq!((&again[0]["flights"], &again[0]["lost"]), (&json!(2), &json!(0)), "{again}");
    assert_eq!(twins.regions(&twins.two).await.len(), 1, "it is one row, stamped again");
    let (code, listed) = command(&twins, &["--list"]).await;
    assert_eq!((code, &listed), (0, &again));
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let digest = twins.app.briefing.digest(today).await.unwrap();
    assert_eq!(digest.canaries.iter().map(|one| one.flights).sum::<usize>(), 2);
    assert!(twins.app.briefing.card(&digest).to_string().contains("From end to end"));
}

#[tokio::test]
async fn what_does_not_arrive_in_time_is_told_by_command_and_digest() {
    let twins = start("", regions("one", "two")).await;
    twins.trouble(json!({ "lost": 1.0 })).await;
    let (code, told) = command(&twins, &[]).await;
    assert_eq!((code, &told[0]["lost"]), (2, &json!(1)), "{told}");
    assert_eq!(told[0]["last"]["lost_after"], 1);
    let today = Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).date();
    let digest = twins.app.briefing.digest(today).await.unwrap();
    let card = twins.app.briefing.card(&digest).to_string();
    assert!(card.contains("1 of 1 did not arrive"), "{card}");
}

#[tokio::test]
async fn why_a_stamp_cannot_be_sent_is_told() {
    let filter = "\n[filter]\nwhen = [{ if = 'acme_code', is = 'EU' }]\nleaves = 'keep'\n";
    let twins = start("", regions("one", "two") + filter).await;
    let (code, told) = command(&twins, &[]).await;
    assert_eq!((code, &told[0]["failed"]), (1, &json!(1)), "{told}");
    let why = told[0]["last"]["failed"].as_str().unwrap();
    assert!(why.contains("leaves the stamped row out"), "{why}");
    let (code, told) = command(&twins, &["--map", "customers"]).await;
    assert_eq!(code, 1, "{told}");
    assert!(told[0]["fault"].as_str().unwrap().contains("[canaries.customers]"), "{told}");
}

/// Instances on one storage.
async fn instances(twins: &Twins, storage: Option<String>) -> [App; 3] {
    let mut settings = twins.settings.clone();
    if let Some(storage) = storage {
        settings.retain(|(name, _)| name != "CONCORD_STORAGE");
        settings.push(("CONCORD_STORAGE".to_owned(), storage));
    }
    let open = async || App::open(&Settings::of(settings.clone())).await.unwrap();
    [Box::pin(open()).await, Box::pin(open()).await, Box::pin(open()).await]
}

/// From a moment until the canary's row was settled, in milliseconds.
async fn settled_after(app: &App, at: Timestamp) -> i128 {
    let code = concord::row::Value::Text("CANARY".into());
    let key = concord::row::Key(vec![("acme_code".into(), code)]);
    let entry = app.pipeline.ledger.entry("regions-one", &key).await.unwrap();
    entry.applied.unwrap().at.duration_since(at).as_millis()
}

/// One instance stamps, another sees to it that the change gets through, a third looks.
async fn by_any_instance(storage: Option<String>) {
    let twins = tracked().await;
    let [first, second, third] = instances(&twins, storage).await;
    tokio::join!(first.canaries.tick(), second.canaries.tick());
    assert!(flights(&first).await.is_empty(), "it is on its way");
    assert_eq!(Twins::written(&twins.one).0, 1, "one of two instances stamps");
    second.tracking().run(Duration::from_secs(30)).await.unwrap();
    third.canaries.tick().await;
    let seen = flights(&first).await;
    let [Flight { at, became: Became::Seen(lag) }] = seen.as_slice() else { panic!("{seen:?}") };
    let settled = settled_after(&third, *at).await;
    assert_eq!(i128::from(*lag), settled, "until it was settled, whoever looked when");
    assert_eq!(History::of("m", flights(&second).await).p95_ms, Some(*lag));
    nothing_is_due(&first, &twins).await;
}

/// A canary flies once in a quarter of an hour.
async fn nothing_is_due(app: &App, twins: &Twins) {
    app.canaries.tick().await;
    assert_eq!(Twins::written(&twins.one), (1, 0));
}

#[tokio::test]
async fn any_instance_may_stamp_and_any_other_look() {
    Box::pin(by_any_instance(None)).await;
}

#[tokio::test]
async fn any_instance_may_stamp_and_any_other_look_on_azurite() {
    Box::pin(by_any_instance(Some(azurite::connection()))).await;
}

#[tokio::test]
async fn the_sweep_gives_a_stamp_up_and_a_paused_map_is_left_alone() {
    let twins = tracked().await;
    let app = &twins.app;
    app.canaries.tick().await;
    while flights(app).await.is_empty() {
        app.canaries.tick().await;
        tokio::task::yield_now().await;
    }
    assert_eq!(flights(app).await[0].became, Became::Lost(1));
    let paused = tracked().await;
    let (since, by, why) = (Timestamp::now(), "ann".to_owned(), "month end".to_owned());
    let pause = Pause { since, by, why, aside: false };
    paused.app.pipeline.control.pause("regions-one", &pause).await.unwrap();
    paused.app.canaries.tick().await;
    assert_eq!(Twins::written(&paused.one), (0, 0));
}

#[tokio::test]
async fn a_canary_that_cannot_fly_is_refused_before_anything_runs() {
    let folder = tempfile::tempdir().unwrap();
    let systems = "
[systems.mdm]
kind = 'events'
entity = { path = 'thing' }
key = 'id'
emitted = 'at'
[systems.sales]
kind = 'dataverse'
url = 'http://127.0.0.1:9'
[canaries.customer]
key = { number = '1' }
stamp = 'name'
minutes = 0
[canaries.custommer]
key = { number = '1' }
stamp = 'name'
[canaries.back]
key = { accountnumber = '1' }
stamp = 'telephone1'
";
    let customer = "
map = 'customer'
version = 1
from = { system = 'mdm', entity = 'Customer' }
to = { system = 'sales', table = 'account' }
key = { accountnumber = 'number' }
fields = { name = 'name' }
removed = { action = 'delete' }
";
    let back = customer.replace("'customer'", "'back'").replace("'mdm'", "'sales'");
    let files = [("concord", systems), ("customer", customer), ("back", &back)];
    for (name, text) in files {
        std::fs::write(folder.path().join(format!("{name}.toml")), text).unwrap();
    }
    let settings = Settings::of([("CONCORD_MAPS", folder.path().display().to_string())]);
    let (_, _, problems) = concord::config::inspect(&settings);
    let canaries: Vec<String> =
        problems.iter().filter(|one| one.rule == "canary").map(ToString::to_string).collect();
    let said = canaries.join("\n");
    for expected in [
        "between a minute and a day",
        "`mdm` only tells what happens in it and cannot be written",
        "`custommer` is no map; did you mean `customer`?",
        "the map does not read `telephone1`",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    assert_eq!(canaries.len(), 4, "{said}");
}
