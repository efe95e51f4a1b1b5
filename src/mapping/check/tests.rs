use super::*;
use crate::mapping::sample::{HEAD, compiled, maps};
use crate::mapping::{Map, Severity};
use crate::system::{AlternateKey, Choice, Column, ColumnKind, Reference};

fn column(kind: ColumnKind) -> Column {
    Column { kind, creatable: true, updatable: true, ..Column::default() }
}

fn choice(value: i32, label: &str, state: Option<i32>) -> Choice {
    Choice { value, label: label.into(), state }
}

fn key(columns: &[&str], active: bool) -> AlternateKey {
    let columns: Vec<String> = columns.iter().map(|name| (*name).to_owned()).collect();
    AlternateKey { name: columns.join("_"), columns, active }
}

fn account() -> TableSchema {
    let text = |max| Column { max: Some(max), ..column(ColumnKind::Text) };
    let category = vec![choice(1, "Key", None), choice(2, "Standard", None)];
    let states = vec![choice(0, "Active", None), choice(1, "Inactive", None)];
    let statuses = vec![choice(1, "Active", Some(0)), choice(2, "Inactive", Some(1))];
    let columns = [
        ("accountnumber", text(20)),
        ("name", Column { required: true, ..text(160) }),
        ("telephone1", text(50)),
        ("creditlimit", column(ColumnKind::Money)),
        ("employees", column(ColumnKind::Integer)),
        ("openedon", column(ColumnKind::Date)),
        ("secret", Column { secured: true, ..text(10) }),
        ("category", Column { choices: category, ..column(ColumnKind::Choice) }),
        ("primarycontactid", column(ColumnKind::Lookup)),
        ("createdon", Column { creatable: false, updatable: false, ..column(ColumnKind::Time) }),
        ("statecode", Column { choices: states, ..column(ColumnKind::State) }),
        ("statuscode", Column { choices: statuses, ..column(ColumnKind::Status) }),
    ];
    let lookup = |column: &str, table: &str| Reference {
        column: column.into(),
        table: table.into(),
        navigation: column.into(),
    };
    TableSchema {
        name: "account".into(),
        set: "accounts".into(),
        id: "accountid".into(),
        bulk: true,
        columns: columns.into_iter().map(|(name, column)| (name.to_owned(), column)).collect(),
        keys: vec![key(&["accountnumber"], true), key(&["telephone1"], false)],
        lookups: vec![lookup("primarycontactid", "contact")],
        ..TableSchema::default()
    }
}

fn contact() -> TableSchema {
    let columns = [
        ("number", column(ColumnKind::Text)),
        ("email", column(ColumnKind::Text)),
        ("parentid", column(ColumnKind::Lookup)),
    ];
    TableSchema {
        name: "contact".into(),
        id: "contactid".into(),
        columns: columns.into_iter().map(|(name, column)| (name.to_owned(), column)).collect(),
        keys: vec![key(&["number"], true)],
        lookups: vec![Reference {
            column: "parentid".into(),
            table: "account".into(),
            navigation: "parentid".into(),
        }],
        ..TableSchema::default()
    }
}

fn schemas() -> Schemas {
    let tables = [account(), contact()];
    tables.into_iter().map(|table| (("sales".to_owned(), table.name.clone()), table)).collect()
}

/// The rules that the lints of these maps name, with their lines in the sections after the head.
fn found(maps: Vec<Map>) -> Vec<(&'static str, usize)> {
    let head = HEAD.lines().count();
    let found = check(&crate::mapping::sample::maps(maps), &schemas());
    found.iter().map(|problem| (problem.rule, problem.line.saturating_sub(head))).collect()
}

fn lint(sections: &str) -> Vec<(&'static str, usize)> {
    found(vec![compiled(&format!("{HEAD}{sections}")).0])
}

const RIGHT: &str = r#"[removed]
action = "delete"
[fields]
name = { from = "Name", max = 160 }
"#;

#[test]
fn a_map_that_fits_its_table_has_no_problem() {
    assert_eq!(lint(RIGHT), []);
}

