//! Alternate keys: what an upsert by key does, and which addresses are refused.

use serde_json::json;

use super::Service;

#[tokio::test]
async fn an_upsert_by_key_creates_with_the_key_and_echoes_the_key() {
    let service = Service::new();
    let reply = service.send("PATCH accounts(accountnumber='A%20''1')", json!({"name": "A"})).await;
    assert_eq!(reply.status, 204);
    assert!(reply.header("odata-entityid").ends_with("/accounts(accountnumber='A%20''1')"));
    let row = service.get("accounts(accountnumber='a%20''1')").await.json();
    assert_eq!(row["accountnumber"], "A '1");
}

#[tokio::test]
async fn a_key_column_in_the_body_is_ignored_on_update_and_wins_on_create() {
    let service = Service::new();
    let line = "PATCH accounts(accountnumber='A')";
    service.send(line, json!({"name": "A"})).await;
    service.send(line, json!({"name": "A2", "accountnumber": "B"})).await;
    assert_eq!(service.get("accounts(accountnumber='A')").await.json()["name"], "A2");
    assert_eq!(service.get("accounts(accountnumber='B')").await.status, 404);

    let line = "PATCH accounts(accountnumber='C')";
    assert_eq!(service.send(line, json!({"accountnumber": "D"})).await.status, 204);
    assert_eq!(service.get("accounts(accountnumber='C')").await.status, 404);
    assert_eq!(service.get("accounts(accountnumber='D')").await.status, 200);
}

#[tokio::test]
async fn a_key_that_another_row_has_is_refused_and_named_to_those_who_ask() {
    let service = Service::new();
    service.create("accounts", json!({"accountnumber": "A"})).await;
    let prefer = [("prefer", "odata.include-annotations=\"*\"")];
    let reply = service.raw("POST accounts", &prefer, r#"{"accountnumber":"a"}"#).await;
    assert_eq!(reply.refusal(), (412, "0x80060892".to_owned()));
    let name = "@Microsoft.PowerApps.CDS.ErrorDetails.DuplicateAttributes";
    let expected = "<DuplicateAttributes><accountnumber>a</accountnumber></DuplicateAttributes>";
    assert_eq!(reply.json()["error"][name], expected);
    let other = service.create("accounts", json!({"accountnumber": "B"})).await;
    let line = format!("PATCH accounts({other})");
    let reply = service.send(&line, json!({"accountnumber": "A"})).await;
    assert_eq!(reply.refusal(), (412, "0x80060892".to_owned()));
}

#[tokio::test]
async fn composite_keys_take_numbers_and_lookups_in_any_order() {
    let service = Service::new();
    let line = "PATCH acme_customers(acme_seq=5,acme_company='US01')";
    assert_eq!(service.send(line, json!({"acme_name": "N"})).await.status, 204);
    let row = service.get("acme_customers(acme_company='US01',acme_seq=5)").await.json();
    assert_eq!(row["acme_name"], "N");

    let hotel = service.create("acme_hotels", json!({"acme_name": "H"})).await;
    let room = format!("acme_rooms(_acme_hotelid_value={hotel},acme_number='7')");
    assert_eq!(service.send(&format!("PATCH {room}"), json!({"acme_beds": 2})).await.status, 204);
    assert_eq!(service.get(&room).await.json()["_acme_hotelid_value"], hotel);
}

#[tokio::test]
async fn addresses_that_are_no_keys_are_refused() {
    let service = Service::new();
    for (path, part) in [
        ("accounts(name='x')", "is not valid for resource 'Microsoft.Dynamics.CRM.account'"),
        ("acme_customers(acme_company='US01')", "is not valid for resource"),
        ("accounts(accountnumber=5)", "'5' is no value"),
        ("accounts(accountnumber='a%2Fb')", "query syntax"),
        ("accounts(accountnumber='a:b')", "query syntax"),
        ("accounts(5)", "query syntax"),
        ("systemusers(systemuserid=00000000-0000-0000-0000-000000000001)", "is not valid"),
    ] {
        let reply = service.get(path).await;
        assert_eq!(reply.status, 400, "{path}");
        assert!(reply.text.contains(part), "{path}: {}", reply.text);
    }
    let reply = service.get("accounts(accountnumber='none')").await;
    assert_eq!(reply.refusal(), (404, "0x80060891".to_owned()));
}

#[tokio::test]
async fn the_named_form_of_the_primary_key_leads_to_the_row() {
    let service = Service::new();
    let id = service.create("accounts", json!({"name": "A"})).await;
    assert_eq!(service.get(&format!("accounts(accountid={id})")).await.status, 200);
    assert_eq!(service.get(&format!("/api/data/v9.0/accounts({id})")).await.status, 200);
}

#[tokio::test]
async fn a_key_that_is_not_active_cannot_be_used_and_a_failed_one_can_be_tried_again() {
    let service = Service::new();
    service.create("accounts", json!({"accountnumber": "A"})).await;
    {
        let mut world = service.state.world();
        let account = world.env.tables.get_mut("account").unwrap();
        "Failed".clone_into(&mut account.definition.keys[0].status);
        world.redefined();
    }
    let reply = service.get("accounts(accountnumber='A')").await;
    assert_eq!(reply.refusal(), (400, "0x80060890".to_owned()));
    let key = json!({"EntityLogicalName": "account", "EntityKeyLogicalName": "accountnumberkey"});
    assert_eq!(service.send("POST ReactivateEntityKey", key).await.status, 204);
    assert_eq!(service.get("accounts(accountnumber='A')").await.status, 200);
}

#[tokio::test]
async fn a_key_value_is_held_to_what_its_column_allows() {
    let service = Service::new();
    let long = format!("PATCH accounts(accountnumber='{}')", "9".repeat(21));
    assert_eq!(service.send(&long, json!({"name": "A"})).await.code(), "0x80044331");
    let hotel = "00000000-0000-0000-0000-000000000001";
    let line = format!("PATCH acme_rooms(_acme_hotelid_value={hotel},acme_number='7')");
    assert_eq!(service.send(&line, json!({"acme_beds": 2})).await.code(), "0x80040217");
}
