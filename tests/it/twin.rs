//! Two environments: what happens in one reaches the other, by webhook, by change tracking, or while the
//! user waits; and what was written does not come back.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::twins::Twins;

const REGIONS: &str = "
map = 'regions-FROM'
version = 1
from = { system = 'FROM', entity = 'acme_region' }
to = { system = 'TO', table = 'acme_region' }
key = { acme_code = 'acme_code' }
fields = { acme_name = 'acme_name' }
removed = { action = 'delete' }
";

const CUSTOMERS: &str = "
map = 'customers'
version = 1
from = { system = 'one', entity = 'acme_customer' }
to = { system = 'two', table = 'acme_customer' }
[key]
acme_number = 'acme_number'
[fields]
acme_name = 'acme_name'
acme_credit = { from = 'acme_credit', decimal = { digits = 2 } }
acme_kind = { from = 'acme_kind', integer = true }
acme_since = { from = 'acme_since', date = true }
acme_regionid = { from = 'acme_regionid.acme_code', lookup = 'acme_region.acme_code' }
[removed]
action = 'delete'
";

pub(crate) fn regions(from: &str, to: &str) -> String {
    REGIONS.replace("FROM", from).replace("TO", to)
}

/// A region, and a customer in it.
async fn settle(twins: &Twins) {
    let region = json!({ "acme_code": "EU", "acme_name": "Europe" });
    twins.write(&twins.one, "POST", "acme_regions", region).await;
    twins.rest().await;
    let customer = json!({
        "acme_number": "C-1", "acme_name": "A", "acme_credit": 12.5, "acme_kind": 100_000_001,
        "acme_since": "2024-05-01", "acme_RegionId@odata.bind": "acme_regions(acme_code='EU')",
    });
    twins.write(&twins.one, "POST", "acme_customers", customer).await;
    twins.rest().await;
}

async fn customers(twins: &Twins) -> Vec<String> {
    let columns = ["acme_number", "acme_name", "acme_credit", "acme_kind", "acme_since"];
    twins.rows(&twins.two, "acme_customers", &columns).await
}

async fn what_happens_in_one_happens_in_two(read: &str, cut: f64) {
    let twins = Twins::start(read, &[regions("one", "two"), CUSTOMERS.to_owned()]).await;
    let registered = (twins.register().await, twins.register().await);
    assert_eq!(registered, (7, 0));
    twins.trouble(json!({ "cut": cut })).await;
    settle(&twins).await;
    assert_eq!(customers(&twins).await, ["C-1 A 12.5 100000001 2024-05-01"]);
    edit_and_delete(&twins).await;
}

/// Two edits, of which one is of no column that a map reads, and a deletion.
async fn edit_and_delete(twins: &Twins) {
    let (one, row) = (&twins.one, "acme_customers(acme_number='C-1')");
    twins.write(one, "PATCH", row, json!({ "acme_name": "B", "acme_since": null })).await;
    twins.rest().await;
    assert_eq!(customers(twins).await, ["C-1 B 12.5 100000001 null"]);
    twins.write(one, "PATCH", row, json!({ "acme_notes": "x" })).await;
    assert_eq!(one.state.trouble().told.caused, 3);
    twins.write(one, "DELETE", row, Value::Null).await;
    twins.rest().await;
    assert_eq!((customers(twins).await.len(), one.state.trouble().told.failed), (0, 0));
}

#[tokio::test]
async fn an_edit_reaches_the_other_environment_by_webhook_and_images() {
    what_happens_in_one_happens_in_two("read = 'image'", 0.0).await;
}

#[tokio::test]
async fn an_edit_reaches_it_by_rows_that_are_read_again_even_when_contexts_are_cut() {
    what_happens_in_one_happens_in_two("read = 'fetch'", 1.0).await;
}

#[tokio::test]
async fn two_environments_that_follow_each_other_come_to_rest() {
    let maps = [regions("one", "two"), regions("two", "one")];
    let twins = Twins::start("read = 'image'", &maps).await;
    twins.register().await;
    let (one, two) = (&twins.one, &twins.two);
    let row = "acme_regions(acme_code='EU')";
    twins.write(one, "PATCH", row, json!({ "acme_name": "Europe" })).await;
    twins.rest().await;
    assert_eq!((Twins::written(one), Twins::written(two)), ((1, 0), (1, 0)));
    twins.write(two, "PATCH", row, json!({ "acme_name": "Evropa" })).await;
    twins.rest().await;
    assert_eq!(twins.regions(one).await, ["EU Evropa"]);
    // Back to what it was: nobody takes that for what is there already.
    twins.write(one, "PATCH", row, json!({ "acme_name": "Europe" })).await;
    twins.rest().await;
    assert_eq!(twins.regions(two).await, ["EU Europe"]);
    assert_eq!((Twins::written(one), Twins::written(two)), ((1, 2), (1, 2)));
}

