//! Queries as callers see them: over the shipped tables, with the addresses and headers of real answers.

use serde_json::json;

use super::Service;

async fn with_accounts(names: &[&str]) -> Service {
    let service = Service::new();
    for name in names {
        service.create("accounts", json!({ "name": name })).await;
    }
    service
}

fn encoded(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

#[tokio::test]
async fn the_next_link_leads_on_with_nothing_added() {
    let service = with_accounts(&["a", "b", "c"]).await;
    let size = [("prefer", "odata.maxpagesize=2")];
    let first = service.raw("GET accounts?$select=name&$orderby=name", &size, "").await;
    assert!(first.header("preference-applied").contains("odata.maxpagesize=2"));
    let link = first.json()["@odata.nextLink"].as_str().unwrap().to_owned();
    let path = link.strip_prefix("http://here").unwrap();
    let second = service.raw(&format!("GET {path}"), &size, "").await.json();
    assert_eq!(second["value"][0]["name"], "c");
    assert!(second.get("@odata.nextLink").is_none());
}

#[tokio::test]
async fn an_owner_is_expanded_whether_user_or_team() {
    let service = with_accounts(&["a"]).await;
    let team = service.get("teams?$select=name&$top=1").await.json();
    let id = team["value"][0]["teamid"].as_str().unwrap();
    let body = json!({ "name": "b", "ownerid@odata.bind": format!("/teams({id})") });
    service.create("accounts", body).await;
    let path = "accounts?$select=name&$orderby=name&$expand=ownerid($select=ownerid),owninguser($select=fullname)";
    let path = path.replace("ownerid($select=ownerid)", "ownerid");
    let found = service.get(&path).await.json();
    assert!(found["value"][0]["ownerid"]["systemuserid"].is_string(), "{found}");
    assert_eq!(found["value"][1]["ownerid"]["teamid"], id);
}

#[tokio::test]
async fn counts_are_plain_text() {
    let service = with_accounts(&["a", "b"]).await;
    let reply = service.get("accounts/$count?$filter=name%20eq%20'A'").await;
    assert_eq!((reply.text.as_str(), reply.header("content-type")), ("1", "text/plain"));
}

#[tokio::test]
async fn options_that_the_service_lacks_are_refused_by_name() {
    let service = Service::new();
    for option in ["$skip=1", "$search=x", "$format=json"] {
        let reply = service.get(&format!("accounts?{option}")).await;
        assert_eq!(reply.refusal(), (400, "0x80060888".to_owned()), "{option}");
    }
}

#[tokio::test]
async fn fetchxml_and_sql_are_asked_of_the_set() {
    let service = with_accounts(&["a", "b"]).await;
    let xml = encoded(
        "<fetch top='1'><entity name='account'><attribute name='name'/><order attribute='name' descending='true'/></entity></fetch>",
    );
    let found = service.get(&format!("accounts?fetchXml={xml}")).await.json();
    assert_eq!(found["value"][0]["name"], "b");
    assert!(found["value"][0]["@odata.etag"].is_string());
    let sql = encoded("SELECT name FROM account WHERE name = 'a'");
    let found = service.get(&format!("accounts?sql={sql}")).await.json();
    assert_eq!(found["value"][0]["name"], "a");
}

#[tokio::test]
async fn a_long_sql_answer_goes_on_by_link() {
    let service = Service::new();
    let type_name = "Microsoft.Dynamics.CRM.account";
    let targets: Vec<_> = (0..5_001)
        .map(|n| json!({ "@odata.type": type_name, "name": format!("n{n:04}") }))
        .collect();
    let reply = service
        .send("POST accounts/Microsoft.Dynamics.CRM.CreateMultiple", json!({ "Targets": targets }))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text);
    let sql = encoded("SELECT name FROM account ORDER BY name");
    let first = service.get(&format!("accounts?sql={sql}")).await.json();
    assert_eq!(first["value"].as_array().unwrap().len(), 5_000);
    let link = first["@odata.nextLink"].as_str().unwrap().replace("http://here", "");
    let second = service.get(&link).await.json();
    assert_eq!(second["value"][0]["name"], "n5000");
    assert!(second.get("@odata.nextLink").is_none());
}
