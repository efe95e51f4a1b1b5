//! Reads a folder of maps. What is refused: a file that cannot be read whole, and two maps that could
//! not be told apart.

use std::path::{Path, PathBuf};

use super::compile::compile;
use super::document::{Edit, read};
use super::file::MapFile;
use super::map::Map;
use super::problem::{Problem, Problems, Severity};
use super::vocabulary::Vocabularies;
use super::{Maps, Surroundings, guard, same_table};

/// The file of the folder that is no map.
pub const CONFIGURATION: &str = "concord.toml";

impl Maps {
    /// Reads and compiles every `*.toml` of a folder but `concord.toml`. Fails with all problems of all
    /// files when one of them is an error.
    pub fn load(folder: &Path, around: &Surroundings<'_>) -> Result<Self, Vec<Problem>> {
        let (mut maps, problems) = Self::inspect(folder, around);
        if problems.iter().any(|problem| problem.severity == Severity::Error) {
            return Err(problems);
        }
        maps.warnings = problems;
        Ok(maps)
    }

    /// Reads and compiles as far as it goes, for checking: no row may be made with these maps unless
    /// all problems are warnings.
    pub fn inspect(folder: &Path, around: &Surroundings<'_>) -> (Self, Vec<Problem>) {
        let mut vocabularies = Vocabularies::beside(folder);
        let (mut maps, mut problems) = (Vec::new(), Vec::new());
        let files = match files(folder) {
            Ok(files) => files,
            Err(problem) => return (Self::default(), vec![problem]),
        };
        for path in files {
            let name = path.display().to_string();
            match std::fs::read_to_string(&path) {
                Ok(text) => {
                    let (map, found) = one(&name, &text, around, &mut vocabularies);
                    maps.push(map);
                    problems.extend(found);
                }
                Err(error) => problems.push(unreadable(&name, &error)),
            }
        }
        problems.extend(twins(&maps));
        problems.sort();
        (Self::of(maps, Vec::new()), problems)
    }
}

/// Reads and compiles maps that stand in no folder, with the vocabularies of the shipped ones, for
/// fuzzers.
#[cfg(any(test, fuzzing))]
pub(crate) fn texts(texts: &[String]) -> (Maps, Vec<Problem>) {
    let around = Surroundings {
        defaults: &super::Defaults::default(),
        systems: &[],
        targets: &[],
        setting: &|_| Some("4b0c8c1e-6d0c-5f0a-9a53-0f3f8a7c2f11".to_owned()),
    };
    let folder = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/maps"));
    let mut vocabularies = Vocabularies::beside(folder);
    let (mut maps, mut problems) = (Vec::new(), Vec::new());
    for text in texts {
        let (map, found) = one("map.toml", text, &around, &mut vocabularies);
        maps.push(map);
        problems.extend(found);
    }
    problems.extend(twins(&maps));
    (Maps::of(maps, Vec::new()), problems)
}

/// Reads and compiles one map from its text.
pub(super) fn one(
    name: &str,
    text: &str,
    around: &Surroundings<'_>,
    vocabularies: &mut Vocabularies,
) -> (Map, Vec<Problem>) {
    let mut edit = |path: &str, text: &str| match guard::refuse(path, text) {
        Some(refused) => refused,
        None if path.starts_with("owner/") => guard::expand(text, around.setting),
        None => Edit::Keep,
    };
    let document = read::<MapFile>(name, text, &mut edit);
    compile(document, text, around, vocabularies)
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let listed = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let listed = listed.map_err(|error| unreadable(&folder.display().to_string(), &error))?;
    let mut files: Vec<PathBuf> = listed.into_iter().map(|entry| entry.path()).collect();
    let is_map = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "toml")
            && path.file_name().is_some_and(|name| name != CONFIGURATION)
    };
    files.retain(is_map);
    files.sort();
    Ok(files)
}

/// The problem of a file that cannot be read.
pub(crate) fn unreadable(file: &str, error: &std::io::Error) -> Problem {
    let (line, column, severity, rule) = (1, 1, Severity::Error, "file-unreadable");
    let message = format!("it cannot be read: {error}");
    Problem { file: file.to_owned(), line, column, severity, rule, message, suggestion: None }
}

/// Maps of one name are versions of one map: they write the same rows from different payloads.
fn twins(maps: &[Map]) -> Vec<Problem> {
    let mut found = Vec::new();
    for (index, map) in maps.iter().enumerate() {
        let before = maps.iter().take(index);
        for other in before.filter(|other| !map.name.is_empty() && other.name == map.name) {
            let same_rows = same_table(map, other) && map.destination.key == other.destination.key;
            if same_rows && !map.versions.overlap(&other.versions) {
                continue;
            }
            let mut problems = Problems::new(map.places.clone());
            let message = format!(
                "`{}` is the name of {} too; two files share a name only for the same table and key, \
                 and for payload versions (`from.schema`) that do not overlap",
                map.name, other.places.file
            );
            problems.error("map", "map-twice", message);
            found.extend(problems.into_vec());
        }
    }
    found
}