#[tokio::test]
async fn change_tracking_brings_what_webhooks_lost() {
    let twins = Twins::start("read = 'fetch'", &[regions("one", "two")]).await;
    twins.register().await;
    let one = &twins.one;
    let put = async |code: &str, name: &str| {
        let row = format!("acme_regions(acme_code='{code}')");
        twins.write(one, "PATCH", &row, json!({ "acme_name": name })).await;
    };
    for (code, name) in [("A", "1"), ("B", "1"), ("C", "1")] {
        put(code, name).await;
    }
    twins.rest().await;
    let tracking = twins.app.tracking();
    let within = Duration::from_secs(30);
    let first = tracking.run(within).await.unwrap();
    assert_eq!((first.rows, first.outcomes.get("applied")), (3, None), "{first:?}");
    twins.trouble(json!({ "lost": 1.0 })).await;
    put("A", "2").await;
    twins.write(one, "DELETE", "acme_regions(acme_code='B')", Value::Null).await;
    put("D", "2").await;
    assert_eq!(twins.regions(&twins.two).await, ["A 1", "B 1", "C 1"]);
    let second = tracking.run(within).await.unwrap();
    assert_eq!((second.rows, second.removed), (2, 1), "{second:?}");
    assert_eq!(twins.regions(&twins.two).await, ["A 2", "C 1", "D 2"]);
    assert_eq!(tracking.run(within).await.unwrap().rows, 0);
}

#[tokio::test]
async fn a_synchronous_call_answers_with_the_row_and_a_refusal_rolls_the_edit_back() {
    let rule = "
[[validate]]
when = [{ if = 'acme_name', matches = '^[A-Z]' }]
message = 'such a name is not allowed'
";
    let strict = regions("one", "two") + rule;
    let twins = Twins::start("read = 'image'", &[strict]).await;
    let one = &twins.one;
    let secret =
        "<settings><setting name=\"x-concord-secret\" value=\"the-old-secret-1\"/></settings>";
    let endpoint = "serviceendpoints(6042beb1-0d3e-4f11-8409-000d3a1f2b3c)";
    let url = format!("{}/api/sync/one", twins.url);
    let body =
        json!({ "name": "sync", "url": url, "contract": 8, "authtype": 5, "authvalue": secret });
    twins.write(one, "PATCH", endpoint, body).await;
    let ids = async |query: &str| {
        let (_, found) = twins.call(one, "GET", query, Value::Null).await;
        found["value"][0].clone()
    };
    let filter = ids("sdkmessagefilters?$select=_sdkmessageid_value&$filter=primaryobjecttypecode eq 'acme_region' and sdkmessageid/name eq 'Create'").await;
    let text = |name: &str| filter[name].as_str().unwrap().to_owned();
    let step = json!({
        "name": "sync", "mode": 0, "stage": 40, "rank": 1, "supporteddeployment": 0,
        "sdkmessageid@odata.bind": format!("/sdkmessages({})", text("_sdkmessageid_value")),
        "sdkmessagefilterid@odata.bind": format!("/sdkmessagefilters({})", text("sdkmessagefilterid")),
        "eventhandler_serviceendpoint@odata.bind": format!("/{endpoint}"),
    });
    twins.write(one, "POST", "sdkmessageprocessingsteps", step).await;
    let bad = json!({ "acme_code": "X", "acme_name": "bad" });
    let (status, said) = twins.call(one, "POST", "acme_regions", bad).await;
    assert_eq!((status, said["error"]["code"].as_str()), (400, Some("0x80040265")));
    assert!(
        said["error"]["message"].as_str().unwrap().contains("such a name is not allowed"),
        "{said}"
    );
    assert!(twins.regions(one).await.is_empty() && twins.regions(&twins.two).await.is_empty());
    let good = json!({ "acme_code": "X", "acme_name": "Good" });
    twins.write(one, "POST", "acme_regions", good).await;
    assert_eq!(twins.regions(&twins.two).await, ["X Good"]);
    assert_eq!(twins.app.stores.poisoned.depth().await.unwrap(), 0);
}

