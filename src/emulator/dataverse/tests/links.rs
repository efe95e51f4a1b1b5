//! Lookups, associations, deep inserts, and what a deletion does to the rows around.

use serde_json::{Value, json};

use super::Service;

async fn region(service: &Service) -> String {
    service.create("acme_regions", json!({"acme_name": "Europe", "acme_code": "EU"})).await
}

#[tokio::test]
async fn a_lookup_is_bound_in_every_spelling_and_cleared_in_every_way() {
    let service = Service::new();
    let region = region(&service).await;
    let id = service.create("acme_customers", json!({"acme_name": "N"})).await;
    let (row, line) = (format!("acme_customers({id})"), format!("PATCH acme_customers({id})"));
    let clears = [json!({"acme_RegionId": null}), json!({"acme_RegionId@odata.bind": null})];
    let spellings = [
        format!("/acme_regions({region})"),
        format!("acme_regions({region})"),
        format!("http://here/api/data/v9.2/acme_regions({region})"),
        "/acme_regions(acme_code='EU')".to_owned(),
    ];
    for (spelling, clear) in spellings.into_iter().zip(clears.into_iter().cycle()) {
        let reply = service.send(&line, json!({"acme_RegionId@odata.bind": spelling})).await;
        assert_eq!(reply.status, 204, "{spelling}: {reply:?}");
        assert_eq!(service.get(&row).await.json()["_acme_regionid_value"], region);
        assert_eq!(service.send(&line, clear).await.status, 204);
        assert_eq!(service.get(&row).await.json()["_acme_regionid_value"], Value::Null);
    }
}

#[tokio::test]
async fn a_bind_to_nothing_or_to_the_wrong_table_is_refused() {
    let service = Service::new();
    let account = service.create("accounts", json!({"name": "A"})).await;
    for (reference, status, code) in [
        ("/acme_regions(00000000-0000-0000-0000-000000000001)".to_owned(), 404, "0x80040217"),
        ("/acme_regions(acme_code='XX')".to_owned(), 404, "0x80060891"),
        (format!("/accounts({account})"), 400, "0x80048d19"),
        ("/acme_regions(acme_code='a/b')".to_owned(), 400, "0x80060888"),
    ] {
        let body = json!({"acme_RegionId@odata.bind": reference});
        let reply = service.send("POST acme_customers", body).await;
        assert_eq!(reply.refusal(), (status, code.to_owned()), "{reference}");
    }
}

#[tokio::test]
async fn a_polymorphic_lookup_has_one_navigation_property_for_each_table() {
    let service = Service::new();
    let account = service.create("accounts", json!({"name": "A"})).await;
    let bind = json!({"parentcustomerid_account@odata.bind": format!("/accounts({account})")});
    let id = service.create("contacts", bind).await;
    let prefer = [("prefer", "odata.include-annotations=\"*\"")];
    let row = service.raw(&format!("GET contacts({id})"), &prefer, "").await.json();
    assert_eq!(row["_parentcustomerid_value"], account);
    let name = "_parentcustomerid_value@Microsoft.Dynamics.CRM.lookuplogicalname";
    assert_eq!(row[name], "account");
    let name = "_parentcustomerid_value@Microsoft.Dynamics.CRM.associatednavigationproperty";
    assert_eq!(row[name], "parentcustomerid_account");
    let wrong = json!({"parentcustomerid_contact@odata.bind": format!("/accounts({account})")});
    assert_eq!(service.send("POST contacts", wrong).await.status, 400);
}

#[tokio::test]
async fn an_owner_may_be_a_team() {
    let service = Service::new();
    let team = service.get("teams?$select=teamid").await.json()["value"][0]["teamid"].clone();
    let bind = json!({"ownerid@odata.bind": format!("/teams({})", team.as_str().unwrap())});
    let id = service.create("accounts", bind).await;
    let row = service.get(&format!("accounts({id})")).await.json();
    assert_eq!((&row["_owningteam_value"], &row["_owninguser_value"]), (&team, &Value::Null));
}

#[tokio::test]
async fn references_are_set_shown_and_removed_by_ref() {
    let service = Service::new();
    let region = region(&service).await;
    let id = service.create("acme_customers", json!({"acme_name": "N"})).await;
    let url = format!("acme_customers({id})/acme_RegionId/$ref");
    let reference = format!("http://here/api/data/v9.2/acme_regions({region})");
    let body = json!({"@odata.id": reference});
    assert_eq!(service.send(&format!("PUT {url}"), body).await.status, 204);
    assert_eq!(service.get(&url).await.json()["@odata.id"], reference);
    let related = service.get(&format!("acme_customers({id})/acme_RegionId")).await.json();
    assert_eq!(related["acme_code"], "EU");
    assert_eq!(service.raw(&format!("DELETE {url}"), &[], "").await.status, 204);
    assert_eq!(service.get(&url).await.status, 204);
}

#[tokio::test]
async fn many_rows_are_associated_with_many_and_parted_again() {
    let service = Service::new();
    let customer = service.create("acme_customers", json!({"acme_name": "N"})).await;
    let hotel = service.create("acme_hotels", json!({"acme_name": "H"})).await;
    let members = format!("acme_customers({customer})/acme_customer_acme_hotel");
    let other = json!({"@odata.id": format!("acme_hotels({hotel})")});
    for _ in 0..2 {
        let reply = service.send(&format!("POST {members}/$ref"), other.clone()).await;
        assert_eq!(reply.status, 204);
    }
    assert_eq!(service.get(&members).await.json()["value"][0]["acme_name"], "H");
    let back = format!("acme_hotels({hotel})/acme_customer_acme_hotel/$count");
    assert_eq!(service.get(&back).await.text, "1");
    assert_eq!(service.raw(&format!("DELETE {members}({hotel})/$ref"), &[], "").await.status, 204);
    assert_eq!(service.get(&back).await.text, "0");
    service.send(&format!("POST {members}/$ref"), other).await;
    let by_url =
        format!("DELETE {members}/$ref?$id=http://here/api/data/v9.2/acme_hotels({hotel})");
    assert_eq!(service.raw(&by_url, &[], "").await.status, 204);
    assert_eq!(service.get(&back).await.text, "0");
}

