//! The page about maps, `docs/maps.md`, is true: its tables of rules are run, its maps are read. So is the
//! first screen of `README.md`: its event becomes its row.

use std::borrow::Cow;
use std::fs;
use std::path::{Path, PathBuf};

use concord::change::{Change, Correlation, Edge, Kind};
use concord::decode::{Config, Decoder};
use concord::delivery::Event;
use concord::mapping::{Defaults, Maps, Surroundings};
use concord::order::Order;
use concord::row::{Action, Row, Value};
use serde_json::value::RawValue;

/// A map that the rules and sections of the page are put into.
const FRAME: &str = r#"
map     = "page"
version = 1
from    = { system = "mdm", entity = "/Customer" }
to      = { system = "sales", table = "account" }
key     = { accountnumber = { fact = "key" } }
"#;

#[test]
fn every_rule_of_the_page_does_what_the_page_says() {
    let folder = folder();
    let mut wrong = Vec::new();
    let examples = examples(&page());
    assert!(examples.len() > 80, "only {} examples were found", examples.len());
    for [rule, value, expected] in examples {
        let map = format!("{FRAME}fields.column = {rule}\n");
        let found = match load(folder.path(), &map) {
            Ok(maps) => result(&maps, &value),
            Err(problems) => problems,
        };
        if found != expected {
            wrong.push(format!("{rule} of {value} is {found}, not {expected}"));
        }
    }
    assert!(wrong.is_empty(), "docs/maps.md is wrong:\n  {}", wrong.join("\n  "));
}

#[test]
fn every_map_and_section_of_the_page_can_be_read() {
    let folder = folder();
    let page = page();
    let blocks: Vec<&str> =
        page.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert!(blocks.len() > 5, "only {} blocks were found", blocks.len());
    for block in blocks {
        let whole = block.starts_with("map");
        let map = if whole { block.to_owned() } else { format!("{FRAME}{block}") };
        let map = if block.contains("[[decision]]") {
            format!("{map}[fields]\ntelephone1 = \"v\"\n")
        } else {
            map
        };
        if let Err(problems) = load(folder.path(), &map) {
            panic!("docs/maps.md shows what cannot be read:\n{block}\n{problems}");
        }
    }
}

#[test]
fn the_event_of_the_readme_becomes_its_row() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let blocks: Vec<&str> = readme.split("```").skip(1).step_by(2).take(3).collect();
    let [event, map, row] = blocks[..] else { panic!("{blocks:?}") };
    let folder = folder();
    let maps = load(folder.path(), map.strip_prefix("toml").unwrap()).unwrap();
    let body = event.strip_prefix("json").unwrap().trim().to_owned();
    let event = Event { body: body.into(), ..Event::default() };
    let decoder = Decoder::new(&Config::default()).unwrap();
    let decoded = decoder.decode(&event).remove(0);
    let (_, found) = maps.rows("mdm", &decoded.change.unwrap()).remove(0);
    let found = found.unwrap().unwrap();
    let Action::Upsert(columns) = &*found.action else { panic!("{found:?}") };
    let found: Vec<_> =
        found.key.0.iter().chain(&columns.values).map(|(c, v)| (c.to_string(), plain(v))).collect();
    let expected: indexmap::IndexMap<String, Box<RawValue>> =
        serde_json::from_str(row.strip_prefix("json").unwrap()).unwrap();
    let expected: Vec<_> =
        expected.into_iter().map(|(column, value)| (column, value.get().to_owned())).collect();
    assert_eq!(found, expected);
}

/// The rows of the tables whose columns are a rule, a value and a result.
fn examples(page: &str) -> Vec<[String; 3]> {
    let tables = page.split("| rule | `v` | result |\n|---|---|---|\n").skip(1);
    let rows = tables.flat_map(|table| table.lines().take_while(|line| line.starts_with('|')));
    rows.map(|row| {
        let row = row.replace("\\|", "\u{1}");
        let cells: Vec<String> = row
            .trim_matches('|')
            .split('|')
            .map(|cell| cell.trim().trim_matches('`').replace('\u{1}', "|"))
            .collect();
        cells.try_into().unwrap_or_else(|cells| panic!("{cells:?} has not three columns"))
    })
    .collect()
}

/// What the column gets, as the page writes it.
fn result(maps: &Maps, value: &str) -> String {
    let change = change(value);
    let [(_, row)] = &maps.rows("mdm", &change)[..] else { panic!("one map, one row") };
    match row {
        Ok(row) => shown(row.as_ref().unwrap()),
        Err(fault) => fault.kind.code().to_owned(),
    }
}

fn shown(row: &Row) -> String {
    row.column("column").map_or_else(|| "untouched".to_owned(), plain)
}

fn plain(value: &Value) -> String {
    if let Value::Text(text) = value {
        return serde_json::to_string(text).unwrap();
    }
    value.to_string()
}

/// The change that the page describes.
fn change(value: &str) -> Change<'static> {
    let mut properties =
        vec![("Name", r#""Acme A/S""#.to_owned()), ("erpCustomer.city", r#""Aarhus""#.to_owned())];
    if value != "missing" {
        properties.push(("v", value.to_owned()));
    }
    let json = |text: String| RawValue::from_string(text).unwrap();
    Change {
        entity: "/Customer".into(),
        id: "id-1".into(),
        kind: Kind::Upsert,
        order: Order::emitted_at("2026-03-14T09:15:02Z".parse().unwrap()),
        schema: None,
        event_id: None,
        correlation: Correlation::default(),
        codes: vec!["/Customer#Dynamics365:8f3c".into(), "/Customer#SAP:00104711".into()],
        properties: properties
            .into_iter()
            .map(|(name, value)| (name.into(), Cow::Owned(json(value))))
            .collect(),
        edges: vec![Edge {
            kind: "/WorksFor".into(),
            from: "/Customer#SAP:00104711".into(),
            to: "/Organization#SAP:US01".into(),
        }],
        author: None,
        partial: false,
    }
}

/// A folder with the shipped vocabularies, for one map at a time.
fn folder() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let vocabularies = folder.path().join("vocabularies");
    fs::create_dir(&vocabularies).unwrap();
    for file in fs::read_dir(root().join("maps/vocabularies")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), vocabularies.join(file.file_name())).unwrap();
    }
    folder
}

fn load(folder: &Path, map: &str) -> Result<Maps, String> {
    fs::write(folder.join("page.toml"), map).unwrap();
    let defaults = Defaults::default();
    let setting = |_: &str| Some("4b0c8c1e-6d0c-5f0a-9a53-0f3f8a7c2f11".to_owned());
    let around =
        Surroundings { defaults: &defaults, systems: &[], targets: &[], setting: &setting };
    Maps::load(folder, &around)
        .map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))
}

fn page() -> String {
    fs::read_to_string(root().join("docs/maps.md")).unwrap()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
