use serde_json::json;

use super::*;
use crate::cli::doctor::finding::State;
use crate::system::AlternateKey;

const SITE: Site<'_> = Site { name: "sales", url: String::new() };

fn schema() -> TableSchema {
    TableSchema {
        name: "account".into(),
        id: "accountid".into(),
        bulk: true,
        tracked: true,
        keys: vec![AlternateKey {
            name: "k".into(),
            columns: vec!["accountnumber".into()],
            active: true,
        }],
        ..TableSchema::default()
    }
}

/// What is not as it should be about a table.
fn wrong(table: &str, schema: Option<&TableSchema>) -> Vec<(&'static str, State, bool)> {
    let found = SITE.table(table, &["accountnumber".to_owned()], schema);
    let wrong = found.into_iter().filter(|finding| finding.state != State::Ok);
    wrong.map(|finding| (finding.check, finding.state, finding.mend.is_some())).collect()
}

#[test]
fn each_thing_that_a_table_lacks_is_found() {
    assert_eq!(wrong("account", Some(&schema())), []);
    assert_eq!(wrong("account", None), [("table", State::Missing, true)]);
    let with = |change: fn(&mut TableSchema)| {
        let mut schema = schema();
        change(&mut schema);
        wrong("account", Some(&schema))
    };
    assert_eq!(with(|schema| schema.keys.clear()), [("key", State::Missing, true)]);
    assert_eq!(with(|schema| schema.keys[0].active = false), [("key", State::Missing, true)]);
    assert_eq!(with(|schema| schema.bulk = false), [("bulk", State::Warning, false)]);
    assert_eq!(with(|schema| schema.tracked = false), [("tracking", State::Warning, true)]);
    assert_eq!(wrong("incident", Some(&schema())), [("licence", State::Warning, true)]);
    let primary = SITE.key("account", &["accountid".to_owned()], &schema());
    assert_eq!(primary.state, State::Ok);
}

#[test]
fn the_command_that_makes_a_key_is_one_that_can_be_pasted() {
    let site = Site { name: "sales", url: "https://acme.crm4.dynamics.com".into() };
    let mut bare = schema();
    bare.keys.clear();
    let mend = site.key("account", &["accountnumber".to_owned()], &bare).mend.unwrap();
    let body = mend.split_once("--body '").unwrap().1.trim_end_matches('\'');
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(body["KeyAttributes"], json!(["accountnumber"]));
    assert!(mend.contains("EntityDefinitions(LogicalName='account')/Keys"), "{mend}");
}

#[test]
fn clocks_that_differ_by_more_than_a_lease_allows_are_found() {
    let at = |second: i64| Timestamp::from_second(second).unwrap();
    let state = |theirs| clocks("sales", theirs, (at(100), at(102))).state;
    assert_eq!(state(None), State::Unknown);
    for fine in [95, 100, 107] {
        assert_eq!(state(Some(at(fine))), State::Ok, "{fine}");
    }
    for wrong in [93, 108] {
        assert_eq!(state(Some(at(wrong))), State::Missing, "{wrong}");
    }
}

#[test]
fn little_room_below_the_limits_is_told() {
    let of = |requests, seconds| {
        room("sales", &Examined { requests, seconds, ..Examined::default() }).state
    };
    assert_eq!(of(None, None), State::Ok);
    assert_eq!(of(Some(5_000), Some(1_100.0)), State::Ok);
    assert_eq!(of(Some(599), Some(1_100.0)), State::Warning);
    assert_eq!(of(Some(5_000), Some(60.0)), State::Warning);
}

#[test]
fn why_an_environment_was_not_reached_leads_to_its_own_command() {
    let of = |kind| {
        let finding = SITE.unreached(&Fault::new(kind, "x"));
        (finding.check, finding.state)
    };
    assert_eq!(of(Kind::Credential), ("token", State::Missing));
    assert_eq!(of(Kind::Forbidden), ("user", State::Missing));
    assert_eq!(of(Kind::Misconfigured), ("address", State::Missing));
    assert_eq!(of(Kind::Unreachable), ("reachable", State::Unknown));
}

#[test]
fn roles_that_are_none_or_too_many_are_told() {
    let of = |roles: &[&str]| {
        let roles: Vec<String> = roles.iter().map(|role| (*role).to_owned()).collect();
        SITE.roles(&roles).state
    };
    assert_eq!(of(&["Concord"]), State::Ok);
    assert_eq!(of(&[]), State::Warning);
    assert_eq!(of(&["Concord", "System Administrator"]), State::Warning);
}
