//! Which files make the app, under which names, and the folder that holds them.
//!
//! The host reads functions from first-level folders beside `host.json` and finds the binary by the name
//! in `customHandler.description.defaultExecutablePath`, compared letter by letter with the entry of the
//! zip (Functions custom handler, folder and executable bit). What is not named here is not packed, so
//! no local settings can slip in.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::Error;

/// What a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// `host.json`.
    Host,
    /// The binary, the only file that may be executed.
    Program,
    /// The `function.json` of one function.
    Function,
    /// A map, its configuration or its values.
    Map,
}

/// One file of the app.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// Its path in the app, with `/`.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) content: Vec<u8>,
}

impl Entry {
    /// The Unix permissions.
    pub(super) fn mode(&self) -> u32 {
        match self.kind {
            Kind::Program => 0o755,
            Kind::Host | Kind::Function | Kind::Map => 0o644,
        }
    }
}

/// The files of the app of the project at `root`, by name.
pub(super) fn entries(root: &Path, program: Vec<u8>) -> Result<Vec<Entry>, Error> {
    let host = read(&root.join("host.json"))?;
    let name = executable(&host).map_err(Error::Unusable)?;
    let mut entries = vec![
        Entry { name: "host.json".to_owned(), kind: Kind::Host, content: host },
        Entry { name, kind: Kind::Program, content: program },
    ];
    for function in names(&root.join("functions"))? {
        let folder = root.join("functions").join(&function);
        // The host takes any other file beside it for the script.
        if names(&folder)? != ["function.json"] {
            let what = format!("functions/{function} must hold function.json and nothing else");
            return Err(Error::Unusable(what));
        }
        let content = read(&folder.join("function.json"))?;
        let name = format!("{function}/function.json");
        entries.push(Entry { name, kind: Kind::Function, content });
    }
    maps(&root.join("maps"), "maps", &mut entries)?;
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    match entries.windows(2).find(|pair| matches!(pair, [a, b] if a.name == b.name)) {
        Some([twice, ..]) => {
            Err(Error::Unusable(format!("two files would be called {}", twice.name)))
        }
        _ => Ok(entries),
    }
}

/// Writes the entries into a folder of this command's own, which holds nothing else afterwards.
pub(super) fn stage(entries: &[Entry], folder: &Path) -> Result<(), Error> {
    if folder.exists() && !folder.join("host.json").is_file() && !names(folder)?.is_empty() {
        let what = format!("{} holds something else; name another --out", folder.display());
        return Err(Error::Unusable(what));
    }
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(Error::writing(folder))?;
    }
    for entry in entries {
        let path = folder.join(&entry.name);
        let parent = path.parent().unwrap_or(folder);
        fs::create_dir_all(parent).map_err(Error::writing(parent))?;
        fs::write(&path, &entry.content).map_err(Error::writing(&path))?;
        permit(&path, entry.mode())?;
    }
    Ok(())
}

#[cfg(unix)]
fn permit(path: &Path, mode: u32) -> Result<(), Error> {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(Error::writing(path))
}

#[cfg(not(unix))]
fn permit(_path: &Path, _mode: u32) -> Result<(), Error> {
    Ok(())
}

/// The name of the binary, exactly as the host looks for it.
fn executable(host: &[u8]) -> Result<String, String> {
    let host: Value =
        serde_json::from_slice(host).map_err(|error| format!("host.json is no JSON: {error}"))?;
    let place = "/customHandler/description/defaultExecutablePath";
    let name = host.pointer(place).and_then(Value::as_str).unwrap_or_default();
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if name.is_empty() || !name.chars().all(plain) {
        let what = "must be the bare name of the binary, without ./ or a folder";
        return Err(format!("host.json: {} {what}", place.replace('/', ".")));
    }
    Ok(name.to_owned())
}

fn maps(folder: &Path, name: &str, entries: &mut Vec<Entry>) -> Result<(), Error> {
    for child in names(folder)? {
        let (path, name) = (folder.join(&child), format!("{name}/{child}"));
        if path.is_dir() {
            maps(&path, &name, entries)?;
        } else {
            entries.push(Entry { name, kind: Kind::Map, content: read(&path)? });
        }
    }
    Ok(())
}

/// The names in a folder, without hidden ones, in order.
fn names(folder: &Path) -> Result<Vec<String>, Error> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(Error::reading(folder))? {
        let name = entry.map_err(Error::reading(folder))?.file_name();
        names.push(name.to_string_lossy().into_owned());
    }
    names.retain(|name| !name.starts_with('.'));
    names.sort();
    Ok(names)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    fs::read(path).map_err(Error::reading(path))
}
