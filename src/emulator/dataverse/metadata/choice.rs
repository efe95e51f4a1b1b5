//! A set of choices as `OptionSetMetadata`, or `BooleanOptionSetMetadata` for yes and no.

use serde_json::{Value, json};

use super::element::{Choice, Members};
use super::label::{managed, none, write};
use crate::emulator::dataverse::model::{Kind, OptionValue};

/// What only the derived types have.
pub const DERIVED: [&str; 4] = ["Options", "TrueOption", "FalseOption", "ParentOptionSetName"];

/// Which of the two it is.
pub fn type_name(choice: &Choice<'_>) -> &'static str {
    if kind(choice) == Kind::Boolean { "BooleanOptionSetMetadata" } else { "OptionSetMetadata" }
}

fn kind(choice: &Choice<'_>) -> Kind {
    choice.owner.map_or(Kind::Picklist, |(_, column)| column.kind)
}

/// Its properties.
pub fn members(choice: &Choice<'_>) -> Members {
    let kind = kind(choice);
    let name = choice.owner.map_or_else(
        || choice.name.to_owned(),
        |(table, column)| format!("{}_{}", table.definition.logical_name, column.logical_name),
    );
    let known = [(Kind::Boolean, "Boolean"), (Kind::State, "State"), (Kind::Status, "Status")];
    let type_name =
        known.into_iter().find(|(one, _)| *one == kind).map_or("Picklist", |(_, name)| name);
    let mut members = Members::new();
    let mut put = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    put("MetadataId", json!(choice.id()));
    put("Name", json!(name));
    put("DisplayName", write(choice.name));
    put("Description", none());
    put("IsGlobal", json!(choice.owner.is_none()));
    put("IsCustomOptionSet", json!(choice.owner.is_none()));
    put("IsManaged", json!(false));
    put("IsCustomizable", managed(true, "iscustomizable"));
    put("OptionSetType", json!(type_name));
    put("ExternalTypeName", Value::Null);
    put("IntroducedVersion", Value::Null);
    put("ParentOptionSetName", Value::Null);
    put("HasChanged", Value::Null);
    if kind == Kind::Boolean {
        let label = |value: i32, other: &str| {
            let found = choice.options.iter().find(|option| option.value == value);
            let label = found.map_or(other, |option| option.label.as_str());
            json!({ "Value": value, "Label": write(label), "Color": null, "IsManaged": false })
        };
        put("TrueOption", label(1, "Yes"));
        put("FalseOption", label(0, "No"));
    } else {
        let options: Vec<Value> = choice.options.iter().map(|one| option(one, kind)).collect();
        put("Options", json!(options));
    }
    members
}

fn option(option: &OptionValue, kind: Kind) -> Value {
    let mut value = json!({
        "Value": option.value,
        "Label": write(&option.label),
        "Description": none(),
        "Color": null,
        "IsManaged": false,
        "ExternalValue": "",
        "ParentValues": [],
        "MetadataId": null,
        "HasChanged": null,
    });
    if let Some(members) = value.as_object_mut() {
        if kind == Kind::State {
            members.insert("DefaultStatus".into(), json!(option.value + 1));
            members.insert("InvariantName".into(), json!(option.label));
        }
        if kind == Kind::Status {
            members.insert("State".into(), json!(option.state.unwrap_or_default()));
            members.insert("TransitionData".into(), Value::Null);
        }
    }
    value
}
