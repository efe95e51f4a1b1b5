//! An explained event as people read it.

use super::event::{Explained, Mapped};
use crate::change::Kind;
use crate::cli::columns::{Columns, WIDTH, wrapped};
use crate::cli::wording;
use crate::fault::Fault;
use crate::ledger::{Entry, Preview};
use crate::mapping::Step;
use crate::row::{Action, Row, Value};

/// The lines of one change.
pub(in crate::cli) fn lines(explained: &Explained) -> Vec<String> {
    let number = explained.event;
    let change = match &explained.change {
        Ok(change) => change,
        Err(fault) => {
            let mut lines = vec![format!("EVENT {number} cannot be read")];
            lines.extend(fault_lines(fault));
            lines.push(String::new());
            return lines;
        }
    };
    let what = match change.kind {
        Kind::Upsert => "is there",
        Kind::Remove => "is gone",
    };
    let mut lines = vec![
        format!("EVENT {number}  {} {} {what}", change.entity, change.id),
        format!("  {}, correlation {}", wording::order(&change.order), change.correlation),
        String::new(),
    ];
    if explained.maps.is_empty() {
        lines.push(format!("  no map is about {}", change.entity));
        lines.push(String::new());
    }
    lines.extend(explained.maps.iter().flat_map(mapped));
    lines
}

fn mapped(mapped: &Mapped) -> Vec<String> {
    let to = &mapped.trace.map.destination;
    let mut lines = vec![format!(
        "MAP {} version {}, contract {}: {} of {}",
        to.map, to.version, to.contract, to.table, to.system
    )];
    let row = mapped.trace.row.as_ref().ok().and_then(Option::as_ref);
    lines.extend(steps(&mapped.trace.steps, row));
    match &mapped.trace.row {
        Ok(Some(row)) => lines.extend(outcome(mapped, row)),
        Ok(None) => lines.push("  row       none: the map leaves this change out".to_owned()),
        Err(fault) => lines.extend(fault_lines(fault)),
    }
    lines.push(String::new());
    lines
}

/// One line a rule; where a value came from is said once. What becomes of a column whose value is
/// missing or null is its policy's doing, and shows in the row alone.
fn steps(steps: &[Step], row: Option<&Row>) -> Vec<String> {
    let mut columns = Columns::indented(2).firm(2);
    columns.row(["COLUMN", "FROM", "VALUE IN", "RULE", "VALUE OUT"]);
    let (mut column, mut source) = ("", "");
    for (index, step) in steps.iter().enumerate() {
        let next = steps.get(index + 1);
        let goes_on =
            next.is_some_and(|next| next.column == step.column && next.source == step.source);
        if step.rule == READ && goes_on && step.fault.is_none() {
            continue;
        }
        let again = step.column == column;
        let shown = if again { "" } else { step.column.as_str() };
        let from = if again && step.source == source { "" } else { step.source.as_str() };
        let rule = if step.rule == READ { "" } else { step.rule.as_str() };
        let output = match (&step.output, &step.fault) {
            (Some(output), _) => untouched(step, row).unwrap_or(output),
            (None, Some(_)) => "✗",
            (None, None) => "",
        };
        columns.row([shown, from, &step.input, rule, output]);
        (column, source) = (&step.column, &step.source);
    }
    columns.lines()
}

/// The step that only fetches a value.
const READ: &str = "read";

/// What becomes of a column that the row clears or does not name.
fn untouched(step: &Step, row: Option<&Row>) -> Option<&'static str> {
    let Action::Upsert(columns) = &*row?.action else { return None };
    let empty = matches!(step.output.as_deref(), Some("missing" | "null"));
    let key = row?.to.key.contains(&step.column);
    if !empty || key || step.column.starts_with('[') {
        return None;
    }
    match columns.values.iter().find(|(name, _)| **name == *step.column) {
        Some((_, Value::Null)) => Some("cleared"),
        Some(_) => None,
        None => Some("left as it is"),
    }
}

fn outcome(mapped: &Mapped, row: &Row) -> Vec<String> {
    let mut lines = Vec::new();
    let (key, action) = (row.to.shown(&row.key), wording::action(&row.action));
    lines.push(format!("  row       {} {key}: {action}", row.to.table));
    match &mapped.known {
        None => {}
        Some(Err(fault)) => {
            lines.push("  ledger    cannot be asked".to_owned());
            lines.extend(fault_lines(fault));
        }
        Some(Ok((entry, preview))) => {
            let known = if *entry == Entry::default() { "    knows nothing of it" } else { "" };
            lines.push(format!("  ledger{known}"));
            lines.extend(wording::entry_lines(entry).into_iter().map(|line| format!("  {line}")));
            lines.push(format!("  decision  {}", decision(*preview)));
        }
    }
    lines
}

