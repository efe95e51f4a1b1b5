//! `RemoteExecutionContext` as `DataContract` JSON: a change comes in, the body of the call goes out.
//! `__type` stands first, on values whose declared type is object, and slashes are escaped; values of
//! images carry none. Over the size limit four members are dropped (Dataverse Web API, webhooks, body).

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::{Timestamp, tz::TimeZone};
use uuid::Uuid;

use super::registered::{Image, Step};
use super::{Mode, Occasion};
use crate::emulator::dataverse::model::{Cell, Environment, Kind, Record, Table};
use crate::emulator::dataverse::render::{Object, array, quoted};
use crate::emulator::dataverse::schema::stable_id;
use crate::emulator::dataverse::session::{Besides, Change, Message};

/// One call of one step.
#[derive(Clone, Copy)]
pub(super) struct Call<'a> {
    pub(super) env: &'a Environment,
    /// The service's name of the message.
    pub(super) message: &'static str,
    /// What it is about; the first of several.
    pub(super) change: &'a Change,
    /// All that a message about several rows is about.
    pub(super) all: Option<&'a [&'a Change]>,
    pub(super) step: &'a Step,
    pub(super) on: Occasion<'a>,
    pub(super) correlation: Uuid,
    pub(super) operation: Uuid,
}

/// Dropped from a context over its size limit.
const LARGE: [&str; 4] =
    ["InputParameters", "ParentContext", "PostEntityImages", "PreEntityImages"];

/// The body; `cut` leaves out what may be large.
pub(super) fn render(call: &Call<'_>, cut: bool) -> String {
    let mut members = call.members();
    if cut {
        members.retain(|(name, _)| !LARGE.contains(name));
    }
    let mut body = Object::new();
    for (name, json) in members {
        body.raw(name, &json);
    }
    body.finish()
}

/// The same context over its size limit.
pub(super) fn cut_down(body: &Bytes) -> Option<Bytes> {
    let mut members: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(body).ok()?;
    members.retain(|name, _| !LARGE.contains(&name.as_str()));
    serde_json::to_vec(&members).ok().map(Bytes::from)
}

