use proptest::prelude::*;

use super::sample::{change, compiled, map, maps};
use super::*;
use crate::fault::Kind;
use crate::row::{Action, Columns, Lookup, Missing, Owner, Removal, State, Value};

fn columns(map: &Map, properties: &str) -> Result<Columns, Fault> {
    let row = map.row(&change(properties))?.unwrap();
    let Action::Upsert(columns) = row.action else { panic!("{:?}", row.action) };
    Ok(columns)
}

/// What one rule makes of some properties: `-` when the column is not touched, else the value or the
/// code of the fault.
fn rule(rule: &str, properties: &str) -> String {
    let map = map(&format!("[fields]\nx = {rule}\n"));
    match columns(&map, properties) {
        Ok(columns) => {
            columns.values.first().map_or("-".to_owned(), |(_, value)| value.to_string())
        }
        Err(fault) => fault.kind.code().to_owned(),
    }
}

#[test]
fn missing_null_and_empty_are_three_different_things() {
    for (written, missing, null, empty) in [
        (r#""p""#, "-", "null", "null"),
        (r#"{ from = "p", empty = "keep" }"#, "-", "null", ""),
        (r#"{ from = "p", null = "omit" }"#, "-", "-", "-"),
        (r#"{ from = "p", null = "reject" }"#, "value-missing", "value-missing", "value-missing"),
        (
            r#"{ from = "p", null = "reject", absent = "omit" }"#,
            "-",
            "value-missing",
            "value-missing",
        ),
        (r#"{ from = "p", absent = "clear" }"#, "null", "null", "null"),
        (r#"{ from = "p", default = "d" }"#, "d", "d", "d"),
        (r#"{ from = "p", default = "d", empty = "keep" }"#, "d", "d", ""),
        (r#"{ from = "p", integer = true }"#, "-", "null", "null"),
        (r#"{ from = "p", integer = true, empty = "keep" }"#, "-", "null", "null"),
        (r#"{ from = "p", integer = true, default = 7 }"#, "7", "7", "7"),
        (r#"{ from = "p", country = "alpha2" }"#, "-", "null", "null"),
        (r#"{ from = "p", values = { A = 1 }, default = 0 }"#, "0", "0", "0"),
        (r#"{ from = "p", lookup = "contact.number" }"#, "-", "null", "null"),
        (
            r#"{ from = "p", guid = true, null = "reject" }"#,
            "value-missing",
            "value-missing",
            "value-missing",
        ),
    ] {
        assert_eq!(rule(written, "{}"), missing, "missing, {written}");
        assert_eq!(rule(written, r#"{"p":null}"#), null, "null, {written}");
        assert_eq!(rule(written, r#"{"p":""}"#), empty, "empty, {written}");
    }
}

#[test]
fn every_source_yields_what_it_says() {
    let properties = r#"{"a":"","b":"B","n":12,"t":true,"l":[1],"o":{"k":"v"}}"#;
    for (written, expected) in [
        (r#"{ from = ["x", "a", "b"] }"#, "B"),
        (r#"{ from = ["x", "a"] }"#, "null"),
        (r#"{ from = "n" }"#, "12"),
        (r#"{ from = "t" }"#, "true"),
        (r#"{ from = "l" }"#, "inconvertible"),
        (r#"{ from = "o.k" }"#, "v"),
        (r#"{ fact = "key" }"#, "id-1"),
        (r#"{ fact = "version" }"#, "-"),
        (r#"{ fact = "emitted" }"#, "2026-03-14T09:15:02Z"),
        (r#"{ fact = "operation" }"#, "upsert"),
        (r#"{ fact = "entity" }"#, "/Customer"),
        (r#"{ fact = "correlation" }"#, "00000000-0000-0000-0000-000000000000"),
        (r#"{ fact = "event_id" }"#, "-"),
        ("{ value = 3 }", "3"),
        (r#"{ value = " x " }"#, " x "),
        (r#"{ code = "SAP" }"#, "00:104711"),
        (r#"{ code = "Nobody" }"#, "null"),
        (r#"{ code = { origin = "SAP", pick = "first" }, trim_start = "0:" }"#, "104711"),
        (r#"{ edge = { type = "/WorksFor", origin = "SAP" } }"#, "US01"),
        (r#"{ edge = { type = "/WorksFor", origin = "SAP", direction = "in" } }"#, "null"),
        (r#"{ join = { from = ["b", "a", "x", "n"], with = "-" } }"#, "B-12"),
        (r#"{ join = { from = ["x", "y"], with = "-" } }"#, "-"),
        (r#"{ expr = ".n + 1" }"#, "13"),
        (r#"{ expr = ".b + \"!\"", case = "lower" }"#, "b!"),
        (r#"{ expr = ".l" }"#, "inconvertible"),
        (r#"{ expr = ".b + 1", on_error = "null" }"#, "null"),
    ] {
        assert_eq!(rule(written, properties), expected, "{written}");
    }
}

/// Rule, JSON value of the property `p`, and what becomes of it.
const CONVERSIONS: &[(&str, &str, &str)] = &[
    (r#"{ from = "p", trim = true, max = 3 }"#, r#"" abc ""#, "abc"),
    (r#"{ from = "p", max = 3 }"#, r#""abcd""#, "too-long"),
    (r#"{ from = "p", max = 3, over = "cut" }"#, r#""æøåæ""#, "æøå"),
    (r#"{ from = "p", max = 3, on_error = "null" }"#, r#""abcd""#, "null"),
    (r#"{ from = "p", split = { on = " ", at = -1 } }"#, r#""a b c""#, "c"),
    (r#"{ from = "p", split = { on = " ", at = 5 } }"#, r#""a b c""#, "null"),
    (r#"{ from = "p", replace = [{ pattern = "[^0-9]", with = "" }] }"#, r#""a1b2""#, "12"),
    (r#"{ from = "p", nfc = true, case = "upper", collapse = true }"#, r#""e\u0301  a""#, "É A"),
    (r#"{ from = "p", country = "alpha2" }"#, r#""DNK""#, "DK"),
    (r#"{ from = "p", country = "numeric", integer = true }"#, r#""ALB""#, "8"),
    (r#"{ from = "p", country = "alpha2" }"#, r#""Atlantis""#, "inconvertible"),
    (
        r#"{ from = "p", country = { to = "alpha3", overlay = "territories.csv" } }"#,
        r#""home""#,
        "DNK",
    ),
    (r#"{ from = "p", country = "alpha2" }"#, r#"["DK"]"#, "inconvertible"),
    (r#"{ from = "p", currency = "numeric" }"#, r#""dkk""#, "208"),
    (r#"{ from = "p", language = "639-3" }"#, r#""da-DK""#, "dan"),
    (r#"{ from = "p", phone = "DK" }"#, r#""33 12 34 56""#, "+4533123456"),
    (r#"{ from = "p", phone = "DK", on_error = "passthrough" }"#, r#""ask Bo""#, "ask Bo"),
    (r#"{ from = "p", phone = { region = "DK", part = "extension" } }"#, r#""33123456""#, "null"),
    (r#"{ from = "p", values = { Retail = 3 } }"#, r#""Retail""#, "3"),
    (r#"{ from = "p", values = { Retail = 3 } }"#, r#""retail""#, "value-unknown"),
    (r#"{ from = "p", values = { Retail = 3 }, on_error = "null" }"#, r#""x""#, "null"),
    (r#"{ from = "p", values = { 1 = "one" } }"#, "1", "one"),
    (r#"{ from = "p", vocabulary = "segments.csv", to = "sap" }"#, r#""Retail""#, "R1"),
    (
        r#"{ from = "p", vocabulary = "segments.csv", column = "sap", to = "crm", integer = true }"#,
        r#""W1""#,
        "9",
    ),
    (r#"{ from = "p", date = true }"#, r#""2024-05-01T23:30:00Z""#, "2024-05-01"),
    (r#"{ from = "p", date = "Europe/Copenhagen" }"#, r#""2024-05-01T23:30:00Z""#, "2024-05-02"),
    (
        r#"{ from = "p", datetime = "Europe/Copenhagen" }"#,
        r#""2024-05-01 10:00""#,
        "2024-05-01T08:00:00Z",
    ),
    (r#"{ from = "p", datetime = true }"#, r#""2024-05-01 10:00""#, "inconvertible"),
    (r#"{ from = "p", date = true, formats = ["%d.%m.%Y"] }"#, r#""31.12.2024""#, "2024-12-31"),
    (r#"{ from = "p", decimal = true }"#, "20000.0000", "20000.0000"),
    (
        r#"{ from = "p", decimal = true }"#,
        "0.1000000000000000055511151231",
        "0.1000000000000000055511151231",
    ),
    (
        r#"{ from = "p", decimal = { point = ",", group = ".", digits = 2 } }"#,
        r#""1.234,50""#,
        "1234.50",
    ),
    (r#"{ from = "p", decimal = { point = "," } }"#, "1.5", "1.5"),
    (r#"{ from = "p", decimal = true }"#, r#""1,5""#, "inconvertible"),
    (r#"{ from = "p", integer = true }"#, "9007199254740993", "9007199254740993"),
    (r#"{ from = "p", integer = true }"#, "1.5", "inconvertible"),
    (r#"{ from = "p", boolean = true }"#, r#""Yes""#, "true"),
    (r#"{ from = "p", boolean = { true = ["ja"], false = ["nej"] } }"#, r#""Nej""#, "false"),
    (r#"{ from = "p", boolean = true }"#, r#""perhaps""#, "inconvertible"),
    (r#"{ from = "p", choice = true }"#, r#""100000001""#, "100000001"),
    (r#"{ from = "p", choice = { A = 1, B = 2 } }"#, r#""B""#, "2"),
    (r#"{ from = "p", choice = { A = 1, B = 2 } }"#, "3", "value-unknown"),
    (r#"{ from = "p", choices = { A = 3, B = 1 } }"#, r#""A; B;""#, "1,3"),
    (r#"{ from = "p", choices = true }"#, "[3,1,3]", "1,3"),
    (r#"{ from = "p", choices = true }"#, "[[3]]", "inconvertible"),
    (
        r#"{ from = "p", guid = true }"#,
        r#""{4B0C8C1E-6D0C-5F0A-9A53-0F3F8A7C2F11}""#,
        "4b0c8c1e-6d0c-5f0a-9a53-0f3f8a7c2f11",
    ),
    (r#"{ from = "p", guid = true }"#, r#""4b0c""#, "inconvertible"),
    (r#"{ from = "p", lookup = "contact.number" }"#, r#""C-1""#, "contact(number=C-1)"),
    (
        r#"{ from = "p", integer = true, lookup = "contact.parentid.number" }"#,
        r#""7""#,
        "contact(parentid.number=7)",
    ),
    (
        r#"{ lookup = { table = "t", by = { a = "p", "b.c" = { value = 2 } } } }"#,
        r#""x""#,
        "t(a=x,b.c=2)",
    ),
    (r#"{ lookup = { table = "t", by = { a = "p", b = "q" } } }"#, r#""x""#, "value-missing"),
    (r#"{ lookup = { table = "t", by = { a = "q", b = "r" } } }"#, r#""x""#, "null"),
    (r#"{ from = "p" }"#, r#""\ud800""#, "inconvertible"),
];

#[test]
fn every_conversion_takes_what_it_says_and_refuses_the_rest() {
    for (written, value, expected) in CONVERSIONS {
        let properties = format!(r#"{{"p":{value}}}"#);
        assert_eq!(rule(written, &properties), *expected, "{written} of {value}");
    }
}

#[test]
fn the_first_branch_that_holds_is_taken() {
    let written = r#"{ when = [
        { if = "p", is = 1, then = { value = "one" } },
        { if = "p", in = ["2", "3"], then = { value = "few" } },
        { if = "p", null = true, then = { value = "none" } },
        { if = "p", matches = "^[0-9]+$", expr = ".q == true", then = { from = "p", lookup = "t.c" } },
        { any = [{ if = "p", is = "x" }, { if = "q", is = false }], then = { value = "any" } },
        { else = { value = "else" } },
    ], max = 9 }"#;
    for (properties, expected) in [
        (r#"{"p":1}"#, "one"),
        (r#"{"p":"3"}"#, "few"),
        (r#"{"p":""}"#, "none"),
        ("{}", "none"),
        (r#"{"p":"77","q":true}"#, "t(c=77)"),
        (r#"{"p":"77","q":false}"#, "any"),
        (r#"{"p":"y","q":1}"#, "else"),
    ] {
        assert_eq!(rule(written, properties), expected, "{properties}");
    }
    let none = r#"{ when = [{ if = "p", is = 1, then = { value = "one" } }] }"#;
    assert_eq!(rule(none, r#"{"p":2}"#), "-");
}

#[test]
fn a_change_becomes_a_whole_row() {
    let map = map(r#"
[fields]
name = { from = "Name", trim = true, max = 160 }
primarycontactid = { from = "contact", lookup = "contact.acme_number", missing = "null" }
[state]
by = "status"
values = { Active = { state = 0, status = 1 }, Closed = { state = 1, status = 2 } }
default = { state = 0 }
[owner]
team = "${TEAM}"
"#);
    let row =
        map.row(&change(r#"{"Name":" A ","contact":"C-1","status":"Closed"}"#)).unwrap().unwrap();
    assert_eq!(
        (row.to.map.as_str(), row.to.version, row.to.table.as_str()),
        ("customer", 3, "account")
    );
    assert_eq!(row.key.to_string(), "00:104711");
    assert!(!row.only_if_known);
    let team = Owner::Team("4b0c8c1e-6d0c-5f0a-9a53-0f3f8a7c2f11".parse().unwrap());
    let lookup = Value::Lookup(Lookup {
        table: "contact".into(),
        by: vec![(vec!["acme_number".into()], Value::Text("C-1".into()))],
        missing: Missing::Null,
    });
    let expected = Columns {
        values: vec![("name".into(), Value::Text("A".into())), ("primarycontactid".into(), lookup)],
        state: Some(State { state: 1, status: Some(2) }),
        owner: Some(team),
    };
    assert_eq!(row.action, Action::Upsert(expected));
    let state = |properties: &str| columns(&map, properties).map(|columns| columns.state);
    assert_eq!(state("{}").unwrap(), Some(State { state: 0, status: None }));
    assert_eq!(state(r#"{"status":"Odd"}"#).unwrap_err().kind, Kind::ValueUnknown);
}

#[test]
fn a_row_that_leaves_the_filter_is_removed_if_it_was_ever_written() {
    let with = |leaves: &str| {
        map(&format!(
            "[filter]\nwhen = [{{ if = \"active\", is = true }}]\nleaves = \"{leaves}\"\n[removed]\nhours = 2\nthen = \"delete\"\nstate = 5\n"
        ))
    };
    let gone = change(r#"{"active":false}"#);
    assert_eq!(with("keep").row(&gone).unwrap(), None);
    let row = with("delete").row(&gone).unwrap().unwrap();
    assert_eq!((row.action, row.only_if_known), (Action::Remove(Removal::Delete), true));
    let deactivated = with("deactivate").row(&gone).unwrap().unwrap().action;
    let five = State { state: 5, status: None };
    assert_eq!(deactivated, Action::Remove(Removal::Deactivate(five)));
    let due = "2026-03-14T11:15:02Z".parse().unwrap();
    let held = with("hold").row(&gone).unwrap().unwrap().action;
    assert_eq!(held, Action::Hold { due, then: Removal::Delete });
    let stays = with("delete").row(&change(r#"{"active":"true"}"#)).unwrap().unwrap();
    assert!(matches!(stays.action, Action::Upsert(_)));
    let mut keyless = change(r#"{"active":false}"#);
    keyless.codes.clear();
    assert_eq!(with("delete").row(&keyless).unwrap(), None);
}

#[test]
fn a_removal_follows_the_policy_even_without_properties() {
    let mut removed = change("{}");
    removed.kind = crate::change::Kind::Remove;
    let of = |sections: &str| map(sections).row(&removed).unwrap();
    let held = of("").unwrap();
    assert!(matches!(held.action, Action::Hold { then: Removal::Deactivate(_), .. }));
    assert!(!held.only_if_known);
    assert_eq!(of("[removed]\naction = \"ignore\""), None);
    let filtered = "[filter]\nwhen = [{ if = \"a\", is = 1 }]\nleaves = \"keep\"\n[removed]\naction = \"delete\"";
    assert!(of(filtered).unwrap().only_if_known);
    removed.codes.clear();
    assert_eq!(map("").row(&removed).unwrap_err().kind, Kind::KeyMissing);
}

#[test]
fn validations_stop_a_row_and_say_why() {
    let map = map(r#"
[[validate]]
expr = '(.Name | length) > 2'
message = "a name has three letters"
[[validate]]
when = [{ if = "country", null = false }]
message = "a country is needed"
"#);
    let fault = |properties: &str| {
        map.row(&change(properties)).map_err(|fault| (fault.kind, fault.message))
    };
    assert!(fault(r#"{"Name":"Abc","country":"DK"}"#).is_ok());
    let expected = (Kind::RuleBroken, "a name has three letters".to_owned());
    assert_eq!(fault(r#"{"Name":"A","country":"DK"}"#), Err(expected));
    assert_eq!(fault(r#"{"Name":"Abc"}"#).unwrap_err().0, Kind::RuleBroken);
}

#[test]
fn a_fault_names_every_refused_column_and_shows_no_value() {
    let map = map(r#"
[fields]
a = { from = "p", integer = true }
b = { from = "p", guid = true }
c = { from = "s", date = true, secured = true }
"#);
    let fault = map.row(&change(r#"{"p":"hunter2"}"#)).unwrap_err();
    assert_eq!(fault.field.as_deref(), Some("a"));
    assert!(fault.message.ends_with("also refused: b"), "{fault}");
    assert!(!fault.to_string().contains("hunter2"));
    assert!(fault.detail.unwrap().contains("hunter2"));
    let secured = map.row(&change(r#"{"p":"1","s":"hunter2"}"#)).unwrap_err();
    let of_secured = map.row(&change(r#"{"s":"hunter2"}"#)).unwrap_err();
    assert_eq!((of_secured.field.as_deref(), of_secured.detail), (Some("c"), None));
    assert!(secured.message.contains("also refused: c"));
    let listed = super::sample::map(
        "secured = [\"a\"]\n[fields]\na = { when = [{ else = { from = \"p\", guid = true } }] }\n",
    );
    let of_listed = listed.row(&change(r#"{"p":"hunter2"}"#)).unwrap_err();
    assert_eq!((of_listed.field.as_deref(), of_listed.detail), (Some("a"), None));
}

#[test]
fn a_trace_tells_each_step_and_masks_what_is_secured() {
    let map = map(r#"
secured = ["b"]
[fields]
a = { from = "p", trim = true, case = "upper", max = 2 }
b = { from = "s", trim = true }
"#);
    let (row, steps) = map.trace(&change(r#"{"p":" abc","s":" hunter2"}"#));
    assert_eq!(row.unwrap_err().kind, Kind::TooLong);
    let of = |column: &str| -> Vec<(&str, &str, Option<&str>)> {
        let steps = steps.iter().filter(|step| step.column == column);
        steps
            .map(|step| (step.rule.as_str(), step.input.as_str(), step.output.as_deref()))
            .collect()
    };
    assert_eq!(
        of("a"),
        [
            ("read", "\" abc\"", Some("\" abc\"")),
            ("trim", "\" abc\"", Some("\"abc\"")),
            ("case upper", "\"abc\"", Some("\"ABC\"")),
            ("max = 2", "\"ABC\"", None),
        ]
    );
    assert_eq!(of("b"), [("read", "•••", Some("•••")), ("trim", "•••", Some("•••"))]);
    assert!(!serde_json::to_string(&steps).unwrap().contains("hunter2"));
}

#[test]
fn the_trace_and_the_row_are_one_computation() {
    let map = map("[fields]\na = { from = \"p\", values = { x = 1 } }\n");
    for properties in [r#"{"p":"x"}"#, r#"{"p":"y"}"#, "{}"] {
        let change = change(properties);
        let (traced, plain) = (map.trace(&change).0, map.row(&change));
        assert_eq!(
            traced.map_err(|fault| fault.to_string()),
            plain.map_err(|fault| fault.to_string())
        );
    }
}

fn versioned(name: &str, schema: &str, table: &str) -> Map {
    let head = format!(
        "map = \"{name}\"\nversion = 1\nfrom = {{ system = \"mdm\", entity = \"customer\", schema = \"{schema}\" }}\nto = {{ system = \"sales\", table = \"{table}\" }}\n[key]\nk = {{ fact = \"id\" }}\n"
    );
    let (map, problems) = compiled(&head);
    assert_eq!(problems, []);
    map
}

#[test]
fn each_payload_version_goes_to_the_map_that_reads_it() {
    let all = maps(vec![
        versioned("one", "<2", "t"),
        versioned("two", "=2", "t"),
        versioned("u", ">=1", "u"),
    ]);
    let rows = |schema| -> Vec<(String, Option<Kind>)> {
        let change = Change { schema, ..change("{}") };
        let rows = all.rows("mdm", &change);
        rows.into_iter()
            .map(|(map, row)| (map.to_string(), row.err().map(|fault| fault.kind)))
            .collect()
    };
    assert_eq!(rows(Some(1)), [("one".into(), None), ("u".into(), None)]);
    assert_eq!(rows(Some(2)), [("two".into(), None), ("u".into(), None)]);
    assert_eq!(rows(Some(9)), [("u".into(), None), ("one".into(), Some(Kind::SchemaUnknown))]);
    assert_eq!(rows(None).len(), 3);
    assert!(all.rows("other", &change("{}")).is_empty());
}

#[test]
fn maps_are_ordered_parents_before_children() {
    let refers = |name: &str, table: &str, to: &str| {
        let text = format!(
            "map = \"{name}\"\nversion = 1\nfrom = {{ system = \"mdm\", entity = \"x\" }}\nto = {{ system = \"s\", table = \"{table}\" }}\n[key]\nk = \"k\"\n[fields]\nf = {{ from = \"p\", lookup = \"{to}.k\" }}\n"
        );
        compiled(&text).0
    };
    let all = maps(vec![
        refers("c", "tc", "tb"),
        refers("b", "tb", "ta"),
        refers("a", "ta", "elsewhere"),
    ]);
    assert_eq!(all.levels(), [["a"], ["b"], ["c"]]);
    let circle =
        maps(vec![refers("x", "tx", "ty"), refers("y", "ty", "tx"), refers("self", "ts", "ts")]);
    assert_eq!(circle.levels(), [vec!["self"], vec!["x", "y"]]);
}

/// Rule code and line of every problem, in the order of lines.
fn problems(text: &str) -> Vec<(&'static str, usize)> {
    let mut found: Vec<_> =
        compiled(text).1.iter().map(|problem| (problem.rule, problem.line)).collect();
    found.sort_by_key(|(rule, line)| (*line, *rule));
    found
}

/// Everything that can be wrong in a map, a line each where possible.
const WRONG: &str = r#"map = "bad name"
version = 0
colour = "red"
from = { system = "mdm", schema = "one" }
to = { system = "https://sales.example.com", table = "account" }
[key]
k = { code = "" }
[fields]
a = { from = "p", trimm = true, max = "long" }
b = { }
c = { from = "p", value = 3 }
d = { from = "p", replace = [{ pattern = "(" }] }
e = { expr = ".a |" }
f = { from = "p", datetime = "Europe/Kopenhagen", integer = true }
g = { from = "p", vocabulary = "none.csv", to = "x" }
h = { from = "p", vocabulary = "segments.csv", to = "ssap" }
i = { from = "p", integer = true, max = 3, on_error = "passthrough" }
j = { from = "p", lookup = "contact", over = "cut" }
k = { when = [{ if = "p", then = "q" }, { else = "r" }, { is = 1 }] }
l = { from = "p", phone = "Denmark" }
m = { from = "${NAME}" }
n = { value = "AccountKey=abcd" }
statecode = { value = 1 }
[filter]
when = [{ if = "p", is = 1, then = "q" }]
[removed]
action = "delete"
hours = 3
[owner]
user = "Bo"
[[validate]]
expr = "true"
[[decision]]
reasn = "x"
"#;

const EXPECTED: &[(&str, usize)] = &[
    ("map-name", 1),
    ("key-missing-in-file", 2),
    ("unknown-key", 3),
    ("key-missing-in-file", 4),
    ("schema-range", 4),
    ("url-in-map", 5),
    ("name-empty", 7),
    ("unknown-key", 9),
    ("wrong-type", 9),
    ("no-source", 10),
    ("several-sources", 11),
    ("pattern", 12),
    ("expression", 13),
    ("several-conversions", 14),
    ("zone-unknown", 14),
    ("vocabulary", 15),
    ("vocabulary", 16),
    ("not-text", 17),
    ("not-text", 17),
    ("key-alone", 18),
    ("lookup-path", 18),
    ("condition-empty", 19),
    ("else-place", 19),
    ("key-alone", 19),
    ("then-missing", 19),
    ("column-twice", 19),
    ("region-unknown", 20),
    ("setting-place", 21),
    ("secret-in-map", 22),
    ("column-section", 23),
    ("leaves-missing", 24),
    ("else-place", 25),
    ("key-alone", 28),
    ("owner-rule", 30),
    ("key-missing-in-file", 31),
    ("unknown-key", 34),
];

#[test]
fn a_wrong_map_says_everything_that_is_wrong_with_its_line() {
    let found = problems(WRONG);
    let mut left = found.clone();
    for one in EXPECTED.iter().copied() {
        let at = left.iter().position(|other| *other == one);
        assert!(at.is_some(), "{one:?} is not in {found:?}");
        left.remove(at.unwrap());
    }
    assert_eq!(left, [], "{found:?}");
}

#[test]
fn a_suggestion_says_what_was_probably_meant() {
    let (_, problems) =
        compiled("[fields]\na = { from = \"p\", trimm = true, date = \"Europe/Copenhage\" }\n");
    let suggested: Vec<_> =
        problems.iter().filter_map(|problem| problem.suggestion.as_deref()).collect();
    assert!(suggested.contains(&"did you mean `trim`?"), "{suggested:?}");
    assert!(suggested.contains(&"did you mean `Europe/Copenhagen`?"), "{suggested:?}");
}

#[test]
fn maps_can_be_shared_between_threads() {
    fn shared<T: Send + Sync + 'static>() {}
    shared::<Maps>();
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(serde_json::Value::from),
        "\\PC*".prop_map(serde_json::Value::from),
        "[-+0-9., :eTZ/]{0,24}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(serde_json::Value::from),
            prop::collection::hash_map("[a-z.]{0,4}", inner, 0..4)
                .prop_map(|members| members.into_iter().collect::<serde_json::Map<_, _>>().into()),
        ]
    })
}

const EVERY_RULE: &str = r#"
[filter]
when = [{ none = [{ if = "p", matches = "^never$" }] }]
leaves = "delete"
[fields]
a = { from = "p", trim = true, collapse = true, nfc = true, case = "title", max = 5, over = "cut" }
b = { from = ["q", "p"], split = { on = ",", at = -2 }, replace = [{ pattern = ".", with = "$0$0" }] }
c = { from = "p", country = "alpha2", on_error = "null" }
d = { from = "p", currency = "alpha", on_error = "passthrough" }
e = { from = "p", language = "639-1", on_error = "null" }
f = { from = "p", phone = "DK", on_error = "null" }
g = { from = "p", date = "Europe/Copenhagen", on_error = "null" }
h = { from = "p", datetime = "America/New_York", formats = ["%Y-%m-%dT%H:%M", "%s", "%d/%m/%y"], on_error = "null" }
i = { from = "p", decimal = { point = ",", group = ".", digits = 2, round = true }, on_error = "null" }
j = { from = "p", integer = true, on_error = "null" }
k = { from = "p", boolean = true, on_error = "null" }
l = { from = "p", choice = { A = 1 }, on_error = "null" }
m = { from = "p", choices = true, on_error = "null" }
n = { from = "p", guid = true, on_error = "null" }
o = { from = "p", lookup = "t.a.b", on_error = "null" }
q = { join = { from = ["p", "q"], with = " " }, on_error = "null" }
r = { expr = ".p | tostring | ascii_upcase", on_error = "null" }
s = { when = [{ if = "p", in = [1, "x"], then = { expr = ".q" } }, { else = "p" }], on_error = "null" }
t = { from = "p", values = { x = true }, on_error = "null" }
u = { from = "p.q.r" }
v = { lookup = { table = "t", by = { a = "p", b = "q" } }, on_error = "null" }
"#;

proptest! {
    #[test]
    fn no_value_makes_a_rule_panic_and_the_same_value_gives_the_same_row(p in any_json(), q in any_json()) {
        let map = map(EVERY_RULE);
        let change = change(&serde_json::json!({ "p": p, "q": q }).to_string());
        let (first, second) = (map.row(&change), map.row(&change));
        prop_assert_eq!(first.map_err(|fault| fault.to_string()), second.map_err(|fault| fault.to_string()));
        let (_, steps) = map.trace(&change);
        prop_assert!(!steps.is_empty());
    }

    #[test]
    fn no_text_makes_the_reader_of_maps_panic(text in "\\PC{0,200}") {
        let (_, problems) = compiled(&text);
        prop_assert!(!problems.is_empty());
    }
}
