//! Rows that refer to rows which are not there yet: in one batch, over several, in circles, for ever.

use concord::delivery::{Event, Wait};
use serde_json::{Value, json};

use crate::support::running::Running;
use crate::support::work;

/// Accounts refer to accounts and contacts, contacts to accounts.
const MAPS: &str = "map = 'account'\nversion = 1
from = { system = 'mdm', entity = 'thing' }
to = { system = 'sales', table = 'account' }
[key]\naccountnumber = 'id'
[fields]\nname = 'name'
parentaccountid = { from = 'parent', lookup = 'account.accountnumber' }
primarycontactid = { from = 'contact', lookup = 'contact.acme_number' }
[filter]\nwhen = [{ if = 'kind', is = 'account' }]\nleaves = 'keep'
---
map = 'contact'\nversion = 1
from = { system = 'mdm', entity = 'thing' }
to = { system = 'sales', table = 'contact' }
[key]\nacme_number = 'id'
[fields]\nlastname = 'name'
parentcustomerid = { from = 'account', lookup = 'account.accountnumber' }
[filter]\nwhen = [{ if = 'kind', is = 'contact' }]\nleaves = 'keep'
";

fn thing(kind: &str, id: &str, second: u32, more: &Value) -> Value {
    let at = format!("2026-03-01T00:00:{second:02}Z");
    let mut thing = json!({"kind": kind, "id": id, "at": at, "name": format!("N{id}")});
    thing.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    thing
}

fn account(id: &str, more: &Value) -> Value {
    thing("account", id, 1, more)
}

fn contact(id: &str, more: &Value) -> Value {
    thing("contact", id, 1, more)
}

/// Takes events in; the other map's filtered rows are left out of the words.
async fn take(running: &Running, events: &[Value]) -> String {
    let words = running.take(events).await;
    let words: Vec<&str> = words.split(", ").filter(|word| !word.starts_with("filtered")).collect();
    words.join(", ")
}

async fn parents(running: &Running) -> Vec<Vec<Value>> {
    let path = "accounts?$select=accountnumber&$orderby=accountnumber\
                &$expand=parentaccountid($select=accountnumber),primarycontactid($select=acme_number)";
    let page = running.call("GET", path, None).await;
    let row = |row: &Value| {
        let parent = row["parentaccountid"]["accountnumber"].clone();
        let contact = row["primarycontactid"]["acme_number"].clone();
        vec![row["accountnumber"].clone(), parent, contact]
    };
    page["value"].as_array().unwrap().iter().map(row).collect()
}

async fn parked(running: &Running) -> usize {
    let mut found = 0;
    for bucket in 0..concord::parking::BUCKETS {
        found += running.app.pipeline.parking.page(bucket, None).await.unwrap().parked.len();
    }
    found
}

#[tokio::test]
async fn in_one_batch_parents_go_first_without_a_refused_call() {
    let running = Running::start(MAPS, "").await;
    let events = [
        account("3", &json!({"parent": "2"})),
        account("2", &json!({"parent": "1"})),
        account("1", &json!({})),
        contact("9", &json!({"account": "3"})),
    ];
    assert_eq!(take(&running, &events).await, "applied 4");
    let wanted = [["1", ""], ["2", "1"], ["3", "2"]];
    let found = parents(&running).await;
    for (found, wanted) in found.iter().zip(wanted) {
        assert_eq!([&found[0], &found[1]].map(|v| v.as_str().unwrap_or_default()), wanted);
    }
    // One call for each generation, and none is refused.
    let calls = running.app.environments["sales"].calls();
    let events = [account("6", &json!({"parent": "5"})), account("5", &json!({"parent": "3"}))];
    assert_eq!(take(&running, &events).await, "applied 2");
    assert_eq!(running.app.environments["sales"].calls(), calls + 2);
}

