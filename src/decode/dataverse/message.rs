//! What each message says about rows: a context comes in, one change for every row it is about goes
//! out. A row is whole when the message created it, or when an image holds every column that maps read;
//! otherwise the change is `partial`. A context that was cut down to its size limit names its row alone.
//!
//! Merge leaves two rows: the master with what it took over, and the subordinate, inactive. Associate
//! and Disassociate are about pairs of rows: the entity is the relationship's schema name, the id both
//! GUIDs in the order of their tables, whichever row was associated with which; `target` and `related`
//! are properties, and so are `acme_hotelid` and its like when the tables differ.
//!
//! Source: Dataverse Web API, webhooks; messages of the SDK with their parameters.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::context::{Context, Image, Row, collection};
use super::value::{self, Raw};
use super::{Table, Tables};
use crate::change::{Change, Kind};
use crate::decode::json;
use crate::decode::malformed;
use crate::decode::origin::Place;
use crate::fault::Fault;

/// What a message does to a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Act {
    /// All columns that are not named are empty.
    Create,
    /// Other columns stay as they are.
    Update,
    Delete,
}

/// Every change that a context holds.
pub(super) fn changes<'a>(
    context: &Context<'a>,
    tables: &Tables,
    place: Place<'_>,
) -> Result<Vec<Change<'a>>, Fault> {
    let reader = Reader { context, tables, place };
    match &*context.message {
        "Create" | "Upsert" => reader.one("Target", Act::Create),
        "Update" => reader.one("Target", Act::Update),
        "Delete" => reader.one("Target", Act::Delete),
        "SetState" | "SetStateDynamicEntity" => reader.state(),
        "Assign" => reader.assign(),
        "Merge" => reader.merge(),
        "CreateMultiple" => reader.many(Act::Create),
        "UpdateMultiple" | "UpsertMultiple" => reader.many(Act::Update),
        "DeleteMultiple" => reader.many(Act::Delete),
        "Associate" => reader.pairs(Kind::Upsert),
        "Disassociate" => reader.pairs(Kind::Remove),
        _ => Err(malformed(
            "its message says nothing about a row that could be kept in step; remove the step that \
             sends it",
        )
        .field("MessageName")),
    }
}

/// Names and values of columns.
type Columns<'a> = Vec<(Cow<'a, str>, Raw<'a>)>;

/// A row's version, when it is told, and when it was changed.
type When = (Option<u64>, Timestamp);

struct Reader<'c, 'a> {
    context: &'c Context<'a>,
    tables: &'c Tables,
    place: Place<'c>,
}

