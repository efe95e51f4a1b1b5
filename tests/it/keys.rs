//! Rows that change their key at the source leave nothing behind at the target, whatever brings it, in
//! whatever order, and to whichever instance.

use std::time::Duration;

use concord::app::App;
use concord::config::Settings;
use concord::delta::Tracked;
use concord::emulator::dataverse::server::Server;
use serde_json::{Value, json};

use crate::support::twins::Twins;
use crate::twin::regions;

/// The id of a region of the first environment.
async fn id(twins: &Twins, code: &str) -> String {
    let path = format!("acme_regions(acme_code='{code}')?$select=acme_code");
    let (status, row) = twins.call(&twins.one, "GET", &path, Value::Null).await;
    assert_eq!(status, 200, "{row}");
    row["acme_regionid"].as_str().unwrap().to_owned()
}

async fn make(twins: &Twins, code: &str, name: &str) -> String {
    let row = json!({ "acme_code": code, "acme_name": name });
    twins.write(&twins.one, "POST", "acme_regions", row).await;
    id(twins, code).await
}

async fn rename(twins: &Twins, id: &str, code: &str) {
    let path = format!("acme_regions({id})");
    twins.write(&twins.one, "PATCH", &path, json!({ "acme_code": code })).await;
}

async fn track(app: &App) -> Tracked {
    app.tracking().run(Duration::from_secs(30)).await.unwrap()
}

/// Gives the row another key, and then its first one.
async fn there_and_back(twins: &Twins, id: &str) {
    for code in ["EMEA", "EU"] {
        rename(twins, id, code).await;
        twins.rest().await;
        assert_eq!(twins.regions(&twins.two).await, [format!("{code} Europe")]);
    }
}

async fn a_renamed_row_moves(read: &str) {
    let twins = Twins::start(read, &[regions("one", "two")]).await;
    twins.register().await;
    let id = make(&twins, "EU", "Europe").await;
    twins.rest().await;
    assert_eq!(twins.regions(&twins.two).await, ["EU Europe"]);
    there_and_back(&twins, &id).await;
    twins.write(&twins.one, "DELETE", &format!("acme_regions({id})"), Value::Null).await;
    twins.rest().await;
    assert!(twins.regions(&twins.two).await.is_empty());
}

#[tokio::test]
async fn a_row_with_another_key_leaves_none_behind_by_images() {
    a_renamed_row_moves("read = 'image'").await;
}

#[tokio::test]
async fn a_row_with_another_key_leaves_none_behind_when_rows_are_read_again() {
    a_renamed_row_moves("read = 'fetch'").await;
}

/// Webhooks tell times in milliseconds, and two edits of a person are not made in one.
async fn later() {
    let millis = || jiff::Timestamp::now().as_millisecond();
    let now = millis();
    while millis() == now {
        tokio::task::yield_now().await;
    }
}

/// A row that changes its key up to three times, and is edited in between.
async fn rename_and_edit(twins: &Twins, row: usize) {
    let id = make(twins, &format!("A{row:02}"), "1").await;
    for code in ["B", "C", "D"].into_iter().take(1 + row % 3) {
        later().await;
        rename(twins, &id, &format!("{code}{row:02}")).await;
        later().await;
        let name = json!({ "acme_name": code });
        twins.write(&twins.one, "PATCH", &format!("acme_regions({id})"), name).await;
    }
}

async fn in_any_order(read: &str) {
    let twins = Twins::start(read, &[regions("one", "two")]).await;
    twins.register().await;
    let shares = json!({ "doubled": 0.5, "late": 0.5, "late_seconds": 0.05, "cut": 0.1 });
    twins.trouble(shares).await;
    for row in 0..12 {
        rename_and_edit(&twins, row).await;
    }
    twins.rest().await;
    assert_eq!(twins.regions(&twins.two).await, twins.regions(&twins.one).await);
    assert_eq!(twins.regions(&twins.two).await.len(), 12);
}

#[tokio::test]
async fn images_that_come_twice_and_in_any_order_leave_none_behind() {
    in_any_order("read = 'image'").await;
}

