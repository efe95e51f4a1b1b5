//! One line of the log: RFC 4180, every text quoted when it must be.

use jiff::Timestamp;

use crate::outcome::{Outcome, Told};

/// The first line of every file. New columns are added at the end.
pub(super) const HEADER: &str = "at,map,map_version,system,table,key,outcome,code,correlation,\
                                 source_version,emitted\r\n";

/// What became of one row.
pub(super) fn of(told: &Told, now: Timestamp) -> Vec<u8> {
    let row = told.row.as_deref();
    let to = row.map(|row| &row.to);
    let code = match told.outcome {
        Outcome::Poisoned(kind) => kind.code(),
        Outcome::Applied
        | Outcome::Unchanged
        | Outcome::Superseded
        | Outcome::Filtered
        | Outcome::Held
        | Outcome::Deferred
        | Outcome::Parked
        | Outcome::Asked
        | Outcome::Echo(_)
        | Outcome::Paused => "",
    };
    let key = row.map(|row| row.to.shown(&row.key)).or_else(|| told.key.clone());
    let correlation = row.map(|row| row.correlation).or(told.correlation);
    let version = row.and_then(|row| row.order.version);
    let cells = [
        now.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string(),
        told.map.to_string(),
        to.map(|to| to.version.to_string()).unwrap_or_default(),
        to.map(|to| to.system.clone()).unwrap_or_default(),
        to.map(|to| to.table.clone()).unwrap_or_default(),
        key.unwrap_or_default(),
        told.outcome.word().to_owned(),
        code.to_owned(),
        correlation.map(|id| id.to_string()).unwrap_or_default(),
        version.map(|version| version.to_string()).unwrap_or_default(),
        row.map(|row| row.order.emitted.to_string()).unwrap_or_default(),
    ];
    let mut line = Vec::with_capacity(160);
    for (index, cell) in cells.iter().enumerate() {
        if index > 0 {
            line.push(b',');
        }
        quoted(cell, &mut line);
    }
    line.extend_from_slice(b"\r\n");
    line
}

fn quoted(cell: &str, line: &mut Vec<u8>) {
    if cell.contains([',', '"', '\r', '\n']) {
        line.push(b'"');
        line.extend_from_slice(cell.replace('"', "\"\"").as_bytes());
        line.push(b'"');
    } else {
        line.extend_from_slice(cell.as_bytes());
    }
}
