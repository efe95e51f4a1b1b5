//! Values of columns: what is taken, what is refused with which code, what the system sets itself.

use serde_json::{Value, json};

use super::super::seed;
use super::super::state::Options;
use super::Service;

#[tokio::test]
async fn values_come_back_as_the_service_spells_them() {
    let service = Service::new();
    let body = r#"{"acme_name":"N","acme_rate":12.3456789,"acme_credit":20000,
        "acme_kind":100000001,"acme_tags":"100000003,100000001","acme_since":"2024-05-01",
        "acme_visitedon":"2024-05-01T12:00:00.987+02:00","acme_opensat":"2024-05-01T08:00:00",
        "acme_active":true,"acme_big":9007199254740993,"acme_score":0.5}"#;
    let reply = service.raw("POST acme_customers", &[], body).await;
    let prefer = [("prefer", "odata.include-annotations=\"*\"")];
    let text = service.raw(&format!("GET acme_customers({})", reply.id()), &prefer, "").await.text;
    for part in [
        r#""acme_rate":12.3456790000"#,
        r#""acme_credit@OData.Community.Display.V1.FormattedValue":"$20,000.0000","acme_credit":20000.0000"#,
        r#""acme_credit_base":20000.0000"#,
        r#""acme_kind@OData.Community.Display.V1.FormattedValue":"Wholesale","acme_kind":100000001"#,
        r#""acme_tags@OData.Community.Display.V1.FormattedValue":"Loyal; Key","acme_tags":"100000001,100000003""#,
        r#""acme_since":"2024-05-01""#,
        r#""acme_visitedon":"2024-05-01T10:00:00Z""#,
        r#""acme_opensat":"2024-05-01T08:00:00Z""#,
        r#""acme_big":9007199254740993"#,
        r#""acme_score":0.5"#,
        r#""_transactioncurrencyid_value@OData.Community.Display.V1.FormattedValue":"US Dollar""#,
        r#""acme_notes":null"#,
    ] {
        assert!(text.contains(part), "{part} is not in {text}");
    }
}

