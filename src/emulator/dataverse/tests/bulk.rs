//! The *Multiple messages and `BulkDelete`.

use serde_json::{Value, json};

use super::Service;

const TYPE: &str = "Microsoft.Dynamics.CRM.acme_customer";

fn target(members: Value) -> Value {
    let mut target = members;
    target["@odata.type"] = TYPE.into();
    target
}

fn by_number(number: &str, name: &str) -> Value {
    let id = format!("acme_customers(acme_number='{number}')");
    target(json!({"@odata.id": id, "acme_name": name}))
}

async fn send(service: &Service, message: &str, targets: Vec<Value>) -> super::Reply {
    let line = format!("POST acme_customers/Microsoft.Dynamics.CRM.{message}");
    service.send(&line, json!({"Targets": targets})).await
}

#[tokio::test]
async fn create_multiple_answers_with_the_ids_in_order() {
    let service = Service::new();
    let targets = ["A", "B"].map(|name| target(json!({"acme_name": name})));
    let reply = send(&service, "CreateMultiple", targets.into()).await;
    assert_eq!(reply.status, 200);
    let body = reply.json();
    assert!(body["@odata.context"].as_str().unwrap().ends_with("CreateMultipleResponse"));
    for (id, name) in body["Ids"].as_array().unwrap().iter().zip(["A", "B"]) {
        let row = service.get(&format!("acme_customers({})", id.as_str().unwrap())).await.json();
        assert_eq!(row["acme_name"], name);
    }
}

#[tokio::test]
async fn update_multiple_goes_by_id_and_takes_the_first_of_two() {
    let service = Service::new();
    let id = service.create("acme_customers", json!({"acme_number": "1"})).await;
    let targets =
        ["first", "second"].map(|name| target(json!({"acme_customerid": id, "acme_name": name})));
    assert_eq!(send(&service, "UpdateMultiple", targets.into()).await.status, 204);
    let row = service.get(&format!("acme_customers({id})")).await.json();
    assert_eq!(row["acme_name"], "first");
    assert_eq!(send(&service, "UpdateMultiple", vec![by_number("1", "x")]).await.status, 400);
    let absent = target(json!({"acme_customerid": "00000000-0000-0000-0000-000000000001"}));
    assert_eq!(send(&service, "UpdateMultiple", vec![absent]).await.status, 404);
}

#[tokio::test]
async fn upsert_multiple_creates_and_updates_and_refuses_a_row_that_stands_twice() {
    let service = Service::new();
    service.create("acme_customers", json!({"acme_number": "1", "acme_name": "old"})).await;
    let targets = vec![by_number("1", "new"), by_number("2", "born")];
    let reply = send(&service, "UpsertMultiple", targets).await;
    assert_eq!((reply.status, reply.text.as_str()), (204, ""));
    for (number, name) in [("1", "new"), ("2", "born")] {
        let row = service.get(&format!("acme_customers(acme_number='{number}')")).await.json();
        assert_eq!(row["acme_name"], name);
    }
    for twice in ["1", "3"] {
        let targets = vec![by_number(twice, "a"), by_number(twice, "b")];
        assert_eq!(send(&service, "UpsertMultiple", targets).await.status, 400);
    }
    assert_eq!(service.get("acme_customers/$count").await.text, "2");
}

#[tokio::test]
async fn one_bad_row_takes_all_others_back() {
    let service = Service::new();
    service.create("acme_customers", json!({"acme_number": "1", "acme_name": "old"})).await;
    let before = service.get("/_emulator/dump").await.text;
    let bad = by_number("3", &"x".repeat(201));
    let targets = vec![by_number("1", "new"), by_number("2", "born"), bad];
    assert_eq!(send(&service, "UpsertMultiple", targets).await.code(), "0x80044331");
    assert_eq!(service.get("/_emulator/dump").await.text, before);
    assert_eq!(service.counters().await["rows"], json!({"created": 1, "updated": 0, "deleted": 0}));
    assert_eq!(service.get("acme_customers(acme_number='2')").await.status, 404);
}

#[tokio::test]
async fn every_target_must_name_its_type_and_all_the_same() {
    let service = Service::new();
    let untyped = json!({"acme_name": "A"});
    let other = json!({"@odata.type": "Microsoft.Dynamics.CRM.account"});
    for wrong in [untyped, other] {
        assert_eq!(send(&service, "CreateMultiple", vec![wrong]).await.code(), "0x80048d19");
    }
}

#[tokio::test]
async fn tables_without_bulk_messages_do_not_know_them_and_none_deletes_many() {
    let service = Service::new();
    let body = json!({"Targets": [{"@odata.type": "Microsoft.Dynamics.CRM.team"}]});
    let reply = service.send("POST teams/Microsoft.Dynamics.CRM.CreateMultiple", body).await;
    assert_eq!(reply.refusal(), (404, "0x8006088a".to_owned()));
    let reply = send(&service, "DeleteMultiple", vec![]).await;
    assert!(reply.text.contains("DeleteMultiple has not yet been implemented."));
}

#[tokio::test]
async fn bulk_delete_removes_what_its_query_names_and_leaves_a_job() {
    let service = Service::new();
    let one = service.create("accounts", json!({"name": "A"})).await;
    service.create("accounts", json!({"name": "B"})).await;
    let body = json!({
        "JobName": "tidy",
        "QuerySet": [{
            "EntityName": "account",
            "Criteria": {"FilterOperator": "And", "Conditions": [{
                "AttributeName": "accountid", "Operator": "In",
                "Values": [{"Value": one, "Type": "System.Guid"}],
            }]},
        }],
    });
    let reply = service.send("POST BulkDelete", body).await;
    assert_eq!(reply.status, 200);
    let job = reply.json()["JobId"].as_str().unwrap().to_owned();
    let row = service.get(&format!("asyncoperations({job})")).await.json();
    assert_eq!((&row["statecode"], &row["statuscode"]), (&json!(3), &json!(30)));
    assert_eq!(service.get("accounts/$count").await.text, "1");
}
