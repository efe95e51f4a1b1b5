//! `RetrieveMetadataChanges(Query=@p1)`: tables and their columns by an `EntityQueryExpression`, with the
//! properties it names, whatever their type (Dataverse Web API, query schema definitions).

use serde_json::{Value, json};
use uuid::Uuid;

use super::element::{Element, Members, columns};
use crate::emulator::dataverse::model::Environment;
use crate::emulator::dataverse::query::operand::Operand;
use crate::emulator::dataverse::refusal::Refusal;

/// The members of the answer.
pub fn retrieve(env: &Environment, query: &Value) -> Result<Value, Refusal> {
    let mut found = Vec::new();
    for table in env.tables.values() {
        let members = Element::Table(table).members(env);
        if !fits(&members, query.get("Criteria"))? {
            continue;
        }
        let mut shown = chosen(members, query.get("Properties"));
        if asked(query.get("Properties"), "Attributes") {
            let attributes = query.get("AttributeQuery");
            let mut list = Vec::new();
            for column in columns(table) {
                let members = column.members(env);
                if fits(&members, attributes.and_then(|one| one.get("Criteria")))? {
                    let mut shown =
                        chosen(members, attributes.and_then(|one| one.get("Properties")));
                    let type_name = format!("#Microsoft.Dynamics.CRM.{}", column.type_name());
                    shown.insert("@odata.type".to_owned(), json!(type_name));
                    list.push(Value::Object(shown));
                }
            }
            shown.insert("Attributes".to_owned(), Value::Array(list));
        }
        found.push(Value::Object(shown));
    }
    Ok(json!({
        "ServerVersionStamp": format!("{}!{}", env.metadata_version, env.version),
        "EntityMetadata": found,
        "DeletedMetadata": null,
    }))
}

fn asked(properties: Option<&Value>, name: &str) -> bool {
    let Some(properties) = properties else { return true };
    let all = properties.get("AllProperties").and_then(Value::as_bool) == Some(true);
    let names = properties.get("PropertyNames").and_then(Value::as_array);
    all || names.is_some_and(|names| names.iter().any(|one| one.as_str() == Some(name)))
}

/// The members a query names; the id and the name are always there.
fn chosen(members: Members, properties: Option<&Value>) -> Members {
    let always = |name: &str| name == "MetadataId" || name == "LogicalName";
    members.into_iter().filter(|(name, _)| always(name) || asked(properties, name)).collect()
}

/// Whether all conditions of a `MetadataFilterExpression` hold (any of them with `Or`).
fn fits(members: &Members, criteria: Option<&Value>) -> Result<bool, Refusal> {
    let Some(criteria) = criteria.filter(|criteria| criteria.is_object()) else { return Ok(true) };
    let any = criteria.get("FilterOperator").and_then(Value::as_str) == Some("Or");
    let conditions = criteria.get("Conditions").and_then(Value::as_array);
    let mut results = Vec::new();
    for condition in conditions.into_iter().flatten() {
        results.push(holds(members, condition)?);
    }
    Ok(if any && !results.is_empty() { results.contains(&true) } else { !results.contains(&false) })
}

fn holds(members: &Members, condition: &Value) -> Result<bool, Refusal> {
    let text = |name: &str| condition.get(name).and_then(Value::as_str).unwrap_or_default();
    let value = members.get(text("PropertyName")).map_or(Operand::Null, Operand::of_json);
    let wanted = condition.pointer("/Value/Value").or_else(|| condition.get("Value"));
    let same = |wanted: &Value| match wanted.as_str().and_then(|text| Uuid::parse_str(text).ok()) {
        Some(id) => value.same(&Operand::Guid(id)),
        None => value.same(&Operand::of_json(wanted)),
    };
    let among = || wanted.and_then(Value::as_array).is_some_and(|all| all.iter().any(same));
    match text("ConditionOperator") {
        "Equals" => Ok(wanted.is_some_and(same)),
        "NotEquals" => Ok(!wanted.is_some_and(same)),
        "In" => Ok(among()),
        "NotIn" => Ok(!among()),
        other => {
            let message = format!("The metadata condition operator '{other}' is not supported.");
            Err(Refusal::bad("0x80040203", message))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::emulator::dataverse::query::fixture::environment;

    fn named(name: &str) -> Value {
        let value = json!({ "Type": "System.String", "Value": name });
        json!({ "Conditions": [{ "PropertyName": "LogicalName", "ConditionOperator": "Equals", "Value": value }] })
    }

    #[test]
    fn one_column_comes_with_the_properties_of_its_type() {
        let query = json!({
            "Properties": { "PropertyNames": ["LogicalName", "Attributes"] },
            "Criteria": named("account"),
            "AttributeQuery": { "Properties": { "PropertyNames": ["MaxLength"] }, "Criteria": named("name") },
        });
        let found = retrieve(&environment(), &query).unwrap();
        let tables = found["EntityMetadata"].as_array().unwrap();
        assert_eq!(tables.len(), 1);
        let column = &tables[0]["Attributes"][0];
        assert_eq!((&column["LogicalName"], &column["MaxLength"]), (&json!("name"), &json!(100)));
        assert!(column.get("SchemaName").is_none());
    }

    #[test]
    fn an_unknown_operator_is_refused() {
        let criteria = json!({ "Conditions": [{ "PropertyName": "LogicalName", "ConditionOperator": "Like" }] });
        assert!(retrieve(&environment(), &json!({ "Criteria": criteria })).is_err());
    }
}
