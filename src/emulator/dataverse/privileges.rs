//! Which privileges the tables take, and which of them callers hold: by their one role all, less what the
//! emulator was told to deny. Without its privilege a row is neither created, written, assigned nor deleted (403
//! `0x80040220`); reading and attaching are told here and not enforced. Source: Dataverse Web API,
//! `SecurityPrivilegeMetadata`, `RetrieveUserPrivileges`, errors.

use serde_json::{Value, json};
use uuid::Uuid;

use crate::emulator::dataverse::model::{Definition, Environment};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::schema::stable_id;

/// What may be done to a table.
const RIGHTS: [&str; 8] =
    ["Create", "Read", "Write", "Delete", "Assign", "Share", "Append", "AppendTo"];

/// `prvReadAccount`
fn name(definition: &Definition, right: &str) -> String {
    format!("prv{right}{}", definition.schema_name)
}

fn id(name: &str) -> Uuid {
    stable_id(&format!("privilege/{name}"))
}

/// The privileges of a table, as its metadata tells them.
pub fn of_table(definition: &Definition) -> Value {
    let privilege = |right: &&str| {
        let name = name(definition, right);
        json!({
            "CanBeBasic": true, "CanBeDeep": true, "CanBeGlobal": true, "CanBeLocal": true,
            "CanBeEntityReference": false, "CanBeParentEntityReference": false,
            "Name": name, "PrivilegeId": id(&name), "PrivilegeType": right,
        })
    };
    RIGHTS.iter().map(privilege).collect()
}

/// The privileges that a caller holds, as `RetrieveUserPrivileges` tells them.
pub fn held(env: &Environment) -> Value {
    let definitions = env.tables.values().map(|table| &table.definition);
    let names = definitions.flat_map(|of| RIGHTS.iter().map(|right| name(of, right)));
    let held = names.filter(|name| !env.denied.contains(name)).map(|name| {
        json!({
            "Depth": "Global", "PrivilegeId": id(&name), "PrivilegeName": name,
            "BusinessUnitId": stable_id("businessunit"),
            "RecordFilterId": Uuid::nil(), "RecordFilterUniqueName": null,
        })
    });
    held.collect()
}

/// Refuses what the caller may not do to a table.
pub fn permit(env: &Environment, table: &str, right: &str) -> Result<(), Refusal> {
    if env.denied.is_empty() {
        return Ok(());
    }
    let Some(definition) = env.tables.get(table).map(|table| &table.definition) else {
        return Ok(());
    };
    let name = name(definition, right);
    if !env.denied.contains(&name) {
        return Ok(());
    }
    let message = format!(
        "Principal user is missing {name} privilege (Id={}) for entity '{table}'",
        id(&name)
    );
    Err(Refusal::new(403, "0x80040220", message))
}