/// A decision with what it means.
pub(in crate::cli) fn decision(preview: Preview) -> String {
    let means = match preview {
        Preview::Write => "it would be written to the target",
        Preview::Unchanged => "the target holds it already",
        Preview::Superseded => "something newer is there",
        Preview::Hold => "the removal would wait for its time",
        Preview::Filtered => "nothing of it was ever written, so nothing is removed",
        Preview::Busy => "another instance is writing the row; ask again",
    };
    format!("{}: {means}", preview.word())
}

/// A fault over the whole width, with the code first.
pub(in crate::cli) fn fault_lines(fault: &Fault) -> Vec<String> {
    let text = wrapped(&fault.to_string(), WIDTH - 12);
    let label = |index: usize| if index == 0 { "  fault     " } else { "            " };
    text.iter().enumerate().map(|(index, line)| format!("{}{line}", label(index))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::Change;
    use crate::ledger::entry::{Applied, Held};
    use crate::mapping::sample;
    use crate::row::Removal;

    const MAP: &str = r#"
secured = ["telephone1"]
[fields]
name = { from = "Name", trim = true }
telephone1 = { from = "phone", max = 30 }
websiteurl = { from = "web", null = "clear" }
description = { from = "note", null = "omit", absent = "omit" }
address1_country = { from = "erpCustomer.countryIso3", country = "alpha2" }
[removed]
action = "delete"
"#;

    fn explained(properties: &str) -> Explained {
        let maps = sample::maps(vec![sample::map(MAP)]);
        let change: Change<'static> = sample::change(properties);
        let traces = maps.traces("mdm", &change);
        let maps = traces.into_iter().map(|trace| Mapped { trace, known: None }).collect();
        Explained { event: 1, change: Ok(change), maps }
    }

    fn known(explained: &mut Explained) {
        let mapped = explained.maps.first_mut().unwrap();
        let row = mapped.trace.row.as_ref().unwrap().as_ref().unwrap();
        let version = crate::ledger::decide::version(row, row.hash());
        let at = "2026-03-14T09:20:00Z".parse().unwrap();
        let held = Held {
            order: row.order.clone(),
            due: at,
            then: Removal::Delete,
            correlation: row.correlation,
        };
        let applied = Applied { version, target_id: Some(uuid::Uuid::nil()), at };
        let entry =
            Entry { applied: Some(applied.into()), held: Some(held.into()), ..Entry::default() };
        mapped.known = Some(Ok((entry, Preview::Unchanged)));
    }

    const GOOD: &str =
        r#"{"Name":" Acme ","phone":"+45 1234","web":null,"erpCustomer.countryIso3":"DNK"}"#;

    fn text(explained: &Explained) -> String {
        let text = lines(explained).join("\n");
        assert!(text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        // the contract changes with the fixture
        let contract = &explained.maps.first().unwrap().trace.map.destination.contract;
        text.replace(contract.as_str(), "CONTRACT")
    }

    #[test]
    fn a_row_is_explained_column_by_column() {
        let mut explained = explained(GOOD);
        known(&mut explained);
        insta::assert_snapshot!(text(&explained));
    }

    #[test]
    fn a_fault_stands_where_the_row_would() {
        insta::assert_snapshot!(text(&explained(&GOOD.replace("DNK", "Denmark?"))));
    }

    #[test]
    fn a_secured_value_shows_neither_as_text_nor_as_json() {
        let mut explained = explained(GOOD);
        known(&mut explained);
        let json = explained.json().to_string();
        assert!(json.contains("Acme") && json.contains("•••"), "{json}");
        assert!(!json.contains("1234") && !text(&explained).contains("1234"), "{json}");
    }

    #[test]
    fn an_event_that_cannot_be_read_says_why() {
        let fault = Fault::new(crate::fault::Kind::Malformed, "the event is not JSON");
        let explained = Explained { event: 3, change: Err(fault), maps: Vec::new() };
        let wanted =
            ["EVENT 3 cannot be read", "  fault     malformed-event: the event is not JSON", ""];
        assert_eq!(lines(&explained), wanted);
    }
}
