//! Rows and descriptions read back.

use super::stub::{Stub, each, say};
use super::*;
use crate::system::{Choice, Column, ColumnKind};
use uuid::Uuid;

fn typed() -> TableSchema {
    let column = |kind| Column { kind, ..Column::default() };
    let columns = [
        ("acme_credit", ColumnKind::Money),
        ("acme_since", ColumnKind::Date),
        ("acme_regionid", ColumnKind::Lookup),
    ];
    let columns = columns.map(|(name, kind)| (name.to_owned(), column(kind)));
    TableSchema { columns: columns.into(), ..customer() }
}

#[tokio::test]
async fn rows_are_fetched_in_the_order_asked_with_typed_columns() {
    let stub = Stub::start(|asked| {
        each(asked, |part| match part.path.contains("'a/1'") {
            true => say(200, format!(r#"{{"value":[{{"@odata.etag":"W/\"7\"","acme_customerid":"{CORRELATION}",
                "acme_credit":20000.0000,"acme_since":"2024-02-29","_acme_regionid_value":"{CORRELATION}"}}]}}"#)),
            false => say(200, r#"{"value":[]}"#),
        })
    })
    .await;
    let mut config = config(&stub.url);
    config.schemas.insert("acme_customer".into(), typed());
    let keys = ["none", "a/1"].map(|number| named(number).row.key.clone());
    let columns = ["acme_credit", "acme_since", "acme_regionid"].map(str::to_owned);
    let rows = built(config).fetch("acme_customer", &keys, &columns).await.unwrap();
    assert_eq!(rows[0], None);
    let row = rows[1].as_ref().unwrap();
    let id: Uuid = CORRELATION.parse().unwrap();
    assert_eq!((row.id, row.version.as_deref()), (Some(id), Some("W/\"7\"")));
    assert_eq!(row.columns["acme_credit"].to_string(), "20000.0000");
    assert_eq!(row.columns["acme_since"], Value::Date(jiff::civil::date(2024, 2, 29)));
    assert_eq!(row.columns["acme_regionid"], Value::Guid(id));
    let part = stub.asked()[0].parts()[0].path.clone();
    assert!(
        part.contains("$select=acme_customerid,acme_credit,acme_since,_acme_regionid_value"),
        "{part}"
    );
}

const STATUS: &str = r#"{"value":[{"LogicalName":"statuscode","OptionSet":{"Options":[
    {"Value":2,"State":1,"Label":{"UserLocalizedLabel":null,"LocalizedLabels":[{"Label":"Inactive"}]}}]}}]}"#;
const ATTRIBUTES: &str = r##"{"value":[
    {"LogicalName":"acme_name","AttributeType":"String","RequiredLevel":{"Value":"ApplicationRequired"},
     "IsValidForCreate":true,"IsValidForUpdate":true,"IsSecured":true},
    {"LogicalName":"acme_born","AttributeType":"DateTime","IsValidForCreate":true,"IsValidForUpdate":false},
    {"LogicalName":"acme_tags","AttributeType":"Virtual"},
    {"LogicalName":"acme_doc","AttributeType":"Virtual","@odata.type":"#Microsoft.Dynamics.CRM.FileAttributeMetadata"},
    {"LogicalName":"statuscode","AttributeType":"Status"}]}"##;

fn metadata(path: &str) -> String {
    let of = |part: &str| path.contains(part);
    let text = if of("StringAttribute") {
        r#"{"value":[{"LogicalName":"acme_name","MaxLength":160}]}"#
    } else if of("DateTimeAttribute") {
        r#"{"value":[{"LogicalName":"acme_born","DateTimeBehavior":{"Value":"DateOnly"}}]}"#
    } else if of("MultiSelect") {
        r#"{"value":[{"LogicalName":"acme_tags","OptionSet":null,"GlobalOptionSet":{"Options":[
            {"Value":7,"Label":{"UserLocalizedLabel":{"Label":"Seven"}}}]}}]}"#
    } else if of("StatusAttribute") {
        STATUS
    } else if of("/Attributes?") {
        ATTRIBUTES
    } else if of("/Keys") {
        r#"{"value":[{"SchemaName":"acme_k","LogicalName":"acme_k","KeyAttributes":["acme_number"],
            "EntityKeyIndexStatus":"Pending"}]}"#
    } else if of("ManyToOne") {
        r#"{"value":[{"ReferencingAttribute":"acme_regionid","ReferencedEntity":"acme_region",
            "ReferencingEntityNavigationPropertyName":"acme_RegionId"}]}"#
    } else if of("sdkmessagefilters") {
        r#"{"value":[{"sdkmessagefilterid":"1"}]}"#
    } else if of("EntityDefinitions(LogicalName='acme_customer')?") {
        r#"{"LogicalName":"acme_customer","EntitySetName":"acme_customers",
            "PrimaryIdAttribute":"acme_customerid","ChangeTrackingEnabled":true}"#
    } else {
        r#"{"value":[]}"#
    };
    text.to_owned()
}

#[tokio::test]
async fn a_table_is_described_from_its_metadata() {
    let stub = Stub::start(|asked| match asked.path.contains("acme_nothing") {
        true => say(404, r#"{"error":{"code":"0x80040217","message":"no such entity"}}"#),
        false => say(200, metadata(&asked.path)),
    })
    .await;
    let target = target(&stub.url);
    let found = target.describe("acme_customer").await.unwrap().unwrap();
    assert_eq!((found.bulk, found.tracked), (true, true));
    let name = &found.columns["acme_name"];
    assert_eq!(
        (name.kind, name.max, name.required, name.secured),
        (ColumnKind::Text, Some(160), true, true)
    );
    let born = &found.columns["acme_born"];
    assert_eq!((born.kind, born.creatable, born.updatable), (ColumnKind::Date, true, false));
    let choice = |value, label: &str, state| Choice { value, label: label.into(), state };
    assert_eq!(found.columns["acme_tags"].kind, ColumnKind::Choices);
    assert_eq!(found.columns["acme_tags"].choices, [choice(7, "Seven", None)]);
    assert_eq!(found.columns["statuscode"].choices, [choice(2, "Inactive", Some(1))]);
    assert_eq!(found.columns["acme_doc"].kind, ColumnKind::File);
    assert!(!found.keys[0].active);
    assert_eq!(found.lookups[0].navigation, "acme_RegionId");
    assert_eq!(target.describe("acme_nothing").await.unwrap(), None);
}

#[test]
fn a_link_to_another_place_stays_a_path_below_the_own_root() {
    let target = target("http://127.0.0.1:7001");
    let root = target.client.root();
    for link in [
        "http://127.0.0.1:7001/api/data/v9.2/accounts?$skiptoken=1",
        "https://elsewhere.example/api/data/v9.2/accounts?$skiptoken=1",
        "https://elsewhere.example/accounts",
        "//elsewhere.example/accounts",
        "/../../@elsewhere.example/accounts",
        "accounts?$deltatoken=1",
    ] {
        let url = format!("{root}/{}", target.relative(link));
        let url = reqwest::Url::parse(&url).unwrap();
        assert_eq!((url.host_str(), url.port()), (Some("127.0.0.1"), Some(7001)), "{link}");
    }
    let next = target.relative("https://elsewhere.example/api/data/v9.2/accounts?$skiptoken=1");
    assert_eq!(next, "accounts?$skiptoken=1");
}