#[tokio::test]
async fn webhooks_that_come_twice_and_in_any_order_leave_none_behind() {
    in_any_order("read = 'fetch'").await;
}

#[tokio::test]
async fn rows_that_exchange_their_keys_each_end_with_the_others() {
    let twins = Twins::start("changes = true", &[regions("one", "two")]).await;
    let (first, second) = (make(&twins, "A", "first").await, make(&twins, "B", "second").await);
    track(&twins.app).await;
    assert_eq!(twins.regions(&twins.two).await, ["A first", "B second"]);
    for (id, code) in [(&first, "T"), (&second, "A"), (&first, "B")] {
        rename(&twins, id, code).await;
    }
    track(&twins.app).await;
    assert_eq!(twins.regions(&twins.two).await, ["A second", "B first"]);
    // from the top, each takes the key that the one before it left, and the first to move is edited last
    for (id, code) in [(&first, "C"), (&second, "B")] {
        rename(&twins, id, code).await;
    }
    make(&twins, "A", "third").await;
    let edit = json!({ "acme_name": "first of all" });
    twins.write(&twins.one, "PATCH", &format!("acme_regions({first})"), edit).await;
    track(&twins.app).await;
    assert_eq!(twins.regions(&twins.two).await, ["A third", "B second", "C first of all"]);
}

#[tokio::test]
async fn an_instance_that_did_not_see_the_key_change_knows_of_it() {
    let twins = Twins::start("changes = true", &[regions("one", "two")]).await;
    let other = App::open(&Settings::of(twins.settings.clone())).await.unwrap();
    let id = make(&twins, "A", "1").await;
    track(&twins.app).await;
    rename(&twins, &id, "B").await;
    track(&other).await;
    assert_eq!(twins.regions(&twins.two).await, ["B 1"]);
    rename(&twins, &id, "A").await;
    track(&twins.app).await;
    assert_eq!(twins.regions(&twins.two).await, ["A 1"]);
}

/// The state of a region of the second environment.
async fn state(twins: &Twins, server: &Server, code: &str) -> Value {
    let path = format!("acme_regions(acme_code='{code}')?$select=statecode");
    twins.call(server, "GET", &path, Value::Null).await.1["statecode"].clone()
}

#[tokio::test]
async fn what_was_left_behind_goes_as_the_map_removes_rows() {
    let deactivates = regions("one", "two").replace("'delete'", "'deactivate'");
    let twins = Twins::start("changes = true", &[deactivates]).await;
    let id = make(&twins, "A", "1").await;
    track(&twins.app).await;
    rename(&twins, &id, "B").await;
    track(&twins.app).await;
    assert_eq!(twins.regions(&twins.two).await, ["A 1", "B 1"]);
    assert_eq!(state(&twins, &twins.two, "A").await, 1);
    assert_eq!(state(&twins, &twins.two, "B").await, 0);
    // the key comes back to the row, and to life
    rename(&twins, &id, "A").await;
    track(&twins.app).await;
    assert_eq!(state(&twins, &twins.two, "A").await, 0);
    assert_eq!(state(&twins, &twins.two, "B").await, 1);
}

#[tokio::test]
async fn a_row_that_is_refused_under_its_new_key_does_not_take_the_old_one_with_it() {
    let strict =
        regions("one", "two").replace("'acme_name' }", "{ from = 'acme_name', max = 3 } }");
    let twins = Twins::start("changes = true", &[strict]).await;
    let id = make(&twins, "A", "abc").await;
    track(&twins.app).await;
    let both = json!({ "acme_code": "B", "acme_name": "too long" });
    twins.write(&twins.one, "PATCH", &format!("acme_regions({id})"), both).await;
    let tracked = track(&twins.app).await;
    assert_eq!(tracked.outcomes.get("poisoned"), Some(&1), "{tracked:?}");
    assert_eq!(twins.regions(&twins.two).await, ["A abc"]);
    let short = json!({ "acme_name": "xyz" });
    twins.write(&twins.one, "PATCH", &format!("acme_regions({id})"), short).await;
    track(&twins.app).await;
    assert_eq!(twins.regions(&twins.two).await, ["B xyz"]);
}
