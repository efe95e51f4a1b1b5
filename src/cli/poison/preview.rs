//! What a retry would do, found out without writing anything anywhere.
//!
//! Everything up to the ledger's decision is the real thing; what the target would say to a row is not
//! known before it is sent.

use serde_json::{Value as Json, json};

use super::retry;
use crate::cli::desk::Desk;
use crate::cli::explain::event::{self, Explained, Mapped};
use crate::cli::explain::view;
use crate::cli::{Outcome, output, wording};
use crate::ledger::Preview;
use crate::poison::{Kept, Record};

/// Previews each record. The exit code is zero when all of them would land, as far as is known.
pub(super) async fn run(desk: &Desk, chosen: &[Kept], as_json: bool) -> Outcome {
    let (mut all, mut lands) = (Vec::new(), true);
    for kept in chosen {
        let previewed = preview(desk, &kept.record).await;
        lands &= previewed.as_ref().is_ok_and(|explained| would_land(explained));
        if as_json {
            all.push(as_object(&kept.record, &previewed));
        } else {
            output::line(kept.record.id.to_string());
            match &previewed {
                Ok(explained) => explained.iter().flat_map(lines).for_each(output::line),
                Err(why) => output::line(format!("  {why}")),
            }
        }
    }
    if as_json {
        output::json(&all);
    } else if !chosen.is_empty() {
        output::note("nothing was written; what the target says to a row shows when it is sent");
    }
    Ok(retry::code(lands))
}

async fn preview(desk: &Desk, record: &Record) -> Result<Vec<Explained>, String> {
    let (system, event) = retry::event(desk, record).await?;
    let Some(decoder) = desk.app.config.sources.get(&system) else { return Ok(Vec::new()) };
    let only = record.map.as_deref();
    let mut explained = event::explain(decoder, &desk.app.maps, &system, &event, only);
    for one in &mut explained {
        one.ask(desk.ledger()).await;
    }
    Ok(explained)
}

/// Whether everything would come to an end that needs nobody.
fn would_land(explained: &[Explained]) -> bool {
    let mapped = explained.iter().flat_map(|one| &one.maps);
    let lands = |mapped: &Mapped| match (&mapped.trace.row, &mapped.known) {
        (Ok(Some(_)), Some(Ok((_, preview)))) => *preview != Preview::Busy,
        (Ok(None), _) => true,
        (Ok(Some(_)) | Err(_), _) => false,
    };
    explained.iter().all(|one| one.change.is_ok() && !one.maps.is_empty())
        && mapped.into_iter().all(lands)
}

fn as_object(record: &Record, previewed: &Result<Vec<Explained>, String>) -> Json {
    match previewed {
        Ok(explained) => {
            let changes: Vec<Json> = explained.iter().map(Explained::json).collect();
            json!({ "id": record.id, "lands": would_land(explained), "changes": changes })
        }
        Err(why) => json!({ "id": record.id, "lands": false, "why": why }),
    }
}

fn lines(explained: &Explained) -> Vec<String> {
    if let Err(fault) = &explained.change {
        return view::fault_lines(fault);
    }
    if explained.maps.is_empty() {
        return vec!["  no map is about it any more".to_owned()];
    }
    explained.maps.iter().flat_map(of_map).collect()
}

fn of_map(mapped: &Mapped) -> Vec<String> {
    let row = match &mapped.trace.row {
        Ok(Some(row)) => row,
        Ok(None) => return vec!["  the map leaves it out".to_owned()],
        Err(fault) => return view::fault_lines(fault),
    };
    let (to, key) = (&row.to, row.to.shown(&row.key));
    let mut lines = vec![format!("  {} {key} of {}", to.table, to.system)];
    lines.extend(wording::action_lines(to, &row.action));
    match &mapped.known {
        Some(Ok((_, preview))) => lines.push(format!("  {}", view::decision(*preview))),
        Some(Err(fault)) => lines.extend(view::fault_lines(fault)),
        None => {}
    }
    lines
}
