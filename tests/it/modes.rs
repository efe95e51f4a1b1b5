//! What maps with `mode = "insert"` and `mode = "update"` do to a Dataverse table, and what they leave.

use serde_json::{Value, json};

use crate::support::running::Running;

fn map(mode: &str, sections: &str) -> String {
    format!(
        "map = 'thing'\nversion = 1\nfrom = {{ system = 'mdm', entity = 'thing' }}\n\
         to = {{ system = 'sales', table = 'acme_customer', mode = '{mode}' }}\n\
         [key]\nacme_number = 'id'\n[fields]\nacme_name = 'name'\n\
         acme_regionid = {{ from = 'region', lookup = 'acme_region.acme_code' }}\n{sections}"
    )
}

fn thing(id: &str, second: u32, name: &str) -> Value {
    json!({"id": id, "at": format!("2026-03-01T00:00:{second:02}Z"), "name": name})
}

async fn names(running: &Running) -> Vec<Vec<Value>> {
    running.rows("acme_customers", &["acme_number", "acme_name"]).await
}

#[tokio::test]
async fn insert_creates_rows_and_never_touches_one_that_is_there() {
    let running = Running::start(&map("insert", ""), "").await;
    let theirs = json!({"acme_number": "1", "acme_name": "theirs"});
    running.call("POST", "acme_customers", Some(theirs)).await;
    let both = [thing("1", 1, "A"), thing("2", 1, "B")];
    assert_eq!(running.take(&both).await, "applied 1, unchanged 1");
    let calls = running.app.environments["sales"].calls();
    // Neither the row that was there nor the own one is asked about again.
    let later = [thing("1", 2, "AA"), thing("2", 2, "BB")];
    assert_eq!(running.take(&later).await, "unchanged 2");
    assert_eq!(running.app.environments["sales"].calls(), calls);
    let expected = [[json!("1"), json!("theirs")], [json!("2"), json!("B")]];
    assert_eq!(names(&running).await, expected);
}

#[tokio::test]
async fn insert_finds_a_row_by_a_key_that_no_address_can_carry() {
    let running = Running::start(&map("insert", ""), "").await;
    let theirs = json!({"acme_number": "1/2", "acme_name": "theirs"});
    running.call("POST", "acme_customers", Some(theirs)).await;
    let both = [thing("1/2", 1, "A"), thing("3/4", 1, "B")];
    assert_eq!(running.take(&both).await, "applied 1, unchanged 1");
    let expected = [[json!("1/2"), json!("theirs")], [json!("3/4"), json!("B")]];
    assert_eq!(names(&running).await, expected);
}

#[tokio::test]
async fn after_insert_the_mode_upsert_writes_what_was_kept() {
    let mut running = Running::start(&map("insert", ""), "").await;
    let theirs = json!({"acme_number": "1", "acme_name": "theirs"});
    running.call("POST", "acme_customers", Some(theirs)).await;
    assert_eq!(running.take(&[thing("1", 1, "A")]).await, "unchanged 1");
    running.restart(&map("upsert", ""), "").await;
    assert_eq!(running.take(&[thing("1", 2, "A")]).await, "applied 1");
    assert_eq!(names(&running).await, [[json!("1"), json!("A")]]);
}

#[tokio::test]
async fn update_changes_what_is_there_and_creates_nothing() {
    let running = Running::start(&map("update", ""), "").await;
    let theirs = json!({"acme_number": "1", "acme_name": "theirs"});
    running.call("POST", "acme_customers", Some(theirs)).await;
    let all = [thing("1", 1, "A"), thing("2", 1, "B"), thing("5/6", 1, "C")];
    assert_eq!(running.take(&all).await, "applied 1, filtered 2");
    assert_eq!(names(&running).await, [[json!("1"), json!("A")]]);
    // Once somebody creates the row, the same content is written.
    let theirs = json!({"acme_number": "2", "acme_name": "theirs"});
    running.call("POST", "acme_customers", Some(theirs)).await;
    assert_eq!(running.take(&[thing("2", 2, "B")]).await, "applied 1");
    assert_eq!(running.take(&[thing("2", 3, "B")]).await, "unchanged 1");
    // What was filtered counts among the versions of the row all the same.
    assert_eq!(running.take(&[thing("2", 1, "old")]).await, "superseded 1");
    assert_eq!(names(&running).await, [[json!("1"), json!("A")], [json!("2"), json!("B")]]);
}

#[tokio::test]
async fn update_tells_a_missing_row_from_a_missing_parent() {
    let running = Running::start(&map("update", ""), "").await;
    let theirs = json!({"acme_number": "1", "acme_name": "theirs"});
    running.call("POST", "acme_customers", Some(theirs)).await;
    let with_region = |id: &str| {
        let mut thing = thing(id, 1, "A");
        thing["region"] = json!("EU");
        thing
    };
    assert_eq!(running.take(&[with_region("1"), with_region("2")]).await, "filtered 1, parked 1");
    let region = json!({"acme_code": "EU", "acme_name": "Europe"});
    running.call("POST", "acme_regions", Some(region)).await;
    assert_eq!(running.take(&[with_region("1")]).await, "applied 1");
}

#[tokio::test]
async fn update_gives_a_row_of_somebody_else_its_state() {
    let running = Running::start(&map("update", "[state]\nstate = 0\nstatus = 1\n"), "").await;
    let theirs = json!({"acme_number": "1", "acme_name": "theirs"});
    running.call("POST", "acme_customers", Some(theirs)).await;
    let inactive = json!({"statecode": 1, "statuscode": 2});
    running.call("PATCH", "acme_customers(acme_number='1')", Some(inactive)).await;
    assert_eq!(running.take(&[thing("1", 1, "A")]).await, "applied 1");
    assert_eq!(running.rows("acme_customers", &["statecode"]).await, [[json!(0)]]);
}
