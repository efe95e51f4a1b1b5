//! An explained event as people read it.

use super::event::{Explained, Mapped};
use crate::change::Kind;
use crate::cli::columns::{Columns, WIDTH, wrapped};
use crate::cli::wording;
use crate::fault::Fault;
use crate::ledger::Preview;
use crate::mapping::Step;
use crate::row::Row;

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
    lines.extend(steps(&mapped.trace.steps));
    match &mapped.trace.row {
        Ok(Some(row)) => lines.extend(outcome(mapped, row)),
        Ok(None) => lines.push("  row       none: the map leaves this change out".to_owned()),
        Err(fault) => lines.extend(fault_lines(fault)),
    }
    lines.push(String::new());
    lines
}

/// One line a rule; what only repeats the line above is left out.
fn steps(steps: &[Step]) -> Vec<String> {
    let mut columns = Columns::indented(2);
    columns.row(["COLUMN", "VALUE IN", "RULE", "VALUE OUT"]);
    let mut before: Option<&Step> = None;
    for step in steps {
        let same = before.filter(|before| before.column == step.column);
        let column = if same.is_some() { "" } else { step.column.as_str() };
        let goes_on = same.is_some_and(|before| {
            before.source == step.source && before.output.as_ref() == Some(&step.input)
        });
        let input = match goes_on {
            true => String::new(),
            false => format!("{} = {}", step.source, step.input),
        };
        let output = match (&step.output, &step.fault) {
            (Some(output), _) => output.as_str(),
            (None, Some(_)) => "✗",
            (None, None) => "",
        };
        columns.row([column, &input, &step.rule, output]);
        before = Some(step);
    }
    columns.lines()
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
            lines.push("  ledger".to_owned());
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
