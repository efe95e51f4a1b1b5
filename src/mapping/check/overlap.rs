//! Two maps that write one column: somebody must have decided who wins.

use std::collections::BTreeMap;

use super::decision::{missing, written};
use crate::mapping::file::Winner;
use crate::mapping::problem::{Problem, Problems};
use crate::mapping::{Map, Maps};

/// A complaint in each of the maps that write a column together without a recorded winner.
pub(super) fn columns(maps: &Maps) -> Vec<Problem> {
    let mut writers: BTreeMap<(&str, &str, String), Vec<&Map>> = BTreeMap::new();
    for map in maps.iter() {
        let to = &map.destination;
        for column in written(map) {
            writers.entry((&to.system, &to.table, column)).or_default().push(map);
        }
    }
    let mut found = Vec::new();
    for ((_, table, column), maps) in &writers {
        for map in maps {
            let others = maps.iter().filter(|other| other.name != map.name);
            let others: Vec<&str> = others.map(|other| &*other.name).collect();
            if others.is_empty() || decided(map, column) {
                continue;
            }
            let mut problems = Problems::new(map.places.clone());
            let message = format!(
                "`{column}` of {table} is written by {} too; let one of them write it, or record a \
                 [[decision]] with winner = \"last-write\", reason, owner and date in each",
                others.join(", ")
            );
            problems.error(&path(column), "column-contested", message);
            found.extend(problems.into_vec());
        }
    }
    found
}

fn path(column: &str) -> String {
    match column {
        "statecode" => "state".to_owned(),
        "ownerid" => "owner".to_owned(),
        column => format!("fields/{column}"),
    }
}

fn decided(map: &Map, column: &str) -> bool {
    map.decisions.iter().any(|decision| {
        let about = decision.columns.is_empty() || decision.columns.iter().any(|one| one == column);
        decision.winner == Some(Winner::LastWrite) && about && missing(decision).is_empty()
    })
}
