//! What the compiler does not check: the order of modules, short files, pages for faults, functions that
//! are served, links that lead somewhere, and words that do not belong here.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use concord::app::App;
use concord::config::Settings;
use concord::fault::Kind;

/// One line of the module order.
enum Line {
    /// Each module may use the lines above, and on its own line those left of it.
    InTurn(&'static [&'static str]),
    /// Each module may use the lines above, and none of its neighbours.
    Apart(&'static [&'static str]),
}

use Line::{Apart, InTurn};

/// The order of `src/lib.rs`, from what knows nothing to what knows all.
const ORDER: &[Line] = &[
    // leaves
    InTurn(&["chance", "clock", "digest", "quote"]),
    // what is said of the own doing
    InTurn(&["telemetry"]),
    // nouns: no async
    InTurn(&["operator", "order", "fault", "delivery", "change", "row", "outcome"]),
    // pure verbs: no I/O, no async
    Apart(&["coalesce", "decode", "echo", "mapping", "retry"]),
    // the outside: tokens and stores, then what is built on them
    InTurn(&["identity", "store"]),
    Apart(&[
        "audit",
        "figures",
        "outcome_log",
        "ledger",
        "poison",
        "deferral",
        "crosswalk",
        "parking",
        "control",
        "system",
    ]),
    // where they meet, and long work through it
    InTurn(&["pipeline", "delta", "reconcile", "job", "canary"]),
    // what people are told once a day
    InTurn(&["briefing"]),
    // edges
    InTurn(&["trigger"]),
    // the only places that build things
    InTurn(&["config", "app"]),
    // stand-ins for both ends and the host, and the command line
    InTurn(&["emulator", "cli"]),
    // what a fuzzer calls
    InTurn(&["fuzz"]),
];

/// Who may use what stands beside or below it all the same, and why.
const EXCEPTIONS: &[(&str, &str, &str)] = &[(
    "mapping",
    "system",
    "maps are checked against the description of a table, which is data without I/O",
)];

/// Names that say nothing of what a module is about.
const NAMELESS: &[&str] =
    &["utils", "util", "common", "helpers", "types", "core", "models", "misc"];

