//! An alternate key as `EntityKeyMetadata`.

use serde_json::{Value, json};

use super::element::Members;
use super::label::{managed, write};
use crate::emulator::dataverse::model::{KeyDefinition, Table};

/// Its properties.
pub fn members(table: &Table, key: &KeyDefinition) -> Members {
    let mut members = Members::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("MetadataId", json!(key.metadata_id));
    put("SchemaName", json!(key.schema_name));
    put("LogicalName", json!(key.schema_name.to_lowercase()));
    put("EntityLogicalName", json!(table.definition.logical_name));
    put("DisplayName", write(&key.schema_name));
    put("KeyAttributes", json!(key.columns));
    put("EntityKeyIndexStatus", json!(key.status));
    put("AsyncJob", Value::Null);
    put("IsCustomizable", managed(true, "iscustomizable"));
    put("IsManaged", json!(false));
    put("IsExportKey", json!(false));
    put("IsSecondaryKey", json!(false));
    put("IsSynchronous", json!(false));
    put("IntroducedVersion", json!("1.0"));
    put("HasChanged", Value::Null);
    members
}
