//! Columns: read from `AttributeMetadata`, added, changed and removed.

use rust_decimal::Decimal;
use serde_json::Value;
use uuid::Uuid;

use super::{choice, invalid, labelled, logical, required, taken};
use crate::emulator::dataverse::metadata::element::Element;
use crate::emulator::dataverse::metadata::element::choices;
use crate::emulator::dataverse::model::{ColumnDefinition, Environment, Kind, Required};
use crate::emulator::dataverse::refusal::Refusal;

/// Reads a new column.
pub fn read(env: &Environment, body: &Value) -> Result<ColumnDefinition, Refusal> {
    let schema_name = required(body, "SchemaName")?;
    let mut column = ColumnDefinition::of(&logical(schema_name)?, kind(body)?);
    schema_name.clone_into(&mut column.schema_name);
    schema_name.clone_into(&mut column.display_name);
    change(env, &mut column, body)?;
    Ok(column)
}

/// The kind that `@odata.type` names, with or without `#` and `Complex`; `AttributeType` stands in for it.
fn kind(body: &Value) -> Result<Kind, Refusal> {
    let named = body.get("@odata.type").and_then(Value::as_str);
    let short = named.and_then(|name| {
        let name = name.rsplit('.').next().unwrap_or_default();
        name.strip_prefix("Complex").unwrap_or(name).strip_suffix("AttributeMetadata")
    });
    let name =
        short.or_else(|| body.get("AttributeType").and_then(Value::as_str)).unwrap_or_default();
    KINDS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, kind)| *kind)
        .ok_or_else(|| invalid(&format!("The attribute type '{name}' cannot be created")))
}

const KINDS: [(&str, Kind); 14] = [
    ("String", Kind::String),
    ("Memo", Kind::Memo),
    ("Integer", Kind::Integer),
    ("BigInt", Kind::BigInt),
    ("Decimal", Kind::Decimal),
    ("Double", Kind::Double),
    ("Money", Kind::Money),
    ("Boolean", Kind::Boolean),
    ("DateTime", Kind::DateTime),
    ("Picklist", Kind::Picklist),
    ("MultiSelectPicklist", Kind::MultiSelectPicklist),
    ("Image", Kind::Image),
    ("File", Kind::File),
    ("Lookup", Kind::Lookup),
];

/// Sets what the body holds; the rest stays.
fn change(env: &Environment, column: &mut ColumnDefinition, body: &Value) -> Result<(), Refusal> {
    if let Some(label) = labelled(body, "DisplayName") {
        column.display_name = label;
    }
    if let Some(level) = body.pointer("/RequiredLevel/Value").and_then(Value::as_str) {
        column.required = match level {
            "None" => Required::None,
            "ApplicationRequired" => Required::ApplicationRequired,
            "Recommended" => Required::Recommended,
            "SystemRequired" => Required::SystemRequired,
            other => return Err(invalid(&format!("'{other}' is no RequiredLevel"))),
        };
    }
    if let Some(secured) = body.get("IsSecured").and_then(Value::as_bool) {
        column.secured = secured;
    }
    column.max_length = whole(body, "MaxLength")?.or(column.max_length);
    column.precision = whole(body, "Precision")?.or(column.precision);
    if !matches!(column.kind, Kind::BigInt) {
        column.min = decimal(body, "MinValue")?.or(column.min);
        column.max = decimal(body, "MaxValue")?.or(column.max);
    }
    if column.kind == Kind::DateTime {
        let behavior = body.pointer("/DateTimeBehavior/Value").and_then(Value::as_str);
        if let Some(behavior) = behavior {
            column.behavior = Some(behavior.to_owned());
        }
    }
    if let Some(set) = body.get("OptionSet").filter(|set| set.is_object()) {
        let options = choice::options(set)?;
        let global = set.get("IsGlobal").and_then(Value::as_bool) == Some(true);
        if !options.is_empty() && !global {
            column.options = options;
        }
    }
    if let Some(address) = body.get("GlobalOptionSet@odata.bind").and_then(Value::as_str) {
        column.global_choice = Some(bound(env, address)?);
    }
    Ok(())
}