impl Call<'_> {
    fn members(&self) -> Vec<(&'static str, String)> {
        let (on, change) = (self.on, self.change);
        let sync = self.step.mode == Mode::Synchronous;
        let initiating = on.caller.on_behalf.unwrap_or(on.caller.user);
        let nobody = || quoted(&Uuid::nil().to_string());
        let id = |id: Uuid| quoted(&id.to_string());
        vec![
            ("BusinessUnitId", id(stable_id("businessunit"))),
            ("CorrelationId", id(self.correlation)),
            ("Depth", "1".to_owned()),
            ("InitiatingUserAgent", "null".to_owned()),
            ("InitiatingUserAzureActiveDirectoryObjectId", nobody()),
            ("InitiatingUserId", id(initiating)),
            ("InputParameters", self.inputs()),
            ("IsExecutingOffline", "false".to_owned()),
            ("IsInTransaction", sync.to_string()),
            ("IsOfflinePlayback", "false".to_owned()),
            ("IsolationMode", "1".to_owned()),
            ("MessageName", quoted(self.message)),
            ("Mode", if sync { "0" } else { "1" }.to_owned()),
            ("OperationCreatedOn", date(on.now, "+0000")),
            ("OperationId", if sync { nobody() } else { id(self.operation) }),
            ("OrganizationId", id(stable_id("organization"))),
            ("OrganizationName", quoted("acme")),
            ("OutputParameters", self.outputs()),
            ("OwningExtension", reference("sdkmessageprocessingstep", self.step.id, false)),
            ("ParentContext", "null".to_owned()),
            ("PostEntityImages", self.images(false)),
            ("PreEntityImages", self.images(true)),
            ("PrimaryEntityId", if self.all.is_some() { nobody() } else { id(change.id) }),
            ("PrimaryEntityName", quoted(&change.table)),
            ("RequestId", id(self.operation)),
            ("SecondaryEntityName", quoted("none")),
            ("SharedVariables", self.shared()),
            ("Stage", self.step.stage.to_string()),
            ("UserAzureActiveDirectoryObjectId", nobody()),
            ("UserId", id(on.caller.user)),
        ]
    }

    /// The parameters of the request (those of several rows, of Associate and of Merge are inferred from
    /// the messages of the SDK: no captured sample was found).
    fn inputs(&self) -> String {
        let target = || reference(&self.change.table, self.change.id, true);
        match (self.all, &self.change.besides) {
            (Some(all), _) => array([pair("Targets", &self.collection(all))]),
            (None, None) => array([pair("Target", &self.target(true))]),
            (None, Some(Besides::Related(name, (table, id)))) => {
                let mut relationship = Object::new();
                relationship.raw("__type", &kind("Relationship"));
                relationship.raw("PrimaryEntityRole", "null");
                relationship.text("SchemaName", name);
                array([
                    pair("Target", &target()),
                    pair("Relationship", &relationship.finish()),
                    pair("RelatedEntities", &array([reference(table, *id, false)])),
                ])
            }
            (None, Some(Besides::Subordinate(id))) => {
                let taken = |column: &str| self.change.columns.iter().any(|name| name == column);
                let content = self.change.after.as_ref().map_or_else(
                    || "null".to_owned(),
                    |master| self.entity(master, &self.columns(&taken), (true, true)),
                );
                array([
                    pair("Target", &target()),
                    pair("SubordinateId", &quoted(&id.to_string())),
                    pair("UpdateContent", &content),
                    pair("PerformParentingChecks", "false"),
                ])
            }
        }
    }

    /// The rows of a message about several; entities inside a collection carry no type.
    fn collection(&self, all: &[&Change]) -> String {
        let one = |change: &&Change| Call { change, all: None, ..*self }.target(false);
        let mut collection = Object::new();
        collection.raw("__type", &kind("EntityCollection"));
        collection.raw("Entities", &array(all.iter().map(one)));
        collection.text("EntityName", &self.change.table);
        collection.raw("MinActiveRowVersion", "null");
        collection.raw("MoreRecords", "false");
        collection.raw("PagingCookie", "null");
        collection.raw("TotalRecordCount", "-1");
        collection.raw("TotalRecordCountLimitExceeded", "false");
        collection.finish()
    }

    fn outputs(&self) -> String {
        let id = |change: &Change| quoted(&change.id.to_string());
        match (self.message, self.all) {
            ("Create", _) => array([pair("id", &id(self.change))]),
            ("CreateMultiple", Some(all)) => {
                array([pair("Ids", &array(all.iter().map(|change| id(change))))])
            }
            _ => "[]".to_owned(),
        }
    }

    /// What was submitted, with what the system set besides; `typed` where its declared type is object.
    fn target(&self, typed: bool) -> String {
        let change = self.change;
        let Some(record) = change.after.as_ref().filter(|_| change.message != Message::Delete)
        else {
            return reference(&change.table, change.id, typed);
        };
        let set = ["modifiedon", "modifiedby", "modifiedonbehalfby"];
        let created = change.message == Message::Create;
        let sent = |column: &str| {
            created && record.cells.contains_key(column)
                || change.columns.iter().any(|sent| sent == column)
                || set.contains(&column)
        };
        let names = self.columns(&sent);
        self.entity(record, &names, (typed, true))
    }

    fn columns(&self, wanted: &dyn Fn(&str) -> bool) -> Vec<String> {
        let table = self.env.tables.get(&self.change.table);
        let columns = table.into_iter().flat_map(|table| &table.definition.columns);
        let names = columns.map(|column| column.logical_name.clone());
        let primary = table.map(|table| table.definition.primary_id.clone()).unwrap_or_default();
        names.filter(|name| *name == primary || wanted(name)).collect()
    }

    /// An entity with these columns; whether its own declared type is object, and that of its values.
    fn entity(&self, record: &Record, columns: &[String], (own, values): (bool, bool)) -> String {
        let Some(table) = self.env.tables.get(&self.change.table) else { return "null".to_owned() };
        let attributes = columns.iter().filter_map(|column| {
            let json = attribute(table, record, column, values)?;
            Some(pair(column, &json))
        });
        let mut entity = Object::new();
        if own {
            entity.raw("__type", &kind("Entity"));
        }
        entity.raw("Attributes", &array(attributes));
        entity.raw("EntityState", "null");
        entity.raw("FormattedValues", "[]");
        entity.text("Id", &record.id.to_string());
        entity.raw("KeyAttributes", "[]");
        entity.text("LogicalName", &self.change.table);
        entity.raw("RelatedEntities", "[]");
        entity.raw("RowVersion", "null");
        entity.finish()
    }

    /// The registered images; images leave out what is empty. An asynchronous step always has the row's
    /// name and id.
    fn images(&self, before: bool) -> String {
        let change = self.change;
        let record = if before { change.before.as_ref() } else { change.after.as_ref() };
        // Messages about pairs or several rows have no row to show.
        let about_a_row = self.all.is_none() && change.besides.is_none();
        let Some(record) = record.filter(|_| about_a_row) else { return "[]".to_owned() };
        let wanted = |image: &&Image| if before { image.before } else { image.after };
        let mut images: Vec<String> = Vec::new();
        let table = self.env.tables.get(&change.table);
        if let (Mode::Asynchronous, false, Some(table)) = (self.step.mode, before, table) {
            let primary = &table.definition.primary_name;
            let names = self.columns(&|column| column == primary);
            let image = self.entity(record, &names, (false, false));
            images.push(pair("AsynchronousStepPrimaryName", &image));
        }
        for image in self.step.images.iter().filter(wanted) {
            let named = |column: &str| {
                let all = image.columns.is_empty();
                record.cells.contains_key(column)
                    && (all || image.columns.iter().any(|name| name == column))
            };
            let names = self.columns(&named);
            images.push(pair(&image.alias, &self.entity(record, &names, (false, false))));
        }
        array(images)
    }

    fn shared(&self) -> String {
        let tag = self.change.tag.as_ref().map(|tag| pair("tag", &quoted(tag)));
        array(tag.into_iter().chain([pair("IsAutoTransact", "true")]))
    }
}

