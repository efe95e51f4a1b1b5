//! Creating and updating one row: drafts become cells, the system's own columns are filled, required
//! columns are insisted on. Deep inserts create the rows around it too.

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::emulator::dataverse::derive::{self, Cells};
use crate::emulator::dataverse::draft::{self, Draft, Purpose};
use crate::emulator::dataverse::model::{Cell, Definition, Required};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::status::{self, Pair};
use crate::emulator::dataverse::validate::Judge;
use crate::emulator::dataverse::{bind, body, relation, render};

/// Creates a row of a body. `key` holds the values of an alternate key in the address, used where the
/// body has none; `id` a primary id in the address, likewise. Answers the row's id.
pub fn create(
    session: &mut Session<'_>,
    table: &str,
    members: &body::Members<'_>,
    key: &[(String, Cell)],
    id: Option<Uuid>,
) -> Result<Uuid, Refusal> {
    let mut draft = draft::read(session, table, members, Purpose::Create, &[])?;
    for (column, cell) in key {
        if draft.get(column).is_none() {
            let cell = judged(session, table, column, cell)?;
            draft.cells.push((column.clone(), cell));
        }
    }
    insert(session, table, draft, id)
}

/// A value from an address, held to what its column allows.
fn judged(
    session: &Session<'_>,
    table: &str,
    column: &str,
    cell: &Cell,
) -> Result<Option<Cell>, Refusal> {
    if let Cell::Lookup { table, id } = cell {
        session.row(table, *id)?;
        return Ok(Some(cell.clone()));
    }
    let definition = &session.table(table)?.definition;
    let Some(column) = definition.column(column) else { return Ok(None) };
    let Ok(value) = RawValue::from_string(render::json(cell, column.kind)) else { return Ok(None) };
    Judge { env: session.env, definition, column, chance: session.chance }.cell(&value)
}

fn insert(
    session: &mut Session<'_>,
    table: &str,
    mut draft: Draft<'_>,
    id: Option<Uuid>,
) -> Result<Uuid, Refusal> {
    for (column, parent, body) in std::mem::take(&mut draft.parents) {
        let id = nested(session, &parent, body)?;
        draft.cells.push((column, Some(Cell::Lookup { table: parent, id })));
    }
    let columns = draft.columns();
    let children = std::mem::take(&mut draft.children);
    let id = draft.id.or(id).unwrap_or_else(|| session.chance.uuid());
    let status = integer(draft.get("statuscode").and_then(Option::as_ref));
    let definition = &session.table(table)?.definition;
    let mut cells: Cells = Cells::new();
    apply(&mut cells, draft.cells);
    if let Some(pair) = status::initial(definition, status)? {
        set_pair(&mut cells, pair);
    }
    derive::created(session, definition, &mut cells);
    derive::follow(session.env, session.now, definition, (&mut cells, &columns));
    check_required(definition, &cells)?;
    let unit = (table == "businessunit").then(|| cells.get("name").cloned()).flatten();
    session.insert(table, id, cells, columns)?;
    if let Some(name) = unit {
        default_team(session, id, name)?;
    }
    for (navigation, array) in children {
        attach(session, (table, id), &navigation, array)?;
    }
    Ok(id)
}

/// Every business unit has a team of its own, which has its name (Dataverse, default teams).
fn default_team(session: &mut Session<'_>, unit: Uuid, name: Cell) -> Result<(), Refusal> {
    let Ok(team) = session.table("team") else { return Ok(()) };
    let mut cells: Cells = [
        ("name".to_owned(), name),
        ("isdefault".to_owned(), Cell::Boolean(true)),
        ("teamtype".to_owned(), Cell::Integer(0)),
        ("businessunitid".to_owned(), Cell::Lookup { table: "businessunit".to_owned(), id: unit }),
    ]
    .into();
    derive::created(session, &team.definition, &mut cells);
    session.insert("team", session.chance.uuid(), cells, Vec::new())
}

fn nested(session: &mut Session<'_>, table: &str, value: &RawValue) -> Result<Uuid, Refusal> {
    let members: body::Members<'_> = body::read(value.get().as_bytes(), table)?;
    create(session, table, &members, &[], None)
}

