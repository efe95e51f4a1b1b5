use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::*;
use crate::change::Kind;
use crate::decode::Decoder;
use crate::fault;

const ID: &str = "5f0c2a11-0d3e-ef11-8409-000d3a1f2b3c";
const OTHER: &str = "2e451703-0d3e-ef11-8409-000d3a1f2b3c";
const TYPE: &str = "http://schemas.microsoft.com/xrm/2011/Contracts";

fn table() -> Table {
    Table {
        columns: ["acme_name", "acme_number", "acme_opened"].map(str::to_owned).into(),
        dates: ["acme_opened".to_owned()].into(),
        ..Table::default()
    }
}

fn decoder() -> Decoder {
    Decoder::dataverse(Tables([("acme_customer".to_owned(), table())].into()))
}

fn entity(columns: &Value) -> Value {
    let pairs: Vec<Value> = columns
        .as_object()
        .unwrap()
        .iter()
        .map(|(key, value)| json!({ "key": key, "value": value }))
        .collect();
    json!({ "Attributes": pairs, "Id": ID, "LogicalName": "acme_customer", "RowVersion": null })
}

fn reference(id: &str) -> Value {
    json!({ "__type": format!("EntityReference:{TYPE}"), "Id": id, "LogicalName": "acme_customer", "Name": null })
}

fn context(message: &str, inputs: &[(&str, Value)], before: &[(&str, Value)]) -> Value {
    let pairs = |pairs: &[(&str, Value)]| {
        let pair = |(key, value): &(&str, Value)| json!({ "key": key, "value": value });
        pairs.iter().map(pair).collect::<Vec<_>>()
    };
    json!({
        "MessageName": message, "PrimaryEntityName": "acme_customer", "PrimaryEntityId": ID,
        "InputParameters": pairs(inputs), "PreEntityImages": pairs(before), "PostEntityImages": [],
        "OperationCreatedOn": "/Date(1722582640500+0000)/", "CorrelationId": OTHER, "OperationId": OTHER,
        "InitiatingUserId": "a0bde583-0d3e-ef11-8409-000d3a1f2b3c",
        "SharedVariables": [{ "key": "tag", "value": "concord:1" }, { "key": "IsAutoTransact", "value": true }],
    })
}

fn event(body: &Value) -> Event {
    Event { body: Bytes::from(body.to_string()), ..Event::default() }
}

/// Kind, entity and id, then each property, then whether it is partial.
fn lines(event: &Event) -> Vec<String> {
    let line = |decoded: Decoded<'_>| match decoded.change {
        Ok(change) => {
            let values = change.properties.iter().map(|(name, raw)| format!("{name}={raw}"));
            let values: Vec<String> = values.collect();
            let whole = if change.partial { "partial" } else { "whole" };
            let (kind, entity, id) = (change.kind, change.entity, change.id);
            format!("{kind:?} {entity} {id} {} {whole}", values.join(" "))
        }
        Err(fault) => format!("{} {}", fault.kind, fault.field.unwrap_or_default()),
    };
    decoder().decode(event).into_iter().map(line).collect()
}

fn whole_image() -> (String, Value) {
    (table().alias(), entity(&json!({ "acme_name": "Old", "acme_number": "C-1" })))
}

#[test]
fn a_created_row_is_whole_and_its_typed_values_are_plain() {
    let target = entity(&json!({
        "acme_name": "Northwind",
        "acme_credit": { "__type": format!("Money:{TYPE}"), "Value": 2154.50 },
        "acme_kind": { "__type": format!("OptionSetValue:{TYPE}"), "Value": 7 },
        "acme_opened": "/Date(1714521600000)/",
        "acme_regionid": { "Id": OTHER, "LogicalName": "acme_region", "KeyAttributes": [] },
        "modifiedon": "/Date(1722582639000)/",
    }));
    let event = event(&context("Create", &[("Target", target)], &[]));
    assert_eq!(
        lines(&event),
        [format!(
            "Upsert acme_customer {ID} acme_name=\"Northwind\" acme_credit=2154.5 acme_kind=7 \
             acme_opened=\"2024-05-01\" acme_regionid_entitytype=\"acme_region\" \
             acme_regionid=\"{OTHER}\" modifiedon=\"2024-08-02T07:10:39Z\" acme_number=null whole"
        )]
    );
    let change = decoder().decode(&event).remove(0).change.unwrap();
    assert_eq!(change.order.emitted.to_string(), "2024-08-02T07:10:39Z");
    assert_eq!(change.order.tie.enqueued.unwrap().to_string(), "2024-08-02T07:10:40.5Z");
    assert_eq!(change.author.unwrap().tag.as_deref(), Some("concord:1"));
}

