//! What becomes of rows when the target loses a column that a map writes.

use concord::fault::Kind;
use concord::outcome::Outcome;
use serde_json::{Value, json};

use crate::support::running::Running;

fn map(policy: &str) -> String {
    format!(
        "map = 'thing'\nversion = 1\nfrom = {{ system = 'mdm', entity = 'thing' }}\n\
         to = {{ system = 'sales', table = 'acme_customer' }}\n[drift]\n{policy}\n\
         [key]\nacme_number = 'id'\n[fields]\nacme_name = 'name'\nacme_notes = 'notes'\n\
         acme_regionid = {{ from = 'region', lookup = 'acme_region.acme_code' }}\n"
    )
}

fn thing(id: &str, more: &Value) -> Value {
    let mut thing = json!({"id": id, "at": "2026-03-01T00:00:00Z", "name": format!("N{id}")});
    thing.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    thing
}

async fn without_column(policy: &str, column: &str) -> Running {
    let running = Running::start(&map(policy), "").await;
    let path = format!(
        "EntityDefinitions(LogicalName='acme_customer')/Attributes(LogicalName='{column}')"
    );
    running.call("DELETE", &path, None).await;
    running
}

async fn names(running: &Running) -> Vec<Vec<Value>> {
    running.rows("acme_customers", &["acme_name"]).await
}

#[tokio::test]
async fn halt_is_the_default_and_writes_none_of_the_rows_with_the_column() {
    let running = without_column("", "acme_notes").await;
    assert_eq!(running.take(&[thing("1", &json!({"notes": "x"}))]).await, "redeliver");
    assert_eq!(names(&running).await.len(), 0);
}

#[tokio::test]
async fn drop_writes_the_rows_without_the_column_and_asks_once() {
    let running = without_column("target = 'drop'", "acme_notes").await;
    let first = [thing("1", &json!({"notes": "x"})), thing("2", &json!({}))];
    assert_eq!(running.take(&first).await, "applied 2");
    assert_eq!(running.app.pipeline.drift.dropped(), 1);
    let calls = running.app.environments["sales"].calls();
    assert_eq!(running.take(&[thing("3", &json!({"notes": "y"}))]).await, "applied 1");
    assert_eq!(running.app.environments["sales"].calls(), calls + 1);
    assert_eq!(running.app.pipeline.drift.dropped(), 2);
    assert_eq!(names(&running).await, [[json!("N1")], [json!("N2")], [json!("N3")]]);
}

#[tokio::test]
async fn poison_sets_the_rows_with_the_column_aside_and_the_others_go_on() {
    let running = without_column("target = 'poison'", "acme_notes").await;
    let both = [thing("1", &json!({"notes": "x"})), thing("2", &json!({}))];
    let report = running.report(&both).await;
    let count = |outcome| report.outcomes.get(&("thing".into(), outcome)).copied();
    assert_eq!(count(Outcome::Poisoned(Kind::SchemaGone)), Some(1));
    assert_eq!(count(Outcome::Applied), Some(1));
    assert_eq!(names(&running).await, [[json!("N2")]]);
}

#[tokio::test]
async fn a_lookup_column_that_is_gone_is_dropped_by_its_column_name() {
    let running = without_column("target = 'drop'", "acme_regionid").await;
    assert_eq!(running.take(&[thing("1", &json!({"region": "EU"}))]).await, "applied 1");
    assert_eq!(names(&running).await, [[json!("N1")]]);
}
