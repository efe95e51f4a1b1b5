//! PUT and DELETE of one column of one row. Navigation properties are not columns: they go by `$ref`.

use serde_json::value::RawValue;

use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::body::{self, Members};
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::condition::Condition;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::{rows, write};

/// `PUT /set(key)/column` with `{"value": …}`.
pub fn put(session: &mut Session<'_>, call: &Call, column: &str) -> Result<Answer, Refusal> {
    let members = body::members(&call.body, column)?;
    let value = members.get("value").ok_or_else(|| {
        body::malformed(column, "The property 'value' is missing from the payload.")
    })?;
    set(session, call, column, value)
}

/// `DELETE /set(key)/column`: the column becomes null.
pub fn delete(session: &mut Session<'_>, call: &Call, column: &str) -> Result<Answer, Refusal> {
    set(session, call, column, RawValue::NULL)
}

fn set(
    session: &mut Session<'_>,
    call: &Call,
    column: &str,
    value: &RawValue,
) -> Result<Answer, Refusal> {
    let located = write::locate(session, call)?;
    let id = located.existing(session.env)?;
    let table = session.table(&located.table)?;
    let known = table.definition.column(column).filter(|column| !column.kind.is_lookup());
    let is_file = known.is_some_and(|c| c.kind == super::model::Kind::File);
    if known.is_none() {
        return Err(Refusal::no_segment(column));
    }
    Condition::of(call).check(table, session.row(&located.table, id)?)?;
    if is_file && body::is_null(value) {
        super::files::clear(session, &located.table, id, column)?;
    } else {
        let members: Members<'_> = [(column.to_owned(), value)].into_iter().collect();
        rows::change(session, &located.table, id, &members, &[])?;
    }
    Ok(Answer::empty(204))
}