#[tokio::test]
async fn a_child_is_parked_and_woken_by_the_write_of_its_parent() {
    let running = Running::start(MAPS, "").await;
    let child = account("2", &json!({"parent": "1"}));
    assert_eq!(take(&running, &[child]).await, "parked 1");
    assert_eq!(parked(&running).await, 1);
    work::now(&running.app).await;
    assert_eq!(parents(&running).await.len(), 0, "nothing wakes it yet");
    assert_eq!(take(&running, &[account("1", &json!({}))]).await, "applied 1");
    assert_eq!(parked(&running).await, 0);
    work::now(&running.app).await;
    let found = parents(&running).await;
    assert_eq!(
        found,
        [vec![json!("1"), Value::Null, Value::Null], vec![json!("2"), json!("1"), Value::Null]]
    );
    let entry = running.app.pipeline.ledger.find("account", "1").await.unwrap().unwrap().0;
    assert!(!entry.awaited, "the mark is gone with those who waited");
}

#[tokio::test]
async fn a_newer_version_that_came_meanwhile_is_not_overwritten_by_the_one_that_waited() {
    let running = Running::start(MAPS, "").await;
    assert_eq!(take(&running, &[account("2", &json!({"parent": "1"}))]).await, "parked 1");
    let newer = thing("account", "2", 2, &json!({"parent": null}));
    assert_eq!(take(&running, &[newer]).await, "applied 1");
    assert_eq!(take(&running, &[account("1", &json!({}))]).await, "applied 1");
    work::now(&running.app).await;
    assert_eq!(parked(&running).await, 0);
    assert_eq!(parents(&running).await[1], [json!("2"), Value::Null, Value::Null]);
}

#[tokio::test]
async fn a_row_may_refer_to_itself_and_to_others_in_a_circle_of_one_batch() {
    let running = Running::start(MAPS, "").await;
    let events = [
        account("1", &json!({"parent": "1"})),
        account("2", &json!({"parent": "3"})),
        account("3", &json!({"parent": "2"})),
    ];
    assert_eq!(take(&running, &events).await, "applied 3");
    let found: Vec<Value> = parents(&running).await.into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(found, [json!("1"), json!("3"), json!("2")]);
}

#[tokio::test]
async fn a_circle_over_two_tables_and_two_deliveries_is_closed() {
    let running = Running::start(MAPS, "").await;
    assert_eq!(take(&running, &[account("1", &json!({"contact": "9"}))]).await, "parked 1");
    assert_eq!(take(&running, &[contact("9", &json!({"account": "1"}))]).await, "parked 1");
    for _ in 0..3 {
        work::now(&running.app).await;
    }
    assert_eq!(parked(&running).await, 0);
    assert_eq!(parents(&running).await, [[json!("1"), Value::Null, json!("9")]]);
    let contacts =
        "contacts?$select=acme_number&$expand=parentcustomerid_account($select=accountnumber)";
    let contacts = running.call("GET", contacts, None).await;
    assert_eq!(contacts["value"][0]["parentcustomerid_account"]["accountnumber"], "1");
}

#[tokio::test]
async fn what_waited_too_long_is_given_up_with_the_chain_that_explains_it() {
    let running = Running::start(MAPS, "").await;
    let old = |id: &str, parent: &str| {
        let body = account(id, &json!({"parent": parent})).to_string();
        let since = "2026-03-01T00:00:00Z".parse().unwrap();
        let wait = Wait { since, tries: 3, without: Vec::new() };
        Event { body: body.into(), wait: Some(wait), ..Event::default() }
    };
    assert_eq!(take(&running, &[account("2", &json!({"parent": "1"}))]).await, "parked 1");
    let report = running.deliver(vec![old("3", "2")]).await;
    assert_eq!(report.counts().codes.get("parent-missing"), Some(&1), "{report:?}");
    let poison = &running.app.pipeline.poison;
    let kept = poison.list(&["account".into()], &concord::poison::Filter::default()).await.unwrap();
    let record = &kept[0].record;
    assert_eq!(record.key.as_deref(), Some("3"));
    let detail = record.detail.as_deref().unwrap();
    let chain = "it waits for account(accountnumber=2), which waits for account(accountnumber=1), \
                 which was never seen";
    assert!(detail.starts_with(chain), "{detail}");
}
