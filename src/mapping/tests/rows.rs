//! Changes become rows, removals and traces.

use super::*;

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
    assert_eq!((&*row.to.map, row.to.version, row.to.table.as_str()), ("customer", 3, "account"));
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
    assert_eq!(*row.action, Action::Upsert(expected));
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
    assert_eq!((&*row.action, row.only_if_known), (&Action::Remove(Removal::Delete), true));
    let deactivated = with("deactivate").row(&gone).unwrap().unwrap().action;
    let five = State { state: 5, status: None };
    assert_eq!(*deactivated, Action::Remove(Removal::Deactivate(five)));
    let due = "2026-03-14T11:15:02Z".parse().unwrap();
    let held = with("hold").row(&gone).unwrap().unwrap().action;
    assert_eq!(*held, Action::Hold { due, then: Removal::Delete });
    let stays = with("delete").row(&change(r#"{"active":"true"}"#)).unwrap().unwrap();
    assert!(matches!(*stays.action, Action::Upsert(_)));
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
    assert!(matches!(*held.action, Action::Hold { then: Removal::Deactivate(_), .. }));
    assert!(held.only_if_known);
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
    let expected = (Kind::RuleBroken, "a name has three letters".into());
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
