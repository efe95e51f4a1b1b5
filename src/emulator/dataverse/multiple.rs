//! CreateMultiple, UpdateMultiple, UpsertMultiple and DeleteMultiple: many rows of one table in one
//! request, all or nothing (Dataverse, bulk operation messages).

use std::collections::HashSet;

use axum::http::Method;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::body::{self, Members, Targets};
use crate::emulator::dataverse::call::{self, Call};
use crate::emulator::dataverse::condition::Condition;
use crate::emulator::dataverse::locate::{self, Located};
use crate::emulator::dataverse::model::Definition;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render::{self, Object};
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::{address, functions, rows, upsert};

/// The prefix of bound messages; it may be left out.
pub const NAMESPACE: &str = "Microsoft.Dynamics.CRM.";

/// `POST /set/Microsoft.Dynamics.CRM.UpsertMultiple` and its like.
pub fn run(
    session: &mut Session<'_>,
    call: &Call,
    set: &str,
    message: &str,
) -> Result<Answer, Refusal> {
    let definition = locate::table(session.env, set)?.definition.clone();
    let name = message.strip_prefix(NAMESPACE).unwrap_or(message);
    let is_bulk = ["CreateMultiple", "UpdateMultiple", "UpsertMultiple", "DeleteMultiple"];
    if !is_bulk.contains(&name) || !definition.bulk {
        return Err(Refusal::no_segment(message));
    }
    if call.method != Method::POST {
        return Err(call.unknown());
    }
    if name == "DeleteMultiple" {
        let message = "DeleteMultiple has not yet been implemented.";
        return Err(Refusal::new(501, "0x80040216", message));
    }
    let body: Targets<'_> = body::read(&call.body, set)?;
    if body.targets.is_empty() {
        let message = "The parameter 'Targets' must hold at least one row.";
        return Err(Refusal::bad("0x80040203", message));
    }
    for target in &body.targets {
        check_type(&definition, target)?;
    }
    match name {
        "CreateMultiple" => create(session, call, &definition, &body.targets),
        "UpdateMultiple" => update(session, &definition, &body.targets),
        _ => upsert(session, &definition, &body.targets),
    }
}

/// Every target must say that it is of this table.
fn check_type(definition: &Definition, target: &Members<'_>) -> Result<(), Refusal> {
    let given = target.get("@odata.type").and_then(|value| body::text(value));
    let name = given.as_deref().map(|name| name.trim_start_matches('#'));
    let logical = name.map(|name| name.strip_prefix(NAMESPACE).unwrap_or(name));
    if logical == Some(definition.logical_name.as_str()) {
        return Ok(());
    }
    let reason = match logical {
        None => "A type named '@odata.type' was not found on a target; every target needs it."
            .to_owned(),
        Some(other) => format!("A target of type '{other}' was found among targets of this table."),
    };
    Err(body::malformed(&definition.entity_set, &reason))
}

fn create(
    session: &mut Session<'_>,
    call: &Call,
    definition: &Definition,
    targets: &[Members<'_>],
) -> Result<Answer, Refusal> {
    let mut ids = Vec::with_capacity(targets.len());
    for target in targets {
        let id = rows::create(session, &definition.logical_name, target, &[], None)?;
        ids.push(render::quoted(&id.to_string()));
    }
    let mut body = Object::new();
    body.text("@odata.context", &functions::context(call, "CreateMultipleResponse"));
    body.raw("Ids", &render::array(ids));
    Ok(Answer::json(200, body.finish()))
}

/// Rows go by primary id alone; of a row that stands twice in the request the first is taken.
fn update(
    session: &mut Session<'_>,
    definition: &Definition,
    targets: &[Members<'_>],
) -> Result<Answer, Refusal> {
    let mut seen = HashSet::new();
    for target in targets {
        let Some(id) = primary_id(definition, target)? else {
            let message =
                "Entity Id must be specified for Update. Alternate keys are not supported.";
            return Err(Refusal::bad("0x80040203", message));
        };
        if seen.insert(id) {
            let dropped = [definition.primary_id.clone()];
            rows::change(session, &definition.logical_name, id, target, &dropped)?;
        }
    }
    Ok(Answer::empty(204))
}

/// Rows go by primary id or by `@odata.id`; a row that stands twice in the request is refused.
fn upsert(
    session: &mut Session<'_>,
    definition: &Definition,
    targets: &[Members<'_>],
) -> Result<Answer, Refusal> {
    let mut seen = HashSet::new();
    for target in targets {
        let located = locate(session, definition, target)?;
        let done = upsert::row(session, &located, target, &Condition::None)?;
        if !seen.insert(done.id) {
            let message = format!(
                "The row {}({}) stands more than once in the request.",
                definition.logical_name, done.id
            );
            return Err(Refusal::bad("0x80040203", message));
        }
    }
    Ok(Answer::empty(204))
}

fn locate(
    session: &Session<'_>,
    definition: &Definition,
    target: &Members<'_>,
) -> Result<Located, Refusal> {
    if let Some(url) = target.get("@odata.id").and_then(|value| body::text(value)) {
        let path = call::resource(&url)?;
        return match path.as_slice() {
            [one] if one.name == definition.entity_set => {
                locate::row(session.env, session.index, one)
            }
            _ => {
                Err(address::syntax(&format!("'{url}' is no row of '{}'.", definition.entity_set)))
            }
        };
    }
    let id = primary_id(definition, target)?;
    let rows = &session.table(&definition.logical_name)?.rows;
    Ok(Located {
        table: definition.logical_name.clone(),
        row: id.filter(|id| rows.contains_key(id)),
        id,
        key: Vec::new(),
        form: String::new(),
    })
}

fn primary_id(definition: &Definition, target: &Members<'_>) -> Result<Option<Uuid>, Refusal> {
    let value: Option<&&RawValue> = target.get(&definition.primary_id);
    let Some(value) = value.filter(|value| !body::is_null(value)) else { return Ok(None) };
    let id = body::text(value).and_then(|text| address::id(&text));
    let refused =
        || Refusal::bad("0x80040363", format!("{} is not a valid unique id.", value.get()));
    id.map(Some).ok_or_else(refused)
}
