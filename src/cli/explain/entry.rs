//! What the ledger knows of one row, by its key.

use std::process::ExitCode;

use serde_json::json;

use crate::app::App;
use crate::cli::wording::moment;
use crate::cli::{Outcome, output, wording};
use crate::mapping::Map;
use crate::parking::{About, Name};

/// Shows the entry of a key as it is shown elsewhere. The exit code is 1 when nothing is known of it.
pub(super) async fn run(app: &App, (name, key): (&str, &str), as_json: bool) -> Outcome {
    let found = app.pipeline.ledger.find(name, key).await?;
    let Some(map) = app.maps.get(name) else { return Ok(ExitCode::FAILURE) };
    let to = &map.destination;
    let waits = app.pipeline.parking.pointers(&Name::of_shown(to, key).id()).await?;
    let Some((entry, typed)) = found else {
        if as_json {
            output::json(&json!({ "map": name, "key": key, "entry": null, "waits": waits }));
            return Ok(ExitCode::FAILURE);
        }
        waiting(&waits).iter().for_each(output::line);
        output::note(unknown(map, key));
        return Ok(ExitCode::FAILURE);
    };
    if as_json {
        let columns = typed.as_ref().map(|typed| wording::key_json(to, typed));
        let entry = wording::entry_json(to, &entry);
        output::json(&json!({
            "map": name,
            "system": to.system,
            "table": to.table,
            "key": key,
            "columns": columns,
            "entry": entry,
            "waits": waits,
        }));
        return Ok(ExitCode::SUCCESS);
    }
    output::line(format!("{} {} of {}, written by the map {name}", to.table, key, to.system));
    wording::entry_lines(&entry).iter().for_each(output::line);
    waiting(&waits).iter().for_each(output::line);
    if let Some(applied) = &entry.applied {
        output::line("");
        output::line("The row as it was applied");
        wording::version_lines(to, &applied.version).iter().for_each(output::line);
    }
    if let Some(intent) = &entry.intent {
        output::line("");
        output::line("The row that is being written");
        wording::version_lines(to, &intent.version).iter().for_each(output::line);
    }
    Ok(ExitCode::SUCCESS)
}

/// What the row waits for, a line each.
fn waiting(waits: &[About]) -> Vec<String> {
    let line = |about: &About| {
        let (waits, since) = (&about.waits, moment(about.since));
        format!(
            "  waits for {waits}, its {}, since {since}; tried {} times",
            about.column, about.tries
        )
    };
    waits.iter().map(line).collect()
}

fn unknown(map: &Map, key: &str) -> String {
    let columns = map.destination.key.join(",");
    format!(
        "the ledger knows nothing of {key}: no change of it was ever written by {}; keys of this map \
         are written {columns}, a comma inside a value as \\,",
        map.name
    )
}
