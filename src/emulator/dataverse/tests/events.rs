//! Messages about more than one row: pairs, merges, many rows at once.

use serde_json::{Value, json};

use super::steps::{Posting, Receiver};
use crate::decode::Decoder;
use crate::decode::dataverse::Tables;
use crate::delivery::Event;

/// What a context becomes when it is decoded, one line for each change.
fn lines(body: &Value) -> Vec<String> {
    let event = Event { body: body.to_string().into(), ..Event::default() };
    let decoded = Decoder::dataverse(Tables::default()).decode(&event);
    let line = |one: crate::decode::Decoded<'_>| {
        let change = one.change.unwrap();
        let name = change.property("acme_name").or(change.property("name"));
        let name = name.map(|name| name.get().to_owned()).unwrap_or_default();
        format!("{:?} {} {} {name}", change.kind, change.entity, change.id)
    };
    decoded.into_iter().map(line).collect()
}

#[tokio::test]
async fn pairs_are_told_from_either_end_once_and_children_by_their_update_too() {
    let (emulator, receiver) = (Posting::new(), Receiver::new(&[200]).await);
    let endpoint = emulator.endpoint(8, &receiver.url).await;
    for message in ["Associate", "Disassociate"] {
        emulator.step_of(&endpoint, message, None, json!({})).await;
    }
    emulator.step(&endpoint, "Update", json!({})).await;
    let service = &emulator.service;
    let customer = service.create("acme_customers", json!({ "acme_name": "C" })).await;
    let hotel = service.create("acme_hotels", json!({ "acme_name": "H" })).await;
    let tie = |set: &str, id: &str, other: &str| {
        (format!("POST {set}({id})/acme_customer_acme_hotel/$ref"), json!({ "@odata.id": other }))
    };
    let there = tie("acme_customers", &customer, &format!("acme_hotels({hotel})"));
    let back = tie("acme_hotels", &hotel, &format!("acme_customers({customer})"));
    for (call, body) in [there.clone(), there, back] {
        assert_eq!(service.send(&call, body).await.status, 204);
        emulator.told().await;
    }
    let part = format!("DELETE acme_hotels({hotel})/acme_customer_acme_hotel({customer})/$ref");
    assert_eq!(service.raw(&part, &[], "").await.status, 204);
    emulator.told().await;
    let bodies = receiver.bodies();
    let pair = format!("acme_customer_acme_hotel {customer},{hotel} ");
    let shown: Vec<String> = bodies.iter().flat_map(lines).collect();
    assert_eq!(shown, [format!("Upsert {pair}"), format!("Remove {pair}")]);
    let role = &bodies[0]["InputParameters"][1]["value"]["SchemaName"];
    assert_eq!(
        (role, &bodies[1]["PrimaryEntityName"]),
        (&json!("acme_customer_acme_hotel"), &json!("acme_hotel"))
    );
    // A lookup that is set through the parent's collection.
    let region =
        service.create("acme_regions", json!({ "acme_name": "R", "acme_code": "R" })).await;
    let call = format!("POST acme_regions({region})/acme_region_acme_customer_RegionId/$ref");
    let child = json!({ "@odata.id": format!("acme_customers({customer})") });
    assert_eq!(service.send(&call, child).await.status, 204);
    emulator.told().await;
    let mut messages: Vec<Value> =
        receiver.bodies()[2..].iter().map(|body| body["MessageName"].clone()).collect();
    messages.sort_by_key(ToString::to_string);
    assert_eq!(messages, ["Associate", "Update"]);
}