/// Paths of one machine, and hosts of registries; split, so that they do not find themselves.
const FOREIGN: &[&str] = &[
    concat!("../", "shared"),
    concat!("/work/", "main"),
    concat!("/work/", "wt"),
    concat!("/work/", "shared"),
    concat!("/root", "/"),
    concat!("/home/", "user"),
    concat!("crates", ".io"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("registry.", "npmjs"),
    concat!("deb.", "debian.org"),
];

/// A file without its tests is at most this long.
const LINES: usize = 400;

/// Too short to help anybody.
const PAGE_LINES: usize = 5;

#[test]
fn every_module_has_its_place_in_the_order() {
    let declared: BTreeSet<String> = declared(&read(&root().join("src/lib.rs")));
    let ordered: BTreeSet<String> = places().into_keys().map(str::to_owned).collect();
    assert_eq!(declared, ordered, "src/lib.rs and ORDER name different modules");
}

#[test]
fn a_module_uses_only_what_stands_above_it() {
    let places = places();
    let mut wrong = Vec::new();
    for file in sources().iter().filter(|file| !file.is_test) {
        let Some(place) = places.get(file.module.as_str()) else { continue };
        for used in used(&file.code) {
            let allowed = used == file.module
                || places.get(used.as_str()).is_some_and(|other| place.may_use(*other))
                || EXCEPTIONS.iter().any(|(user, other, _)| *user == file.module && *other == used);
            if !allowed {
                wrong.push(format!("{}: {} uses {used}", file.name, file.module));
            }
        }
        if file.code.contains(&"super::".repeat(file.depth)) {
            wrong.push(format!("{}: reaches past its top module with super::", file.name));
        }
    }
    none(&wrong, "a line may use what stands above it, never its neighbours nor what stands below");
}

#[test]
fn every_exception_to_the_order_is_still_needed() {
    let unused: Vec<_> = EXCEPTIONS
        .iter()
        .filter(|(user, other, _)| {
            !sources().iter().any(|file| file.module == *user && used(&file.code).contains(*other))
        })
        .map(|(user, other, _)| format!("{user} does not use {other}"))
        .collect();
    none(&unused, "an exception that nobody needs is taken out");
}

#[test]
fn no_source_file_is_too_long() {
    let long: Vec<_> = sources()
        .iter()
        .filter(|file| !file.is_test && file.code.lines().count() > LINES)
        .map(|file| format!("{}: {} lines", file.name, file.code.lines().count()))
        .collect();
    none(&long, "a file has at most 400 lines without its tests");
}

#[test]
fn every_source_file_says_what_it_is() {
    let silent: Vec<_> = sources()
        .iter()
        .filter(|file| !file.is_test && !file.code.starts_with("//! "))
        .map(|file| file.name.clone())
        .collect();
    none(&silent, "a file starts with //!: what comes in, what goes out, what is refused");
}

#[test]
fn every_module_is_named_for_what_it_is_about() {
    let nameless: Vec<_> = sources()
        .iter()
        .filter(|file| {
            let parts = Path::new(&file.name).with_extension("");
            let named = parts.iter().filter_map(OsStr::to_str).any(|part| NAMELESS.contains(&part));
            named || NAMELESS.iter().any(|name| file.code.contains(&format!("mod {name} ")))
        })
        .map(|file| file.name.clone())
        .collect();
    none(&nameless, "the name of the concept is missing");
}

#[test]
fn every_fault_has_a_page_that_helps() {
    let mut wrong = Vec::new();
    for kind in Kind::ALL {
        let page = kind.page();
        if page.lines().count() < PAGE_LINES || !page.starts_with(&format!("# {}", kind.code())) {
            wrong.push(format!("docs/faults/{}.md", kind.code()));
        }
    }
    let codes: BTreeSet<String> = Kind::ALL.iter().map(|kind| kind.code().to_owned()).collect();
    for page in children(&root().join("docs/faults")) {
        if !codes.contains(&stem(&page)) {
            wrong.push(format!("docs/faults/{}.md: there is no such fault", stem(&page)));
        }
    }
    none(
        &wrong,
        "a page starts with its code as heading and says what it means and how to mend it",
    );
}

#[tokio::test]
async fn the_host_is_told_of_exactly_the_functions_that_are_served() {
    let example = read(&root().join("local.settings.example.json"));
    let example: serde_json::Value = serde_json::from_str(&example).unwrap();
    let values = example["Values"].as_object().unwrap();
    let storage = tempfile::tempdir().unwrap();
    let own = [
        ("CONCORD_MAPS".to_owned(), root().join("maps").display().to_string()),
        ("CONCORD_STORAGE".to_owned(), format!("local:{}", storage.path().display())),
    ];
    let example =
        values.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned()));
    let app = App::open(&Settings::of(example.chain(own))).await.unwrap();
    let called = app.called().into_iter().map(|(name, _)| name.to_owned());
    let served: BTreeSet<String> = app.functions().into_keys().chain(called).collect();
    let told: BTreeSet<String> = children(&root().join("functions"))
        .iter()
        .filter(|folder| folder.join("function.json").is_file())
        .map(|folder| stem(folder))
        .collect();
    assert_eq!(told, served, "functions/ and the program name different functions");
}

#[test]
fn every_relative_link_leads_somewhere() {
    let mut broken = Vec::new();
    for file in texts().iter().filter(|file| file.extension() == Some(OsStr::new("md"))) {
        for target in links(&read(file)) {
            let path = target.split('#').next().unwrap_or_default();
            let outside = target.contains("://") || target.starts_with("mailto:");
            if !outside && !path.is_empty() && !file.with_file_name("").join(path).exists() {
                broken.push(format!("{}: {target}", shown(file)));
            }
        }
    }
    none(&broken, "a link of a page leads to a file of this repository");
}

#[test]
fn nothing_speaks_of_one_machine_or_one_registry() {
    let mut found = Vec::new();
    for file in texts().iter().filter(|file| !is_lock(file)) {
        let text = read(file);
        let words = FOREIGN.iter().filter(|word| text.contains(**word));
        found.extend(words.map(|word| format!("{}: {word}", shown(file))));
    }
    none(&found, "paths of a machine and hosts of registries do not belong in the project");
}

/// Where a module stands: its line, whether its line is in turn, and its place there.
#[derive(Clone, Copy)]
struct Place {
    line: usize,
    in_turn: bool,
    column: usize,
}

impl Place {
    fn may_use(self, other: Place) -> bool {
        let left = self.in_turn && other.line == self.line && other.column < self.column;
        other.line < self.line || left
    }
}

fn places() -> BTreeMap<&'static str, Place> {
    let mut places = BTreeMap::new();
    for (line, row) in ORDER.iter().enumerate() {
        let (modules, in_turn) = match row {
            InTurn(modules) => (modules, true),
            Apart(modules) => (modules, false),
        };
        for (column, module) in modules.iter().enumerate() {
            places.insert(*module, Place { line, in_turn, column });
        }
    }
    places
}

/// A file of `src`, as the checks see it.
struct Source {
    /// Its path from the repository.
    name: String,
    /// The top module it belongs to.
    module: String,
    /// How many `super::` leave that module.
    depth: usize,
    /// Its text without the tests at its end.
    code: String,
    /// Whether all of it is tests.
    is_test: bool,
}

