//! Error records in a table of the target, beside the poison store.

use concord::poison::{Filter, Status};
use serde_json::{Value, json};

use crate::support::running::Running;

const MAP: &str = "
map = 'thing'
version = 1
from = { system = 'mdm', entity = 'thing' }
to = { system = 'sales', table = 'acme_customer' }
[key]
acme_number = 'id'
[fields]
acme_name = { from = 'name', max = 3 }
";

const POISON: &str = "
[poison]
system = 'sales'
table = 'acme_syncerror'
[poison.columns]
id = 'acme_errorid'
map = 'acme_map'
key = 'acme_key'
code = 'acme_code'
reason = 'acme_reason'
correlation = 'acme_correlation'
attempts = 'acme_attempts'
status = 'acme_status'
payload = 'acme_payload'
";

const SHOWN: [&str; 6] =
    ["acme_map", "acme_key", "acme_code", "acme_attempts", "acme_status", "acme_payload"];

fn thing() -> Value {
    json!({"id": "1", "at": "2026-03-01T00:00:00Z", "name": "too long"})
}

#[tokio::test]
async fn a_record_is_a_row_and_follows_its_attempts_and_marks() {
    let running = Running::start(MAP, POISON).await;
    for _ in 0..2 {
        assert_eq!(running.take(&[thing(), json!("x")]).await, "poisoned 2");
    }
    let row = |status: &str| {
        [json!("thing"), json!("1"), json!("too-long"), json!(2), json!(status)]
            .into_iter()
            .chain([json!(thing().to_string())])
            .collect::<Vec<Value>>()
    };
    let shown = running.rows("acme_syncerrors", &SHOWN).await;
    assert_eq!(shown.len(), 2);
    assert_eq!(shown.last(), Some(&row("open")));
    let pipeline = &running.app.pipeline;
    let listed = pipeline.poison.list(&["thing".to_owned()], &Filter::default()).await.unwrap();
    let kept = listed.into_iter().next().unwrap();
    let id = kept.record.id.to_string();
    pipeline.mark(kept, Status::Dismissed, Some("test".to_owned())).await.unwrap();
    assert_eq!(running.rows("acme_syncerrors", &SHOWN).await.last(), Some(&row("dismissed")));
    let ids = running.rows("acme_syncerrors", &["acme_errorid"]).await;
    assert!(ids.contains(&vec![json!(id)]));
}

#[tokio::test]
async fn an_event_with_secured_columns_is_not_shown_nor_one_that_may_hold_them() {
    let running = Running::start(&format!("secured = ['acme_name']\n{MAP}"), POISON).await;
    assert_eq!(running.take(&[thing(), json!("x")]).await, "poisoned 2");
    let payloads = running.rows("acme_syncerrors", &["acme_payload"]).await;
    assert_eq!(payloads, [[Value::Null], [Value::Null]]);
}

#[tokio::test]
async fn what_cannot_be_shown_is_poisoned_all_the_same() {
    let wrong = POISON.replace("'acme_syncerror'", "'acme_nowhere'");
    let running = Running::start(MAP, &wrong).await;
    assert_eq!(running.take(&[thing()]).await, "poisoned 1");
    let poison = &running.app.pipeline.poison;
    let kept = poison.list(&["thing".to_owned()], &Filter::default()).await.unwrap();
    assert_eq!(kept.len(), 1);
}