#[tokio::test]
async fn every_creation_and_update_is_one_of_many_too() {
    let (emulator, receiver) = (Posting::new(), Receiver::new(&[200]).await);
    let endpoint = emulator.endpoint(8, &receiver.url).await;
    for message in ["Create", "CreateMultiple", "UpdateMultiple"] {
        emulator.step(&endpoint, message, json!({})).await;
    }
    let service = &emulator.service;
    let target = |number: &str| json!({ "@odata.type": "Microsoft.Dynamics.CRM.acme_customer", "@odata.id": format!("acme_customers(acme_number='{number}')"), "acme_name": number });
    service.create("acme_customers", json!({ "acme_number": "1", "acme_name": "A" })).await;
    emulator.told().await;
    let names = |bodies: &[Value]| {
        let mut shown: Vec<(String, usize)> = bodies
            .iter()
            .map(|body| (body["MessageName"].as_str().unwrap().to_owned(), lines(body).len()))
            .collect();
        shown.sort();
        shown
    };
    let of = |all: &[(&str, usize)]| -> Vec<(String, usize)> {
        all.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect()
    };
    assert_eq!(names(&receiver.bodies()), of(&[("Create", 1), ("CreateMultiple", 1)]));
    // An upsert of many is a creation of some and an update of the others.
    let body = json!({ "Targets": [target("1"), target("2"), target("3")] });
    let call = "POST acme_customers/Microsoft.Dynamics.CRM.UpsertMultiple";
    assert_eq!(service.send(call, body).await.status, 204);
    emulator.told().await;
    let later = &receiver.bodies()[2..];
    let wanted = [("Create", 1), ("Create", 1), ("CreateMultiple", 2), ("UpdateMultiple", 1)];
    assert_eq!(names(later), of(&wanted));
    let many = later.iter().find(|body| body["MessageName"] == "CreateMultiple").unwrap();
    assert_eq!(many["PrimaryEntityId"], "00000000-0000-0000-0000-000000000000");
    assert_eq!(many["OutputParameters"][0]["value"].as_array().unwrap().len(), 2);
    let rows = lines(many);
    assert!(rows[0].ends_with("\"2\"") && rows[1].ends_with("\"3\""), "{rows:?}");
}

#[tokio::test]
async fn a_merge_tells_its_two_rows_and_what_the_master_took_over() {
    let (emulator, receiver) = (Posting::new(), Receiver::new(&[200]).await);
    let endpoint = emulator.endpoint(8, &receiver.url).await;
    emulator.step_of(&endpoint, "Merge", Some("account"), json!({})).await;
    let service = &emulator.service;
    let master = service.create("accounts", json!({ "name": "A" })).await;
    let loser = service.create("accounts", json!({ "name": "B" })).await;
    let contact = json!({ "lastname": "L", "parentcustomerid_account@odata.bind": format!("accounts({loser})") });
    let contact = service.create("contacts", contact).await;
    let row =
        |id: &str| json!({ "@odata.type": "#Microsoft.Dynamics.CRM.account", "accountid": id });
    let mut content = row(&master);
    content["name"] = "Both".into();
    let merge =
        json!({ "Target": row(&master), "Subordinate": row(&loser), "UpdateContent": content });
    assert_eq!(service.send("POST Merge", merge.clone()).await.status, 204);
    emulator.told().await;
    let body = receiver.bodies().remove(0);
    let shown = lines(&body);
    assert_eq!(
        shown,
        [format!("Upsert account {master} \"Both\""), format!("Upsert account {loser} ")]
    );
    let child = service.get(&format!("contacts({contact})")).await.json();
    assert_eq!(child["_parentcustomerid_value"], master);
    let gone = service.get(&format!("accounts({loser})")).await.json();
    assert_eq!(
        (&gone["statecode"], &gone["merged"], &gone["_masterid_value"]),
        (&json!(1), &json!(true), &json!(master))
    );
    for (change, code) in [
        (json!({}), "0x80040203"),
        (json!({ "Subordinate": row(&master) }), "0x80040203"),
        (
            json!({ "Target": { "@odata.type": "Microsoft.Dynamics.CRM.acme_hotel", "acme_hotelid": master } }),
            "0x80040800",
        ),
    ] {
        let mut again = merge.clone();
        again.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        assert_eq!(service.send("POST Merge", again).await.code(), code, "{change}");
    }
}
