//! Tables: created with their columns, changed, removed with their rows.

use serde_json::Value;
use uuid::Uuid;

use super::{column, invalid, labelled, logical, required, taken};
use crate::emulator::dataverse::model::{
    ColumnDefinition, Definition, Environment, Kind, Ownership, Required, Table,
};
use crate::emulator::dataverse::refusal::Refusal;

/// Reads a new table from `EntityMetadata`; its system columns are not among them yet.
pub fn read(env: &Environment, body: &Value) -> Result<Definition, Refusal> {
    let schema_name = required(body, "SchemaName")?.to_owned();
    let logical_name = logical(&schema_name)?;
    if env.tables.contains_key(&logical_name) {
        return Err(taken("An entity", &logical_name));
    }
    let entity_set = set_name(body, &logical_name);
    if env.by_set(&entity_set).is_some() {
        return Err(taken("An entity set", &entity_set));
    }
    let attributes = body.get("Attributes").and_then(Value::as_array);
    let attributes =
        attributes.ok_or_else(|| invalid("Required member 'Attributes' is missing"))?;
    let is_name = |one: &&Value| one.get("IsPrimaryName").and_then(Value::as_bool) == Some(true);
    let primary_name = attributes
        .iter()
        .find(is_name)
        .ok_or_else(|| invalid("One attribute must be the primary name (IsPrimaryName)"))?;
    let primary_name = logical(required(primary_name, "SchemaName")?)?;
    let primary_id = format!("{logical_name}id");
    let id = ColumnDefinition {
        required: Required::SystemRequired,
        ..ColumnDefinition::of(&primary_id, Kind::Uniqueidentifier)
    };
    let mut columns = vec![id];
    for attribute in attributes {
        let column = column::read(env, attribute)?;
        if columns.iter().any(|one| one.logical_name == column.logical_name) {
            return Err(taken("An attribute", &column.logical_name));
        }
        columns.push(column);
    }
    let ownership = match body.get("OwnershipType").and_then(Value::as_str) {
        Some("OrganizationOwned") => Ownership::Organization,
        Some("None") => Ownership::None,
        _ => Ownership::User,
    };
    let truth = |name: &str| body.get(name).and_then(Value::as_bool).unwrap_or_default();
    Ok(Definition {
        display_name: labelled(body, "DisplayName").unwrap_or_else(|| schema_name.clone()),
        schema_name,
        logical_name,
        entity_set,
        primary_id,
        primary_name,
        ownership,
        change_tracking: truth("ChangeTrackingEnabled"),
        bulk: true,
        optimistic_concurrency: true,
        columns,
        keys: Vec::new(),
        metadata_id: Uuid::new_v4(),
    })
}

/// The name in addresses: what the body says, or the plural of the logical name.
fn set_name(body: &Value, logical_name: &str) -> String {
    let named = body.get("EntitySetName").and_then(Value::as_str).filter(|name| !name.is_empty());
    if let Some(name) = named {
        return name.to_owned();
    }
    let ends = |endings: &[&str]| endings.iter().any(|ending| logical_name.ends_with(ending));
    match logical_name.strip_suffix('y') {
        Some(stem) if !ends(&["ay", "ey", "iy", "oy", "uy"]) => format!("{stem}ies"),
        _ if ends(&["s", "x", "z", "ch", "sh"]) => format!("{logical_name}es"),
        _ => format!("{logical_name}s"),
    }
}

/// Adds a table: its id.
pub fn create(env: &mut Environment, definition: Definition) -> Uuid {
    let id = definition.metadata_id;
    env.tables.insert(definition.logical_name.clone(), Table::new(definition));
    id
}

/// `PUT EntityDefinitions(…)`: its label and change tracking, which cannot be turned off again.
pub fn update(env: &mut Environment, name: &str, body: &Value) -> Result<(), Refusal> {
    let Some(table) = env.tables.get_mut(name) else { return Err(Refusal::no_segment(name)) };
    let tracking = body.get("ChangeTrackingEnabled").and_then(Value::as_bool);
    if tracking == Some(false) && table.definition.change_tracking {
        return Err(Refusal::bad(
            "0x80048d19",
            "Change tracking cannot be disabled once it is enabled.",
        ));
    }
    if let Some(label) = labelled(body, "DisplayName") {
        table.definition.display_name = label;
    }
    table.definition.change_tracking |= tracking == Some(true);
    Ok(())
}

/// Removes a table, its rows, and the lookups and relationships that lead to it.
pub fn delete(env: &mut Environment, name: &str) {
    env.tables.shift_remove(name);
    env.many_to_many.retain(|many| many.first.table != name && many.second.table != name);
    for table in env.tables.values_mut() {
        let mut gone = Vec::new();
        for column in &mut table.definition.columns {
            let before = column.targets.len();
            column.targets.retain(|target| target.table != name);
            if before > 0 && column.targets.is_empty() {
                gone.push(column.logical_name.clone());
            }
        }
        table.definition.columns.retain(|column| !gone.contains(&column.logical_name));
        for record in table.rows.values_mut() {
            record.cells.retain(|column, _| !gone.contains(column));
        }
    }
}
