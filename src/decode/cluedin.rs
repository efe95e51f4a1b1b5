//! CluedIn's shapes: an event or row comes in, its facts go out. Wrapped (Event Hub, HTTP): an envelope
//! with the time and the change type around `Data`. Flat (Service Bus, lake events, lake objects,
//! snapshot rows): everything beside the properties. Refused: no `Id`, a change type that is not known,
//! an envelope without one, codes or edges in a shape that is not known.
//!
//! Source: streams and lake, Event Hub message, other push connectors, data lake connectors.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::change::{Edge, Kind};
use crate::decode::json::{self, Object, Type};
use crate::decode::mapped::{self, Known, Paths};
use crate::decode::{Facts, edges, malformed};
use crate::fault::Fault;

/// The member of a wrapped event that holds the properties.
const DATA: &str = "Data";
/// The most codes of one entity.
const CODES: usize = 10_000;

/// The envelope and the properties of a wrapped event, or the members of a flat one, read in one pass; none
/// when it is anything else, or when a path may lead through the whole of it.
pub(super) fn split<'a>(text: &'a str, paths: &Paths) -> Option<(Object<'a>, Option<Object<'a>>)> {
    let whole = matches!(paths.schema, Some(Known::At(_)));
    let split = if whole { None } else { json::nested(text, DATA) };
    // A flat event has an id, and may have a property of that name.
    split.filter(|(envelope, data)| data.is_none() || envelope.get("Id").is_none())
}

/// Reads one event or row; one that was [`split`] as its envelope and its properties.
pub(super) fn facts<'a>(
    object: &Object<'a>,
    data: Option<&Object<'a>>,
    paths: &Paths,
    with_edges: bool,
) -> Result<Facts<'a>, Fault> {
    let inner = if data.is_some() { None } else { wrapped(object)? };
    let inner = data.or(inner.as_ref());
    let data = inner.unwrap_or(object);
    let codes = codes(data, "Codes", "OriginEntityCode")?;
    let stamp = first(object, data, &["TimeStamp", "Timestamp", "Epoch"]);
    let emitted = stamp.map_or(Ok(None), |(name, raw)| mapped::moment(raw, name))?;
    let version = data.get("PersistVersion").or_else(|| object.get("PersistVersion"));
    Ok(Facts {
        entity: entity(data, &codes, paths)?,
        id: data.fact("Id").ok_or_else(|| malformed("the entity's id is missing").field("Id"))?,
        kind: kind(object, data, inner.is_some())?,
        version: version.map_or(Ok(None), |raw| mapped::whole(raw, "PersistVersion"))?,
        emitted,
        schema: mapped::schema(object, paths),
        event_id: None,
        correlation: None,
        edges: if with_edges { both_directions(data)? } else { Vec::new() },
        codes,
        properties: mapped::members(data),
    })
}

/// The properties of a wrapped event; none when the event is flat. A flat one may have a property
/// named `Data`, but not an envelope's members beside it and no `Id`.
fn wrapped<'a>(object: &Object<'a>) -> Result<Option<Object<'a>>, Fault> {
    let data = object.get(DATA).filter(|raw| json::type_of(raw) == Type::Object);
    match data {
        Some(raw) if object.get("Id").is_none() => json::object(raw.get(), "`Data`").map(Some),
        Some(_) | None => Ok(None),
    }
}

