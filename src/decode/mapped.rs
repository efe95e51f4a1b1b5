//! Any JSON whose facts stand at configured paths: an object comes in, its facts go out. Refused: no
//! key, a version that is no whole number, a time that is none, an operation that is not listed.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::change::{Correlation, Kind};
use crate::decode::config::{Config, EntityOf, Operation, SchemaOf, Shape};
use crate::decode::json::{self, Object, Type};
use crate::decode::path::Path;
use crate::decode::{Facts, Problem, Properties, malformed, time};
use crate::fault::Fault;

/// Where the facts stand, compiled.
#[derive(Clone, Debug, Default)]
pub(super) struct Paths {
    pub(super) entity: Option<Known<String>>,
    /// The first of them that is there.
    pub(super) key: Vec<Path>,
    pub(super) version: Option<Path>,
    pub(super) emitted: Option<Path>,
    pub(super) operation: Option<(Path, Operation)>,
    pub(super) properties: Option<Path>,
    pub(super) event_id: Option<Path>,
    pub(super) correlation: Option<Path>,
    pub(super) schema: Option<Known<u32>>,
}

/// A fact that is the same for every event, or stands somewhere in it.
#[derive(Clone, Debug)]
pub(super) enum Known<T> {
    Is(T),
    At(Path),
}

impl Paths {
    /// Compiles them, with CloudEvents' own places where nothing else is said.
    pub(super) fn new(config: &Config, problems: &mut Vec<Problem>) -> Self {
        let mut at = |field: &str, text: Option<&str>, cloud: Option<&str>| {
            let cloud = cloud.filter(|_| config.kind == Shape::CloudEvents);
            match Path::new(text.or(cloud)?) {
                Ok(path) => Some(path),
                Err(problem) => {
                    problems.push(Problem::new(field, problem));
                    None
                }
            }
        };
        let entity = match &config.entity {
            Some(EntityOf::Is(name)) => Some(Known::Is(name.clone())),
            Some(EntityOf::At { path }) => at("entity", Some(path), None).map(Known::At),
            None => at("entity", None, Some("type")).map(Known::At),
        };
        let schema = match &config.schema {
            Some(SchemaOf::Is(version)) => Some(Known::Is(*version)),
            Some(SchemaOf::At { path }) => at("schema", Some(path), None).map(Known::At),
            None => at("schema", None, Some("dataschema")).map(Known::At),
        };
        let keys = match &config.key {
            Some(key) => vec![at("key", Some(key), None)],
            None => vec![at("key", None, Some("subject")), at("key", None, Some("partitionkey"))],
        };
        let operation = config.operation.as_ref();
        let paths = Self {
            entity,
            schema,
            key: keys.into_iter().flatten().collect(),
            version: at("version", config.version.as_deref(), None),
            emitted: at("emitted", config.emitted.as_deref(), Some("time")),
            operation: operation.and_then(|operation| {
                Some((at("operation", Some(&operation.path), None)?, operation.clone()))
            }),
            properties: at("properties", config.properties.as_deref(), Some("data")),
            event_id: at("event_id", config.event_id.as_deref(), Some("id")),
            correlation: at("correlation", config.correlation.as_deref(), Some("traceparent")),
        };
        problems.extend(missing(config));
        paths
    }
}

fn missing(config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    if config.kind == Shape::Events && config.key.is_none() {
        problems
            .push(Problem::new("key", "say where the id of the thing stands, as in `order.id`"));
    }
    if config.kind == Shape::Events && config.entity.is_none() {
        let message =
            "name the kind of thing, or say where it stands: `entity = { path = \"type\" }`";
        problems.push(Problem::new("entity", message));
    }
    if matches!(&config.entity, Some(EntityOf::Is(name)) if name.is_empty()) {
        problems.push(Problem::new("entity", "must not be empty"));
    }
    if config.operation.as_ref().is_some_and(|operation| operation.remove.is_empty()) {
        problems.push(Problem::new("operation.remove", "list the values that mean removal"));
    }
    problems
}

/// Reads an event by its paths.
pub(super) fn facts<'a>(
    object: &Object<'a>,
    paths: &Paths,
    kind: Kind,
) -> Result<Facts<'a>, Fault> {
    Ok(Facts {
        entity: entity(object, paths)?,
        id: key(object, paths)?,
        kind,
        version: version(object, paths)?,
        emitted: emitted(object, paths)?,
        schema: schema(object, paths),
        event_id: text_at(object, paths.event_id.as_ref()),
        correlation: correlation(object, paths),
        codes: Vec::new(),
        properties: properties(object, paths, kind)?,
        edges: Vec::new(),
    })
}

/// The kind of thing.
pub(super) fn entity<'a>(object: &Object<'a>, paths: &Paths) -> Result<Cow<'a, str>, Fault> {
    match &paths.entity {
        Some(Known::Is(name)) => Ok(Cow::Owned(name.clone())),
        Some(Known::At(path)) => required(object, path, "the kind of thing"),
        None => Err(malformed("nothing names the kind of thing it is about")),
    }
}

/// The id of the thing.
pub(super) fn key<'a>(object: &Object<'a>, paths: &Paths) -> Result<Cow<'a, str>, Fault> {
    let found = paths.key.iter().find_map(|path| text_at(object, Some(path)));
    found.ok_or_else(|| {
        let place = paths.key.first().map_or("key", Path::as_str);
        malformed("the id of the thing is missing").field(place)
    })
}