#[test]
fn an_update_is_whole_only_with_an_image_of_all_columns_that_maps_read() {
    let target = || entity(&json!({ "acme_name": "New" }));
    let (alias, image) = whole_image();
    let read = |before: &[(&str, Value)]| {
        lines(&event(&context("Update", &[("Target", target())], before))).remove(0)
    };
    assert_eq!(
        read(&[(&alias, image.clone())]),
        format!(
            "Upsert acme_customer {ID} acme_name=\"New\" acme_number=\"C-1\" acme_opened=null whole"
        )
    );
    assert!(read(&[("another", image)]).ends_with("partial"));
    assert!(read(&[]).ends_with("acme_name=\"New\" partial"));
}

#[test]
fn a_deleted_row_has_what_its_image_had() {
    let (alias, image) = whole_image();
    let delete = |before: &[(&str, Value)]| {
        lines(&event(&context("Delete", &[("Target", reference(ID))], before))).remove(0)
    };
    assert_eq!(
        delete(&[(&alias, image)]),
        format!("Remove acme_customer {ID} acme_name=\"Old\" acme_number=\"C-1\" whole")
    );
    assert_eq!(delete(&[]), format!("Remove acme_customer {ID}  whole"));
}

#[test]
fn a_context_that_was_cut_down_names_its_row_alone() {
    for (message, expected) in [("Create", "Upsert"), ("Update", "Upsert"), ("Delete", "Remove")] {
        let mut body = context(message, &[], &[]);
        for name in ["InputParameters", "PreEntityImages", "PostEntityImages", "ParentContext"] {
            body.as_object_mut().unwrap().remove(name);
        }
        let whole = if message == "Delete" { "whole" } else { "partial" };
        let line = format!("{expected} acme_customer {ID}  {whole}");
        assert_eq!(lines(&event(&body)), [line], "{message}");
    }
    assert_eq!(
        lines(&event(&context("UpdateMultiple", &[], &[]))),
        ["malformed-event InputParameters"]
    );
}

#[test]
fn state_and_owner_have_messages_of_their_own() {
    let value = |number: i32| json!({ "__type": "OptionSetValue:x", "Value": number });
    let state = [("EntityMoniker", reference(ID)), ("State", value(1)), ("Status", value(2))];
    let line = format!("Upsert acme_customer {ID} statecode=1 statuscode=2 partial");
    assert_eq!(lines(&event(&context("SetState", &state, &[]))), [line]);
    let owner = json!({ "__type": "EntityReference:x", "Id": OTHER, "LogicalName": "team" });
    let line = format!(
        "Upsert acme_customer {ID} ownerid=\"{OTHER}\" ownerid_entitytype=\"team\" partial"
    );
    assert_eq!(
        lines(&event(&context("Assign", &[("Target", reference(ID)), ("Assignee", owner)], &[]))),
        [line]
    );
}

#[test]
fn messages_about_several_rows_become_several_changes_that_stand_alone() {
    let mut second = entity(&json!({ "acme_name": "B" }));
    second["Id"] = OTHER.into();
    let targets = json!({ "Entities": [entity(&json!({ "acme_name": "A" })), second] });
    let event = event(&context("UpdateMultiple", &[("Targets", targets)], &[]));
    let expected = [
        format!("Upsert acme_customer {ID} acme_name=\"A\" partial"),
        format!("Upsert acme_customer {OTHER} acme_name=\"B\" partial"),
    ];
    assert_eq!(lines(&event), expected);
    for (decoded, expected) in decoder().decode(&event).into_iter().zip(expected) {
        let alone = Event { body: Bytes::from(decoded.raw.to_vec()), ..Event::default() };
        assert_eq!(lines(&alone), [expected]);
        let again = decoder().decode(&alone).remove(0).change.unwrap();
        assert_eq!(again.order, decoded.change.unwrap().order);
    }
}

#[test]
fn a_merge_changes_the_master_and_the_row_that_was_merged_away() {
    let inputs = [
        ("Target", reference(ID)),
        ("SubordinateId", OTHER.into()),
        ("UpdateContent", entity(&json!({ "acme_name": "Both" }))),
    ];
    assert_eq!(
        lines(&event(&context("Merge", &inputs, &[]))),
        [
            format!("Upsert acme_customer {ID} acme_name=\"Both\" partial"),
            format!("Upsert acme_customer {OTHER} statecode=1 merged=true partial"),
        ]
    );
}

