//! Rows that were read, and changes that are kept: a row as the Web API returns it becomes a change, and
//! a change becomes text that can be decoded again. Refused: a row without its id.
//!
//! Source: Dataverse Web API, column values in JSON.

use std::borrow::Cow;

use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::value::{self, Raw};
use crate::change::{Author, Change, Correlation, Kind};
use crate::decode::json::{self, Object, Type};
use crate::decode::origin::Place;
use crate::decode::{malformed, time};
use crate::fault::Fault;
use crate::order::Order;

/// A row that was read.
#[derive(Clone, Copy, Debug)]
pub struct Reading<'r> {
    /// The table's logical name.
    pub table: &'r str,
    /// The row's id.
    pub id: Uuid,
    /// When they were read. Everything before is in them.
    pub at: Timestamp,
}

impl Reading<'_> {
    /// The change that a row of the Web API stands for. Expanded lookups become properties such as
    /// `acme_hotelid.acme_code`.
    pub fn change<'a>(&self, row: &'a str) -> Result<Change<'a>, Fault> {
        let object = json::object(row, "the row")?;
        let id = self.id.to_string();
        let mut properties = Vec::with_capacity(object.0.len());
        columns(&object, "", &mut properties)?;
        let fact = |name: &str| object.fact(name);
        let version = fact("versionnumber").or_else(|| etag(&object));
        let modified = fact("modifiedon").and_then(|text| time::moment(&text));
        let mut order = Order::emitted_at(modified.unwrap_or(self.at));
        order.version = version.and_then(|text| text.parse().ok());
        order.tie.enqueued = Some(self.at);
        let user = fact("_modifiedby_value").and_then(|text| text.parse().ok());
        let version = order.version.unwrap_or_default().to_be_bytes();
        Ok(Change {
            correlation: Correlation::derived([id.as_bytes(), &version]),
            entity: Cow::Owned(self.table.to_owned()),
            id: Cow::Owned(id),
            kind: Kind::Upsert,
            order,
            schema: None,
            event_id: None,
            codes: Vec::new(),
            properties,
            edges: Vec::new(),
            author: user.map(|user| Author { user: Some(user), tag: None }),
            partial: false,
        })
    }
}

/// The row that an event brings; its id is found by its name, which activities have in common.
pub(super) fn row<'a>(text: &'a str, table: &str, place: Place<'_>) -> Result<Change<'a>, Fault> {
    let object = json::object(text, "the row")?;
    let own = format!("{table}id");
    let id = object.fact(&own).or_else(|| object.fact("activityid"));
    let id = id
        .and_then(|id| id.parse().ok())
        .ok_or_else(|| malformed("the row has no id").field(own))?;
    let at = place.order(None, None)?.emitted;
    Reading { table, id, at }.change(text)
}

/// A row that is gone: nothing but its id is known.
pub fn gone(table: &str, id: Uuid, at: Timestamp) -> Change<'static> {
    Change {
        entity: Cow::Owned(table.to_owned()),
        id: Cow::Owned(id.to_string()),
        kind: Kind::Remove,
        order: Order::emitted_at(at),
        schema: None,
        event_id: None,
        correlation: Correlation::derived([id.as_bytes().as_slice(), at.to_string().as_bytes()]),
        codes: Vec::new(),
        properties: Vec::new(),
        edges: Vec::new(),
        author: None,
        partial: false,
    }
}

/// The version in `W/"1234"`.
fn etag<'a>(object: &Object<'a>) -> Option<Cow<'a, str>> {
    let etag = object.fact("@odata.etag")?;
    let digits = etag.strip_prefix("W/\"")?.strip_suffix('"')?.to_owned();
    Some(Cow::Owned(digits))
}