#[tokio::test]
async fn calls_without_the_secret_too_large_or_for_nobody_are_refused() {
    let twins = Twins::start("read = 'image'", &[regions("one", "two")]).await;
    let call = async |path: &str, secret: &str, body: String| {
        let request =
            twins.web.post(format!("{}{path}", twins.url)).header("x-concord-secret", secret);
        request.body(body).send().await.unwrap().status().as_u16()
    };
    let (new, old) = ("the-first-secret-1", "the-old-secret-1");
    assert_eq!(call("/api/webhook/one", "wrong", "{}".into()).await, 401);
    assert_eq!(call("/api/webhook/two", new, "{}".into()).await, 401);
    assert_eq!(call("/api/webhook/three", new, "{}".into()).await, 404);
    assert_eq!(call("/api/webhook/one", new, "x".repeat(1_100_000)).await, 413);
    // What cannot be read is durable in quarantine, so the sender need not repeat it.
    assert_eq!(call("/api/webhook/one", new, "{}".into()).await, 200);
    assert_eq!(call("/api/webhook/one", old, "no json".into()).await, 200);
    assert_eq!(call("/api/sync/one", old, "{}".into()).await, 422);
}

#[tokio::test]
async fn an_echo_is_known_by_its_tag_by_our_user_or_by_what_it_holds() {
    let user = format!("tag = false\nuser = '{}'", concord::emulator::dataverse::seed::user());
    for (more, word) in [("tag = true", "tag"), (&*user, "user"), ("tag = false", "same")] {
        let maps = [regions("one", "two"), regions("two", "one")];
        let twins = Twins::start(&format!("read = 'image'\n{more}"), &maps).await;
        twins.keep(&twins.one, "acme_region").await;
        twins.keep(&twins.two, "acme_region").await;
        let row = "acme_regions(acme_code='EU')";
        twins.write(&twins.two, "PATCH", row, json!({ "acme_name": "Europe" })).await;
        let counts = twins.brought("two").await.counts();
        assert_eq!(counts.rows.get("applied"), Some(&1), "{word}: {counts:?}");
        let counts = twins.brought("one").await.counts();
        assert_eq!(counts.echoes.iter().collect::<Vec<_>>(), [(&word, &1)], "{counts:?}");
        // Somebody else's edit with the same content but one column is none.
        twins.write(&twins.one, "PATCH", row, json!({ "acme_name": "Evropa" })).await;
        let counts = twins.brought("one").await.counts();
        assert_eq!((counts.echoes.len(), counts.rows.get("applied")), (0, Some(&1)), "{word}");
        assert_eq!(twins.regions(&twins.two).await, ["EU Evropa"]);
    }
}

#[tokio::test]
async fn a_call_is_asked_for_again_only_when_nothing_of_it_could_be_made_durable() {
    let twins = Twins::start("read = 'image'", &[regions("one", "two")]).await;
    let call = async || {
        let url = format!("{}/api/webhook/one", twins.url);
        let request = twins.web.post(url).header("x-concord-secret", "the-first-secret-1");
        request.body("no json").send().await.unwrap().status().as_u16()
    };
    assert_eq!(call().await, 200);
    // Where what cannot be read would be kept, there is no folder any more: it waits in the work queue.
    let storage = twins.folder.path().join("storage");
    std::fs::remove_dir_all(storage.join("quarantine")).unwrap();
    std::fs::write(storage.join("quarantine"), "in the way").unwrap();
    assert_eq!((call().await, twins.app.stores.work.depth().await.unwrap()), (200, 1));
    // And now there is no work queue either.
    let database = rusqlite::Connection::open(storage.join("concord.db")).unwrap();
    database.execute_batch("alter table message rename to elsewhere").unwrap();
    assert_eq!(call().await, 503);
    database.execute_batch("alter table elsewhere rename to message").unwrap();
    assert_eq!(call().await, 200);
}

#[tokio::test]
async fn a_parked_row_that_is_gone_untold_does_not_come_back_when_it_is_woken() {
    let twins =
        Twins::start("read = 'fetch'", &[regions("one", "two"), CUSTOMERS.to_owned()]).await;
    twins.register().await;
    let lose = async |share: f64| {
        twins.rest().await;
        twins.trouble(json!({ "lost": share })).await;
    };
    lose(1.0).await;
    let region = json!({ "acme_code": "EU", "acme_name": "Europe" });
    twins.write(&twins.one, "POST", "acme_regions", region).await;
    lose(0.0).await;
    for number in ["C-1", "C-2"] {
        let customer = json!({
            "acme_number": number, "acme_name": "A", "acme_credit": 1, "acme_kind": 100_000_001,
            "acme_RegionId@odata.bind": "acme_regions(acme_code='EU')",
        });
        twins.write(&twins.one, "POST", "acme_customers", customer).await;
    }
    lose(1.0).await;
    assert!(customers(&twins).await.is_empty(), "both wait for their region");
    twins.write(&twins.one, "DELETE", "acme_customers(acme_number='C-1')", Value::Null).await;
    lose(0.0).await;
    let name = json!({ "acme_name": "Europa" });
    twins.write(&twins.one, "PATCH", "acme_regions(acme_code='EU')", name).await;
    twins.rest().await;
    twins.work().await;
    assert_eq!(customers(&twins).await, ["C-2 A 1.0 100000001 null"]);
}
