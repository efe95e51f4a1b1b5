//! References to rows: the values of `@odata.bind` and `@odata.id`, in every spelling (absolute, rooted,
//! relative, by alternate key, `$1` for what a changeset created).

use uuid::Uuid;

use crate::emulator::dataverse::body;
use crate::emulator::dataverse::call;
use crate::emulator::dataverse::locate;
use crate::emulator::dataverse::model::{Cell, ColumnDefinition, Definition};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::session::Session;

/// The row a reference leads to: its table and its id. Refuses what cannot be read and rows that do
/// not exist.
pub fn target(session: &Session<'_>, reference: &str) -> Result<(String, Uuid), Refusal> {
    let url = match reference.trim_start_matches('/') {
        content_id if content_id.starts_with('$') => {
            session.references.get(content_id).ok_or_else(|| unknown_content_id(content_id))?
        }
        _ => reference,
    };
    let path = call::resource(url)?;
    let [segment] = path.as_slice() else {
        let reason = format!("The reference '{reference}' does not lead to one row.");
        return Err(Refusal::payload(reason));
    };
    let located = locate::row(session.env, session.index, segment)?;
    let id = located.existing(session.env)?;
    Ok((located.table, id))
}

/// The cell of a lookup column that is bound through one of its navigation properties. Refuses rows
/// of a table that this navigation property does not lead to.
pub fn lookup(
    session: &Session<'_>,
    (definition, column, navigation): (&Definition, &ColumnDefinition, &str),
    reference: &str,
) -> Result<Cell, Refusal> {
    let (table, id) = target(session, reference)?;
    let mut targets = column.targets.iter().filter(|target| target.navigation == navigation);
    if targets.any(|target| target.table == table) {
        return Ok(Cell::Lookup { table, id });
    }
    let reason = format!(
        "A '{table}' cannot be bound to the navigation property '{navigation}' of '{}'.",
        definition.logical_name
    );
    Err(body::malformed(&definition.entity_set, &reason))
}

/// 400: `$n` names nothing that was created before.
pub fn unknown_content_id(reference: &str) -> Refusal {
    let name = reference.split(['/', '(']).next().unwrap_or(reference);
    let message = format!("Content-ID Reference: '{name}' does not exist in the batch context.");
    Refusal::payload(message)
}