#[test]
fn pairs_of_rows_are_things_of_their_relationship() {
    let inputs = [
        ("Target", reference(ID)),
        ("Relationship", json!({ "SchemaName": "acme_customer_hotel", "PrimaryEntityRole": null })),
        ("RelatedEntities", json!([{ "Id": OTHER, "LogicalName": "acme_hotel" }])),
    ];
    for (message, kind) in [("Associate", "Upsert"), ("Disassociate", "Remove")] {
        let line = format!(
            "{kind} acme_customer_hotel {ID},{OTHER} target=\"{ID}\" related=\"{OTHER}\" \
             target_entitytype=\"acme_customer\" related_entitytype=\"acme_hotel\" \
             acme_customerid=\"{ID}\" acme_customerid_entitytype=\"acme_customer\" \
             acme_hotelid=\"{OTHER}\" acme_hotelid_entitytype=\"acme_hotel\" whole"
        );
        assert_eq!(lines(&event(&context(message, &inputs, &[]))), [line]);
    }
}

#[test]
fn what_is_no_context_or_names_no_row_is_refused() {
    let mut nameless = context("Update", &[], &[]);
    nameless["PrimaryEntityId"] = "00000000-0000-0000-0000-000000000000".into();
    assert_eq!(lines(&event(&nameless)), ["malformed-event PrimaryEntityId"]);
    assert_eq!(lines(&event(&context("Retain", &[], &[]))), ["malformed-event MessageName"]);
    for text in [json!({}), json!([]), json!(1), json!({ "MessageName": "" })] {
        let event = event(&text);
        let read = decoder().decode(&event).remove(0).change;
        assert_eq!(read.unwrap_err().kind, fault::Kind::Malformed, "{text}");
    }
}

fn row() -> String {
    let row = r#"{
        "@odata.etag": "W/\"919051\"", "acme_customerid": "ID", "acme_name": "Northwind",
        "acme_credit": 2154.5000, "acme_tags": "1,3", "acme_opened": "2024-05-01",
        "_acme_regionid_value@Microsoft.Dynamics.CRM.lookuplogicalname": "acme_region",
        "_acme_regionid_value": "OTHER", "acme_RegionId": { "acme_code": "EU", "@odata.etag": "x" },
        "_acme_partyid_value": null, "acme_PartyId_account": null,
        "modifiedon": "2024-08-02T07:10:39Z", "_modifiedby_value": "OTHER"
    }"#;
    row.replace("\"ID\"", &format!("\"{ID}\"")).replace("OTHER", OTHER)
}

#[test]
fn a_row_of_the_web_api_reads_like_the_context_of_its_event() {
    let (row, at) = (row(), "2026-01-01T00:00:00Z".parse().unwrap());
    let reading = Reading { table: "acme_customer", id: ID.parse().unwrap(), at };
    let change = reading.change(&row).unwrap();
    let get = |name: &str| change.property(name).map(RawValue::get);
    assert_eq!(get("acme_credit"), Some("2154.5"));
    assert_eq!(get("acme_regionid"), Some(&*format!("\"{OTHER}\"")));
    assert_eq!(get("acme_regionid_entitytype"), Some("\"acme_region\""));
    assert_eq!(get("acme_regionid.acme_code"), Some("\"EU\""));
    assert_eq!((get("acme_partyid"), get("acme_PartyId_account")), (Some("null"), None));
    assert_eq!((change.order.version, &*change.id, change.kind), (Some(919_051), ID, Kind::Upsert));
    assert_eq!(change.author.as_ref().unwrap().user.unwrap().to_string(), OTHER);
    let kept = Event { body: body(&change), ..Event::default() };
    let again = decoder().decode(&kept).remove(0).change.unwrap();
    assert_eq!(format!("{again:?}"), format!("{change:?}"));
    let mut event = Event { body: Bytes::from(row.clone()), ..Event::default() };
    event.properties.push((TABLE.to_owned(), "acme_customer".to_owned()));
    event.origin.received = Some(at);
    let again = decoder().decode(&event).remove(0).change.unwrap();
    assert_eq!(format!("{again:?}"), format!("{change:?}"));
}

#[test]
fn a_row_that_is_gone_is_kept_by_its_id() {
    let gone = gone("acme_customer", ID.parse().unwrap(), "2026-01-01T00:00:00Z".parse().unwrap());
    let kept = Event { body: body(&gone), ..Event::default() };
    assert_eq!(lines(&kept), [format!("Remove acme_customer {ID}  whole")]);
}