#[test]
fn each_way_in_which_a_column_does_not_fit_is_told() {
    for (field, expected) in [
        (r#"nmae = "p""#, vec!["column-unknown"]),
        (r#"telephone1 = "p""#, vec!["max-missing"]),
        (r#"telephone1 = { from = "p", max = 60 }"#, vec!["too-long-for-column"]),
        (r#"telephone1 = { value = "x" }"#, vec![]),
        (r#"telephone1 = { from = "p", country = "alpha2" }"#, vec![]),
        (r#"telephone1 = { from = "p", integer = true }"#, vec!["wrong-column-type"]),
        (r#"secret = { from = "p", max = 10 }"#, vec!["secured-unstated"]),
        (r#"secret = { from = "p", max = 10, secured = true }"#, vec![]),
        (
            r#"category = { from = "p", values = { A = 1, B = 3 }, integer = true }"#,
            vec!["choice-unknown", "choice-unused"],
        ),
        (r#"creditlimit = "p""#, vec!["wrong-column-type"]),
        (r#"creditlimit = { from = "p", decimal = true }"#, vec![]),
        (r#"employees = { from = "p", integer = true }"#, vec![]),
        (r#"employees = { from = "p", decimal = true }"#, vec!["wrong-column-type"]),
        (r#"openedon = { from = "p", datetime = "UTC" }"#, vec!["wrong-column-type"]),
        (r#"category = { from = "p", choice = { A = 1, B = 2 } }"#, vec![]),
        (
            r#"category = { from = "p", values = { A = 1, B = 3 } }"#,
            vec!["choice-unknown", "choice-unused"],
        ),
        (r#"category = { from = "p", choice = true }"#, vec![]),
        (r#"category = { expr = ".p" }"#, vec![]),
        (r#"createdon = { from = "p", datetime = "UTC" }"#, vec!["column-not-writable"]),
        (r#"primarycontactid = { from = "p", lookup = "contact.number" }"#, vec![]),
        (
            r#"primarycontactid = { from = "p", lookup = "account.accountnumber" }"#,
            vec!["lookup-target"],
        ),
        (r#"primarycontactid = { from = "p", lookup = "contact.numbr" }"#, vec!["column-unknown"]),
        (r#"primarycontactid = { from = "p", lookup = "contact.email" }"#, vec!["key-unknown"]),
        (r#"primarycontactid = { from = "p", lookup = "contact.parentid.accountnumber" }"#, vec![]),
        (
            r#"primarycontactid = { from = "p", lookup = "contact.parentid.telephone1" }"#,
            vec!["key-inactive"],
        ),
        (
            r#"primarycontactid = { from = "p", lookup = "contact.parentid.none" }"#,
            vec!["column-unknown"],
        ),
        (r#"primarycontactid = { from = "p", lookup = "contact.email.x" }"#, vec!["lookup-path"]),
        (r#"primarycontactid = "p""#, vec!["wrong-column-type"]),
    ] {
        let rules: Vec<&str> =
            lint(&format!("{RIGHT}{field}\n")).into_iter().map(|(rule, _)| rule).collect();
        assert_eq!(rules, expected, "{field}");
    }
    let second = lint(&format!("{RIGHT}nmae = \"p\"\n"));
    assert_eq!(second, [("column-unknown", 5)]);
}

#[test]
fn a_column_that_must_be_there_is_missed() {
    assert_eq!(lint("[removed]\naction = \"delete\"\n"), [("column-required", 0)]);
}

#[test]
fn keys_are_alternate_keys_that_work() {
    let with = |key: &str| {
        let head = HEAD.replace("accountnumber = { code", &format!("{key} = {{ code"));
        found(vec![compiled(&format!("{head}{RIGHT}")).0])
    };
    assert_eq!(with("accountid"), [("column-unknown", 0)]);
    assert_eq!(with("acountnumber"), [("column-unknown", 0)]);
    let rules = |found: Vec<(&'static str, usize)>| -> Vec<&'static str> {
        found.into_iter().map(|(rule, _)| rule).collect()
    };
    assert_eq!(rules(with("telephone1")), ["key-inactive"]);
    assert!(rules(with("category")).contains(&"wrong-column-type"));
    assert!(rules(with("category")).contains(&"key-unknown"));
}

#[test]
fn state_pairs_are_those_of_the_table() {
    let with = |text: &str| lint(&format!("{RIGHT}{text}"));
    assert_eq!(with("[state]\nstate = 0\nstatus = 1\n"), []);
    assert_eq!(with("[state]\nstate = 0\nstatus = 2\n"), [("state-invalid", 6)]);
    assert_eq!(with("[state]\nstate = 7\n"), [("state-invalid", 6)]);
    let by =
        "[state]\nby = \"p\"\n[state.values]\nA = { state = 0 }\nB = { state = 1, status = 1 }\n";
    assert_eq!(with(by), [("state-invalid", 9)]);
    let removed = RIGHT.replace("\"delete\"", "\"deactivate\"\nstate = 1\nstatus = 1");
    assert_eq!(lint(&removed), [("state-invalid", 1)]);
}

#[test]
fn what_should_have_been_decided_is_a_warning() {
    let (map, _) = compiled(&format!(
        "{HEAD}ledger = {{ keep = \"hash\" }}\n[fields]\nname = {{ from = \"n\", max = 160 }}\n[filter]\nwhen = [{{ if = \"p\", is = 1 }}]\nleaves = \"delete\"\n"
    ));
    let mut schemas = schemas();
    schemas.get_mut(&("sales".to_owned(), "account".to_owned())).unwrap().bulk = false;
    let found = check(&maps(vec![map]), &schemas);
    let mut rules: Vec<&str> = found.iter().map(|problem| problem.rule).collect();
    rules.sort_unstable();
    assert_eq!(rules, ["keep-hash", "leaves-delete", "no-bulk", "removal-unstated"]);
    assert!(found.iter().all(|problem| problem.severity == Severity::Warning));
}

#[test]
fn two_maps_write_one_column_only_when_somebody_decided_who_wins() {
    let named = |name: &str, decision: &str| {
        let head = HEAD.replace("\"customer\"", &format!("\"{name}\""));
        compiled(&format!("{head}{RIGHT}{decision}")).0
    };
    let contested = found(vec![named("a", ""), named("b", "")]);
    assert_eq!(contested, [("column-contested", 4), ("column-contested", 4)]);
    let decided = "[[decision]]\nwinner = \"last-write\"\ncolumns = [\"name\"]\nreason = \"r\"\nowner = \"o\"\ndate = 2026-03-01\n";
    assert_eq!(found(vec![named("a", decided), named("b", decided)]), []);
    let unexplained = "[[decision]]\nwinner = \"last-write\"\nreason = \" \"\n";
    let rules: Vec<&str> = found(vec![named("a", decided), named("b", unexplained)])
        .into_iter()
        .map(|(rule, _)| rule)
        .collect();
    assert_eq!(rules, ["column-contested", "decision-unexplained"]);
}

#[test]
fn the_tables_that_are_needed_are_named_until_all_are_known() {
    let field = r#"primarycontactid = { from = "p", lookup = "contact.parentid.accountnumber" }"#;
    let all = maps(vec![compiled(&format!("{HEAD}{RIGHT}{field}\n")).0]);
    let names = |known: &Schemas| -> Vec<String> {
        wanted(&all, known).into_iter().map(|(_, table)| table).collect()
    };
    let mut known = Schemas::new();
    assert_eq!(names(&known), ["account", "contact"]);
    known.insert(("sales".to_owned(), "contact".to_owned()), contact());
    assert_eq!(names(&known), ["account"]);
    assert!(names(&schemas()).is_empty());
}

#[test]
fn a_table_that_is_not_there_is_told_with_the_nearest() {
    let (map, _) = compiled(&format!("{}{RIGHT}", HEAD.replace("\"account\"", "\"acount\"")));
    let found = check(&maps(vec![map]), &schemas());
    assert_eq!(found[0].rule, "table-unknown");
    assert_eq!(found[0].suggestion.as_deref(), Some("did you mean `account`?"));
    let (map, _) = compiled(&format!("{}{RIGHT}", HEAD.replace("\"sales\"", "\"other\"")));
    assert_eq!(check(&maps(vec![map]), &schemas())[0].rule, "schema-missing");
}

#[test]
fn a_hand_off_and_an_owner_need_their_columns() {
    let handed = |column: &str, active: i32| {
        format!(
            "{RIGHT}[state]\nstate = 0\nstatus = 1\n[state.hand_off]\ncolumn = \"{column}\"\nvalues = [{{ state = 0, status = 1, value = {active} }}]\n"
        )
    };
    let rules = |sections: &str| -> Vec<&str> {
        lint(sections).into_iter().map(|(rule, _)| rule).collect()
    };
    assert!(rules(&handed("category", 1)).is_empty());
    assert!(rules(&handed("employees", 1)).is_empty());
    for (column, active, rule) in [
        ("category", 3, "choice-unknown"),
        ("name", 1, "wrong-column-type"),
        ("nothing", 1, "column-unknown"),
    ] {
        assert_eq!(rules(&handed(column, active)), [rule], "{column}");
    }
    let owned = format!("{RIGHT}[owner]\nteam = \"${{TEAM}}\"\n");
    assert_eq!(rules(&owned), ["owner-none"], "this table belongs to the organization");
}
