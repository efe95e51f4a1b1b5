//! The outcome table: which request gives which status on which row.

use serde_json::json;

use super::Service;

const ABSENT: &str = "accounts(00000000-0000-0000-0000-000000000001)";

#[tokio::test]
async fn a_create_answers_204_with_the_address_or_201_with_the_row() {
    let service = Service::new();
    let reply = service.send("POST accounts", json!({"name": "A"})).await;
    assert_eq!(reply.status, 204);
    let url = format!("http://here/api/data/v9.2/accounts({})", reply.id());
    assert_eq!(reply.header("odata-entityid"), url);
    assert_eq!(reply.header("location"), url);

    let prefer = [("prefer", "return=representation")];
    let body = json!({"name": "B"}).to_string();
    let reply = service.raw("POST accounts?$select=name", &prefer, body).await;
    assert_eq!(reply.status, 201);
    assert_eq!(reply.header("odata-entityid"), "");
    assert_eq!(reply.header("preference-applied"), "return=representation");
    assert_eq!(reply.json()["name"], "B");
    assert!(reply.json()["@odata.etag"].as_str().unwrap().starts_with("W/\""));
}

#[tokio::test]
async fn a_used_primary_id_is_refused_with_412() {
    let service = Service::new();
    let id = service.create("accounts", json!({"name": "A"})).await;
    let reply = service.send("POST accounts", json!({"name": "B", "accountid": id})).await;
    assert_eq!(reply.refusal(), (412, "0x80040237".to_owned()));
}

#[tokio::test]
async fn a_patch_creates_or_updates_and_says_the_same_for_both() {
    let service = Service::new();
    for name in ["new", "changed"] {
        let reply = service.send(&format!("PATCH {ABSENT}"), json!({"name": name})).await;
        assert_eq!(reply.status, 204);
        assert_eq!(reply.header("odata-entityid"), format!("http://here/api/data/v9.2/{ABSENT}"));
    }
    assert_eq!(service.get(ABSENT).await.json()["name"], "changed");
}

#[tokio::test]
async fn with_representation_a_patch_tells_created_from_updated() {
    let service = Service::new();
    let prefer = [("prefer", "return=representation")];
    for status in [201, 200] {
        let line = format!("PATCH {ABSENT}?$select=accountid");
        let reply = service.raw(&line, &prefer, r#"{"name":"A"}"#).await;
        assert_eq!(reply.status, status);
        assert!(reply.json().get("name").is_none());
    }
}

#[tokio::test]
async fn conditions_on_existence_turn_an_upsert_into_update_or_create() {
    let service = Service::new();
    let line = format!("PATCH {ABSENT}");
    let body = json!({"name": "A"}).to_string();
    let reply = service.raw(&line, &[("if-match", "*")], body.clone()).await;
    assert_eq!(reply.refusal(), (404, "0x80040217".to_owned()));
    assert!(reply.text.contains("With Id = 00000000-0000-0000-0000-000000000001 Does Not Exist"));
    let reply = service.raw(&line, &[("if-none-match", "*")], body.clone()).await;
    assert_eq!(reply.status, 204);
    let reply = service.raw(&line, &[("if-none-match", "*")], body.clone()).await;
    assert_eq!(reply.refusal(), (412, "0x80040237".to_owned()));
    let reply = service.raw(&line, &[("if-match", "*"), ("if-none-match", "null")], body).await;
    assert_eq!(reply.status, 204);
}

#[tokio::test]
async fn a_version_must_match_to_write_and_to_delete() {
    let service = Service::new();
    let id = service.create("accounts", json!({"name": "A"})).await;
    let row = format!("accounts({id})");
    let etag = service.get(&row).await.json()["@odata.etag"].as_str().unwrap().to_owned();
    let patch = format!("PATCH {row}");
    let reply = service.raw(&patch, &[("if-match", &etag)], r#"{"name":"B"}"#).await;
    assert_eq!(reply.status, 204);
    let delete = format!("DELETE {row}");
    for line in [&patch, &delete] {
        let reply = service.raw(line, &[("if-match", &etag)], r#"{"name":"C"}"#).await;
        assert_eq!(reply.refusal(), (412, "0x80060882".to_owned()));
    }
    let reply = service.raw(&delete, &[("if-match", "*"), ("if-none-match", "null")], "").await;
    assert_eq!(reply.status, 204);
    assert_eq!(service.get(&row).await.status, 404);
    assert_eq!(service.raw(&delete, &[], "").await.status, 404);
}

#[tokio::test]
async fn the_same_values_still_make_a_new_version() {
    let service = Service::new();
    let id = service.create("accounts", json!({"name": "A"})).await;
    let row = format!("accounts({id})");
    let before = service.get(&row).await.json()["versionnumber"].as_i64().unwrap();
    service.send(&format!("PATCH {row}"), json!({"name": "A"})).await;
    assert!(service.get(&row).await.json()["versionnumber"].as_i64().unwrap() > before);
}

#[tokio::test]
async fn an_unchanged_row_is_not_sent_again_unless_more_than_its_columns_is_asked_for() {
    let service = Service::new();
    let id = service.create("accounts", json!({"name": "A"})).await;
    let line = format!("GET accounts({id})");
    let etag = service.raw(&line, &[], "").await.header("etag").to_owned();
    assert_eq!(service.raw(&line, &[("if-none-match", &etag)], "").await.status, 304);
    assert_eq!(service.raw(&line, &[("if-none-match", "null")], "").await.status, 200);
    let asking = [("if-none-match", etag.as_str()), ("prefer", "odata.include-annotations=\"*\"")];
    assert_eq!(service.raw(&line, &asking, "").await.status, 200);
    let expand = format!("{line}?$expand=primarycontactid");
    assert_eq!(service.raw(&expand, &[("if-none-match", &etag)], "").await.status, 200);
}

#[tokio::test]
async fn one_column_is_read_written_and_cleared_by_its_own_address() {
    let service = Service::new();
    let id = service.create("accounts", json!({"name": "A"})).await;
    let column = format!("accounts({id})/telephone1");
    assert_eq!(service.send(&format!("PUT {column}"), json!({"value": "12"})).await.status, 204);
    assert_eq!(service.get(&column).await.json()["value"], "12");
    assert_eq!(service.raw(&format!("DELETE {column}"), &[], "").await.status, 204);
    assert_eq!(service.get(&column).await.status, 204);
    let navigation = format!("PUT accounts({id})/primarycontactid");
    assert_eq!(service.send(&navigation, json!({"value": null})).await.status, 404);
    let absent = format!("PUT {ABSENT}/telephone1");
    assert_eq!(service.send(&absent, json!({"value": "1"})).await.status, 404);
}

#[tokio::test]
async fn a_body_that_is_no_json_is_a_payload_error() {
    let reply = Service::new().raw("POST accounts", &[], "{\"name\":").await;
    assert_eq!(reply.refusal(), (400, "0x80048d19".to_owned()));
    assert!(reply.text.contains("Error identified in Payload"));
}