impl<'a> Reader<'_, 'a> {
    fn one(&self, parameter: &str, act: Act) -> Result<Vec<Change<'a>>, Fault> {
        let target = self.context.target(parameter);
        // Cut down to its size limit, or sent by a step of a stage that has no such parameter.
        let act = if target.is_none() && act == Act::Create { Act::Update } else { act };
        Ok(vec![self.change(target.unwrap_or_default(), act)?])
    }

    fn state(&self) -> Result<Vec<Change<'a>>, Fault> {
        let mut row = self.context.target("EntityMoniker").unwrap_or_default();
        for (parameter, column) in [("State", "statecode"), ("Status", "statuscode")] {
            if let Some(raw) = self.context.input(parameter)
                && let value::Typed::Value(value) = value::typed(raw)
            {
                row.columns.push((column.into(), value));
            }
        }
        Ok(vec![self.change(row, Act::Update)?])
    }

    fn assign(&self) -> Result<Vec<Change<'a>>, Fault> {
        let mut row = self.context.target("Target").unwrap_or_default();
        if let Some(owner) = self.context.target("Assignee")
            && let Some(id) = owner.id
        {
            row.columns.push(("ownerid".into(), value::text(&id.to_string())));
            let table = owner.table.map(|table| value::text(&table));
            row.columns.extend(table.map(|table| ("ownerid_entitytype".into(), table)));
        }
        Ok(vec![self.change(row, Act::Update)?])
    }

    fn merge(&self) -> Result<Vec<Change<'a>>, Fault> {
        let mut master = self.context.target("Target").unwrap_or_default();
        let taken = self.context.target("UpdateContent").unwrap_or_default();
        master.columns.extend(taken.columns);
        let named = self.context.input("SubordinateId").and_then(json::text);
        let subordinate = named.and_then(|text| text.parse::<Uuid>().ok());
        let table = master.table.clone();
        let mut changes = vec![self.change(master, Act::Update)?];
        if let Some(id) = subordinate {
            let yes = |name: &'static str, json: &str| (name.into(), value::raw(json.to_owned()));
            let columns = vec![yes("statecode", "1"), yes("merged", "true")];
            let row = Row { table, id: Some(id), version: None, columns };
            changes.push(Change { partial: true, ..self.change(row, Act::Update)? });
        }
        Ok(changes)
    }

    fn many(&self, act: Act) -> Result<Vec<Change<'a>>, Fault> {
        let raw = self.context.input("Targets").ok_or_else(cut)?;
        let rows = collection(raw, self.context.most)?;
        rows.into_iter().map(|row| self.change(row, act)).collect()
    }

    fn pairs(&self, kind: Kind) -> Result<Vec<Change<'a>>, Fault> {
        let target = self.context.target("Target").ok_or_else(cut)?;
        let relationship = self.context.input("Relationship").ok_or_else(cut)?;
        let relationship = json::object(relationship.get(), "the relationship")?;
        let name = relationship.fact("SchemaName").ok_or_else(cut)?;
        let name = Cow::Owned(name.trim_end_matches('.').to_owned());
        let related = self.context.input("RelatedEntities").ok_or_else(cut)?;
        let related = collection(related, self.context.most)?;
        let pair = |other: Row<'a>| {
            let (Some(one), Some(two)) = (target.id, other.id) else { return Err(unnamed()) };
            let text = |text: &str| value::text(text);
            let mut columns = vec![
                ("target".into(), text(&one.to_string())),
                ("related".into(), text(&two.to_string())),
            ];
            for (column, row) in [("target_entitytype", &target), ("related_entitytype", &other)] {
                columns.extend(row.table.as_ref().map(|table| (column.into(), text(table))));
            }
            let mut ends = [(&target.table, one), (&other.table, two)];
            if target.table != other.table {
                ends.sort();
                for (table, id) in ends.iter().filter_map(|(t, id)| Some((t.as_ref()?, id))) {
                    columns.push((format!("{table}id").into(), text(&id.to_string())));
                    columns.push((format!("{table}id_entitytype").into(), text(table)));
                }
            }
            let [(_, one), (_, two)] = ends;
            let order = (None, self.at()?);
            Ok(self.assembled(Cow::clone(&name), format!("{one},{two}"), kind, (order, columns)))
        };
        related.into_iter().map(pair).collect()
    }

    /// The change of one row.
    fn change(&self, row: Row<'a>, act: Act) -> Result<Change<'a>, Fault> {
        let (context, id) = (self.context, row.id.or(self.context.id).ok_or_else(unnamed)?);
        let table = row.table.unwrap_or_else(|| context.table.clone());
        let known = self.tables.0.get(&*table);
        let whole = known.map(Table::alias);
        let single = row.id.is_none() || row.id == context.id;
        let (before, after): (&[Image<'a>], &[Image<'a>]) =
            if single { (&context.before, &context.after) } else { (&[], &[]) };
        let is_whole = |image: &&Image<'a>| whole.as_deref() == Some(&*image.name);
        let fetch = act != Act::Delete && known.is_some_and(|known| known.fetch);
        let shown = before.iter().chain(after).any(|image| is_whole(&image));
        let partial = fetch || act == Act::Update && !shown;
        let images = |images: &[Image<'a>]| {
            images.iter().flat_map(|image| image.row.columns.clone()).collect::<Vec<_>>()
        };
        let mut columns = images(before);
        set(&mut columns, row.columns);
        set(&mut columns, images(after));
        if let (Some(known), false) = (known, act == Act::Delete) {
            complete(&mut columns, known, partial);
        }
        let version = after.iter().find_map(|image| image.row.version).or(row.version);
        let version = version.or_else(|| whole_number(&columns, "versionnumber"));
        let modified = time(&columns, "modifiedon").filter(|_| act != Act::Delete);
        let emitted = modified.map_or_else(|| self.at(), Ok)?;
        let kind = if act == Act::Delete { Kind::Remove } else { Kind::Upsert };
        let order = (version.filter(|_| kind == Kind::Upsert), emitted);
        let change = self.assembled(table, id.to_string(), kind, (order, columns));
        Ok(Change { partial, ..change })
    }

    fn assembled(
        &self,
        entity: Cow<'a, str>,
        id: String,
        kind: Kind,
        (when, properties): (When, Columns<'a>),
    ) -> Change<'a> {
        let context = self.context;
        let (version, emitted) = when;
        let mut order = crate::order::Order::emitted_at(emitted);
        order.version = version;
        order.tie.enqueued = context.at.or(self.place.event.origin.enqueued);
        Change {
            entity,
            id: Cow::Owned(id),
            kind,
            order,
            schema: None,
            event_id: context.event_id.clone(),
            correlation: context
                .correlation
                .unwrap_or_else(|| self.place.correlation(&self.place.event.body)),
            codes: Vec::new(),
            properties,
            edges: Vec::new(),
            author: Some(context.author.clone()),
            partial: false,
        }
    }

    /// When the operation was made, or else when the event was first seen.
    fn at(&self) -> Result<Timestamp, Fault> {
        match self.context.at {
            Some(at) => Ok(at),
            None => self.place.order(None, None).map(|order| order.emitted),
        }
    }
}

