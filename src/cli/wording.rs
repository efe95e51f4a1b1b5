//! How moments, orders, rows and ledger entries read, for people and as JSON.
//!
//! Values of secured columns are masked here, so that no command shows one by mistake.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value as Json, json};

use super::columns::Columns;
use crate::ledger::Entry;
use crate::ledger::entry::Version;
use crate::order::Order;
use crate::row::{Action, Destination, Key, Owner, Removal, Row, State};

/// A moment to the second, in a form that `--since` takes.
pub fn moment(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// What decides which of two changes is newer.
pub fn order(order: &Order) -> String {
    match order.version {
        Some(version) => format!("version {version}, emitted {}", order.emitted),
        None => format!("emitted {}", order.emitted),
    }
}

/// What is to become of a row, without its values.
pub fn action(action: &Action) -> String {
    match action {
        Action::Upsert(columns) => {
            let state = columns.state.map(state);
            let owner = columns.owner.map(|owner| match owner {
                Owner::User(id) => format!("owned by user {id}"),
                Owner::Team(id) => format!("owned by team {id}"),
            });
            let upsert = format!("upsert of {}", plural(columns.values.len(), "column"));
            [Some(upsert), state, owner].into_iter().flatten().collect::<Vec<_>>().join(", ")
        }
        Action::Remove(how) => removal(*how),
        Action::Hold { due, then } => {
            format!("hold until {}, then {}", moment(*due), removal(*then))
        }
    }
}

/// How a row is removed.
pub fn removal(how: Removal) -> String {
    match how {
        Removal::Delete => "delete".to_owned(),
        Removal::Deactivate(to) => format!("deactivate with {}", state(to)),
    }
}

fn state(State { state, status }: State) -> String {
    let status = status.map(|status| format!(", status {status}")).unwrap_or_default();
    format!("state {state}{status}")
}

/// `1 column`, `2 columns`.
pub fn plural(number: usize, one: &str) -> String {
    format!("{number} {one}{}", if number == 1 { "" } else { "s" })
}

/// A row as JSON.
pub fn row_json(row: &Row) -> Json {
    json!({
        "system": row.to.system,
        "table": row.to.table,
        "key": key_json(&row.to, &row.key),
        "action": row.to.masked(&row.action),
        "order": row.order,
        "correlation": row.correlation,
    })
}

/// A key as JSON: columns and values, masked altogether when a part of it is secured.
pub fn key_json(to: &Destination, key: &Key) -> Json {
    let shown = to.shown(key);
    if shown == key.to_string() {
        let pairs = key.0.iter().map(|(column, value)| (column.to_string(), json!(value)));
        Json::Object(pairs.collect())
    } else {
        Json::String(shown)
    }
}

/// An entry as JSON; `null` for each part that is not there.
pub fn entry_json(to: &Destination, entry: &Entry) -> Json {
    let version = |version: &Version| Version {
        action: version.action.as_ref().map(|action| Arc::new(to.masked(action))),
        ..version.clone()
    };
    let applied = entry.applied.clone().map(|mut applied| {
        Arc::make_mut(&mut applied).version = version(&applied.version);
        applied
    });
    let intent = entry.intent.clone().map(|mut intent| {
        Arc::make_mut(&mut intent).version = version(&intent.version);
        intent
    });
    json!({ "applied": applied, "intent": intent, "loose": entry.loose, "held": entry.held,
        "awaited": entry.awaited, "touched": entry.touched, "left": entry.left })
}

/// What an entry knows, without the row itself.
pub fn entry_lines(entry: &Entry) -> Vec<String> {
    let mut columns = Columns::indented(2);
    if let Some(applied) = &entry.applied {
        let version = &applied.version;
        columns.row(["applied", &order(&version.order)]);
        columns.row(["", &format!("settled {}", moment(applied.at))]);
        columns.row(["", &format!("by version {} of the map", version.map_version)]);
        columns.row(["", &format!("correlation {}", version.correlation)]);
        if let Some(id) = applied.target_id {
            columns.row(["", &format!("id in the target {id}")]);
        }
    }
    if let Some(intent) = &entry.intent {
        let until = moment(intent.lease);
        let text = format!("{}, being written until {until}", order(&intent.version.order));
        columns.row(["intent", &text]);
    }
    for loose in &entry.loose {
        let text =
            format!("a write was overtaken; it has landed or died by {}", moment(loose.lease));
        columns.row(["loose", &text]);
    }
    for left in &entry.left {
        let text = format!("thing {} had this key and left it", left.thing);
        columns.row(["left", &text]);
    }
    if entry.touched {
        columns.row(["touched", "a write of a version that is not remembered may have landed"]);
    }
    if entry.awaited {
        columns.row(["awaited", "rows that refer to it wait until it is there"]);
    }
    if let Some(held) = &entry.held {
        let (then, due) = (removal(held.then), moment(held.due));
        columns.row([
            "held",
            &format!("{then} at {due}, unless it comes back ({})", order(&held.order)),
        ]);
    }
    columns.lines()
}

/// The row that a version wrote, secured columns masked.
pub fn version_lines(to: &Destination, version: &Version) -> Vec<String> {
    match version.action.as_deref() {
        Some(action) => action_lines(to, action),
        None => vec!["  the map keeps hashes alone, so the row itself is not known".to_owned()],
    }
}

/// What is to become of a row, with its values, secured columns masked.
pub fn action_lines(to: &Destination, intended: &Action) -> Vec<String> {
    let mut lines = vec![format!("  {}", action(intended))];
    if let Action::Upsert(set) = to.masked(intended) {
        let mut columns = Columns::indented(4);
        for (column, value) in &set.values {
            columns.row([column.to_string(), value.to_string()]);
        }
        lines.extend(columns.lines());
    }
    lines
}

/// A fault as JSON.
#[derive(Clone, Debug, Serialize)]
pub struct Told {
    /// The code.
    pub code: &'static str,
    /// What, where and what to do.
    pub message: String,
    /// The column or property.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
}

impl From<&crate::fault::Fault> for Told {
    fn from(fault: &crate::fault::Fault) -> Self {
        let (code, message) = (fault.kind.code(), fault.message.to_string());
        Self { code, message, field: fault.field.clone() }
    }
}
