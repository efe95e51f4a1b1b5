//! Relationships: a lookup with what it refers to, or pairs of two tables.

use serde_json::Value;
use uuid::Uuid;

use super::{invalid, labelled, logical, required, taken};
use crate::emulator::dataverse::metadata::element::{Element, Lookup, relationships};
use crate::emulator::dataverse::model::{
    ColumnDefinition, Environment, Kind, LookupTarget, ManyToMany, OnDelete, Required, Side,
};
use crate::emulator::dataverse::refusal::Refusal;

/// Adds a relationship of either type: its id.
pub fn create(env: &mut Environment, body: &Value) -> Result<Uuid, Refusal> {
    let schema_name = required(body, "SchemaName")?;
    logical(schema_name)?;
    let same = |element: &Element<'_>| element.name().1.eq_ignore_ascii_case(schema_name);
    if relationships(env).iter().any(same) {
        return Err(taken("A relationship", schema_name));
    }
    let kind = body.get("@odata.type").and_then(Value::as_str).unwrap_or_default();
    if kind.ends_with("ManyToManyRelationshipMetadata") || body.get("Entity1LogicalName").is_some()
    {
        pairs(env, body, schema_name)
    } else {
        lookup(env, body, schema_name)
    }
}

fn lookup(env: &mut Environment, body: &Value, schema_name: &str) -> Result<Uuid, Refusal> {
    let parent = known(env, required(body, "ReferencedEntity")?)?;
    let child = known(env, required(body, "ReferencingEntity")?)?;
    let definition =
        body.get("Lookup").ok_or_else(|| invalid("Required member 'Lookup' is missing"))?;
    let lookup_name = required(definition, "SchemaName")?;
    let column_name = logical(lookup_name)?;
    let named = body.get("ReferencingEntityNavigationPropertyName").and_then(Value::as_str);
    let target = LookupTarget {
        table: parent,
        navigation: named.filter(|name| !name.is_empty()).unwrap_or(lookup_name).to_owned(),
        collection: schema_name.to_owned(),
        on_delete: on_delete(body)?.unwrap_or_default(),
    };
    let column = ColumnDefinition {
        schema_name: lookup_name.to_owned(),
        display_name: labelled(definition, "DisplayName").unwrap_or_else(|| lookup_name.to_owned()),
        targets: vec![target],
        required: match definition.pointer("/RequiredLevel/Value").and_then(Value::as_str) {
            Some("ApplicationRequired") => Required::ApplicationRequired,
            _ => Required::None,
        },
        ..ColumnDefinition::of(&column_name, Kind::Lookup)
    };
    let Some(table) = env.tables.get_mut(&child) else { return Err(no_table(&child)) };
    if table.definition.column(&column_name).is_some() {
        return Err(taken("An attribute", &column_name));
    }
    table.definition.columns.push(column);
    let here = |element: &Element<'_>| element.name().1 == schema_name;
    let found = relationships(env).into_iter().find(here);
    found.map(|element| element.id()).ok_or_else(|| invalid("The relationship could not be made"))
}

fn pairs(env: &mut Environment, body: &Value, schema_name: &str) -> Result<Uuid, Refusal> {
    let side = |table: &str, navigation: &str| -> Result<Side, Refusal> {
        let named = body.get(navigation).and_then(Value::as_str).filter(|name| !name.is_empty());
        Ok(Side {
            table: known(env, required(body, table)?)?,
            navigation: named.unwrap_or(schema_name).to_owned(),
        })
    };
    let first = side("Entity1LogicalName", "Entity1NavigationPropertyName")?;
    let second = side("Entity2LogicalName", "Entity2NavigationPropertyName")?;
    let intersect = body.get("IntersectEntityName").and_then(Value::as_str);
    let intersect = logical(intersect.filter(|name| !name.is_empty()).unwrap_or(schema_name))?;
    let many = ManyToMany {
        schema_name: schema_name.to_owned(),
        intersect,
        first,
        second,
        metadata_id: Uuid::new_v4(),
        pairs: indexmap::IndexSet::new(),
    };
    let id = many.metadata_id;
    env.many_to_many.push(many);
    Ok(id)
}

/// `PUT RelationshipDefinitions(…)`: what the deletion of a parent does.
pub fn update(env: &mut Environment, id: Uuid, body: &Value) -> Result<(), Refusal> {
    let Some(on_delete) = on_delete(body)? else { return Ok(()) };
    if let Some((child, column, parent)) = place(env, id)
        && let Some(target) = target(env, &child, &column, &parent)
    {
        target.on_delete = on_delete;
    }
    Ok(())
}

/// Removes a relationship; a lookup that leads nowhere then goes too.
pub fn delete(env: &mut Environment, id: Uuid) {
    env.many_to_many.retain(|many| many.metadata_id != id);
    let Some((child, name, parent)) = place(env, id) else { return };
    let Some(table) = env.tables.get_mut(&child) else { return };
    let columns = &mut table.definition.columns;
    if let Some(column) = columns.iter_mut().find(|column| column.logical_name == name) {
        column.targets.retain(|target| target.table != parent);
        if column.targets.is_empty() {
            columns.retain(|column| column.logical_name != name);
            for record in table.rows.values_mut() {
                record.cells.remove(&name);
            }
        }
    }
}

/// Child table, lookup and parent table of a one-to-many relationship.
fn place(env: &Environment, id: Uuid) -> Option<(String, String, String)> {
    let element = relationships(env).into_iter().find(|element| element.id() == id)?;
    let Element::Lookup(Lookup { child, column, target }) = element else { return None };
    let names = [&child.definition.logical_name, &column.logical_name, &target.table];
    Some(names.map(Clone::clone).into())
}

fn target<'a>(
    env: &'a mut Environment,
    child: &str,
    column: &str,
    parent: &str,
) -> Option<&'a mut LookupTarget> {
    let columns = &mut env.tables.get_mut(child)?.definition.columns;
    let column = columns.iter_mut().find(|one| one.logical_name == column)?;
    column.targets.iter_mut().find(|target| target.table == parent)
}

fn on_delete(body: &Value) -> Result<Option<OnDelete>, Refusal> {
    match body.pointer("/CascadeConfiguration/Delete").and_then(Value::as_str) {
        None => Ok(None),
        Some("RemoveLink" | "NoCascade") => Ok(Some(OnDelete::RemoveLink)),
        Some("Cascade") => Ok(Some(OnDelete::Cascade)),
        Some("Restrict") => Ok(Some(OnDelete::Restrict)),
        Some(other) => Err(invalid(&format!("'{other}' is no cascade type"))),
    }
}

fn known(env: &Environment, table: &str) -> Result<String, Refusal> {
    if env.tables.contains_key(table) { Ok(table.to_owned()) } else { Err(no_table(table)) }
}

fn no_table(table: &str) -> Refusal {
    let message = format!("Could not find an entity with name '{table}'.");
    Refusal::new(404, "0x80040217", message)
}
