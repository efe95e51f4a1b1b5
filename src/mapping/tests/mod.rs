//! The language of maps, rule by rule, row by row, and what is said of wrong ones.

mod problems;
mod rows;
mod rules;

use proptest::prelude::*;

use super::sample::{change, compiled, map, maps};
use super::*;
use crate::fault::Kind;
use crate::row::{Action, Columns, Lookup, Missing, Owner, Removal, State, Value};

fn columns(map: &Map, properties: &str) -> Result<Columns, Fault> {
    let row = map.row(&change(properties))?.unwrap();
    let Action::Upsert(columns) = Action::clone(&row.action) else { panic!("{:?}", row.action) };
    Ok(columns)
}

/// What one rule makes of some properties: `-` when the column is not touched, else the value or the
/// code of the fault.
fn rule(rule: &str, properties: &str) -> String {
    let map = map(&format!("[fields]\nx = {rule}\n"));
    match columns(&map, properties) {
        Ok(columns) => {
            columns.values.first().map_or("-".to_owned(), |(_, value)| value.to_string())
        }
        Err(fault) => fault.kind.code().to_owned(),
    }
}