/// Creates or associates the rows of a collection-valued navigation property.
fn attach(
    session: &mut Session<'_>,
    (table, id): (&str, Uuid),
    navigation: &str,
    array: &RawValue,
) -> Result<(), Refusal> {
    let Some(relation) = relation::find(session.env, table, navigation) else { return Ok(()) };
    let items: Vec<&RawValue> = body::read(array.get().as_bytes(), table)?;
    for item in items {
        let (other_table, other) = match body::text(item) {
            Some(reference) => bind::target(session, &reference)?,
            None => (relation.table().to_owned(), nested(session, relation.table(), item)?),
        };
        relation::tie(session, &relation, (id, table), (&other_table, other))?;
    }
    Ok(())
}

/// Updates a row of a body. Members that give a column in `dropped` are not looked at.
pub fn change(
    session: &mut Session<'_>,
    table: &str,
    id: Uuid,
    members: &body::Members<'_>,
    dropped: &[String],
) -> Result<(), Refusal> {
    session.row(table, id)?;
    let draft = draft::read(session, table, members, Purpose::Update, dropped)?;
    update(session, table, id, draft)
}

/// Updates a row. A request with state columns and others runs as two updates, the others first
/// (Dataverse, special update operation behaviour).
pub fn update(
    session: &mut Session<'_>,
    table: &str,
    id: Uuid,
    draft: Draft<'_>,
) -> Result<(), Refusal> {
    let is_state = |name: &str| name == "statecode" || name == "statuscode";
    let (state, rest): (Vec<_>, Vec<_>) =
        draft.cells.into_iter().partition(|(name, _)| is_state(name));
    if state.is_empty() {
        return write(session, table, id, rest);
    }
    let current = session.row(table, id)?.cells.clone();
    let definition = &session.table(table)?.definition;
    let pair = next_pair(definition, &current, &state)?;
    if !rest.is_empty() {
        write(session, table, id, rest)?;
    }
    let cells = [("statecode", pair.state), ("statuscode", pair.status)];
    let cells = cells.map(|(name, value)| (name.to_owned(), Some(Cell::Integer(value))));
    write(session, table, id, cells.into())
}

fn next_pair(
    definition: &Definition,
    current: &Cells,
    wanted: &[(String, Option<Cell>)],
) -> Result<Pair, Refusal> {
    let asked = |name: &str| {
        let cell = wanted.iter().rev().find(|(column, _)| column == name);
        integer(cell.and_then(|(_, cell)| cell.as_ref()))
    };
    let had = |name: &str| integer(current.get(name)).unwrap_or_default();
    let current = Pair { state: had("statecode"), status: had("statuscode") };
    status::next(definition, current, (asked("statecode"), asked("statuscode")))
}

fn write(
    session: &mut Session<'_>,
    table: &str,
    id: Uuid,
    wanted: Vec<(String, Option<Cell>)>,
) -> Result<(), Refusal> {
    let mut cells = session.row(table, id)?.cells.clone();
    let columns: Vec<String> = wanted.iter().map(|(name, _)| name.clone()).collect();
    apply(&mut cells, wanted);
    let definition = &session.table(table)?.definition;
    derive::modified(&session.caller, session.now, definition, &mut cells);
    derive::follow(session.env, session.now, definition, (&mut cells, &columns));
    check_required(definition, &cells)?;
    session.replace(table, id, cells, columns)
}

fn apply(cells: &mut Cells, wanted: Vec<(String, Option<Cell>)>) {
    for (column, cell) in wanted {
        match cell {
            Some(cell) => drop(cells.insert(column, cell)),
            None => drop(cells.remove(&column)),
        }
    }
}

fn check_required(definition: &Definition, cells: &Cells) -> Result<(), Refusal> {
    let missing = definition.columns.iter().find(|column| {
        column.required == Required::SystemRequired
            && !column.read_only
            && column.logical_name != definition.primary_id
            && !cells.contains_key(&column.logical_name)
    });
    let Some(column) = missing else { return Ok(()) };
    let message = format!(
        "Attribute '{}' of entity '{}' is required and cannot be null.",
        column.logical_name, definition.logical_name
    );
    Err(Refusal::bad("0x80040203", message))
}

fn set_pair(cells: &mut Cells, pair: Pair) {
    cells.insert("statecode".to_owned(), Cell::Integer(pair.state));
    cells.insert("statuscode".to_owned(), Cell::Integer(pair.status));
}

fn integer(cell: Option<&Cell>) -> Option<i64> {
    let Cell::Integer(number) = cell? else { return None };
    Some(*number)
}
