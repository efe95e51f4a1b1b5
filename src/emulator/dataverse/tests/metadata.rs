//! Metadata as callers see it: addresses, statuses, casts, changes and what follows from them.

use serde_json::{Value, json};

use super::Service;

fn column(kind: &str, name: &str) -> Value {
    json!({ "@odata.type": format!("Microsoft.Dynamics.CRM.{kind}AttributeMetadata"), "SchemaName": name })
}

async fn table(service: &Service) -> String {
    let mut name = column("String", "acme_Name");
    name["IsPrimaryName"] = json!(true);
    let body = json!({ "SchemaName": "acme_Depot", "Attributes": [name] });
    let reply = service.send("POST EntityDefinitions", body).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    reply.id()
}

#[tokio::test]
async fn a_new_table_takes_rows_keys_and_bulk_messages_at_once() {
    let service = Service::new();
    let id = table(&service).await;
    let path = format!("EntityDefinitions({id})/Attributes");
    let reply = service.send(&format!("POST {path}"), column("String", "acme_Code")).await;
    let made = reply.header("odata-entityid");
    assert!(made.starts_with(&format!("http://here/api/data/v9.2/{path}(")), "{made}");
    let key = json!({ "SchemaName": "acme_DepotKey", "KeyAttributes": ["acme_code"] });
    let reply = service.send("POST EntityDefinitions(LogicalName='acme_depot')/Keys", key).await;
    assert_eq!(reply.status, 204);

    let reply =
        service.send("PATCH acme_depots(acme_code='D1')", json!({ "acme_name": "One" })).await;
    assert_eq!(reply.status, 204, "{reply:?}");
    let filter = "sdkmessageid/name%20eq%20'CreateMultiple'%20and%20primaryobjecttypecode%20eq%20'acme_depot'";
    let found = service
        .get(&format!("sdkmessagefilters?$select=sdkmessagefilterid&$filter={filter}"))
        .await
        .json();
    assert_eq!(found["value"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn every_definition_has_an_address_of_its_own() {
    let service = Service::new();
    for path in [
        "EntityDefinitions(LogicalName='account')?$select=LogicalName",
        "EntityDefinitions(LogicalName='account')/Attributes(LogicalName='name')",
        "EntityDefinitions(LogicalName='account')/Attributes(LogicalName='name')/Microsoft.Dynamics.CRM.StringAttributeMetadata",
        "EntityDefinitions(LogicalName='account')/Attributes/Microsoft.Dynamics.CRM.StateAttributeMetadata?$expand=OptionSet",
        "EntityDefinitions(LogicalName='account')/Attributes(LogicalName='statuscode')/Microsoft.Dynamics.CRM.StatusAttributeMetadata/OptionSet",
        "EntityDefinitions(LogicalName='account')/ManyToOneRelationships",
        "EntityDefinitions(LogicalName='account')/OneToManyRelationships",
        "EntityDefinitions(LogicalName='account')/ManyToManyRelationships",
        "EntityDefinitions(LogicalName='account')/EntitySetName",
        "RelationshipDefinitions/Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "GlobalOptionSetDefinitions(Name='acme_color')",
    ] {
        let reply = service.get(path).await;
        assert_eq!(reply.status, 200, "{path}: {}", reply.text);
    }
    for path in [
        "EntityDefinitions(LogicalName='nothing')",
        "EntityDefinitions(LogicalName='account')/Attributes(LogicalName='nothing')",
        "EntityDefinitions(LogicalName='account')/Attributes(LogicalName='name')/Microsoft.Dynamics.CRM.MoneyAttributeMetadata",
        "EntityDefinitions(LogicalName='account')/Nothing",
        "GlobalOptionSetDefinitions(5f0c2a11-0d3e-ef11-8409-000d3a1f2b3c)",
    ] {
        assert_eq!(service.get(path).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn a_status_says_which_state_it_belongs_to() {
    let service = Service::new();
    let path = "EntityDefinitions(LogicalName='account')/Attributes/\
                Microsoft.Dynamics.CRM.StatusAttributeMetadata?$select=LogicalName&$expand=OptionSet($select=Options)";
    let found = service.get(path).await.json();
    let options = &found["value"][0]["OptionSet"]["Options"];
    assert_eq!((&options[1]["State"], &options[1]["Value"]), (&json!(1), &json!(2)));
}

#[tokio::test]
async fn lookups_name_their_navigation_property() {
    let service = Service::new();
    let path = "EntityDefinitions(LogicalName='contact')/ManyToOneRelationships\
                ?$select=ReferencingEntityNavigationPropertyName&$filter=ReferencingAttribute%20eq%20'parentcustomerid'";
    let found = service.get(path).await.json();
    let names: Vec<&str> = found["value"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["ReferencingEntityNavigationPropertyName"].as_str().unwrap())
        .collect();
    assert!(names.contains(&"parentcustomerid_account"), "{names:?}");
    let pairs =
        "EntityDefinitions(LogicalName='account')/ManyToManyRelationships?$select=ReferencedEntity";
    assert_eq!(service.get(pairs).await.refusal(), (400, "0x0".to_owned()));
}

#[tokio::test]
async fn every_change_of_a_definition_raises_the_metadata_version() {
    let service = Service::new();
    let ask =
        [("prefer", "odata.include-annotations=\"Microsoft.Dynamics.CRM.globalmetadataversion\"")];
    let version = async || {
        let reply = service.raw("GET accounts?$top=1", &ask, "").await;
        reply.json()["@Microsoft.Dynamics.CRM.globalmetadataversion"].clone()
    };
    let before = version().await;
    assert_eq!(before, version().await);
    table(&service).await;
    assert_ne!(before, version().await);
}

#[tokio::test]
async fn a_refused_change_leaves_the_definitions_alone() {
    let service = Service::new();
    let before = service.get("EntityDefinitions").await.text;
    let mut name = column("String", "acme_Name");
    name["IsPrimaryName"] = json!(true);
    let good = json!({ "SchemaName": "acme_Depot", "Attributes": [name] });
    let bad = json!({ "SchemaName": "account", "Attributes": [] });
    let reply = service.send("POST CreateEntities", json!({ "Entities": [good, bad] })).await;
    assert_eq!(reply.status, 400);
    assert_eq!(service.send("POST EntityDefinitions", json!([])).await.status, 400);
    assert_eq!(service.raw("POST EntityDefinitions", &[], "{").await.status, 400);
    assert_eq!(service.get("EntityDefinitions").await.text, before);
}

#[tokio::test]
async fn a_deleted_column_is_gone_from_rows_and_queries() {
    let service = Service::new();
    table(&service).await;
    let path = "EntityDefinitions(LogicalName='acme_depot')/Attributes";
    service.send(&format!("POST {path}"), column("String", "acme_Code")).await;
    let row = service.create("acme_depots", json!({ "acme_name": "A", "acme_code": "x" })).await;
    let reply = service
        .raw(&format!("DELETE {path}(LogicalName='acme_code')"), &[("if-match", "*")], "")
        .await;
    assert_eq!(reply.status, 204, "{reply:?}");
    assert_eq!(
        service.get("acme_depots?$select=acme_code").await.refusal(),
        (400, "0x0".to_owned())
    );
    let found = service.get(&format!("acme_depots({row})")).await.json();
    assert!(found.get("acme_code").is_none());
}

#[tokio::test]
async fn the_csdl_document_is_xml() {
    let service = Service::new();
    let reply = service.get("$metadata?annotations=true").await;
    assert_eq!(reply.header("content-type"), "application/xml");
    assert!(reply.text.contains("<EntityType Name=\"account\""));
}
