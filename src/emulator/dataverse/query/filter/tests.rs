//! What conditions read as, and what is refused.

use super::super::expression::Subject;
use super::*;

/// `name = "O'Neil"`, `revenue = 20.5`, `parent/name = "Top"`, two contacts, choices 1 and 3.
struct Row;

struct Contact(&'static str);

impl Subject for Row {
    fn value(&self, path: &[String]) -> Operand {
        match path.join("/").as_str() {
            "name" => Operand::Text("O'Neil".into()),
            "revenue" => Operand::Number("20.5".parse().unwrap()),
            "parent/name" => Operand::Text("Top".into()),
            "kinds" => Operand::Choices(vec![1, 3]),
            _ => Operand::Null,
        }
    }

    fn members(&self, path: &[String]) -> Vec<Box<dyn Subject + '_>> {
        assert_eq!(path, ["contacts"]);
        vec![Box::new(Contact("Anna")), Box::new(Contact("Bo"))]
    }
}

impl Subject for Contact {
    fn value(&self, path: &[String]) -> Operand {
        assert_eq!(path, ["name"]);
        Operand::Text(self.0.into())
    }

    fn members(&self, _: &[String]) -> Vec<Box<dyn Subject + '_>> {
        Vec::new()
    }
}

fn holds(text: &str) -> bool {
    let aliases = [("@p1", "'o''neil'"), ("@p2", "[\"1\",\"3\"]")];
    let aliases = aliases.map(|(name, text)| (name.to_owned(), text.to_owned())).into();
    read(text, &aliases).unwrap().holds(&Row)
}

fn refused(text: &str) -> bool {
    read(text, &Aliases::new()).is_err_and(|refusal| refusal.status == 400)
}

#[test]
fn and_binds_tighter_than_or() {
    assert!(holds("name eq 'x' and name eq 'y' or revenue gt 20"));
    assert!(!holds("name eq 'x' and (name eq 'y' or revenue gt 20)"));
}

#[test]
fn not_negates_what_follows() {
    assert!(holds("not contains(name,'zz') and not (revenue le 20)"));
}

#[test]
fn null_is_equal_to_null_alone() {
    assert!(holds("missing eq null") && holds("name ne null"));
    assert!(holds("missing ne 'x'") && !holds("missing gt 1"));
}

#[test]
fn paths_and_text_functions_ignore_case() {
    assert!(holds("parent/name eq 'TOP'") && holds("startswith(name,'o''n')"));
    assert!(holds("endswith(name,'NEIL')"));
}

#[test]
fn collections_are_asked_with_any_and_all() {
    assert!(holds("contacts/any(c:c/name eq 'bo')") && holds("contacts/any()"));
    assert!(holds("contacts/any(c : c/name eq 'bo')"));
    assert!(!holds("contacts/all(c:c/name eq 'bo')"));
    assert!(holds("contacts/all(c:c/name eq 'bo' or c/name eq 'anna' or revenue eq 0)"));
}

#[test]
fn service_functions_take_lists_and_aliases() {
    assert!(holds("Microsoft.Dynamics.CRM.In(PropertyName='name',PropertyValues=['x','O''Neil'])"));
    assert!(holds("Microsoft.Dynamics.CRM.ContainValues(PropertyName='kinds',PropertyValues=@p2)"));
    assert!(holds(
        "Microsoft.Dynamics.CRM.Between(PropertyName='revenue',PropertyValues=[\"20\",\"21\"])"
    ));
    assert!(!holds("Microsoft.Dynamics.CRM.NotIn(PropertyName='revenue',PropertyValues=['20.5'])"));
    assert!(holds("name eq @p1"));
}

#[test]
fn what_is_no_condition_is_refused() {
    for text in [
        "",
        "name eq",
        "(name eq 'x'",
        "name eq 'x')",
        "name eeq 'x'",
        "name eq @missing",
        "tolower(name) eq 'x'",
        "contacts/any(",
        "contacts/all()",
        "contains(name",
        "Microsoft.Dynamics.CRM.In(PropertyName='a'",
        "a/",
        "/",
        "name eq 'x' name",
        "Microsoft.Dynamics.CRM.ContainValues(PropertyName='k',PropertyValues=['x'])",
    ] {
        assert!(refused(text), "{text} was taken");
    }
}

#[test]
fn nesting_ends_at_its_bound() {
    let nested = |levels: usize| format!("{}name eq 'x'{}", "(".repeat(levels), ")".repeat(levels));
    assert!(!refused(&nested(DEEPEST - 1)));
    assert!(refused(&nested(DEEPEST)) && refused(&nested(100_000)));
    assert!(refused(&"contacts/any(c:".repeat(10_000)));
    assert!(!refused(&format!("{}true", "not ".repeat(10_000))));
}

proptest::proptest! {
    #[test]
    fn no_text_panics(text in "[a-z'()\\[\\],/:@=. ]{0,60}|\\PC{0,40}") {
        let _unused = read(&text, &Aliases::new());
    }
}
