//! The history of a source's table ends after seven days: a handler that was away for longer says so, reads
//! the table whole, and what was removed meanwhile is found by comparing both sides.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use concord::emulator::dataverse::server::{Server, serve};
use concord::emulator::dataverse::state::Options;
use serde_json::{Value, json};

use crate::night::Behind;
use crate::support::serving::Serving;

const SYSTEMS: &str = "
[systems.primary]
kind = 'dataverse'
url = '${PRIMARY_URL}'
[systems.secondary]
kind = 'dataverse'
url = '${SECONDARY_URL}'
changes = false
";

const REGION: &str = "
map = 'region'
version = 1
from = { system = 'primary', entity = 'acme_region' }
to = { system = 'secondary', table = 'acme_region' }
key = { acme_code = 'acme_code' }
fields = { acme_name = 'acme_name' }
removed = { action = 'delete' }
";

async fn call(server: &Server, verb: &str, path: &str, body: Value) -> Value {
    let request =
        reqwest::Client::new().request(verb.parse().unwrap(), format!("{}{path}", server.url()));
    let answer = request.json(&body).send().await.unwrap();
    assert!(answer.status().is_success(), "{verb} {path}");
    serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default()
}

async fn rows(server: &Server) -> Vec<String> {
    let path = "acme_regions?$select=acme_code,acme_name&$orderby=acme_code";
    let page = call(server, "GET", path, Value::Null).await;
    let shown = |row: &Value| format!("{}{}", row["acme_code"], row["acme_name"]).replace('"', " ");
    page["value"].as_array().unwrap().iter().map(shown).collect()
}

/// What the function `changes` says it did.
async fn changes(handler: &Serving) -> Value {
    let (status, answer) = handler.call("changes", &[], &[]).await;
    assert_eq!(status, 200, "{answer}");
    serde_json::from_str(answer["Logs"][0].as_str().unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_end_of_the_history_a_table_is_read_whole_and_removals_are_found_by_comparing() {
    let behind = Arc::new(Behind(AtomicI64::new(8 * 24 * 60)));
    let options = || Options { clock: Arc::clone(&behind) as _, ..Options::default() };
    let (primary, secondary) = (serve(options()).await.unwrap(), serve(options()).await.unwrap());
    let urls = [&primary, &secondary].map(|server| format!("http://{}", server.address));
    let files = [("concord.toml", SYSTEMS), ("region.toml", REGION)];
    let settings = [("PRIMARY_URL", urls[0].as_str()), ("SECONDARY_URL", urls[1].as_str())];
    let handler = Serving::start(&files, &settings).await;
    for code in ["A", "B", "C", "D"] {
        let row = json!({ "acme_code": code, "acme_name": "1" });
        call(&primary, "POST", "acme_regions", row).await;
    }
    let first = changes(&handler).await;
    assert_eq!((&first["rows"], &first["expired"]), (&json!(4), &json!(0)), "{first}");
    assert_eq!(handler.run(&["reconcile"]).await.0, 0);
    // a week without the handler: nothing tells of an edit, of a removal and of a new row
    call(&primary, "PATCH", "acme_regions(acme_code='A')", json!({ "acme_name": "2" })).await;
    call(&primary, "DELETE", "acme_regions(acme_code='B')", Value::Null).await;
    call(&primary, "POST", "acme_regions", json!({ "acme_code": "E", "acme_name": "2" })).await;
    behind.0.store(10, Ordering::Relaxed);
    // what is compared since then cannot see removals, and says so
    let (_, since) = handler.run(&["reconcile", "--since-verified", "--dry-run"]).await;
    let unseen = since[0]["order"]["removals"]["unseen"].as_str().unwrap();
    assert!(unseen.contains("no longer reaches back"), "{since}");
    let second = changes(&handler).await;
    assert_eq!((&second["rows"], &second["removed"]), (&json!(4), &json!(0)), "{second}");
    assert_eq!((&second["expired"], &second["outcomes"]["applied"]), (&json!(1), &json!(2)));
    let said = handler.lines().into_iter().filter(|line| line.contains("place_expired"));
    let said: Vec<String> = said.collect();
    assert_eq!(said.len(), 1, "{said:?}");
    assert!(said[0].contains("the whole table is read again"), "{said:?}");
    assert_eq!(rows(&secondary).await, [" A  2 ", " B  1 ", " C  1 ", " D  1 ", " E  2 "]);
    let (code, compared) = handler.run(&["reconcile", "--repair"]).await;
    assert_eq!(code, 0, "{compared}");
    assert_eq!(compared[0]["found"], json!({ "missed-removal": 1 }));
    assert_eq!(rows(&secondary).await, rows(&primary).await);
    let third = changes(&handler).await;
    assert_eq!((&third["rows"], &third["expired"]), (&json!(0), &json!(0)), "{third}");
}
