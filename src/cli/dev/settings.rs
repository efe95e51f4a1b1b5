//! The app settings of a local run: those of `local.settings.json`, with storage, maps and targets put
//! on this machine.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Error;

/// Setting name = value.
pub(super) type Settings = BTreeMap<String, String>;

#[derive(Deserialize)]
struct File {
    #[serde(rename = "Values")]
    values: Settings,
}

/// The settings of the app at `root`: its `local.settings.json`, or else the example beside it.
pub(super) fn read(root: &Path) -> Result<Settings, Error> {
    let own = root.join("local.settings.json");
    let path = if own.is_file() { own } else { root.join("local.settings.example.json") };
    let text = read_text(&path)?;
    let file: File = serde_json::from_str(&text).map_err(|source| Error::Json { path, source })?;
    Ok(file.values)
}

/// The Dataverse systems of `concord.toml` whose address is a setting: system and setting.
///
/// Only these can be put on this machine, so a system with an address of its own is refused.
pub(super) fn targets(maps: &Path) -> Result<Vec<(String, String)>, Error> {
    let path = maps.join("concord.toml");
    let text = read_text(&path)?;
    let file: toml::Table =
        text.parse().map_err(|source| Error::Toml { path: path.clone(), source })?;
    let mut targets = Vec::new();
    let systems = file.get("systems").and_then(toml::Value::as_table);
    for (name, system) in systems.into_iter().flatten() {
        if system.get("kind").and_then(toml::Value::as_str) != Some("dataverse") {
            continue;
        }
        let url = system.get("url").and_then(toml::Value::as_str).unwrap_or_default();
        let setting = url.strip_prefix("${").and_then(|rest| rest.strip_suffix('}'));
        let setting = setting
            .ok_or_else(|| Error::FixedAddress { path: path.clone(), system: name.clone() })?;
        targets.push((name.clone(), setting.to_owned()));
    }
    Ok(targets)
}

/// The names of the maps in a folder.
pub(super) fn map_names(maps: &Path) -> Result<Vec<String>, Error> {
    let unreadable = |source| Error::Unreadable { path: maps.to_owned(), source };
    let mut names = Vec::new();
    for entry in std::fs::read_dir(maps).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        if path.extension().is_none_or(|extension| extension != "toml") {
            continue;
        }
        let file: toml::Table = read_text(&path)?
            .parse()
            .map_err(|source| Error::Toml { path: path.clone(), source })?;
        names.extend(file.get("map").and_then(toml::Value::as_str).map(str::to_owned));
    }
    names.sort();
    names.dedup();
    Ok(names)
}

/// Reads a text file.
pub(super) fn read_text(path: &Path) -> Result<String, Error> {
    let path = PathBuf::from(path);
    std::fs::read_to_string(&path).map_err(|source| Error::Unreadable { path, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = env!("CARGO_MANIFEST_DIR");

    #[test]
    fn the_shipped_systems_take_their_addresses_from_settings() {
        let targets = targets(&Path::new(ROOT).join("maps")).unwrap();
        let settings: Vec<_> = targets.iter().map(|(_, setting)| setting.as_str()).collect();
        assert_eq!(settings, ["SALES_URL", "FINANCE_URL", "LOGISTICS_URL"]);
        let known = read(Path::new(ROOT)).unwrap();
        assert!(settings.iter().all(|setting| known.contains_key(*setting)));
    }

    #[test]
    fn a_system_with_an_address_of_its_own_is_never_written_to() {
        let folder = tempfile::tempdir().unwrap();
        let text = "[systems.x]\nkind = \"dataverse\"\nurl = \"https://org.crm4.dynamics.com\"\n";
        std::fs::write(folder.path().join("concord.toml"), text).unwrap();
        assert!(matches!(targets(folder.path()), Err(Error::FixedAddress { .. })));
    }
}
