//! FetchXML against the small environment.

use super::super::fixture::{environment, id};
use super::super::shown::Asked;
use super::*;
use crate::emulator::dataverse::model::Environment;
use crate::emulator::dataverse::prefer::Prefer;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render::View;

fn ask(env: &Environment, xml: &str) -> Result<serde_json::Value, Refusal> {
    let prefer = Prefer::parse(["odata.include-annotations=\"Microsoft.Dynamics.CRM.*\""]);
    let view = View { env, table: &env.tables["account"], prefer: &prefer };
    let asked = Asked { view, base: "http://host/api/data/v9.2", query: &[] };
    let now = "2024-06-02T00:00:00Z".parse().unwrap();
    let body = answer(asked, &read(xml)?, Pages::Cookie, now)?;
    Ok(serde_json::from_str(&body).unwrap())
}

fn accounts(filter: &str) -> Vec<String> {
    let xml = format!(
        "<fetch><entity name='account'><attribute name='name'/><order attribute='name'/>{filter}</entity></fetch>"
    );
    names(&ask(&environment(), &xml).unwrap(), "name")
}

fn names(answer: &serde_json::Value, member: &str) -> Vec<String> {
    let rows = answer["value"].as_array().unwrap();
    rows.iter().map(|row| row[member].as_str().unwrap_or("-").to_owned()).collect()
}

fn condition(text: &str) -> Vec<String> {
    accounts(&format!("<filter><condition {text}/></filter>"))
}

#[test]
fn operators_choose_rows() {
    assert_eq!(condition("attribute='name' operator='eq' value='BETA'"), ["beta", "BETA"]);
    assert_eq!(condition("attribute='name' operator='like' value='%ph%'"), ["Alpha"]);
    assert_eq!(condition("attribute='name' operator='not-begin-with' value='b'"), ["Alpha"]);
    assert_eq!(condition("attribute='revenue' operator='ge' value='20.5'"), ["Alpha", "beta"]);
    assert_eq!(condition("attribute='revenue' operator='ne' value='500'"), ["beta", "BETA"]);
    assert_eq!(condition("attribute='revenue' operator='null'"), ["BETA"]);
    assert_eq!(condition("attribute='createdon' operator='on' value='2024-05-01'"), ["Alpha"]);
    assert_eq!(
        condition("attribute='createdon' operator='on-or-after' value='2024-06-01'"),
        ["beta"]
    );
    assert_eq!(condition("attribute='createdon' operator='yesterday'"), ["beta"]);
    assert_eq!(
        condition("attribute='createdon' operator='olderthan-x-days' value='10'"),
        ["Alpha"]
    );
    let parent = id(1);
    assert_eq!(
        condition(&format!("attribute='parentaccountid' operator='eq' value='{{{parent}}}'")),
        ["beta", "BETA"]
    );
    let several = "<filter type='or'><condition attribute='name' operator='in'><value>alpha</value><value>x</value></condition>\
                   <condition attribute='kinds' operator='contain-values'><value>3</value></condition></filter>";
    assert_eq!(accounts(several), ["Alpha"]);
    let between = "<filter><condition attribute='revenue' operator='between'><value>1</value><value>100</value></condition></filter>";
    assert_eq!(accounts(between), ["beta"]);
}

#[test]
fn links_join_inner_and_outer_under_their_alias() {
    let xml = |kind: &str| {
        format!(
            "<fetch><entity name='account'><attribute name='name'/><order attribute='name'/>\
             <link-entity name='contact' from='parentcustomerid' to='accountid' alias='c' link-type='{kind}'>\
             <attribute name='name'/><order attribute='name'/></link-entity></entity></fetch>"
        )
    };
    let inner = ask(&environment(), &xml("inner")).unwrap();
    assert_eq!(names(&inner, "c.name"), ["Anna", "Bo"]);
    let outer = ask(&environment(), &xml("outer")).unwrap();
    assert_eq!(names(&outer, "c.name"), ["Anna", "Bo", "-", "-"]);
    let exists = ask(
        &environment(),
        &xml("exists").replace("<attribute name='name'/><order attribute='name'/></link", "</link"),
    )
    .unwrap();
    assert_eq!(names(&exists, "name"), ["Alpha"]);
}

#[test]
fn a_condition_of_the_root_may_name_an_outer_link() {
    let found = accounts(
        "<link-entity name='contact' from='parentcustomerid' to='accountid' alias='c' link-type='outer'/>\
         <filter><condition entityname='c' attribute='contactid' operator='null'/></filter>",
    );
    assert_eq!(found, ["beta", "BETA"]);
}

