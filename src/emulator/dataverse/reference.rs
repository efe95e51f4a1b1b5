//! `$ref`: tying and untying rows. POST to a collection-valued navigation property, PUT to a
//! single-valued one, DELETE of either (Dataverse Web API, associate and disassociate).

use axum::http::Method;
use uuid::Uuid;

use crate::emulator::dataverse::address::{Arguments, Segment};
use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::body;
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::model::Cell;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::relation::{self, Relation};
use crate::emulator::dataverse::render::Object;
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::{bind, write};

/// Runs a `$ref` request on a navigation property.
pub fn run(session: &mut Session<'_>, call: &Call, member: &Segment) -> Result<Answer, Refusal> {
    let located = write::locate(session, call)?;
    let id = located.existing(session.env)?;
    let row = (located.table.as_str(), id);
    if let Some(relation) = relation::find(session.env, &located.table, &member.name) {
        return many(session, call, row, &relation, member);
    }
    single(session, call, row, &member.name)
}

fn many(
    session: &mut Session<'_>,
    call: &Call,
    (table, id): (&str, Uuid),
    relation: &Relation,
    member: &Segment,
) -> Result<Answer, Refusal> {
    match call.method {
        Method::POST | Method::PUT => {
            let (other_table, other) = bind::target(session, &reference(call)?)?;
            relation::tie(session, relation, (id, table), (&other_table, other))?;
        }
        Method::DELETE => {
            let other = match (&member.arguments, call.option("$id")) {
                (Some(Arguments::Id(other)), _) => *other,
                (_, Some(url)) => bind::target(session, url)?.1,
                _ => return Err(Refusal::payload("Say which row to disassociate.")),
            };
            session.row(relation.table(), other)?;
            relation::untie(session, relation, (id, table), other)?;
        }
        _ => return Err(call.unknown()),
    }
    Ok(Answer::empty(204))
}

fn single(
    session: &mut Session<'_>,
    call: &Call,
    (table, id): (&str, Uuid),
    navigation: &str,
) -> Result<Answer, Refusal> {
    let definition = session.table(table)?.definition.clone();
    let (column, _) =
        definition.navigation(navigation).ok_or_else(|| Refusal::no_segment(navigation))?;
    let parent = match call.method {
        Method::GET => return shown(session, call, (table, id), &column.logical_name),
        Method::PUT | Method::POST => {
            let reference = reference(call)?;
            Some(bind::lookup(session, (&definition, column, navigation), &reference)?)
        }
        Method::DELETE => None,
        _ => return Err(call.unknown()),
    };
    relation::point(session, table, id, &column.logical_name, parent)?;
    Ok(Answer::empty(204))
}

fn shown(
    session: &Session<'_>,
    call: &Call,
    (table, id): (&str, Uuid),
    column: &str,
) -> Result<Answer, Refusal> {
    let Some(Cell::Lookup { table, id }) = session.row(table, id)?.cells.get(column) else {
        return Ok(Answer::empty(204));
    };
    let set = &session.table(table)?.definition.entity_set;
    let mut body = Object::new();
    body.text("@odata.context", &format!("{}$metadata#$ref", call.base));
    body.text("@odata.id", &format!("{}{set}({id})", call.base));
    Ok(Answer::json(200, body.finish()))
}

fn reference(call: &Call) -> Result<String, Refusal> {
    let members = body::members(&call.body, "$ref")?;
    let value = members.get("@odata.id").and_then(|value| body::text(value));
    value.ok_or_else(|| body::malformed("$ref", "The annotation '@odata.id' is missing."))
}
