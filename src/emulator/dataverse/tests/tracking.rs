//! Change tracking.

use std::time::Duration;

use serde_json::{Value, json};

use super::{Reply, Service};

async fn tracked(service: &Service, url: &str, prefer: &str) -> Reply {
    service.raw(&format!("GET {url}"), &[("prefer", prefer)], "").await
}

fn link(reply: &Reply, name: &str) -> Option<String> {
    let link = reply.json()[name].as_str()?.to_owned();
    Some(link.strip_prefix("http://here").unwrap().to_owned())
}

async fn names(service: &Service, url: &str) -> (Vec<Value>, String) {
    let reply = service.get(url).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let items = reply.json()["value"].as_array().unwrap().clone();
    (items, link(&reply, "@odata.deltaLink").unwrap())
}

#[tokio::test]
async fn the_first_read_is_paged_and_only_its_last_page_has_the_delta_link() {
    let service = Service::new();
    for number in 0..5 {
        service.create("accounts", json!({"name": format!("A{number}")})).await;
    }
    let prefer = "odata.track-changes,odata.maxpagesize=2";
    let mut reply = tracked(&service, "accounts?$select=name", prefer).await;
    assert!(reply.header("preference-applied").contains("odata.track-changes"));
    let mut rows = 0;
    let mut pages = 1;
    loop {
        rows += reply.json()["value"].as_array().unwrap().len();
        let Some(next) = link(&reply, "@odata.nextLink") else { break };
        assert_eq!(link(&reply, "@odata.deltaLink"), None);
        reply = tracked(&service, &next, "odata.maxpagesize=2").await;
        pages += 1;
    }
    assert_eq!((rows, pages), (5, 3));
    assert!(link(&reply, "@odata.deltaLink").is_some());
}

#[tokio::test]
async fn changes_come_whole_by_version_and_deletions_last_with_their_id_alone() {
    let service = Service::new();
    let one = service.create("accounts", json!({"name": "A", "telephone1": "1"})).await;
    let two = service.create("accounts", json!({"name": "B"})).await;
    let first = tracked(&service, "accounts?$select=name,telephone1", "odata.track-changes").await;
    let delta = link(&first, "@odata.deltaLink").unwrap();
    assert_eq!(names(&service, &delta).await.0, Vec::<Value>::new());

    service.raw(&format!("DELETE accounts({two})"), &[], "").await;
    service.create("accounts", json!({"name": "C"})).await;
    service.send(&format!("PATCH accounts({one})"), json!({"name": "A2"})).await;
    let gone = service.create("accounts", json!({"name": "D"})).await;
    service.raw(&format!("DELETE accounts({gone})"), &[], "").await;
    let count = format!("{}/$count?{}", "accounts", delta.split_once('?').unwrap().1);
    assert_eq!(service.get(&count).await.text, "4");

    let (items, next) = names(&service, &delta).await;
    let shown: Vec<&Value> = items.iter().map(|item| &item["name"]).collect();
    assert_eq!(shown, [&json!("C"), &json!("A2"), &Value::Null, &Value::Null]);
    assert_eq!(items[1]["telephone1"], "1");
    assert_eq!(items[2]["id"], two);
    assert_eq!(items[2]["reason"], "deleted");
    assert_eq!(items[3]["id"], gone);
    assert_eq!(items[3].as_object().unwrap().len(), 3);
    assert_eq!(names(&service, &next).await.0, Vec::<Value>::new());
}

#[tokio::test]
async fn a_paged_delta_loses_no_deletion() {
    let service = Service::new();
    let gone = service.create("accounts", json!({"name": "A"})).await;
    let first = tracked(&service, "accounts?$select=name", "odata.track-changes").await;
    service.raw(&format!("DELETE accounts({gone})"), &[], "").await;
    for name in ["B", "C", "D"] {
        service.create("accounts", json!({"name": name})).await;
    }
    let mut url = link(&first, "@odata.deltaLink").unwrap();
    let mut items = Vec::new();
    loop {
        let reply = tracked(&service, &url, "odata.maxpagesize=2").await;
        items.extend(reply.json()["value"].as_array().unwrap().clone());
        match link(&reply, "@odata.nextLink") {
            Some(next) => url = next,
            None => break,
        }
    }
    assert_eq!(items.len(), 4);
    assert_eq!(items[3]["id"], gone);
}

#[tokio::test]
async fn options_that_do_not_go_with_tracking_and_tables_without_it_are_refused() {
    let service = Service::new();
    for option in ["$filter=name%20eq%20'A'", "$orderby=name", "$top=1", "$expand=primarycontactid"]
    {
        let url = format!("accounts?{option}");
        let reply = tracked(&service, &url, "odata.track-changes").await;
        assert_eq!(reply.status, 400);
        let text = "query parameter isn't supported when Change Tracking is enabled.";
        assert!(reply.text.contains(text), "{}", reply.text);
    }
    let reply = tracked(&service, "teams", "odata.track-changes").await;
    assert_eq!(reply.refusal(), (400, "0x80072491".to_owned()));
}

#[tokio::test(start_paused = true)]
async fn a_token_dies_after_seven_days_and_when_the_table_is_redefined() {
    let service = Service::new();
    let first = tracked(&service, "accounts?$select=name", "odata.track-changes").await;
    let delta = link(&first, "@odata.deltaLink").unwrap();
    tokio::time::advance(Duration::from_hours(7 * 24)).await;
    assert_eq!(service.get(&delta).await.status, 200);
    tokio::time::advance(Duration::from_secs(1)).await;
    let reply = service.get(&delta).await;
    assert_eq!(reply.code(), "0x80044352");

    let first = tracked(&service, "accounts?$select=name", "odata.track-changes").await;
    let delta = link(&first, "@odata.deltaLink").unwrap();
    let other = tracked(&service, "contacts?$select=lastname", "odata.track-changes").await;
    {
        let mut world = service.state.world();
        let account = world.env.tables.get_mut("account").unwrap();
        account.definition.columns[0].max_length = Some(50);
        world.redefined();
    }
    assert_eq!(service.get(&delta).await.code(), "0x80044352");
    let other = link(&other, "@odata.deltaLink").unwrap();
    assert_eq!(service.get(&other).await.status, 200);
    let first = tracked(&service, "accounts?$select=name", "odata.track-changes").await;
    let delta = link(&first, "@odata.deltaLink").unwrap();
    assert_eq!(service.get(&delta).await.status, 200);
}