#[test]
fn pairs_are_joined_through_their_own_table() {
    let found = accounts(
        "<link-entity name='account_tag' from='accountid' to='accountid' intersect='true'>\
         <link-entity name='tag' from='tagid' to='tagid'><filter><condition attribute='name' operator='eq' value='hot'/></filter></link-entity></link-entity>",
    );
    assert_eq!(found, ["Alpha", "beta"]);
}

#[test]
fn pages_follow_by_cookie_until_there_is_none() {
    let env = environment();
    let query = |extra: &str| {
        format!(
            "<fetch count='2' {extra}><entity name='account'><attribute name='name'/><order attribute='name' descending='true'/></entity></fetch>"
        )
    };
    let first = ask(&env, &query("page='1'")).unwrap();
    assert_eq!(names(&first, "name"), ["beta", "BETA"]);
    assert_eq!(first["@Microsoft.Dynamics.CRM.morerecords"], true);
    let outer = first["@Microsoft.Dynamics.CRM.fetchxmlpagingcookie"].as_str().unwrap();
    let inner = outer.split('"').find(|part| part.starts_with("%253c")).unwrap();
    let once = percent_encoding::percent_decode_str(inner).decode_utf8().unwrap().into_owned();
    let twice = percent_encoding::percent_decode_str(&once).decode_utf8().unwrap();
    let cookie = quick_xml::escape::escape(twice.as_ref());
    let second = ask(&env, &query(&format!("page='2' paging-cookie=\"{cookie}\""))).unwrap();
    assert_eq!(names(&second, "name"), ["Alpha"]);
    assert_eq!(second["@Microsoft.Dynamics.CRM.morerecords"], false);
    assert!(second.get("@Microsoft.Dynamics.CRM.fetchxmlpagingcookie").is_none());
    // without the cookie pages are counted
    assert_eq!(names(&ask(&env, &query("page='2'")).unwrap(), "name"), ["Alpha"]);
}

#[test]
fn totals_are_grouped_and_ordered_by_alias() {
    let xml = "<fetch aggregate='true'><entity name='account'>\
               <attribute name='parentaccountid' alias='parent' groupby='true'/>\
               <attribute name='accountid' alias='n' aggregate='count'/>\
               <attribute name='revenue' alias='total' aggregate='sum'/>\
               <order alias='n' descending='true'/></entity></fetch>";
    let answer = ask(&environment(), xml).unwrap();
    assert_eq!(answer["value"][0]["n"], 2);
    assert_eq!(answer["value"][0]["total"], 20.5);
    assert_eq!(answer["value"][1], serde_json::json!({"parent": null, "n": 1, "total": 500}));
}

#[test]
fn distinct_lines_stand_once() {
    let xml = "<fetch distinct='true'><entity name='account'><attribute name='name'/><order attribute='name'/></entity></fetch>";
    let answer = ask(&environment(), xml).unwrap();
    assert_eq!(answer["value"].as_array().unwrap().len(), 2);
    assert!(answer["value"][0].get("accountid").is_none());
}

#[test]
fn unknown_names_have_the_query_engines_codes() {
    let code = |xml: &str| ask(&environment(), xml).unwrap_err().code;
    assert_eq!(code("<fetch><entity name='nothing'/></fetch>"), "0x80041102");
    assert_eq!(
        code("<fetch><entity name='account'><attribute name='nope'/></entity></fetch>"),
        "0x80041103"
    );
    let operator = "<fetch><entity name='account'><filter><condition attribute='name' operator='sounds-like' value='x'/></filter></entity></fetch>";
    assert_eq!(code(operator), "0x80040203");
}

#[test]
fn hostile_documents_are_refused() {
    let deep = format!("<fetch><entity name='account'>{}", "<filter>".repeat(100_000));
    for xml in [
        "",
        "x",
        "<fetch/>",
        "<fetch><entity/></fetch>",
        "<fetch><entity name='account'>",
        "</fetch>",
        "<fetch top='x'><entity name='account'/></fetch>",
        "<fetch top='1' page='1'><entity name='account'/></fetch>",
        "<fetch page='1' paging-cookie='zz'><entity name='account'/></fetch>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><fetch><entity name='&b;'/></fetch>",
        &deep,
    ] {
        assert!(ask(&environment(), xml).is_err(), "{xml:.40} was taken");
    }
}

proptest::proptest! {
    #[test]
    fn no_document_panics(text in "(<fetch>|<entity name='account'>|<filter>|<condition attribute='name' operator='like' value='\\[%'/>|</filter>|</entity>|</fetch>|&amp;|<!--|[a-z<>&'\"= /]){0,20}") {
        let _unused = ask(&environment(), &text);
    }
}