/// Whether the thing is there or gone.
pub(super) fn kind(object: &Object<'_>, paths: &Paths) -> Result<Kind, Fault> {
    let Some((path, operation)) = &paths.operation else { return Ok(Kind::Upsert) };
    let said = required(object, path, "the operation")?;
    let is_in = |words: &[String]| words.iter().any(|word| word.eq_ignore_ascii_case(&said));
    if is_in(&operation.remove) {
        Ok(Kind::Remove)
    } else if operation.upsert.is_empty() || is_in(&operation.upsert) {
        Ok(Kind::Upsert)
    } else {
        Err(malformed("the operation is in neither list of the system's `operation`")
            .field(path.as_str()))
    }
}

/// The version, when a path is given and the event has one.
pub(super) fn version(object: &Object<'_>, paths: &Paths) -> Result<Option<u64>, Fault> {
    let Some(path) = &paths.version else { return Ok(None) };
    path.find(object).map_or(Ok(None), |raw| whole(raw, path.as_str()))
}

/// The time of sending, when a path is given and the event has one.
pub(super) fn emitted(object: &Object<'_>, paths: &Paths) -> Result<Option<Timestamp>, Fault> {
    let Some(path) = &paths.emitted else { return Ok(None) };
    path.find(object).map_or(Ok(None), |raw| moment(raw, path.as_str()))
}

/// The schema version; an unreadable one is none, and what a map accepts is the map's to say.
pub(super) fn schema(object: &Object<'_>, paths: &Paths) -> Option<u32> {
    match paths.schema.as_ref()? {
        Known::Is(version) => Some(*version),
        Known::At(path) => schema_in(&text_at(object, Some(path))?),
    }
}

/// The event's own correlation id.
pub(super) fn correlation(object: &Object<'_>, paths: &Paths) -> Option<Correlation> {
    let text = text_at(object, paths.correlation.as_ref())?;
    let guid = || uuid::Uuid::try_parse(&text).ok().map(Correlation);
    let read = Correlation::from_traceparent(&text).or_else(guid);
    Some(read.unwrap_or_else(|| Correlation::derived([text.as_bytes()])))
}

fn properties<'a>(object: &Object<'a>, paths: &Paths, kind: Kind) -> Result<Properties<'a>, Fault> {
    let Some(path) = &paths.properties else { return Ok(members(object)) };
    let found = path.find(object).filter(|raw| json::type_of(raw) != Type::Null);
    match (found, kind) {
        (Some(raw), _) => {
            let place = || malformed("the properties are not an object").field(path.as_str());
            if json::type_of(raw) != Type::Object {
                return Err(place());
            }
            Ok(members(&json::object(raw.get(), "the object with the properties")?))
        }
        (None, Kind::Remove) => Ok(Vec::new()),
        (None, Kind::Upsert) => {
            Err(malformed("the object with the properties is missing").field(path.as_str()))
        }
    }
}

/// All members of an object as properties.
pub(super) fn members<'a>(object: &Object<'a>) -> Properties<'a> {
    object.0.iter().map(|(name, value)| (name.clone(), Cow::Borrowed(*value))).collect()
}

/// A whole number, or none where null or blank stands.
pub(super) fn whole(raw: &RawValue, field: &str) -> Result<Option<u64>, Fault> {
    let refused = || malformed("the version is not a whole number").field(field);
    said(raw).ok_or_else(refused)?.map(|text| text.parse().map_err(|_| refused())).transpose()
}

/// A moment, or none where null or blank stands.
pub(super) fn moment(raw: &RawValue, field: &str) -> Result<Option<Timestamp>, Fault> {
    let refused = || malformed("the time of sending is not a time").field(field);
    said(raw).ok_or_else(refused)?.map(|text| time::moment(&text).ok_or_else(refused)).transpose()
}

/// What a value says, if it says anything: in a row of a CSV file "" stands where JSON has null. None
/// when it can say nothing at all.
#[allow(clippy::option_option, reason = "unreadable and absent are two things")]
fn said(raw: &RawValue) -> Option<Option<Cow<'_, str>>> {
    if json::type_of(raw) == Type::Null {
        return Some(None);
    }
    json::scalar(raw).map(|text| (!text.trim().is_empty()).then(|| trimmed(text)))
}

fn trimmed(text: Cow<'_, str>) -> Cow<'_, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(text.trim()),
        Cow::Owned(text) => Cow::Owned(text.trim().to_owned()),
    }
}

fn required<'a>(object: &Object<'a>, path: &Path, what: &str) -> Result<Cow<'a, str>, Fault> {
    text_at(object, Some(path))
        .ok_or_else(|| malformed(format!("{what} is missing")).field(path.as_str()))
}

fn text_at<'a>(object: &Object<'a>, path: Option<&Path>) -> Option<Cow<'a, str>> {
    path?.find(object).and_then(json::scalar).filter(|text| !text.trim().is_empty())
}

/// The version in `2`, `v2`, `2.json` or an address that ends in one of them.
fn schema_in(text: &str) -> Option<u32> {
    let last = text.split(['?', '#']).next()?.trim_end_matches('/').rsplit('/').next()?;
    let number = last.trim_start_matches(['v', 'V']);
    let digits = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    let (version, rest) = number.split_at_checked(digits)?;
    if rest.is_empty() || rest.starts_with(['.', '-']) { version.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schema_version_is_the_last_part_of_its_address() {
        for text in ["2", "v2", "/contracts/customer/2.json", "https://x.test/c/v2?a=1", "2.1.0"] {
            assert_eq!(schema_in(text), Some(2), "{text}");
        }
        for text in ["", "customer", "2nd", "/contracts/customer", "99999999999"] {
            assert_eq!(schema_in(text), None, "{text}");
        }
    }
}
