//! Deleting a row, with what its relationships say about the rows that refer to it: they go too, they
//! lose the reference, or they forbid it.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::emulator::dataverse::model::{Cell, ColumnDefinition, OnDelete};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::{derive, privileges};

/// Deletes a row. Refuses an absent row, users, and rows that others restrict.
pub fn row(session: &mut Session<'_>, table: &str, id: Uuid) -> Result<(), Refusal> {
    session.row(table, id)?;
    privileges::permit(session.env, table, "Delete")?;
    if ["systemuser", "businessunit", "organization"].contains(&table) {
        return Err(associated());
    }
    let children = session.index.children(id);
    // First, so that rows which refer to each other do not send the deletion round in a circle.
    session.remove(table, id);
    unpair(session, table, id);
    for (child_table, child) in children {
        release(session, (&child_table, child), (table, id))?;
    }
    Ok(())
}

fn release(
    session: &mut Session<'_>,
    (table, id): (&str, Uuid),
    (parent_table, parent): (&str, Uuid),
) -> Result<(), Refusal> {
    let Ok(record) = session.row(table, id) else { return Ok(()) };
    let refers = Cell::Lookup { table: parent_table.to_owned(), id: parent };
    let columns: Vec<String> = record
        .cells
        .iter()
        .filter(|(_, cell)| **cell == refers)
        .map(|(name, _)| name.clone())
        .collect();
    let mut cells: BTreeMap<String, Cell> = record.cells.clone();
    let definition = &session.table(table)?.definition;
    for column in columns.iter().filter_map(|name| definition.column(name)) {
        match behavior(column, parent_table) {
            OnDelete::Restrict => return Err(associated()),
            OnDelete::Cascade => return self::row(session, table, id),
            OnDelete::RemoveLink => drop(cells.remove(&column.logical_name)),
        }
    }
    derive::modified(&session.caller, session.now, definition, &mut cells);
    session.replace(table, id, cells, columns)
}

fn behavior(column: &ColumnDefinition, parent: &str) -> OnDelete {
    let target = column.targets.iter().find(|target| target.table == parent);
    target.map_or(OnDelete::RemoveLink, |target| target.on_delete)
}

fn unpair(session: &mut Session<'_>, table: &str, id: Uuid) {
    let mut gone = Vec::new();
    for (place, relation) in session.env.many_to_many.iter().enumerate() {
        let pairs = relation.pairs.iter().filter(|(first, second)| {
            (relation.first.table == table && *first == id)
                || (relation.second.table == table && *second == id)
        });
        gone.extend(pairs.map(|pair| (place, *pair)));
    }
    for (place, pair) in gone {
        session.part(place, pair);
    }
}

fn associated() -> Refusal {
    let message =
        "The object you tried to delete is associated with another object and cannot be deleted.";
    Refusal::new(405, "0x80040227", message)
}