/// The first of these members that says something, in the envelope before the data: a property may
/// have the same name.
fn first<'a, 'n>(
    object: &Object<'a>,
    data: &Object<'a>,
    names: &[&'n str],
) -> Option<(&'n str, &'a RawValue)> {
    let says = |raw: &&RawValue| !matches!(raw.get(), "null" | "\"\"");
    [object, data].into_iter().find_map(|members| {
        names.iter().find_map(|name| Some((*name, members.get(name).filter(says)?)))
    })
}

/// The change type, in words or as the number that the SQL connector stores. A flat object without one
/// is a state: a lake object or a row of a snapshot.
fn kind(object: &Object<'_>, data: &Object<'_>, wrapped: bool) -> Result<Kind, Fault> {
    let names = ["VersionChangeType", "ChangeType", "__ChangeType__"];
    let Some((name, raw)) = first(object, data, &names) else {
        let missing = || malformed("the envelope says no change type").field("VersionChangeType");
        return if wrapped { Err(missing()) } else { Ok(Kind::Upsert) };
    };
    change_type(&json::scalar(raw).unwrap_or_default()).ok_or_else(|| {
        malformed("the change type is none of Added, Changed and Removed").field(name)
    })
}

/// What a change type says; none when it is not a known one. `NotSet`, 0, is not.
pub(super) fn change_type(said: &str) -> Option<Kind> {
    match said.trim().to_ascii_lowercase().as_str() {
        "added" | "changed" | "1" | "2" => Some(Kind::Upsert),
        "removed" | "3" => Some(Kind::Remove),
        _ => None,
    }
}

/// The business domain: said, or what a code starts with, or what the system's table names.
fn entity<'a>(
    data: &Object<'a>,
    codes: &[Cow<'a, str>],
    paths: &Paths,
) -> Result<Cow<'a, str>, Fault> {
    let said = data.get("EntityType").and_then(edges::named).filter(|text| !text.is_empty());
    let domain = || {
        let domains = codes.iter().filter_map(|code| code.split_once('#'));
        let mut said = domains.map(|(domain, _)| domain).filter(|domain| !domain.is_empty());
        said.next().map(|domain| Cow::Owned(domain.to_owned()))
    };
    let configured = || match &paths.entity {
        Some(Known::Is(name)) => Some(Cow::Owned(name.clone())),
        Some(Known::At(_)) | None => mapped::entity(data, paths).ok(),
    };
    said.or_else(domain).or_else(configured).ok_or_else(|| {
        let message = "neither the event nor a code names the business domain; \
                       say it as `entity` of the system";
        malformed(message).field("EntityType")
    })
}

/// All codes, the primary one among them.
pub(super) fn codes<'a>(
    data: &Object<'a>,
    all: &str,
    primary: &str,
) -> Result<Vec<Cow<'a, str>>, Fault> {
    let refused = || malformed("the codes are not an array of entity codes").field(all);
    let mut codes = match data.get(all) {
        None => Vec::new(),
        Some(raw) => listed(raw).ok_or_else(refused)?,
    };
    if let Some(primary) = data.fact(primary)
        && !codes.contains(&primary)
    {
        codes.push(primary);
    }
    Ok(codes)
}

/// An array, an array as text, a single code, or nothing.
fn listed(raw: &RawValue) -> Option<Vec<Cow<'_, str>>> {
    match json::type_of(raw) {
        Type::Null => Some(Vec::new()),
        Type::Array => array(raw.get()),
        Type::Text => {
            let text = json::text(raw)?;
            match text.trim() {
                "" => Some(Vec::new()),
                inner if inner.starts_with('[') => {
                    let codes = array(inner)?.into_iter();
                    Some(codes.map(|code| Cow::Owned(code.into_owned())).collect())
                }
                inner if inner.contains('#') => Some(vec![Cow::Owned(inner.to_owned())]),
                _ => None,
            }
        }
        Type::Object | Type::Plain => None,
    }
}

fn array(text: &str) -> Option<Vec<Cow<'_, str>>> {
    json::array(text, "Codes", CODES).ok()?.into_iter().map(edges::code).collect()
}

fn both_directions<'a>(data: &Object<'a>) -> Result<Vec<Edge<'a>>, Fault> {
    let mut all = Vec::new();
    for name in ["OutgoingEdges", "IncomingEdges"] {
        all.extend(edges::read(data.get_any_case(name), name)?);
    }
    Ok(all)
}