#[tokio::test]
async fn children_are_tied_through_the_parents_collection() {
    let service = Service::new();
    let account = service.create("accounts", json!({"name": "A"})).await;
    let contact = service.create("contacts", json!({"lastname": "L"})).await;
    let members = format!("accounts({account})/contact_customer_accounts");
    let body = json!({"@odata.id": format!("contacts({contact})")});
    assert_eq!(service.send(&format!("POST {members}/$ref"), body).await.status, 204);
    let row = service.get(&format!("contacts({contact})")).await.json();
    assert_eq!(row["_parentcustomerid_value"], account);
    assert_eq!(
        service.get(&format!("{members}?$select=lastname")).await.json()["value"][0]["lastname"],
        "L"
    );
}

#[tokio::test]
async fn a_row_posted_to_a_collection_is_tied_to_its_owner() {
    let service = Service::new();
    let account = service.create("accounts", json!({"name": "A"})).await;
    let members = format!("accounts({account})/contact_customer_accounts");
    let contact = service.create(&members, json!({"lastname": "L"})).await;
    let row = service.get(&format!("contacts({contact})")).await.json();
    assert_eq!(row["_parentcustomerid_value"], account);
}

#[tokio::test]
async fn a_deep_insert_creates_the_rows_around_or_nothing() {
    let service = Service::new();
    let body = json!({
        "name": "A",
        "primarycontactid": {"lastname": "First"},
        "contact_customer_accounts": [{"lastname": "Second"}, {"lastname": "Third"}],
    });
    let id = service.create("accounts", body).await;
    let row = service.get(&format!("accounts({id})?$expand=primarycontactid")).await.json();
    assert_eq!(row["primarycontactid"]["lastname"], "First");
    assert_eq!(service.get("contacts/$count").await.text, "3");
    let broken = json!({"name": "B", "contact_customer_accounts": [{"lastname": "x".repeat(51)}]});
    assert_eq!(service.send("POST accounts", broken).await.code(), "0x80044331");
    assert_eq!(service.get("accounts/$count").await.text, "1");
}

#[tokio::test]
async fn a_deletion_is_forbidden_cascades_or_clears_as_the_relationship_says() {
    let service = Service::new();
    let region = region(&service).await;
    let bind = json!({"acme_RegionId@odata.bind": format!("/acme_regions({region})")});
    let customer = service.create("acme_customers", bind).await;
    let line = format!("DELETE acme_regions({region})");
    let reply = service.raw(&line, &[], "").await;
    assert_eq!(reply.refusal(), (405, "0x80040227".to_owned()));
    assert_eq!(service.get(&format!("acme_regions({region})")).await.status, 200);
    service.raw(&format!("DELETE acme_customers({customer})"), &[], "").await;
    assert_eq!(service.raw(&line, &[], "").await.status, 204);

    let hotel = service.create("acme_hotels", json!({"acme_name": "H"})).await;
    let bind = json!({"acme_HotelId@odata.bind": format!("/acme_hotels({hotel})")});
    service.create("acme_rooms", bind).await;
    service.raw(&format!("DELETE acme_hotels({hotel})"), &[], "").await;
    assert_eq!(service.get("acme_rooms/$count").await.text, "0");

    let contact = service.create("contacts", json!({"lastname": "L"})).await;
    let bind = json!({"primarycontactid@odata.bind": format!("/contacts({contact})")});
    let account = service.create("accounts", bind).await;
    service.raw(&format!("DELETE contacts({contact})"), &[], "").await;
    let row = service.get(&format!("accounts({account})")).await.json();
    assert_eq!(row["_primarycontactid_value"], Value::Null);
}

#[tokio::test]
async fn rows_that_refer_to_each_other_can_be_deleted() {
    let service = Service::new();
    let one = service.create("accounts", json!({"name": "A"})).await;
    let bind = json!({"parentaccountid@odata.bind": format!("/accounts({one})")});
    let two = service.create("accounts", bind).await;
    let bind = json!({"parentaccountid@odata.bind": format!("/accounts({two})")});
    service.send(&format!("PATCH accounts({one})"), bind).await;
    assert_eq!(service.raw(&format!("DELETE accounts({one})"), &[], "").await.status, 204);
    assert_eq!(service.raw(&format!("DELETE accounts({two})"), &[], "").await.status, 204);
}

#[tokio::test]
async fn users_join_and_leave_teams() {
    let service = Service::new();
    let team = service.get("teams?$select=teamid").await.json()["value"][0]["teamid"].clone();
    let team = format!("teams({})", team.as_str().unwrap());
    let user = super::super::seed::other_user();
    let members = json!({"Members": [{"systemuserid": user}]});
    for (action, count) in [("AddMembersTeam", "1"), ("RemoveMembersTeam", "0")] {
        let line = format!("POST {team}/Microsoft.Dynamics.CRM.{action}");
        assert_eq!(service.send(&line, members.clone()).await.status, 204);
        let count_url = format!("{team}/teammembership_association/$count");
        assert_eq!(service.get(&count_url).await.text, count);
    }
}
