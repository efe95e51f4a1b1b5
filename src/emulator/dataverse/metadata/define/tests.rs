//! Definitions made of bodies as public clients send them.

use serde_json::json;

use super::*;
use crate::emulator::dataverse::metadata::label;
use crate::emulator::dataverse::model::{Environment, Kind, OnDelete};
use crate::emulator::dataverse::query::fixture::{environment, id};

fn named(kind: &str, name: &str) -> Value {
    json!({ "@odata.type": format!("Microsoft.Dynamics.CRM.{kind}AttributeMetadata"), "SchemaName": name })
}

fn with_table(name: &str) -> Environment {
    let mut env = environment();
    let mut primary = named("ComplexString", &format!("{name}_Name"));
    primary["IsPrimaryName"] = json!(true);
    let body = json!({
        "SchemaName": name,
        "DisplayName": label::write("Shown"),
        "Attributes": [primary, named("ComplexInteger", &format!("{name}_Count"))],
    });
    let definition = table::read(&env, &body).unwrap();
    table::create(&mut env, definition);
    env
}

#[test]
fn a_table_gets_its_names_from_the_schema_name() {
    let env = with_table("acme_City");
    let definition = &env.tables["acme_city"].definition;
    assert_eq!(definition.entity_set, "acme_cities");
    assert_eq!(definition.primary_id, "acme_cityid");
    assert_eq!(definition.primary_name, "acme_city_name");
    assert_eq!(definition.display_name, "Shown");
    assert_eq!(definition.column("acme_city_count").unwrap().kind, Kind::Integer);
}

#[test]
fn a_table_without_a_name_column_or_with_a_used_name_is_refused() {
    let env = environment();
    for body in [
        json!({ "SchemaName": "acme_a", "Attributes": [] }),
        json!({ "SchemaName": "acme_a" }),
        json!({ "SchemaName": "account", "Attributes": [] }),
        json!({ "SchemaName": "a b", "Attributes": [] }),
        json!([]),
    ] {
        assert!(table::read(&env, &body).is_err(), "{body}");
    }
}

#[test]
fn a_column_takes_its_limits_and_choices() {
    let mut env = environment();
    let mut body = named("Picklist", "acme_Kind");
    body["OptionSet"] = json!({ "IsGlobal": false, "Options": [
        { "Value": 5, "Label": label::write("Five") }, { "Label": label::write("Next") }
    ]});
    let created = column::create(&mut env, "account", &body).unwrap();
    let column = env.tables["account"].definition.column("acme_kind").unwrap();
    assert_eq!(column.metadata_id, created);
    let values: Vec<i32> = column.options.iter().map(|option| option.value).collect();
    assert_eq!(values, [5, 100_000_000]);
    assert!(column::create(&mut env, "account", &body).is_err());

    let mut text = named("String", "acme_Text");
    text["MaxLength"] = json!(50);
    let created = column::create(&mut env, "account", &text).unwrap();
    let change = json!({ "MaxLength": 80, "RequiredLevel": { "Value": "ApplicationRequired" } });
    column::update(&mut env, "account", created, &change).unwrap();
    assert_eq!(env.tables["account"].definition.column("acme_text").unwrap().max_length, Some(80));
}

#[test]
fn floating_limits_are_read_exactly() {
    let mut body = named("Decimal", "acme_Price");
    body["MinValue"] = json!(-100_000_000_000.0);
    body["MaxValue"] = json!(1e11);
    let column = column::read(&environment(), &body).unwrap();
    let hundred: rust_decimal::Decimal = "100000000000".parse().unwrap();
    assert_eq!((column.min, column.max), (Some(-hundred), Some(hundred)));
}

#[test]
fn a_key_over_clashing_rows_fails() {
    let mut env = environment();
    let body = |name: &str, column: &str| json!({ "SchemaName": name, "KeyAttributes": [column] });
    key::create(&mut env, "account", &body("acme_a", "name")).unwrap();
    key::create(&mut env, "contact", &body("acme_b", "name")).unwrap();
    assert_eq!(env.tables["account"].definition.keys[0].status, "Failed");
    assert_eq!(env.tables["contact"].definition.keys[0].status, "Active");
    assert!(key::create(&mut env, "contact", &body("acme_b", "name")).is_err());
    assert!(key::create(&mut env, "contact", &body("acme_c", "nope")).is_err());
    assert!(key::create(&mut env, "account", &body("acme_c", "kinds")).is_err());
}

#[test]
fn a_column_of_a_key_cannot_be_deleted() {
    let mut env = environment();
    let body = json!({ "SchemaName": "acme_k", "KeyAttributes": ["revenue"] });
    assert!(key::create(&mut env, "account", &body).is_err());
    let mut text = named("String", "acme_Text");
    text["MaxLength"] = json!(50);
    let created = column::create(&mut env, "account", &text).unwrap();
    let body = json!({ "SchemaName": "acme_k", "KeyAttributes": ["acme_text"] });
    let key = key::create(&mut env, "account", &body).unwrap();
    assert!(column::delete(&mut env, "account", created).is_err());
    key::delete(&mut env, "account", key);
    column::delete(&mut env, "account", created).unwrap();
    assert!(env.tables["account"].definition.column("acme_text").is_none());
}

#[test]
fn a_relationship_brings_its_lookup_and_takes_it_away() {
    let mut env = environment();
    let body = json!({
        "@odata.type": "Microsoft.Dynamics.CRM.OneToManyRelationshipMetadata",
        "SchemaName": "acme_tag_account",
        "ReferencedEntity": "tag",
        "ReferencingEntity": "account",
        "CascadeConfiguration": { "Delete": "Restrict" },
        "Lookup": named("Lookup", "acme_TagId"),
    });
    let created = relationship::create(&mut env, &body).unwrap();
    let (column, target) = env.tables["account"].definition.navigation("acme_TagId").unwrap();
    assert_eq!(
        (column.logical_name.as_str(), target.on_delete),
        ("acme_tagid", OnDelete::Restrict)
    );
    assert!(relationship::create(&mut env, &body).is_err());
    relationship::update(
        &mut env,
        created,
        &json!({ "CascadeConfiguration": { "Delete": "Cascade" } }),
    )
    .unwrap();
    let (_, target) = env.tables["account"].definition.navigation("acme_TagId").unwrap();
    assert_eq!(target.on_delete, OnDelete::Cascade);
    relationship::delete(&mut env, created);
    assert!(env.tables["account"].definition.column("acme_tagid").is_none());
}

#[test]
fn a_deleted_table_takes_the_lookups_to_it_along() {
    let mut env = environment();
    table::delete(&mut env, "account");
    assert!(env.tables["contact"].definition.column("parentcustomerid").is_none());
    assert!(!env.tables["contact"].rows[&id(11)].cells.contains_key("parentcustomerid"));
    assert!(env.many_to_many.is_empty());
}

#[test]
fn a_global_choice_in_use_stays() {
    let mut env = environment();
    choice::create(
        &mut env,
        &json!({ "Name": "acme_Size", "Options": [{ "Value": 1, "Label": label::write("S") }] }),
    )
    .unwrap();
    let mut body = named("Picklist", "acme_Size");
    body["GlobalOptionSet@odata.bind"] = json!("/GlobalOptionSetDefinitions(Name='acme_size')");
    column::create(&mut env, "account", &body).unwrap();
    assert_eq!(env.options(env.tables["account"].definition.column("acme_size").unwrap()).len(), 1);
    assert!(choice::delete(&mut env, "acme_size").is_err());
}