#[tokio::test]
async fn exact_digits_survive_where_a_double_would_lose_them() {
    let service = Service::new();
    let reply =
        service.raw("POST acme_customers", &[], r#"{"acme_credit":123456789012345.6789}"#).await;
    let text =
        service.get(&format!("acme_customers({})?$select=acme_credit", reply.id())).await.text;
    assert!(text.contains(r#""acme_credit":123456789012345.6789"#), "{text}");
}

#[tokio::test]
async fn wrong_values_are_refused_with_their_own_codes() {
    let service = Service::new();
    let long = "x".repeat(201);
    for (body, code, part) in [
        (json!({"acme_name": long}), "0x80044331", "maximum allowed length of '200'"),
        (json!({"acme_seq": -1}), "0x8004432F", "'acme_seq'"),
        (json!({"acme_rate": 1_000_001}), "0x80044330", "'acme_rate'"),
        (json!({"acme_kind": 7}), "0x8004431A", "100000000,100000001,100000002"),
        (json!({"acme_tags": "100000000,7"}), "0x8004431A", "'acme_tags'"),
        (json!({"acme_active": 2}), "0x8004431C", "either 0 or 1"),
        (json!({"acme_visitedon": "1752-12-31T00:00:00Z"}), "0x80040239", "acme_visitedon"),
        (json!({"acme_visitedon": "soon"}), "0x80040239", "acme_visitedon"),
        (json!({"acme_since": "2024-05-01T00:00:00Z"}), "0x80048d19", "Edm.Date"),
        (json!({"acme_customerid": "x"}), "0x80040363", "acme_customerid"),
        (json!({"acme_name": 5}), "0x80048d19", "Edm.String"),
        (json!({"acme_seq": "5"}), "0x80048d19", "Edm.Int32"),
        (json!({"acme_rate": "1.5"}), "0x80048d19", "Edm.Decimal"),
        (json!({"nosuch": 1}), "0x0", "Invalid property 'nosuch' was found in entity"),
        (json!({"acme_regionid": null}), "0x0", "Invalid property 'acme_regionid'"),
        (json!({"_acme_regionid_value": null}), "0x80048d19", "Use Navigation properties"),
        (json!({"acme_contract": "x"}), "0x80048d19", "acme_contract"),
        (
            json!({"nosuch@odata.bind": "/accounts(1)"}),
            "0x80048d19",
            "An undeclared property 'nosuch'",
        ),
    ] {
        let reply = service.send("POST acme_customers", body.clone()).await;
        assert_eq!(reply.refusal(), (400, code.to_owned()), "{body}");
        assert!(reply.text.contains(part), "{body}: {}", reply.text);
    }
    assert_eq!(service.get("acme_customers/$count").await.text, "0");
}

#[tokio::test]
async fn null_clears_and_the_empty_text_is_null_but_required_columns_stay() {
    let service = Service::new();
    let id = service.create("acme_regions", json!({"acme_name": "R", "acme_code": "EU"})).await;
    let line = format!("PATCH acme_regions({id})");
    assert_eq!(service.send(&line, json!({"acme_name": ""})).await.status, 204);
    assert_eq!(service.get(&format!("acme_regions({id})")).await.json()["acme_name"], Value::Null);
    assert_eq!(service.send(&line, json!({"acme_code": null})).await.status, 400);
    assert_eq!(service.send("POST acme_regions", json!({"acme_name": "R"})).await.status, 400);
}

#[tokio::test]
async fn the_system_sets_who_when_and_whose() {
    let service = Service::new();
    let body = json!({"name": "A", "createdon": "2001-01-01T00:00:00Z", "versionnumber": 1});
    let id = service.create("accounts", body).await;
    let row = service.get(&format!("accounts({id})")).await.json();
    assert_eq!(row["createdon"], "2026-05-01T10:20:30Z");
    assert_eq!(row["_ownerid_value"], seed::user().to_string());
    assert_eq!(row["_owninguser_value"], seed::user().to_string());
    assert_eq!(row["_createdby_value"], seed::user().to_string());
    assert_eq!((&row["statecode"], &row["statuscode"]), (&json!(0), &json!(1)));
    assert!(row["_owningbusinessunit_value"].is_string());
}

#[tokio::test]
async fn an_import_may_say_when_a_row_was_created() {
    let service = Service::new();
    let given = json!({"name": "A", "overriddencreatedon": "2001-01-01T00:00:00Z"});
    let id = service.create("accounts", given).await;
    let row = service.get(&format!("accounts({id})")).await.json();
    assert_eq!(row["createdon"], "2001-01-01T00:00:00Z");
}

#[tokio::test]
async fn somebody_else_may_be_named_as_the_one_who_writes() {
    let service = Service::new();
    let other = seed::other_user().to_string();
    let reply = service.raw("POST accounts", &[("mscrmcallerid", &other)], r#"{"name":"A"}"#).await;
    let row = service.get(&format!("accounts({})", reply.id())).await.json();
    assert_eq!(row["_createdby_value"], other);
    assert_eq!(row["_createdonbehalfby_value"], seed::user().to_string());
    let nobody = [("mscrmcallerid", "00000000-0000-0000-0000-000000000009")];
    let reply = service.raw("POST accounts", &nobody, r#"{"name":"A"}"#).await;
    assert_eq!(reply.refusal(), (403, "0x8004A110".to_owned()));
}

#[tokio::test]
async fn states_and_statuses_must_fit_and_a_new_row_is_active() {
    let service = Service::new();
    let id = service.create("accounts", json!({"name": "A", "statecode": 1})).await;
    let (row, line) = (format!("accounts({id})"), format!("PATCH accounts({id})"));
    assert_eq!(service.get(&row).await.json()["statecode"], 0);
    for wrong in [json!({"statuscode": 2}), json!({"statecode": 1, "statuscode": 1})] {
        let reply = service.send(&line, wrong).await;
        assert_eq!(reply.refusal(), (400, "0x80048408".to_owned()));
        assert!(reply.text.contains("is not a valid status code for state code AccountState."));
    }
    assert_eq!(service.send(&line, json!({"statecode": 1})).await.status, 204);
    assert_eq!(service.get(&row).await.json()["statuscode"], 2);
    let both = json!({"statecode": 0, "statuscode": 1, "name": "B"});
    assert_eq!(service.send(&line, both).await.status, 204);
    // A request with state columns and others runs as two updates.
    assert_eq!(service.counters().await["rows"]["updated"], 3);
}

#[tokio::test]
async fn secured_columns_are_closed_to_callers_without_the_permission() {
    let open = Service::new();
    let id = open.create("acme_customers", json!({"acme_secret": "s"})).await;
    assert_eq!(open.get(&format!("acme_customers({id})")).await.json()["acme_secret"], "s");
    let closed = Service::with(Options { column_security: true, ..Options::default() });
    let reply = closed.send("POST acme_customers", json!({"acme_secret": "s"})).await;
    assert_eq!(reply.refusal(), (403, "0x8004F507".to_owned()));
}

#[tokio::test]
async fn a_persons_full_name_follows_from_its_parts() {
    let service = Service::new();
    let body = json!({"firstname": "Ada", "lastname": "Lind", "fullname": "no"});
    let id = service.create("contacts", body).await;
    assert_eq!(service.get(&format!("contacts({id})")).await.json()["fullname"], "Ada Lind");
}
