//! CloudEvents 1.0: an event comes in, its facts go out. Structured mode holds everything in its body;
//! binary mode, with attributes in application properties, is written as a structured event first.
//! Our own canonical event is read by its shape, any other by the system's paths. Refused: another
//! specversion, a required attribute that is missing, data that is not JSON.
//!
//! Sources: CloudEvents 1.0, its AMQP and HTTP bindings; streams and lake, schema evolution.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::value::{RawValue, to_raw_value};

use crate::change::Kind;
use crate::decode::config::Limits;
use crate::decode::json::{self, Object, Type};
use crate::decode::mapped::{self, Paths};
use crate::decode::{Facts, cluedin, edges, malformed, readable};
use crate::delivery::Event;
use crate::fault::Fault;

/// What an attribute's name starts with as an application property or a header.
const PREFIXES: [&str; 3] = ["cloudEvents:", "cloudEvents_", "ce-"];

/// Whether the attributes stand beside the body. A content type of the structured mode wins over them.
pub(super) fn is_binary(event: &Event) -> bool {
    let declared = event.property("content-type").unwrap_or_default();
    let structured = declared.trim().to_ascii_lowercase().starts_with("application/cloudevents");
    !structured && event.properties.iter().any(|(name, _)| attribute(name).is_some())
}

fn attribute(property: &str) -> Option<&str> {
    PREFIXES.iter().find_map(|prefix| {
        let (start, name) = property.split_at_checked(prefix.len())?;
        start.eq_ignore_ascii_case(prefix).then_some(name)
    })
}

/// A binary event as the structured event it stands for.
pub(super) fn structured(event: &Event, limits: Limits) -> Result<String, Fault> {
    let attributes = event.properties.iter().filter_map(|(name, value)| {
        let name = attribute(name)?.to_ascii_lowercase();
        Some((name, to_raw_value(value).ok()?))
    });
    let members = attributes.filter(|(name, _)| name != "data" && name != "data_base64").collect();
    if event.body.is_empty() { write(&members) } else { with_data(members, &event.body, limits) }
}

/// A structured event whose data is in base64 as one whose data stands there as JSON; none when it has
/// no such data.
pub(super) fn unpacked(object: &Object<'_>, limits: Limits) -> Option<Result<String, Fault>> {
    let data = object.get("data_base64").filter(|raw| json::type_of(raw) != Type::Null)?;
    let Some(bytes) = json::text(data).and_then(|text| STANDARD.decode(&*text).ok()) else {
        return Some(Err(malformed("the data is not base64").field("data_base64")));
    };
    let rest = object.0.iter().filter(|(name, _)| name != "data_base64" && name != "data");
    let members = rest.map(|(name, value)| (name.to_string(), (*value).to_owned()));
    Some(with_data(members.collect(), &bytes, limits))
}

fn with_data(mut members: Members, data: &[u8], limits: Limits) -> Result<String, Fault> {
    let data: &RawValue = serde_json::from_str(readable(data, limits)?)
        .map_err(|error| json::refused(&error, "the data", "JSON"))?;
    members.insert("data".into(), data.to_owned());
    write(&members)
}

fn write(members: &Members) -> Result<String, Fault> {
    serde_json::to_string(members)
        .map_err(|error| malformed("the attributes cannot be written as JSON").caused_by(error))
}

/// Reads a structured event.
pub(super) fn facts<'a>(object: &Object<'a>, paths: &Paths) -> Result<Facts<'a>, Fault> {
    conforms(object)?;
    let data = object.get("data").filter(|raw| json::type_of(raw) == Type::Object);
    let data = data.map(|raw| json::object(raw.get(), "`data`")).transpose()?;
    match data.filter(is_canonical) {
        Some(data) => canonical(object, &data, paths),
        None => other(object, paths),
    }
}

fn conforms(object: &Object<'_>) -> Result<(), Fault> {
    for name in ["specversion", "id", "source", "type"] {
        if object.fact(name).is_none() {
            return Err(malformed("this attribute is required of every CloudEvent").field(name));
        }
    }
    match object.fact("specversion") {
        Some(version) if version.starts_with("1.") => Ok(()),
        Some(_) | None => {
            Err(malformed("only version 1 of CloudEvents is read").field("specversion"))
        }
    }
}

fn is_canonical(data: &Object<'_>) -> bool {
    let is = |name, expected| data.get(name).is_some_and(|raw| json::type_of(raw) == expected);
    is("change", Type::Text) && is("entityType", Type::Text) && is("props", Type::Object)
}

/// Our own event, the form that adapters write.
fn canonical<'a>(
    object: &Object<'a>,
    data: &Object<'a>,
    paths: &Paths,
) -> Result<Facts<'a>, Fault> {
    let missing = |field| move || malformed("the canonical event lacks this member").field(field);
    let kind = cluedin::change_type(&data.fact("change").ok_or_else(missing("data.change"))?);
    let unknown = || malformed("the change is none of added, changed and removed");
    let version = data.get("version");
    let props = data.get("props").ok_or_else(missing("data.props"))?;
    Ok(Facts {
        entity: data.fact("entityType").ok_or_else(missing("data.entityType"))?,
        id: mapped::key(object, paths)?,
        kind: kind.ok_or_else(|| unknown().field("data.change"))?,
        version: version.map_or(Ok(None), |raw| mapped::whole(raw, "data.version"))?,
        emitted: mapped::emitted(object, paths)?,
        schema: mapped::schema(object, paths),
        event_id: object.fact("id"),
        correlation: mapped::correlation(object, paths),
        codes: cluedin::codes(data, "codes", "primaryCode")?,
        properties: mapped::members(&json::object(props.get(), "`data.props`")?),
        edges: edges::read(data.get("edges"), "data.edges")?,
    })
}

/// Any other event, by the system's paths and what CloudEvents itself says.
fn other<'a>(object: &Object<'a>, paths: &Paths) -> Result<Facts<'a>, Fault> {
    let kind =
        if paths.operation.is_some() { mapped::kind(object, paths)? } else { by_type(object) };
    let mut facts = mapped::facts(object, paths, kind)?;
    if paths.version.is_none() {
        facts.version = object.fact("sequence").and_then(|text| text.trim().parse().ok());
    }
    facts.schema = facts.schema.or_else(|| type_version(object));
    Ok(facts)
}

/// `com.example.order.deleted.v1` says by its last word that the thing is gone.
fn by_type(object: &Object<'_>) -> Kind {
    let name = object.fact("type").unwrap_or_default();
    let name = version_suffix(&name).map_or(&*name, |(name, _)| name);
    match name.rsplit('.').next().map(str::to_ascii_lowercase).as_deref() {
        Some("deleted" | "removed") => Kind::Remove,
        Some(_) | None => Kind::Upsert,
    }
}

fn type_version(object: &Object<'_>) -> Option<u32> {
    version_suffix(&object.fact("type")?)?.1.parse().ok()
}

/// `….v1` apart from what stands before it.
fn version_suffix(name: &str) -> Option<(&str, &str)> {
    let (name, version) = name.rsplit_once(".v")?;
    version.bytes().all(|byte| byte.is_ascii_digit()).then_some((name, version))
}

/// Members that are about to be written.
type Members = BTreeMap<String, Box<RawValue>>;
