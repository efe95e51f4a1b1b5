//! The properties of an entity as JSON: the Table service's own notation (Table service REST API,
//! "Payload format for Table service operations"), used by the local store too.
//!
//! Whole numbers and bytes travel as text beside an `<name>@odata.type`. Properties of a type that we
//! never write (somebody edited the table by hand) are read as their JSON text.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use super::Property;

const TYPE: &str = "@odata.type";
const INTEGER: &str = "Edm.Int64";
const BYTES: &str = "Edm.Binary";

/// The properties as members of a JSON object.
pub(super) fn to_json(properties: &BTreeMap<String, Property>) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, property) in properties {
        let (kind, value) = match property {
            Property::Text(text) => (None, text.clone()),
            Property::Integer(number) => (Some(INTEGER), number.to_string()),
            Property::Bytes(bytes) => (Some(BYTES), STANDARD.encode(bytes)),
        };
        if let Some(kind) = kind {
            members.insert(format!("{name}{TYPE}"), kind.into());
        }
        members.insert(name.clone(), value.into());
    }
    members
}

/// The properties in a JSON object, without the service's own members.
pub(super) fn from_json(members: &Map<String, Value>) -> BTreeMap<String, Property> {
    let kind = |name: &str| members.get(&format!("{name}{TYPE}")).and_then(Value::as_str);
    members
        .iter()
        .filter(|(name, _)| !is_the_services_own(name))
        .filter_map(|(name, value)| Some((name.clone(), property(value, kind(name))?)))
        .collect()
}

fn is_the_services_own(name: &str) -> bool {
    name.contains('@')
        || name.starts_with("odata.")
        || matches!(name, "PartitionKey" | "RowKey" | "Timestamp")
}

fn property(value: &Value, kind: Option<&str>) -> Option<Property> {
    match (value, kind) {
        (Value::Null, _) => None,
        (Value::String(text), Some(INTEGER)) => match text.parse() {
            Ok(number) => Some(Property::Integer(number)),
            Err(_) => Some(Property::Text(text.clone())),
        },
        (Value::String(text), Some(BYTES)) => match STANDARD.decode(text) {
            Ok(bytes) => Some(Property::Bytes(bytes.into())),
            Err(_) => Some(Property::Text(text.clone())),
        },
        (Value::String(text), _) => Some(Property::Text(text.clone())),
        (Value::Number(number), _) => {
            Some(number.as_i64().map_or(Property::Text(number.to_string()), Property::Integer))
        }
        (Value::Bool(_) | Value::Array(_) | Value::Object(_), _) => {
            Some(Property::Text(value.to_string()))
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn members(value: Value) -> Map<String, Value> {
        let Value::Object(members) = value else { panic!("not an object") };
        members
    }

    #[test]
    fn every_type_comes_back_as_it_was() {
        let properties = BTreeMap::from([
            ("text".to_owned(), Property::Text("12".into())),
            ("number".to_owned(), Property::Integer(i64::MIN)),
            ("bytes".to_owned(), Property::Bytes(Bytes::from_static(&[0, 255, 10]))),
        ]);
        assert_eq!(from_json(&to_json(&properties)), properties);
    }

    #[test]
    fn what_others_wrote_is_read_without_failing() {
        let read = from_json(&members(json!({
            "odata.etag": "W/\"1\"", "PartitionKey": "p", "RowKey": "r", "Timestamp": "t",
            "Timestamp@odata.type": "Edm.DateTime",
            "small": 7, "real": 0.5, "flag": true, "nothing": null,
            "broken@odata.type": "Edm.Binary", "broken": "***",
        })));
        let expected = BTreeMap::from([
            ("small".to_owned(), Property::Integer(7)),
            ("real".to_owned(), Property::Text("0.5".into())),
            ("flag".to_owned(), Property::Text("true".into())),
            ("broken".to_owned(), Property::Text("***".into())),
        ]);
        assert_eq!(read, expected);
    }
}
