//! `RemoteExecutionContext`, member by member: an object comes in; what it says about its message, its
//! rows and its sender goes out. Dictionaries are arrays of key and value; unknown members are passed
//! over. Refused: an object without a message name.
//!
//! Source: Dataverse Web API, webhooks, body.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::value::{self, Raw, Typed};
use crate::change::{Author, Correlation};
use crate::decode::json::{self, Object, Type};
use crate::decode::{Limits, malformed};
use crate::fault::Fault;

/// The most entries of one dictionary.
const ENTRIES: usize = 10_000;

/// A context, taken apart.
pub(super) struct Context<'a> {
    /// `Create`, `Update`, …
    pub(super) message: Cow<'a, str>,
    /// The table, unless the message is about several.
    pub(super) table: Cow<'a, str>,
    /// The row, unless the message is about several.
    pub(super) id: Option<Uuid>,
    /// The parameters of the request; none at all when the context was cut down to its size limit.
    pub(super) inputs: Vec<(Cow<'a, str>, &'a RawValue)>,
    /// The row before.
    pub(super) before: Vec<Image<'a>>,
    /// The row after.
    pub(super) after: Vec<Image<'a>>,
    /// When the operation was made.
    pub(super) at: Option<Timestamp>,
    /// Who started it, and the tag of the request.
    pub(super) author: Author,
    /// Groups a whole cascade.
    pub(super) correlation: Option<Correlation>,
    /// Names this call of this step.
    pub(super) event_id: Option<Cow<'a, str>>,
    /// The most changes that one context may hold.
    pub(super) most: usize,
}

/// A registered image.
pub(super) struct Image<'a> {
    /// Its alias.
    pub(super) name: Cow<'a, str>,
    /// Its columns.
    pub(super) row: Row<'a>,
}

/// A row, or a part of one, with its columns in normal form.
#[derive(Clone, Default)]
pub(super) struct Row<'a> {
    pub(super) table: Option<Cow<'a, str>>,
    pub(super) id: Option<Uuid>,
    pub(super) version: Option<u64>,
    pub(super) columns: Vec<(Cow<'a, str>, Raw<'a>)>,
}

impl<'a> Context<'a> {
    /// Takes a context apart.
    pub(super) fn read(object: &Object<'a>, limits: Limits) -> Result<Self, Fault> {
        let message = object.fact("MessageName").ok_or_else(|| {
            malformed("it is no execution context of Dataverse: the message's name is missing")
                .field("MessageName")
        })?;
        let author = Author { user: id(object, "InitiatingUserId"), tag: tag(object)? };
        let step = object.get("OwningExtension").and_then(|raw| reference(raw)?.id);
        let call = object.fact("OperationId").or_else(|| object.fact("RequestId"));
        Ok(Self {
            message,
            table: object.fact("PrimaryEntityName").unwrap_or_default(),
            id: id(object, "PrimaryEntityId"),
            inputs: dictionary(object.get("InputParameters"), "InputParameters")?,
            before: images(object, "PreEntityImages")?,
            after: images(object, "PostEntityImages")?,
            at: object.get("OperationCreatedOn").and_then(value::moment),
            author,
            correlation: id(object, "CorrelationId").map(Correlation),
            event_id: call.map(|call| {
                step.map_or_else(|| call.clone(), |step| format!("{call}/{step}").into())
            }),
            most: limits.changes,
        })
    }

    /// A parameter of the request.
    pub(super) fn input(&self, name: &str) -> Option<&'a RawValue> {
        let found = self.inputs.iter().find(|(key, _)| key == name);
        found.map(|(_, value)| *value).filter(|value| json::type_of(value) != Type::Null)
    }

    /// A parameter that is a row or a reference to one.
    pub(super) fn target(&self, name: &str) -> Option<Row<'a>> {
        reference(self.input(name)?)
    }
}

fn id(object: &Object<'_>, name: &str) -> Option<Uuid> {
    object.fact(name)?.parse().ok().filter(|id: &Uuid| !id.is_nil())
}

/// The tag of the request, which the service hands on as a shared variable.
fn tag(object: &Object<'_>) -> Result<Option<String>, Fault> {
    let shared = dictionary(object.get("SharedVariables"), "SharedVariables")?;
    let tag = shared.iter().find(|(key, _)| key == "tag");
    Ok(tag.and_then(|(_, value)| json::text(value)).map(Cow::into_owned))
}

fn dictionary<'a>(
    raw: Option<&'a RawValue>,
    name: &str,
) -> Result<Vec<(Cow<'a, str>, &'a RawValue)>, Fault> {
    let Some(raw) = raw.filter(|raw| json::type_of(raw) != Type::Null) else {
        return Ok(Vec::new());
    };
    let pairs = json::array(raw.get(), name, ENTRIES)?;
    let pair = |raw: &'a RawValue| {
        let pair = json::object(raw.get(), "an entry").map_err(|fault| fault.field(name))?;
        let missing = || malformed("an entry has no key").field(name);
        let key = pair.get("key").and_then(json::text).ok_or_else(missing)?;
        Ok((key, pair.get("value").unwrap_or(RawValue::NULL)))
    };
    pairs.into_iter().map(pair).collect()
}

fn images<'a>(object: &Object<'a>, name: &str) -> Result<Vec<Image<'a>>, Fault> {
    let images = dictionary(object.get(name), name)?;
    let image = |(name, raw)| reference(raw).map(|row| Image { name, row });
    Ok(images.into_iter().filter_map(image).collect())
}

/// An `Entity` or an `EntityReference`; none for anything else.
pub(super) fn reference(raw: &RawValue) -> Option<Row<'_>> {
    if json::type_of(raw) != Type::Object {
        return None;
    }
    let object = json::object(raw.get(), "a row").ok()?;
    object.get("LogicalName")?;
    let mut columns = Vec::new();
    for (name, value) in dictionary(object.get("Attributes"), "Attributes").ok()? {
        match value::typed(value) {
            Typed::Value(value) => columns.push((name, value)),
            Typed::Reference(id, table) => {
                columns.extend(table.map(|table| (format!("{name}_entitytype").into(), table)));
                columns.push((name, id));
            }
        }
    }
    let version = object.fact("RowVersion").and_then(|text| text.parse().ok());
    Some(Row { table: object.fact("LogicalName"), id: id(&object, "Id"), version, columns })
}

/// The rows of an `EntityCollection`, or of an array of rows or references.
pub(super) fn collection(raw: &RawValue, most: usize) -> Result<Vec<Row<'_>>, Fault> {
    let entities = match json::type_of(raw) {
        Type::Object => json::object(raw.get(), "the rows")?.get("Entities"),
        Type::Array => Some(raw),
        Type::Text | Type::Null | Type::Plain => None,
    };
    let unreadable = || malformed("the rows of the message are not a list");
    let rows = json::array(entities.ok_or_else(unreadable)?.get(), "the rows", most)?;
    rows.into_iter().map(|raw| reference(raw).ok_or_else(unreadable)).collect()
}
