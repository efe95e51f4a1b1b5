//! Key values in URLs to typed cells. Text stands in quotes, everything else bare.

use jiff::Timestamp;
use rust_decimal::Decimal;

use crate::emulator::dataverse::address::{self, Literal};
use crate::emulator::dataverse::model::{Cell, ColumnDefinition, Definition, Environment, Kind};
use crate::emulator::dataverse::refusal::Refusal;

/// The cell that a key value stands for. Refuses what the column's type cannot hold.
pub fn cell(
    env: &Environment,
    definition: &Definition,
    column: &ColumnDefinition,
    literal: &Literal,
) -> Result<Cell, Refusal> {
    let cell = match literal {
        Literal::Text(text) => is_text(column.kind).then(|| Cell::Text(text.clone())),
        Literal::Bare(text) => bare(env, column, text),
    };
    cell.ok_or_else(|| {
        let (name, table) = (&column.logical_name, &definition.logical_name);
        let shown = literal.content();
        address::syntax(&format!("'{shown}' is no value of '{name}' of '{table}'."))
    })
}

fn is_text(kind: Kind) -> bool {
    matches!(kind, Kind::String | Kind::Memo)
}

fn bare(env: &Environment, column: &ColumnDefinition, text: &str) -> Option<Cell> {
    match column.kind {
        Kind::Integer | Kind::BigInt | Kind::Picklist | Kind::State | Kind::Status => {
            text.parse().ok().map(Cell::Integer)
        }
        Kind::Decimal | Kind::Money => text.parse::<Decimal>().ok().map(Cell::Decimal),
        Kind::DateTime if column.behavior.as_deref() == Some("DateOnly") => {
            text.parse().ok().map(Cell::Date)
        }
        Kind::DateTime => text.parse::<Timestamp>().ok().map(Cell::Time),
        Kind::Uniqueidentifier => address::id(text).map(Cell::Guid),
        Kind::Lookup | Kind::Customer | Kind::Owner => {
            let id = address::id(text)?;
            let has = |table: &str| env.tables.get(table).is_some_and(|t| t.rows.contains_key(&id));
            let targets = &column.targets;
            let target = targets.iter().find(|target| has(&target.table)).or(targets.first())?;
            Some(Cell::Lookup { table: target.table.clone(), id })
        }
        Kind::String
        | Kind::Memo
        | Kind::Double
        | Kind::Boolean
        | Kind::MultiSelectPicklist
        | Kind::Image
        | Kind::File => None,
    }
}
