//! What the operator and the tests may ask, below `/_emulator`: counters, a dump of all rows, faults to
//! come, a fresh start.

use axum::http::Method;
use serde::Deserialize;

use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::faults::Planned;
use crate::emulator::dataverse::model::{Cell, Environment, Table};
use crate::emulator::dataverse::render::{self, Object};
use crate::emulator::dataverse::state::State;

/// Answers an administrative request.
pub fn answer(state: &State, method: &Method, path: &str, body: &[u8]) -> Answer {
    let name = path.trim_start_matches("/_emulator").trim_matches('/');
    match (method.as_str(), name) {
        ("GET", "counters") => counters(state),
        ("GET", "dump") => Answer::json(200, dump(&state.world().env)),
        ("POST", "faults") => faults(state, body),
        ("GET", "webhooks") => told(state),
        ("POST", "webhooks") => webhooks(state, body),
        ("POST", name) if name.starts_with("bus/") => messages(state, name),
        ("POST", "reset") => {
            state.reset();
            Answer::empty(204)
        }
        _ => failed(
            404,
            "there is GET counters, GET dump, GET webhooks, POST webhooks, POST bus/<endpoint>, POST \
             faults and POST reset",
        ),
    }
}

fn counters(state: &State) -> Answer {
    match serde_json::to_string(&*state.counters()) {
        Ok(text) => Answer::json(200, text),
        Err(_) => failed(500, "the counters cannot be shown"),
    }
}

/// How many webhooks went which way.
fn told(state: &State) -> Answer {
    match serde_json::to_string(&state.trouble().told) {
        Ok(text) => Answer::json(200, text),
        Err(_) => failed(500, "the counts cannot be shown"),
    }
}

/// Sets the shares of webhooks that go wrong.
fn webhooks(state: &State, body: &[u8]) -> Answer {
    match serde_json::from_slice(body) {
        Ok(shares) => {
            state.trouble().shares = shares;
            Answer::empty(204)
        }
        Err(_) => failed(
            400,
            r#"send {"lost":0.05,"doubled":0.05,"late":0.1,"late_seconds":2,"cut":0.01}"#,
        ),
    }
}

/// Takes up to a thousand messages of an endpoint that is a queue, topic or event hub.
fn messages(state: &State, name: &str) -> Answer {
    let endpoint = name.trim_start_matches("bus/");
    let taken = state.buses().take(endpoint, 1_000);
    match serde_json::to_string(&taken) {
        Ok(text) => Answer::json(200, text),
        Err(_) => failed(500, "the messages cannot be shown"),
    }
}

/// One fault or a list of them.
#[derive(Deserialize)]
#[serde(untagged)]
enum Plans {
    One(Planned),
    Many(Vec<Planned>),
}

fn faults(state: &State, body: &[u8]) -> Answer {
    let plans = match serde_json::from_slice(body) {
        Ok(Plans::One(plan)) => vec![plan],
        Ok(Plans::Many(plans)) => plans,
        Err(_) => {
            let shape = r#"send {"fault":"lost","times":1,"skip":0,"path":"","method":"","seconds":0}, or a list"#;
            return failed(400, shape);
        }
    };
    match state.faults().plan(plans) {
        Ok(()) => Answer::empty(204),
        Err(reason) => failed(400, &reason),
    }
}

fn failed(status: u16, reason: &str) -> Answer {
    let mut body = Object::new();
    body.text("error", reason);
    Answer::json(status, body.finish())
}

/// All rows by table and id: `{"account": {"<id>": {"name": "…"}}}`. Columns and ids stand in order, so
/// that equal contents give equal texts. System columns that differ from run to run are left out.
pub fn dump(env: &Environment) -> String {
    let mut tables: Vec<&Table> = env.tables.values().collect();
    tables.sort_unstable_by_key(|table| &table.definition.logical_name);
    let mut body = Object::new();
    for table in tables {
        body.raw(&table.definition.logical_name, &rows(table));
    }
    body.finish()
}

fn rows(table: &Table) -> String {
    let mut records: Vec<_> = table.rows.values().collect();
    records.sort_unstable_by_key(|record| record.id);
    let mut rows = Object::new();
    for record in records {
        let mut row = Object::new();
        for (name, cell) in record.cells.iter().filter(|(name, _)| !differs(name)) {
            let kind = table.definition.column(name).map(|column| column.kind);
            match (cell, kind) {
                (Cell::Lookup { table, id }, _) => row.text(name, &format!("{table}({id})")),
                (_, Some(kind)) => row.raw(name, &render::json(cell, kind)),
                (_, None) => {}
            }
        }
        rows.raw(&record.id.to_string(), &row.finish());
    }
    rows.finish()
}

fn differs(column: &str) -> bool {
    ["createdon", "modifiedon", "overriddencreatedon"].contains(&column)
}
