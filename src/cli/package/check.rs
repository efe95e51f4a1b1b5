//! Whether the staged app would start: its functions are read as the host reads them, its maps are
//! loaded as the handler loads them, and both must name the same functions.
//!
//! Addresses of systems are app settings, which a package does not have; those of
//! `local.settings.example.json` stand for them. Nothing is called.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Error;
use crate::app::App;
use crate::config::Settings;
use crate::emulator::host::read_settings;

/// Refuses an app that would not start.
pub(super) async fn runs(root: &Path, staged: &Path, functions: &[String]) -> Result<(), Error> {
    let values = example(root)?;
    let unusable =
        |error: &(dyn std::error::Error + 'static)| Error::Unusable(crate::telemetry::chain(error));
    read_settings(staged, &values.iter().cloned().collect()).map_err(|error| unusable(&error))?;
    let scratch = tempfile::tempdir().map_err(Error::writing(staged))?;
    let storage = ("CONCORD_STORAGE".to_owned(), format!("local:{}", scratch.path().display()));
    let settings = Settings::of(values.into_iter().chain([storage]));
    let settings = settings.with_maps(&staged.join("maps"));
    let app = App::open(&settings).await.map_err(|error| unusable(&error))?;
    let called = app.called().into_iter().map(|(name, _)| name.to_owned());
    let served: BTreeSet<String> = app.functions().into_keys().chain(called).collect();
    let packed: BTreeSet<String> = functions.iter().cloned().collect();
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| -> Vec<String> {
        a.difference(b).cloned().collect()
    };
    let (unserved, unpacked) = (only(&packed, &served), only(&served, &packed));
    if !unserved.is_empty() {
        let what = format!("nothing serves the functions {}", unserved.join(", "));
        return Err(Error::Unusable(what));
    }
    if !unpacked.is_empty() {
        let what = format!("functions/ lacks {}, which the maps call for", unpacked.join(", "));
        return Err(Error::Unusable(what));
    }
    Ok(())
}

/// The settings of `local.settings.example.json`.
fn example(root: &Path) -> Result<Vec<(String, String)>, Error> {
    let path = root.join("local.settings.example.json");
    let text = fs::read(&path).map_err(Error::reading(&path))?;
    let file: Value = serde_json::from_slice(&text)
        .map_err(|error| Error::Unusable(format!("{}: {error}", path.display())))?;
    let values = file.get("Values").and_then(Value::as_object).into_iter().flatten();
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    Ok(values.filter_map(text).collect())
}
