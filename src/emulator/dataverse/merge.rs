//! `Merge`: one row takes over what a second one has, and the second one becomes inactive.
//!
//! In come a target, a subordinate of the same table and, if wanted, columns for the target. The rows
//! that refer to the subordinate refer to the target afterwards; the subordinate is inactive, marked
//! as merged, and names its master. Refused: tables that do not merge, a row with itself, a subordinate
//! that was merged before. The updates of all these rows are raised as such, and Merge after them (that
//! the updates are raised is inferred; Dataverse documents the message and what it leaves).

use serde::Deserialize;
use uuid::Uuid;

use crate::emulator::dataverse::address;
use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::body::{self, Members};
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::draft::{self, Draft, Purpose};
use crate::emulator::dataverse::model::{Cell, Definition};
use crate::emulator::dataverse::multiple::NAMESPACE;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::rows;
use crate::emulator::dataverse::session::{Besides, Message, Session};

/// Names the master of a row that was merged.
const MASTER: &str = "masterid";
/// Whether a row was merged.
const MERGED: &str = "merged";

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(rename = "Target", borrow)]
    target: Members<'a>,
    #[serde(rename = "Subordinate", borrow)]
    subordinate: Members<'a>,
    #[serde(rename = "UpdateContent", borrow, default)]
    content: Option<Members<'a>>,
}

/// Whether rows of a table can be merged.
pub fn is_offered(definition: &Definition) -> bool {
    definition.column(MASTER).is_some() && definition.column(MERGED).is_some()
}

/// Runs the action.
pub fn run(session: &mut Session<'_>, call: &Call) -> Result<Answer, Refusal> {
    let request: Request<'_> = body::read(&call.body, "Merge")?;
    let (table, master) = row(session, &request.target)?;
    let (other, subordinate) = row(session, &request.subordinate)?;
    if table != other || master == subordinate {
        let message = "Merge needs two different rows of one table.";
        return Err(Refusal::bad("0x80040203", message));
    }
    if session.row(&table, subordinate)?.cells.get(MERGED) == Some(&Cell::Boolean(true)) {
        let message = "The subordinate row was merged already.";
        return Err(Refusal::bad("0x80040203", message));
    }
    hand_over(session, &table, (subordinate, master))?;
    let mut columns = Vec::new();
    if let Some(content) = &request.content {
        let primary = [session.table(&table)?.definition.primary_id.clone()];
        let draft = draft::read(session, &table, content, Purpose::Update, &primary)?;
        columns = draft.columns();
        if !columns.is_empty() {
            rows::update(session, &table, master, draft)?;
        }
    }
    let reference = Cell::Lookup { table: table.clone(), id: master };
    let given =
        [(MERGED, Cell::Boolean(true)), (MASTER, reference), ("statecode", Cell::Integer(1))];
    set(session, (&table, subordinate), given.map(|(name, cell)| (name.to_owned(), cell)))?;
    let besides = Besides::Subordinate(subordinate);
    session.raise(Message::Merge, (&table, master), columns, besides);
    Ok(Answer::empty(204))
}

/// The row that a parameter names by type and id.
fn row(session: &Session<'_>, given: &Members<'_>) -> Result<(String, Uuid), Refusal> {
    let text = |name: &str| given.get(name).and_then(|value| body::text(value));
    let name = text("@odata.type").unwrap_or_default();
    let name = name.trim_start_matches('#');
    let name = name.strip_prefix(NAMESPACE).unwrap_or(name);
    let definition = &session.table(name)?.definition;
    if !is_offered(definition) {
        let message = format!("The 'Merge' method does not support entities of type '{name}'.");
        return Err(Refusal::bad("0x80040800", message));
    }
    let id = text(&definition.primary_id).and_then(|id| address::id(&id));
    let id = id.ok_or_else(|| body::malformed("Merge", "The id of a row is missing."))?;
    session.row(name, id)?;
    Ok((name.to_owned(), id))
}

/// Lets the rows that refer to one row refer to another.
fn hand_over(
    session: &mut Session<'_>,
    table: &str,
    (from, to): (Uuid, Uuid),
) -> Result<(), Refusal> {
    let refers = Cell::Lookup { table: table.to_owned(), id: from };
    for (child, id) in session.index.children(from) {
        let cells = session.row(&child, id)?.cells.iter();
        let columns = cells.filter(|(_, cell)| **cell == refers).map(|(name, _)| name.clone());
        let columns: Vec<String> = columns.collect();
        let to = |name| (name, Cell::Lookup { table: table.to_owned(), id: to });
        set(session, (&child, id), columns.into_iter().map(to))?;
    }
    Ok(())
}

fn set(
    session: &mut Session<'_>,
    (table, id): (&str, Uuid),
    cells: impl IntoIterator<Item = (String, Cell)>,
) -> Result<(), Refusal> {
    let cells = cells.into_iter().map(|(name, cell)| (name, Some(cell))).collect();
    rows::update(session, table, id, Draft { cells, ..Draft::default() })
}