/// The global choice at an address such as `/GlobalOptionSetDefinitions(Name='x')`.
fn bound(env: &Environment, address: &str) -> Result<String, Refusal> {
    let inside = address.rsplit_once('(').and_then(|(_, rest)| rest.strip_suffix(')'));
    let inside = inside.unwrap_or_default();
    let name = inside.strip_prefix("Name='").and_then(|name| name.strip_suffix('\''));
    let id = Uuid::parse_str(inside).ok();
    let is_it =
        |element: &Element<'_>| name == Some(element.name().1.as_str()) || id == Some(element.id());
    let found = choices(env).into_iter().find(is_it);
    found
        .map(|element| element.name().1)
        .ok_or_else(|| invalid(&format!("There is no global option set at '{address}'")))
}

fn whole(body: &Value, name: &str) -> Result<Option<u32>, Refusal> {
    let Some(value) = body.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let number = value.as_u64().and_then(|number| u32::try_from(number).ok());
    number.map(Some).ok_or_else(|| invalid(&format!("'{name}' is no whole number")))
}

fn decimal(body: &Value, name: &str) -> Result<Option<Decimal>, Refusal> {
    let Some(value) = body.get(name).filter(|value| !value.is_null()) else { return Ok(None) };
    let text = value.to_string();
    let number = text.parse().or_else(|_| Decimal::from_scientific(&text));
    number.map(Some).map_err(|_| invalid(&format!("'{name}' is no number")))
}

/// Adds a column to a table: its id.
pub fn create(env: &mut Environment, table: &str, body: &Value) -> Result<Uuid, Refusal> {
    let column = read(env, body)?;
    if column.kind == Kind::Lookup {
        return Err(invalid("A lookup is created with its relationship"));
    }
    let Some(target) = env.tables.get_mut(table) else { return Err(Refusal::no_segment(table)) };
    if target.definition.column(&column.logical_name).is_some() {
        return Err(taken("An attribute", &column.logical_name));
    }
    let id = column.metadata_id;
    target.definition.columns.push(column);
    Ok(id)
}

/// Changes a column. Its name and type stay what they are.
pub fn update(env: &mut Environment, table: &str, id: Uuid, body: &Value) -> Result<(), Refusal> {
    let known = env.tables.get(table).map(|table| &table.definition);
    let found = known.and_then(|known| known.columns.iter().find(|one| one.metadata_id == id));
    let mut column = found.ok_or_else(|| Refusal::no_segment("Attributes"))?.clone();
    change(env, &mut column, body)?;
    let columns = env.tables.get_mut(table).map(|table| &mut table.definition.columns);
    if let Some(place) = columns.and_then(|all| all.iter_mut().find(|one| one.metadata_id == id)) {
        *place = column;
    }
    Ok(())
}

/// Removes a column and its cells. Refused for the primary ones and for those of a key.
pub fn delete(env: &mut Environment, table: &str, id: Uuid) -> Result<(), Refusal> {
    let Some(target) = env.tables.get_mut(table) else { return Err(Refusal::no_segment(table)) };
    let definition = &mut target.definition;
    let at = definition.columns.iter().position(|one| one.metadata_id == id);
    let at = at.ok_or_else(|| Refusal::no_segment("Attributes"))?;
    let Some(column) = definition.columns.get(at) else { return Ok(()) };
    let name = column.logical_name.clone();
    let held = name == definition.primary_id
        || name == definition.primary_name
        || definition.keys.iter().any(|key| key.columns.contains(&name));
    if held {
        let message =
            format!("The Attribute({name}) component cannot be deleted because it is in use.");
        return Err(Refusal::bad("0x8004F01F", message));
    }
    definition.columns.remove(at);
    for record in target.rows.values_mut() {
        record.cells.remove(&name);
    }
    Ok(())
}
