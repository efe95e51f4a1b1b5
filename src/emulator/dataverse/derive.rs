//! Columns the system keeps itself: who and when, full names, the owner's unit, money in base currency,
//! and what stands beside an image.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::emulator::dataverse::model::{Cell, Definition, Environment, Kind, Ownership};
use crate::emulator::dataverse::session::{Caller, Session};

/// The cells of a row under way.
pub type Cells = BTreeMap<String, Cell>;

/// What a new row starts with, as far as the body does not say otherwise.
pub fn created(session: &Session<'_>, definition: &Definition, cells: &mut Cells) {
    let user = session.caller.user;
    if let Some(given) = cells.get("overriddencreatedon").cloned() {
        // The given moment becomes the row's own, and the other column keeps when it was imported.
        cells.insert("createdon".to_owned(), given);
        cells.insert("overriddencreatedon".to_owned(), Cell::Time(session.now));
    } else {
        put(definition, cells, "createdon", Cell::Time(session.now));
    }
    put(definition, cells, "createdby", reference("systemuser", user));
    if let Some(on_behalf) = session.caller.on_behalf {
        put(definition, cells, "createdonbehalfby", reference("systemuser", on_behalf));
    }
    if definition.ownership == Ownership::User && !cells.contains_key("ownerid") {
        put(definition, cells, "ownerid", reference("systemuser", user));
    }
    if definition.ownership == Ownership::Organization
        && let Some(id) = first_row(session.env, "organization")
    {
        put(definition, cells, "organizationid", reference("organization", id));
    }
    modified(&session.caller, session.now, definition, cells);
}

/// What every write leaves behind.
pub fn modified(caller: &Caller, now: Timestamp, definition: &Definition, cells: &mut Cells) {
    put(definition, cells, "modifiedon", Cell::Time(now));
    put(definition, cells, "modifiedby", reference("systemuser", caller.user));
    match caller.on_behalf {
        Some(id) => put(definition, cells, "modifiedonbehalfby", reference("systemuser", id)),
        None => drop(cells.remove("modifiedonbehalfby")),
    }
}

/// Brings the columns that follow from others up to date; `given` are the columns of the request.
pub fn follow(
    env: &Environment,
    now: Timestamp,
    definition: &Definition,
    (cells, given): (&mut Cells, &[String]),
) {
    full_name(definition, cells);
    owner(env, definition, cells, given);
    money(env, definition, cells);
    images(now, definition, cells);
}

/// The full name of a person, where only the system sets it.
fn full_name(definition: &Definition, cells: &mut Cells) {
    if !definition.column("fullname").is_some_and(|column| column.read_only) {
        return;
    }
    let parts = ["firstname", "middlename", "lastname"].into_iter().filter_map(|part| {
        let Cell::Text(text) = cells.get(part)? else { return None };
        Some(text.as_str())
    });
    let name = parts.collect::<Vec<_>>().join(" ");
    if name.is_empty() {
        cells.remove("fullname");
    } else {
        cells.insert("fullname".to_owned(), Cell::Text(name));
    }
}

/// Whether rows may belong to another business unit than their owner's.
fn units_are_free(env: &Environment) -> bool {
    let organization = env.tables.get("organization").and_then(|table| table.rows.first());
    let settings = organization.and_then(|(_, row)| row.cells.get("orgdborgsettings"));
    let Some(Cell::Text(settings)) = settings else { return false };
    settings.contains("<EnableOwnershipAcrossBusinessUnits>true<")
}

/// Whose the row is, and the unit it belongs to: the owner's own, unless the environment lets a request
/// name another one. A row that gets another owner goes to that one's unit.
fn owner(env: &Environment, definition: &Definition, cells: &mut Cells, given: &[String]) {
    if definition.ownership != Ownership::User {
        return;
    }
    let Some(Cell::Lookup { table, id }) = cells.get("ownerid").cloned() else { return };
    let (own, other) =
        if table == "team" { ("owningteam", "owninguser") } else { ("owninguser", "owningteam") };
    cells.remove(other);
    let unit = env
        .tables
        .get(&table)
        .and_then(|table| table.rows.get(&id))
        .and_then(|row| row.cells.get("businessunitid").cloned());
    put(definition, cells, own, Cell::Lookup { table, id });
    let names = |column: &str| given.iter().any(|name| name == column);
    let stays = names("owningbusinessunit") || !names("ownerid");
    let has = cells.contains_key("owningbusinessunit");
    if let Some(unit) = unit.filter(|_| !(has && stays && units_are_free(env))) {
        put(definition, cells, "owningbusinessunit", unit);
    }
}

fn money(env: &Environment, definition: &Definition, cells: &mut Cells) {
    let amounts: Vec<(String, Option<Decimal>)> = definition
        .columns
        .iter()
        .filter(|column| column.kind == Kind::Money && !column.logical_name.ends_with("_base"))
        .map(|column| (column.logical_name.clone(), decimal(cells.get(&column.logical_name))))
        .collect();
    if !cells.contains_key("transactioncurrencyid") {
        if amounts.iter().all(|(_, amount)| amount.is_none()) {
            return;
        }
        if let Some(id) = first_row(env, "transactioncurrency") {
            put(definition, cells, "transactioncurrencyid", reference("transactioncurrency", id));
        }
    }
    let rate = exchange_rate(env, cells).unwrap_or(Decimal::ONE);
    put(definition, cells, "exchangerate", Cell::Decimal(rate));
    for (column, amount) in amounts {
        let base = format!("{column}_base");
        match amount.and_then(|amount| amount.checked_div(rate)) {
            Some(amount) => put(definition, cells, &base, Cell::Decimal(amount.round_dp(4))),
            None => drop(cells.remove(&base)),
        }
    }
}

fn exchange_rate(env: &Environment, cells: &Cells) -> Option<Decimal> {
    let Cell::Lookup { table, id } = cells.get("transactioncurrencyid")? else { return None };
    decimal(env.tables.get(table)?.rows.get(id)?.cells.get("exchangerate"))
}

fn images(now: Timestamp, definition: &Definition, cells: &mut Cells) {
    for column in definition.columns.iter().filter(|column| column.kind == Kind::Image) {
        let name = &column.logical_name;
        let (id_name, url, stamp) =
            (format!("{name}id"), format!("{name}_url"), format!("{name}_timestamp"));
        let Some(Cell::Bytes { id, .. }) = cells.get(name) else {
            for companion in [id_name, url, stamp] {
                cells.remove(&companion);
            }
            continue;
        };
        let id = *id;
        if cells.get(&id_name) == Some(&Cell::Guid(id)) {
            continue;
        }
        let path = format!(
            "/Image/download.aspx?Entity={}&Attribute={name}&Id={id}",
            definition.logical_name
        );
        put(definition, cells, &id_name, Cell::Guid(id));
        put(definition, cells, &url, Cell::Text(path));
        put(definition, cells, &stamp, Cell::Integer(now.as_millisecond()));
    }
}

fn decimal(cell: Option<&Cell>) -> Option<Decimal> {
    let Cell::Decimal(number) = cell? else { return None };
    Some(*number)
}

fn reference(table: &str, id: Uuid) -> Cell {
    Cell::Lookup { table: table.to_owned(), id }
}

fn first_row(env: &Environment, table: &str) -> Option<Uuid> {
    env.tables.get(table)?.rows.first().map(|(id, _)| *id)
}

/// Sets a column if the table has it.
fn put(definition: &Definition, cells: &mut Cells, column: &str, cell: Cell) {
    if definition.column(column).is_some() {
        cells.insert(column.to_owned(), cell);
    }
}
