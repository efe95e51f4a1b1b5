//! Saved copies of tables, so that maps can be checked where no target can be reached.
//!
//! In come descriptions; out comes one file a system, a JSON list of tables, written only when every
//! table of that system was described. Its name is the one that `tables` of the system says, else
//! `<system>.tables.json` beside the maps.

use std::collections::BTreeMap;
use std::path::Path;

use super::tables::Described;
use crate::cli::output;
use crate::cli::wording::plural;
use crate::config::{Config, Settings};
use crate::system::TableSchema;

/// Writes the copies; answers what could not be written.
pub(super) fn save(config: &Config, settings: &Settings, described: &Described) -> Vec<String> {
    let mut systems = BTreeMap::<&str, Vec<&TableSchema>>::new();
    for ((system, _), table) in &described.schemas {
        systems.entry(system).or_default().push(table);
    }
    let mut failed = Vec::new();
    for (system, tables) in systems {
        let named = config.saved.get(system);
        let path = named.cloned().unwrap_or_else(|| settings.maps().join(usual(system)));
        match write(&path, &tables) {
            Ok(()) => output::note(saved(system, &path, tables.len(), named.is_some())),
            Err(error) => failed.push(format!("{} cannot be written: {error}", path.display())),
        }
    }
    failed
}

fn usual(system: &str) -> String {
    format!("{system}.tables.json")
}

fn saved(system: &str, path: &Path, tables: usize, named: bool) -> String {
    let mut text = format!("{}: saved {} of {system}", path.display(), plural(tables, "table"));
    if !named {
        let advice =
            format!("; add tables = \"{}\" to [systems.{system}] to use it", usual(system));
        text.push_str(&advice);
    }
    text
}

/// Beside itself first, so that a copy is never half written.
fn write(path: &Path, tables: &[&TableSchema]) -> std::io::Result<()> {
    let mut text = serde_json::to_string_pretty(tables)?;
    text.push('\n');
    let beside = path.with_extension("new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, path)
}
