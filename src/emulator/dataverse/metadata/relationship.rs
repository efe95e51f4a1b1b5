//! Relationships as `OneToManyRelationshipMetadata` and `ManyToManyRelationshipMetadata`.

use serde_json::{Value, json};

use super::element::{Lookup, Members};
use super::label::{managed, none};
use crate::emulator::dataverse::model::{Environment, ManyToMany, OnDelete};

/// The properties of a one-to-many relationship.
pub fn members(env: &Environment, lookup: &Lookup<'_>) -> Members {
    let (child, column, target) = (&lookup.child.definition, lookup.column, lookup.target);
    let parent = env.tables.get(&target.table).map(|table| &table.definition);
    let mut members = shared(&lookup.name(), "OneToManyRelationship", lookup.id());
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("ReferencedEntity", json!(target.table));
    put("ReferencedAttribute", json!(parent.map_or("", |parent| parent.primary_id.as_str())));
    put("ReferencedEntityNavigationPropertyName", json!(lookup.name()));
    put("ReferencingEntity", json!(child.logical_name));
    put("ReferencingAttribute", json!(column.logical_name));
    put("ReferencingEntityNavigationPropertyName", json!(target.navigation));
    put("IsHierarchical", json!(false));
    put("EntityKey", Value::Null);
    put("RelationshipBehavior", json!(1));
    let delete = match target.on_delete {
        OnDelete::RemoveLink => "RemoveLink",
        OnDelete::Cascade => "Cascade",
        OnDelete::Restrict => "Restrict",
    };
    put(
        "CascadeConfiguration",
        json!({
            "Assign": "NoCascade",
            "Delete": delete,
            "Archive": delete,
            "Merge": "NoCascade",
            "Reparent": "NoCascade",
            "Share": "NoCascade",
            "Unshare": "NoCascade",
            "RollupView": "NoCascade",
        }),
    );
    put("AssociatedMenuConfiguration", menu());
    members
}

/// The properties of a many-to-many relationship.
pub fn members_of_pairs(many: &ManyToMany) -> Members {
    let mut members = shared(&many.schema_name, "ManyToManyRelationship", many.metadata_id);
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("IntersectEntityName", json!(many.intersect));
    put("Entity1LogicalName", json!(many.first.table));
    // The two columns of a table that is on both sides are told apart.
    let same = many.first.table == many.second.table;
    let (one, two) = if same { ("idone", "idtwo") } else { ("id", "id") };
    put("Entity1IntersectAttribute", json!(format!("{}{one}", many.first.table)));
    put("Entity1NavigationPropertyName", json!(many.first.navigation));
    put("Entity1AssociatedMenuConfiguration", menu());
    put("Entity2LogicalName", json!(many.second.table));
    put("Entity2IntersectAttribute", json!(format!("{}{two}", many.second.table)));
    put("Entity2NavigationPropertyName", json!(many.second.navigation));
    put("Entity2AssociatedMenuConfiguration", menu());
    members
}

/// The names that relationships of both types have.
pub fn base_names() -> Vec<String> {
    shared("", "", uuid::Uuid::nil()).into_iter().map(|(name, _)| name).collect()
}

fn shared(name: &str, kind: &str, id: uuid::Uuid) -> Members {
    let mut members = Members::new();
    members.insert("MetadataId".into(), json!(id));
    members.insert("SchemaName".into(), json!(name));
    members.insert("RelationshipType".into(), json!(kind));
    members.insert("SecurityTypes".into(), json!("Append"));
    members.insert("IsCustomRelationship".into(), json!(name.contains('_')));
    members.insert("IsCustomizable".into(), managed(true, "iscustomizable"));
    members.insert("IsManaged".into(), json!(false));
    members.insert("IsValidForAdvancedFind".into(), json!(true));
    members.insert("IntroducedVersion".into(), json!("1.0"));
    members.insert("HasChanged".into(), Value::Null);
    members
}

fn menu() -> Value {
    json!({
        "Behavior": "UseCollectionName",
        "Group": "Details",
        "Label": none(),
        "Order": 10_000,
        "IsCustomizable": true,
        "AvailableOffline": true,
    })
}