fn sources() -> Vec<Source> {
    let src = root().join("src");
    let mut files = Vec::new();
    walk(&src, &mut files);
    let texts: Vec<(PathBuf, String)> =
        files.into_iter().filter(|file| has_extension(file, "rs")).map(with_text).collect();
    let tests: BTreeSet<PathBuf> =
        texts.iter().flat_map(|(file, text)| test_files(file, text)).collect();
    texts
        .into_iter()
        .map(|(file, text)| {
            let inner = file.strip_prefix(&src).unwrap().with_extension("");
            let names: Vec<String> =
                inner.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            let depth = names.iter().filter(|name| *name != "mod").count();
            let is_test = file.ancestors().any(|path| tests.contains(&path.with_extension("")));
            Source {
                name: shown(&file),
                module: names[0].clone(),
                depth,
                code: code(&text),
                is_test,
            }
        })
        .collect()
}

/// What stands before the tests at the end of a file.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests").unwrap_or(text.len());
    text[..end].to_owned()
}

/// The modules that a file declares for tests alone, as paths without extension.
fn test_files(file: &Path, text: &str) -> Vec<PathBuf> {
    let folder =
        if stem(file) == "mod" { file.with_file_name("") } else { file.with_extension("") };
    text.split("#[cfg(test)]\n")
        .skip(1)
        .filter_map(|rest| rest.lines().next()?.strip_suffix(';')?.split("mod ").nth(1))
        .map(|name| folder.join(name))
        .collect()
}

/// The modules of `pub mod name;`.
fn declared(text: &str) -> BTreeSet<String> {
    let names = text.lines().filter_map(|line| line.strip_prefix("pub mod ")?.strip_suffix(';'));
    names.map(str::to_owned).collect()
}

/// The top modules that code names after `crate::`, also in a group.
fn used(code: &str) -> BTreeSet<String> {
    let lines: Vec<&str> =
        code.lines().filter(|line| !line.trim_start().starts_with("//")).collect();
    let code = lines.join("\n");
    let mut used = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        match rest.strip_prefix('{') {
            Some(group) => used.extend(first_names(group)),
            None => used.extend(name(rest)),
        }
    }
    used
}

/// The first name of each part of a group of imports, whose opening brace is gone.
fn first_names(group: &str) -> BTreeSet<String> {
    let (mut depth, mut names, mut at_start) = (0_usize, BTreeSet::new(), true);
    for (index, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_start = true,
            _ if at_start && !letter.is_whitespace() => {
                names.extend(name(&group[index..]));
                at_start = false;
            }
            _ => {}
        }
    }
    names
}

fn name(text: &str) -> Option<String> {
    let end = text.find(|letter: char| !letter.is_alphanumeric() && letter != '_');
    let name = &text[..end.unwrap_or(text.len())];
    name.starts_with(char::is_lowercase).then(|| name.to_owned())
}

/// The targets of `[text](target)` outside code blocks.
fn links(text: &str) -> Vec<String> {
    let prose: Vec<&str> = text.split("```").step_by(2).collect();
    let prose = prose.concat();
    prose.split("](").skip(1).filter_map(|rest| Some(rest.split_once(')')?.0.to_owned())).collect()
}

/// The files of the project that are text, without what is built or fetched.
fn texts() -> Vec<PathBuf> {
    let mut files = Vec::new();
    walk(&root(), &mut files);
    files.retain(|file| fs::read_to_string(file).is_ok());
    files
}

fn walk(folder: &Path, into: &mut Vec<PathBuf>) {
    const FETCHED: &[&str] =
        &["target", "node_modules", ".git", ".venv", ".concord", "dist", "__pycache__"];
    for path in children(folder) {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        if FETCHED.contains(&name) {
            continue;
        }
        if path.is_dir() { walk(&path, into) } else { into.push(path) }
    }
}

fn children(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", shown(folder)));
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths
}

fn with_text(file: PathBuf) -> (PathBuf, String) {
    let text = read(&file);
    (file, text)
}

fn is_lock(file: &Path) -> bool {
    ["Cargo.lock", "package-lock.json"].contains(&file.file_name().unwrap().to_str().unwrap())
}

fn has_extension(file: &Path, extension: &str) -> bool {
    file.extension() == Some(OsStr::new(extension))
}

fn stem(file: &Path) -> String {
    file.file_stem().unwrap().to_string_lossy().into_owned()
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_else(|error| panic!("{}: {error}", shown(file)))
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn none(found: &[String], rule: &str) {
    assert!(found.is_empty(), "{rule}\n  {}", found.join("\n  "));
}
