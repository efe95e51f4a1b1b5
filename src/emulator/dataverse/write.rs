//! POST, PATCH and DELETE of whole rows, with the answers of the outcome table (Dataverse Web API,
//! create, upsert, conditional operations).

use uuid::Uuid;

use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::body;
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::condition::Condition;
use crate::emulator::dataverse::locate::{self, Located};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::relation::{self, Relation};
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::{delete, read, rows, upsert};

/// `POST /set`: 204 with the address of the new row, or 201 with the row.
pub fn create(session: &mut Session<'_>, call: &Call, set: &str) -> Result<Answer, Refusal> {
    let table = locate::table(session.env, set)?.definition.logical_name.clone();
    let members = body::members(&call.body, set)?;
    let id = rows::create(session, &table, &members, &[], None)?;
    answer_created(session, call, (&table, set, id))
}

fn answer_created(
    session: &mut Session<'_>,
    call: &Call,
    (table, set, id): (&str, &str, Uuid),
) -> Result<Answer, Refusal> {
    let url = format!("{}{set}({id})", call.base);
    session.written = Some(url.clone());
    if call.prefer.representation {
        return representation(session, call, (table, id), 201);
    }
    Ok(Answer::written(&url))
}

/// `POST /set(key)/collection`: a new row on the other side of a relationship, tied to this one.
pub fn create_related(
    session: &mut Session<'_>,
    call: &Call,
    relation: &Relation,
) -> Result<Answer, Refusal> {
    let located = locate(session, call)?;
    let owner = located.existing(session.env)?;
    let table = relation.table();
    let set = session.table(table)?.definition.entity_set.clone();
    let members = body::members(&call.body, &set)?;
    let id = rows::create(session, table, &members, &[], None)?;
    relation::tie(session, relation, (owner, &located.table), (table, id))?;
    answer_created(session, call, (table, &set, id))
}

/// `PATCH /set(key)`: update or create, 204 for both, or 200 and 201 with the row.
pub fn upsert(session: &mut Session<'_>, call: &Call) -> Result<Answer, Refusal> {
    let located = locate(session, call)?;
    let set = &session.table(&located.table)?.definition.entity_set.clone();
    let members = body::members(&call.body, set)?;
    let done = upsert::row(session, &located, &members, &Condition::of(call))?;
    session.written = Some(format!("{}{set}({})", call.base, done.id));
    if call.prefer.representation {
        let status = if done.created { 201 } else { 200 };
        return representation(session, call, (&located.table, done.id), status);
    }
    // An address by key is echoed as it came; an address by id names the row that is there now.
    let form = if located.id.is_some() { format!("{set}({})", done.id) } else { located.form };
    Ok(Answer::written(&format!("{}{form}", call.base)))
}

/// `DELETE /set(key)`
pub fn delete(session: &mut Session<'_>, call: &Call) -> Result<Answer, Refusal> {
    let located = locate(session, call)?;
    let id = located.existing(session.env)?;
    let table = session.table(&located.table)?;
    match Condition::of(call) {
        Condition::Absent | Condition::Newer(_) => {}
        condition @ (Condition::None | Condition::Exists | Condition::Version(_)) => {
            condition.check(table, session.row(&located.table, id)?)?;
        }
    }
    delete::row(session, &located.table, id)?;
    Ok(Answer::empty(204))
}

/// The row that the first segment addresses.
pub fn locate(session: &Session<'_>, call: &Call) -> Result<Located, Refusal> {
    let first = call.path.first().ok_or_else(|| call.unknown())?;
    locate::row(session.env, session.index, first)
}

fn representation(
    session: &Session<'_>,
    call: &Call,
    (table, id): (&str, Uuid),
    status: u16,
) -> Result<Answer, Refusal> {
    let mut answer = read::one(session, call, table, id)?;
    answer.status = status;
    Ok(answer)
}