/// Puts later values over earlier ones.
fn set<'a>(columns: &mut Columns<'a>, later: Columns<'a>) {
    for (name, value) in later {
        match columns.iter_mut().find(|(known, _)| *known == name) {
            Some((_, place)) => *place = value,
            None => columns.push((name, value)),
        }
    }
}

/// Writes dates without a time as such, and null for columns of a whole row that are not in it: images
/// leave out what is empty.
fn complete(columns: &mut Columns<'_>, table: &Table, partial: bool) {
    for (name, value) in columns.iter_mut().filter(|(name, _)| table.dates.contains(&**name)) {
        let text = json::text(value).filter(|text| text.len() > 10 && !name.is_empty());
        if let Some(date) = text.as_deref().and_then(|text| text.get(..10)) {
            *value = value::text(date);
        }
    }
    if partial {
        return;
    }
    for name in &table.columns {
        if !columns.iter().any(|(known, _)| **known == **name) {
            columns.push((Cow::Owned(name.clone()), Cow::Borrowed(RawValue::NULL)));
        }
    }
}

fn fact<'c>(columns: &'c [(Cow<'_, str>, Raw<'_>)], name: &str) -> Option<Cow<'c, str>> {
    let found = columns.iter().find(|(column, _)| column == name);
    found.and_then(|(_, value)| json::scalar(value))
}

fn time(columns: &[(Cow<'_, str>, Raw<'_>)], name: &str) -> Option<Timestamp> {
    crate::decode::time::moment(&fact(columns, name)?)
}

fn whole_number(columns: &[(Cow<'_, str>, Raw<'_>)], name: &str) -> Option<u64> {
    fact(columns, name)?.parse().ok()
}

fn unnamed() -> Fault {
    malformed("the context names no row").field("PrimaryEntityId")
}

fn cut() -> Fault {
    malformed(
        "the context was cut down to its size limit and its message is about several rows, so none of \
         them is named; change tracking brings them",
    )
    .field("InputParameters")
}
