//! What is said of a wrong map, and what no input can do.

use super::*;

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
fn pairs_hand_offs_and_owners_say_what_they_cannot_be() {
    let rules = |head: &str, sections: &str| -> Vec<&str> {
        let text = format!(
            "map = \"p\"\nversion = 1\nfrom = {{ system = \"mdm\", entity = \"/P\" }}\n{head}\n{sections}"
        );
        problems(&text).into_iter().map(|(rule, _)| rule).collect()
    };
    let pair = "to = { system = \"sales\", table = \"a_b\", pairs = true }";
    let ends = "[key]\naid = { from = \"a\", lookup = \"a.n\" }\nbid = { from = \"b\", lookup = \"b.n\" }\n";
    let gone = "[removed]\naction = \"delete\"\n";
    assert!(rules(pair, &format!("{ends}{gone}")).is_empty());
    for (sections, expected) in [
        (ends.to_owned(), "pair-removed"),
        (format!("[key]\naid = {{ from = \"a\", lookup = \"a.n\" }}\n{gone}"), "pair-key"),
        (format!("{ends}{gone}[fields]\nname = \"n\"\n"), "pair-columns"),
        (format!("{ends}{gone}[state]\nstate = 0\n"), "pair-columns"),
    ] {
        assert_eq!(rules(pair, &sections), [expected], "{sections}");
    }
    let mode = pair.replace("pairs", "mode = \"insert\", pairs");
    assert_eq!(rules(&mode, ends), ["pair-mode"]);
    let table = "to = { system = \"sales\", table = \"account\" }\nkey = { n = \"n\" }";
    let handed = "[state]\nstate = 0\n[state.hand_off]\ncolumn = \"s\"\nvalues = [{ state = 0, value = 5 }]\n";
    assert_eq!(rules(table, &format!("{handed}{gone}")), Vec::<&str>::new());
    assert_eq!(rules(table, handed), ["hand-off-missing"], "what deactivates has no value");
    for (owner, expected) in [
        ("team = { from = \"t\", lookup = \"systemuser.domainname\" }", "owner-rule"),
        ("team = { from = \"t\", lookup = \"team.name\", missing = \"null\" }", "owner-missing"),
        ("unit = \"North\"", "owner-rule"),
        ("user = \"${TEAM}\"\nteam = \"${TEAM}\"", "owner-rule"),
    ] {
        assert_eq!(rules(table, &format!("[owner]\n{owner}\n")), [expected], "{owner}");
    }
    assert!(
        rules(table, "[owner]\nunit = { from = \"u\", lookup = \"businessunit.name\" }\n")
            .is_empty()
    );
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
