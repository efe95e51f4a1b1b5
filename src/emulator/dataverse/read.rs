//! GET: rows, collections, single columns, related rows and counts. What may be asked and how it is
//! evaluated is `query`'s; here is which rows, and the conditional and tracked forms.

use uuid::Uuid;

use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::condition::Condition;
use crate::emulator::dataverse::model::{Cell, ColumnDefinition, Kind, Record, Table};
use crate::emulator::dataverse::query::{self, Source};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::relation::{self, Relation};
use crate::emulator::dataverse::render::{self, Object};
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::{files, locate, tracking, write};

/// `GET /set`
pub fn collection(session: &Session<'_>, call: &Call, set: &str) -> Result<Answer, Refusal> {
    let table = locate::table(session.env, set)?;
    if tracking::is_tracked(call) {
        return tracking::page(session, call, table);
    }
    let source = source(session, call, table);
    let body = query::collection(source, &call.options, &call.prefer, session.now)?;
    Ok(Answer::json(200, body))
}

fn source<'a>(session: &'a Session<'_>, call: &'a Call, table: &'a Table) -> Source<'a> {
    Source { env: session.env, table, base: &call.base }
}

/// `GET /set/$count`: of all rows, of those a filter lets through, or of the changes since a delta
/// token.
pub fn count(session: &Session<'_>, call: &Call, set: &str) -> Result<Answer, Refusal> {
    let table = locate::table(session.env, set)?;
    if call.option("$deltatoken").is_some() {
        return tracking::count(session, call, table).map(|count| Answer::text(count.to_string()));
    }
    let count = query::count(source(session, call, table), &call.options)?;
    Ok(Answer::text(count.to_string()))
}

/// `GET /set(key)`: the row, or 304 when it is still in the version the caller has.
pub fn row(session: &Session<'_>, call: &Call) -> Result<Answer, Refusal> {
    let located = write::locate(session, call)?;
    let id = located.existing(session.env)?;
    let table = session.table(&located.table)?;
    if let Condition::Newer(tag) = Condition::of(call)
        && tag == render::etag(session.row(&located.table, id)?.version)
        && table.definition.optimistic_concurrency
        && call.option("$expand").is_none()
        && call.prefer.annotations.is_empty()
    {
        return Ok(Answer::empty(304).with("ETag", tag));
    }
    one(session, call, &located.table, id)
}

/// One row as JSON, with its version in `ETag`.
pub fn one(session: &Session<'_>, call: &Call, table: &str, id: Uuid) -> Result<Answer, Refusal> {
    let record = session.row(table, id)?;
    let table = session.table(table)?;
    let source = source(session, call, table);
    let body = query::single(source, record, &call.options, &call.prefer)?;
    Ok(Answer::json(200, body).with("ETag", render::etag(record.version)))
}

/// `GET /set(key)/member`: one column, or what a navigation property leads to.
pub fn member(session: &Session<'_>, call: &Call, member: &str) -> Result<Answer, Refusal> {
    let located = write::locate(session, call)?;
    let id = located.existing(session.env)?;
    let table = session.table(&located.table)?;
    let record = session.row(&located.table, id)?;
    if let Some(column) = column(table, member) {
        return property(call, table, record, column);
    }
    if let Some((column, _)) = table.definition.navigation(member) {
        return match record.cells.get(&column.logical_name) {
            Some(Cell::Lookup { table, id }) => one(session, call, table, *id),
            Some(_) | None => Ok(Answer::empty(204)),
        };
    }
    let relation = relation::find(session.env, &located.table, member)
        .ok_or_else(|| Refusal::no_segment(member))?;
    let options = related(session, call, &relation, id)?;
    let source = source(session, call, session.table(relation.table())?);
    let body = query::collection(source, &options, &call.prefer, session.now)?;
    Ok(Answer::json(200, body))
}

/// `GET /set(key)/collection/$count`
pub fn count_related(session: &Session<'_>, call: &Call, member: &str) -> Result<Answer, Refusal> {
    let located = write::locate(session, call)?;
    let id = located.existing(session.env)?;
    let relation = relation::find(session.env, &located.table, member)
        .ok_or_else(|| Refusal::no_segment(member))?;
    let source = source(session, call, session.table(relation.table())?);
    let count = query::count(source, &related(session, call, &relation, id)?)?;
    Ok(Answer::text(count.to_string()))
}

/// The options of a request for related rows: its own, narrowed to those rows.
fn related(
    session: &Session<'_>,
    call: &Call,
    relation: &Relation,
    id: Uuid,
) -> Result<Vec<(String, String)>, Refusal> {
    let narrow = match relation {
        Relation::Children { column, .. } => format!("_{column}_value eq {id}"),
        Relation::Pairs { place, table, first, .. } => {
            let primary = &session.table(table)?.definition.primary_id;
            let pairs = session.env.many_to_many.get(*place).map(|relation| &relation.pairs);
            let others = pairs.into_iter().flatten().filter_map(|(one, other)| {
                let (this, that) = if *first { (one, other) } else { (other, one) };
                (*this == id).then(|| format!("'{that}'"))
            });
            let others: Vec<String> = others.collect();
            if others.is_empty() {
                format!("{primary} eq null")
            } else {
                let values = others.join(",");
                format!(
                    "Microsoft.Dynamics.CRM.In(PropertyName='{primary}',PropertyValues=[{values}])"
                )
            }
        }
    };
    let mut options = call.options.clone();
    match options.iter_mut().find(|(name, _)| name == "$filter") {
        Some((_, filter)) => *filter = format!("({narrow}) and ({filter})"),
        None => options.push(("$filter".to_owned(), narrow)),
    }
    Ok(options)
}

/// The column behind a property: lookups go by `_name_value`.
fn column<'t>(table: &'t Table, member: &str) -> Option<&'t ColumnDefinition> {
    table.definition.columns.iter().find(|column| render::property(column) == member)
}

fn property(
    call: &Call,
    table: &Table,
    record: &Record,
    column: &ColumnDefinition,
) -> Result<Answer, Refusal> {
    let name = render::property(column);
    let cell = record.cells.get(&column.logical_name);
    let value = match cell {
        _ if name == table.definition.primary_id => render::quoted(&record.id.to_string()),
        _ if name == "versionnumber" => record.version.to_string(),
        None => return Ok(Answer::empty(204)),
        Some(Cell::Bytes { .. }) if column.kind == Kind::File => {
            return files::download(call, record, column);
        }
        Some(Cell::Bytes { .. }) if call.option("size").is_some() => {
            return files::download(call, record, column);
        }
        Some(cell) => render::json(cell, column.kind),
    };
    let mut body = Object::new();
    let (base, set, id) = (&call.base, &table.definition.entity_set, record.id);
    body.text("@odata.context", &format!("{base}$metadata#{set}({id})/{name}"));
    body.raw("value", &value);
    Ok(Answer::json(200, body.finish()))
}
