//! Collection queries against the small environment.

use super::super::fixture::environment;
use super::*;
use crate::emulator::dataverse::prefer::Prefer;
use crate::emulator::dataverse::render::View;

fn ask(query: &str, prefer: &str) -> Result<serde_json::Value, Refusal> {
    let env = environment();
    let prefer = Prefer::parse([prefer]);
    let view = View { env: &env, table: &env.tables["account"], prefer: &prefer };
    let pairs: Vec<(String, String)> = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| {
            let value = percent_encoding::percent_decode_str(value).decode_utf8_lossy();
            (name.to_owned(), value.into_owned())
        })
        .collect();
    let asked = Asked { view, base: "http://host/api/data/v9.2", query: &pairs };
    let body = answer(asked, &Options::read(&pairs)?)?;
    Ok(serde_json::from_str(&body).unwrap())
}

fn names(query: &str) -> Vec<String> {
    listed(&ask(query, "").unwrap())
}

fn listed(answer: &serde_json::Value) -> Vec<String> {
    let rows = answer["value"].as_array().unwrap();
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn conditions_follow_lookups_and_collections() {
    assert_eq!(
        names("$filter=parentaccountid/name eq 'ALPHA'&$orderby=revenue desc"),
        ["beta", "BETA"]
    );
    assert_eq!(names("$filter=_parentaccountid_value eq null"), ["Alpha"]);
    assert_eq!(
        names("$filter=contact_customer_accounts/any(c:c/active eq true and c/name ne null)"),
        ["Alpha"]
    );
    assert_eq!(names("$filter=tags/any(t:t/name eq 'hot')&$orderby=name"), ["Alpha", "beta"]);
    assert_eq!(names("$filter=contains(name,@p1)&@p1='LPH'"), ["Alpha"]);
}

#[test]
fn pages_link_to_the_next_until_the_last() {
    let first = ask("$select=name&$orderby=name", "odata.maxpagesize=2").unwrap();
    assert_eq!(listed(&first), ["Alpha", "beta"]);
    let link = first["@odata.nextLink"].as_str().unwrap();
    let (base, query) = link.split_once('?').unwrap();
    assert_eq!(base, "http://host/api/data/v9.2/accounts");
    let second = ask(query, "odata.maxpagesize=2").unwrap();
    assert_eq!(listed(&second), ["BETA"]);
    assert!(second.get("@odata.nextLink").is_none());
}

#[test]
fn top_cuts_without_a_link_and_yields_to_a_page_size() {
    let answer = ask("$top=1&$orderby=name", "").unwrap();
    assert_eq!(listed(&answer), ["Alpha"]);
    assert!(answer.get("@odata.nextLink").is_none());
    assert_eq!(listed(&ask("$top=1", "odata.maxpagesize=3").unwrap()).len(), 3);
}

#[test]
fn counts_stand_beside_the_rows() {
    let notes = "odata.include-annotations=\"Microsoft.Dynamics.CRM.totalrecordcount*\"";
    let answer = ask("$count=true&$top=1&$filter=revenue ne null", notes).unwrap();
    assert_eq!(answer["@odata.count"], 2);
    assert_eq!(answer["@Microsoft.Dynamics.CRM.totalrecordcount"], 2);
    assert_eq!(answer["@Microsoft.Dynamics.CRM.totalrecordcountlimitexceeded"], false);
}

#[test]
fn expanded_rows_stand_inside() {
    let query = "$select=name&$orderby=name&$expand=parentaccountid($select=name),\
                 contact_customer_accounts($select=name;$orderby=name desc;$top=1),tags($select=name)";
    let answer = ask(query, "").unwrap();
    let first = &answer["value"][0];
    assert_eq!(first["parentaccountid"], serde_json::Value::Null);
    assert_eq!(first["contact_customer_accounts"][0]["name"], "Bo");
    assert_eq!(first["contact_customer_accounts"].as_array().unwrap().len(), 1);
    assert_eq!(first["tags"][0]["name"], "Hot");
    assert_eq!(answer["value"][1]["parentaccountid"]["name"], "Alpha");
    let context = answer["@odata.context"].as_str().unwrap();
    assert!(context.ends_with(
        "#accounts(name,parentaccountid(name),contact_customer_accounts(name),tags(name))"
    ));
}

#[test]
fn totals_are_applied() {
    let query = "$apply=filter(name ne 'x')/groupby((_parentaccountid_value),aggregate($count as n,revenue with sum as total))\
                 &$orderby=_parentaccountid_value";
    let answer = ask(query, "").unwrap();
    assert_eq!(answer["value"][0]["n"], 1);
    assert_eq!((&answer["value"][1]["n"], &answer["value"][1]["total"]), (&2.into(), &20.5.into()));
    assert!(ask("$apply=groupby((createdon))", "").is_err());
    assert!(ask("$apply=compute(a)", "").is_err());
}

#[test]
fn unknown_names_are_refused_wherever_they_stand() {
    for query in [
        "$select=nope",
        "$filter=nope eq 1",
        "$filter=parentaccountid/nope eq 1",
        "$filter=contact_customer_accounts/any(c:c/nope eq 1)",
        "$orderby=nope",
        "$expand=nope",
        "$expand=parentaccountid($select=nope)",
        "$apply=groupby((nope))",
    ] {
        let refusal = ask(query, "").unwrap_err();
        assert_eq!((refusal.status, refusal.code), (400, "0x0"), "{query}");
        assert!(refusal.message.starts_with("Could not find a property named 'nope'"), "{query}");
    }
}

#[test]
fn types_that_do_not_compare_are_refused() {
    assert!(ask("$filter=name eq 5", "").unwrap_err().message.contains("incompatible types"));
    assert!(ask("$filter=revenue eq '5'", "").is_err());
    assert!(ask("$filter=name", "").is_err());
}

#[test]
fn a_foreign_token_is_refused() {
    assert!(ask("$skiptoken=zz", "").is_err());
}