/// The JSON of one column; none where an image or a new row holds nothing.
fn attribute(table: &Table, record: &Record, column: &str, typed: bool) -> Option<String> {
    let definition = table.definition.column(column);
    if column == table.definition.primary_id {
        return Some(quoted(&record.id.to_string()));
    }
    let Some(cell) = record.cells.get(column) else { return typed.then(|| "null".to_owned()) };
    let kind = definition.map_or(Kind::String, |definition| definition.kind);
    Some(match cell {
        Cell::Text(text) => quoted(text),
        Cell::Integer(number) if kind.is_choice() => {
            wrapped("OptionSetValue", &number.to_string(), typed)
        }
        Cell::Integer(number) => number.to_string(),
        Cell::Decimal(number) if kind == Kind::Money => {
            wrapped("Money", &number.to_string(), typed)
        }
        Cell::Decimal(number) => number.to_string(),
        Cell::Double(number) => serde_json::Value::from(*number).to_string(),
        Cell::Boolean(value) => value.to_string(),
        Cell::Time(moment) => date(*moment, ""),
        Cell::Date(day) => date(day.to_zoned(TimeZone::UTC).ok()?.timestamp(), ""),
        Cell::Guid(id) | Cell::Bytes { id, .. } => quoted(&id.to_string()),
        Cell::Lookup { table, id } => reference(table, *id, typed),
        Cell::Choices(values) => {
            let one = |value: &i32| wrapped("OptionSetValue", &value.to_string(), typed);
            array(values.iter().map(one))
        }
    })
}

fn wrapped(name: &str, value: &str, typed: bool) -> String {
    let mut object = Object::new();
    if typed {
        object.raw("__type", &kind(name));
    }
    object.raw("Value", value);
    object.finish()
}

fn reference(table: &str, id: Uuid, typed: bool) -> String {
    let mut object = Object::new();
    if typed {
        object.raw("__type", &kind("EntityReference"));
    }
    object.text("Id", &id.to_string());
    object.raw("KeyAttributes", "[]");
    object.text("LogicalName", table);
    object.raw("Name", "null");
    object.raw("RowVersion", "null");
    object.finish()
}

fn kind(name: &str) -> String {
    format!(r#""{name}:http:\/\/schemas.microsoft.com\/xrm\/2011\/Contracts""#)
}

fn date(moment: Timestamp, offset: &str) -> String {
    format!(r#""\/Date({}{offset})\/""#, moment.as_millisecond())
}

fn pair(key: &str, json: &str) -> String {
    let mut pair = Object::new();
    pair.text("key", key);
    pair.raw("value", json);
    pair.finish()
}

/// The settings of `authvalue`: `<settings><setting name="x" value="y"/></settings>`.
pub(super) fn settings(xml: &str) -> BTreeMap<String, String> {
    use quick_xml::events::Event;

    let mut reader = quick_xml::Reader::from_str(xml);
    let mut settings = BTreeMap::new();
    while let Ok(event) = reader.read_event() {
        if matches!(event, Event::Eof) {
            break;
        }
        let (Event::Empty(tag) | Event::Start(tag)) = event else { continue };
        if tag.name().as_ref() != b"setting" {
            continue;
        }
        let attribute = |name: &str| {
            let found = tag.try_get_attribute(name).ok().flatten()?;
            let value = found.normalized_value(quick_xml::XmlVersion::Implicit1_0).ok()?;
            Some(value.into_owned())
        };
        if let (Some(name), Some(value)) = (attribute("name"), attribute("value")) {
            settings.insert(name, value);
        }
    }
    settings
}
