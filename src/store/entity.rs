//! The properties of an entity as JSON: the Table service's own notation (Table service REST API,
//! "Payload format for Table service operations"), used by the local store too.
//!
//! Whole numbers and bytes travel as text beside an `<name>@odata.type`. Properties of a type that we
//! never write (somebody edited the table by hand) are read as their JSON text.

use std::fmt;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;

use super::{Properties, Property};
use crate::quote;

const TYPE: &str = "@odata.type";
const INTEGER: &str = "Edm.Int64";
const BYTES: &str = "Edm.Binary";

/// Line and paragraph separator: whole in JSON, and line ends elsewhere.
const LINE_ENDS: [char; 2] = ['\u{2028}', '\u{2029}'];

/// Appends properties as a JSON object of one line: Azurite, a reader of multipart that is not careful,
/// refuses a whole transaction for one more. `at` is where the row stands, when that is part of the object.
pub(super) fn push(at: Option<(&str, &str)>, properties: &Properties, json: &mut Vec<u8>) {
    json.push(b'{');
    let start = json.len();
    if let Some((partition, row)) = at {
        member("PartitionKey", "", json);
        text(partition, json);
        json.push(b',');
        member("RowKey", "", json);
        text(row, json);
    }
    for (name, property) in properties {
        if json.len() > start {
            json.push(b',');
        }
        match property {
            Property::Text(value) => {
                member(name, "", json);
                text(value, json);
            }
            Property::Integer(number) => typed(name, INTEGER, &number.to_string(), json),
            Property::Bytes(bytes) => typed(name, BYTES, &STANDARD.encode(bytes), json),
        }
    }
    json.push(b'}');
}

fn typed(name: &str, kind: &str, value: &str, json: &mut Vec<u8>) {
    member(name, TYPE, json);
    text(kind, json);
    json.push(b',');
    member(name, "", json);
    text(value, json);
}

/// A name, which needs no escape, and the colon behind it.
fn member(name: &str, ending: &str, json: &mut Vec<u8>) {
    json.push(b'"');
    json.extend_from_slice(name.as_bytes());
    json.extend_from_slice(ending.as_bytes());
    json.extend_from_slice(b"\":");
}

fn text(text: &str, json: &mut Vec<u8>) {
    // Both begin with this byte, which is rare and quickly looked for.
    if memchr::memchr(0xe2, text.as_bytes()).is_none() {
        return quote::push(text, json);
    }
    json.push(b'"');
    for line in text.split_inclusive(LINE_ENDS) {
        let (inner, end) = match line.strip_suffix(LINE_ENDS) {
            Some(inner) if line.ends_with(LINE_ENDS[0]) => (inner, "\\u2028"),
            Some(inner) => (inner, "\\u2029"),
            None => (line, ""),
        };
        quote::push_inner(inner, json);
        json.extend_from_slice(end.as_bytes());
    }
    json.push(b'"');
}

/// A row as it is read: its properties, without the service's own members, and what those say.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) row: Option<String>,
    pub(super) etag: Option<String>,
    pub(super) properties: Properties,
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Read;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a row of a table")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Read, A::Error> {
        let mut read = Read::default();
        let mut types = Vec::<(String, Value)>::new();
        while let Some(name) = members.next_key::<String>()? {
            if name == "RowKey" {
                read.row = Some(members.next_value()?);
            } else if name == "odata.etag" {
                read.etag = Some(members.next_value()?);
            } else if let Some(name) = name.strip_suffix(TYPE) {
                types.push((name.to_owned(), members.next_value()?));
            } else if is_the_services_own(&name) {
                members.next_value::<IgnoredAny>()?;
            } else if let Some(property) = property(members.next_value()?) {
                read.properties.insert(name.into(), property);
            }
        }
        for (name, kind) in types {
            if let Some(property) = read.properties.get_mut(name.as_str()) {
                retype(property, kind.as_str());
            }
        }
        Ok(read)
    }
}

fn is_the_services_own(name: &str) -> bool {
    name.contains('@')
        || name.starts_with("odata.")
        || matches!(name, "PartitionKey" | "RowKey" | "Timestamp")
}

/// A value by its JSON alone.
fn property(value: Value) -> Option<Property> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(Property::Text(text)),
        Value::Number(number) => {
            Some(number.as_i64().map_or(Property::Text(number.to_string()), Property::Integer))
        }
        Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            Some(Property::Text(value.to_string()))
        }
    }
}

/// What a text stands for when its type is said; one that does not fit its type stays text.
fn retype(property: &mut Property, kind: Option<&str>) {
    let Property::Text(text) = &*property else { return };
    let read = match kind {
        Some(INTEGER) => text.parse().ok().map(Property::Integer),
        Some(BYTES) => STANDARD.decode(text).ok().map(|bytes| Property::Bytes(bytes.into())),
        Some(_) | None => None,
    };
    if let Some(read) = read {
        *property = read;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    #[test]
    fn every_type_comes_back_as_it_was() {
        let properties = BTreeMap::from([
            ("text".into(), Property::Text("12".into())),
            ("lines".into(), Property::Text("\u{2028}a\"\u{2028}\u{2029}b\n€".into())),
            ("number".into(), Property::Integer(i64::MIN)),
            ("bytes".into(), Property::Bytes(Bytes::from_static(&[0, 255, 10]))),
        ]);
        let mut json = Vec::new();
        push(Some(("p", "r")), &properties, &mut json);
        let read: Read = serde_json::from_slice(&json).unwrap();
        assert_eq!((read.properties, read.row.as_deref()), (properties, Some("r")));
        assert!(!String::from_utf8(json).unwrap().contains(LINE_ENDS));
    }

    #[test]
    fn what_others_wrote_is_read_without_failing() {
        let read: Read = serde_json::from_value(json!({
            "odata.etag": "W/\"1\"", "PartitionKey": "p", "RowKey": "r", "Timestamp": "t",
            "Timestamp@odata.type": "Edm.DateTime",
            "small": 7, "real": 0.5, "flag": true, "nothing": null,
            "broken@odata.type": "Edm.Binary", "broken": "***",
        }))
        .unwrap();
        let expected = BTreeMap::from([
            ("small".into(), Property::Integer(7)),
            ("real".into(), Property::Text("0.5".into())),
            ("flag".into(), Property::Text("true".into())),
            ("broken".into(), Property::Text("***".into())),
        ]);
        assert_eq!((read.properties, read.etag.as_deref()), (expected, Some("W/\"1\"")));
    }
}
