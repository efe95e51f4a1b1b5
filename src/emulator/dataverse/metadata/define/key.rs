//! Alternate keys (Dataverse, define alternate keys): at most 10 a table, 16 columns each, of the types
//! that can be indexed and without column security.

use std::collections::HashSet;

use serde_json::Value;
use uuid::Uuid;

use super::{invalid, logical, required, taken};
use crate::emulator::dataverse::model::{Environment, KeyDefinition, Kind, Record, Table};
use crate::emulator::dataverse::query::operand::Operand;
use crate::emulator::dataverse::refusal::Refusal;

/// Adds a key: its id. Its index is `Failed` when rows already clash.
pub fn create(env: &mut Environment, table: &str, body: &Value) -> Result<Uuid, Refusal> {
    let Some(target) = env.tables.get_mut(table) else { return Err(Refusal::no_segment(table)) };
    let schema_name = required(body, "SchemaName")?;
    let name = logical(schema_name)?;
    let definition = &target.definition;
    if definition.keys.iter().any(|key| key.schema_name.eq_ignore_ascii_case(&name)) {
        return Err(taken("An entity key", schema_name));
    }
    let columns = body.get("KeyAttributes").and_then(Value::as_array);
    let columns: Option<Vec<String>> =
        columns.and_then(|all| all.iter().map(|one| one.as_str().map(str::to_owned)).collect());
    let columns = columns.unwrap_or_default();
    if columns.is_empty() || columns.len() > 16 {
        return Err(invalid("A key has between 1 and 16 columns"));
    }
    if definition.keys.len() >= 10 {
        return Err(invalid("A table has at most 10 keys"));
    }
    for name in &columns {
        let column = definition.column(name).ok_or_else(|| {
            Refusal::bad("0x80041103", format!("There is no attribute '{name}' on '{table}'."))
        })?;
        let fits = matches!(
            column.kind,
            Kind::String
                | Kind::Integer
                | Kind::Decimal
                | Kind::DateTime
                | Kind::Lookup
                | Kind::Customer
                | Kind::Owner
                | Kind::Picklist
        );
        if !fits || column.secured {
            return Err(invalid(&format!("The column '{name}' cannot be part of a key")));
        }
    }
    let status = if clashes(target, &columns) { "Failed" } else { "Active" };
    let key = KeyDefinition {
        schema_name: schema_name.to_owned(),
        columns,
        status: status.to_owned(),
        metadata_id: Uuid::new_v4(),
    };
    let id = key.metadata_id;
    target.definition.keys.push(key);
    Ok(id)
}

/// Removes a key.
pub fn delete(env: &mut Environment, table: &str, id: Uuid) {
    if let Some(table) = env.tables.get_mut(table) {
        table.definition.keys.retain(|key| key.metadata_id != id);
    }
}

/// Whether two rows have the same values; rows with an empty part are not held to it.
fn clashes(table: &Table, columns: &[String]) -> bool {
    let key = |record: &Record| {
        let value = |column: &String| {
            let value = Operand::of_column(&table.definition, record, column);
            (value != Operand::Null).then(|| value.text().to_lowercase())
        };
        columns.iter().map(value).collect::<Option<Vec<_>>>()
    };
    let mut seen = HashSet::new();
    table.rows.values().filter_map(key).any(|key| !seen.insert(key))
}