/// The columns of a row, annotations apart from the tables of references; `prefix` names the lookups on
/// the way to it.
fn columns<'a>(
    object: &Object<'a>,
    prefix: &str,
    out: &mut Vec<(Cow<'a, str>, Raw<'a>)>,
) -> Result<(), Fault> {
    for (name, value) in &object.0 {
        match (name.split_once('@'), lookup(name), json::type_of(value)) {
            (Some((name, "Microsoft.Dynamics.CRM.lookuplogicalname")), _, _) => {
                let name = lookup(name).unwrap_or(name);
                out.push((format!("{prefix}{name}_entitytype").into(), Cow::Borrowed(*value)));
            }
            (Some(_), _, _) => {}
            (None, Some(name), _) => out.push((joined(prefix, name), Cow::Borrowed(*value))),
            (None, None, Type::Object) => {
                let inner = json::object(value.get(), "an expanded lookup")?;
                columns(&inner, &format!("{prefix}{}.", expanded(object, name)), out)?;
            }
            // A lookup that was expanded and is empty.
            (None, None, Type::Null) if expanded(object, name) != &**name => {}
            (None, None, _) => {
                let name = match name {
                    Cow::Borrowed(name) if prefix.is_empty() => Cow::Borrowed(*name),
                    Cow::Borrowed(_) | Cow::Owned(_) => joined(prefix, name),
                };
                out.push((name, value::normal(value)));
            }
        }
    }
    Ok(())
}

fn joined<'a>(prefix: &str, name: &str) -> Cow<'a, str> {
    Cow::Owned(format!("{prefix}{name}"))
}

/// `parentaccountid` in `_parentaccountid_value`.
fn lookup(property: &str) -> Option<&str> {
    property.strip_prefix('_')?.strip_suffix("_value").filter(|name| !name.is_empty())
}

/// The lookup column behind a navigation property: the same name in another casing, or the beginning of
/// it where a lookup has several tables (`customerid_account`).
fn expanded<'n>(object: &'n Object<'_>, navigation: &'n str) -> &'n str {
    let lower = navigation.to_ascii_lowercase();
    let columns = object.0.iter().filter_map(|(name, _)| lookup(name));
    let fits = |column: &&str| {
        lower.strip_prefix(*column).is_some_and(|rest| rest.is_empty() || rest.starts_with('_'))
    };
    columns.filter(fits).max_by_key(|column| column.len()).unwrap_or(navigation)
}

/// A change as it is kept.
#[derive(Serialize, Deserialize)]
struct Kept<'a> {
    #[serde(borrow)]
    entity: Cow<'a, str>,
    #[serde(borrow)]
    id: Cow<'a, str>,
    kind: Kind,
    order: Order,
    correlation: Correlation,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    author: Option<Author>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    partial: bool,
}

/// A change of this source as text that is decoded to the same change again: for the work queue, the
/// quarantine and repairs.
pub fn body(change: &Change<'_>) -> Bytes {
    let kept = Kept {
        entity: Cow::Borrowed(&change.entity),
        id: Cow::Borrowed(&change.id),
        kind: change.kind,
        order: change.order.clone(),
        correlation: change.correlation,
        author: change.author.clone(),
        partial: change.partial,
    };
    let facts = serde_json::to_string(&kept).unwrap_or_default();
    let mut text = String::with_capacity(facts.len() + 64 * change.properties.len());
    text.push_str("{\"dataverse\":");
    text.push_str(&facts);
    text.push_str(",\"row\":{");
    for (index, (name, value)) in change.properties.iter().enumerate() {
        if index > 0 {
            text.push(',');
        }
        text.push_str(&serde_json::Value::from(&**name).to_string());
        text.push(':');
        text.push_str(value.get());
    }
    text.push_str("}}");
    Bytes::from(text)
}

/// Whether an object is a change that was kept.
pub(super) fn is_one(object: &Object<'_>) -> bool {
    object.get("dataverse").is_some() && object.get("row").is_some()
}

/// The change that was kept.
pub(super) fn read<'a>(object: &Object<'a>) -> Result<Change<'a>, Fault> {
    let (Some(facts), Some(row)) = (object.get("dataverse"), object.get("row")) else {
        return Err(malformed("it is no change that was kept"));
    };
    let kept: Kept<'a> = serde_json::from_str(facts.get())
        .map_err(|error| json::refused(&error, "the change", "what is kept of one"))?;
    let row = json::object(row.get(), "the row")?;
    let properties = row.0.into_iter().map(|(name, value)| (name, Cow::Borrowed(value)));
    Ok(Change {
        entity: kept.entity,
        id: kept.id,
        kind: kept.kind,
        order: kept.order,
        schema: None,
        event_id: None,
        correlation: kept.correlation,
        codes: Vec::new(),
        properties: properties.collect(),
        edges: Vec::new(),
        author: kept.author,
        partial: kept.partial,
    })
}
