//! An environment read as a source: pages, counts, single rows, and what changed.

use std::sync::Arc;

use concord::row::{Key, Value as Cell};
use concord::system::Source;
use concord::system::source::{Asked, Delta, Named, Selection};
use serde_json::{Value, json};

use crate::support::running::Running;

const MAP: &str = "
map = 'thing'
version = 1
from = { system = 'sales', entity = 'acme_customer' }
to = { system = 'sales', table = 'acme_region' }
[key]
acme_code = 'acme_number'
";

async fn running() -> (Running, Arc<dyn Source>) {
    let running = Running::start(MAP, "").await;
    let region = json!({"acme_code": "EU", "acme_name": "Europe"});
    running.call("POST", "acme_regions", Some(region)).await;
    let rows: Vec<Value> = (0..5_100)
        .map(|n| {
            json!({"@odata.type": "Microsoft.Dynamics.CRM.acme_customer",
                   "acme_number": format!("C-{n:04}"), "acme_name": "A",
                   "acme_RegionId@odata.bind": "acme_regions(acme_code='EU')"})
        })
        .collect();
    for rows in rows.chunks(1_000) {
        let path = "acme_customers/Microsoft.Dynamics.CRM.CreateMultiple";
        running.call("POST", path, Some(json!({"Targets": rows}))).await;
    }
    let source = Arc::clone(&running.app.pipeline.sources["sales"]);
    (running, source)
}

fn asked(names: &[&str]) -> Asked {
    let columns = Selection::of(names.iter().copied());
    Asked { table: "acme_customer".into(), columns, since: None }
}

fn number(text: &str) -> Named {
    Named::Key(Key(vec![("acme_number".into(), Cell::Text(text.into()))]))
}

#[tokio::test]
async fn pages_hold_every_row_once_with_columns_of_the_rows_they_refer_to() {
    let (_running, source) = running().await;
    let asked = asked(&["acme_number", "acme_regionid.acme_name", "nowhere"]);
    let first = source.page(&asked, None).await.unwrap();
    assert_eq!(first.rows.len(), 5_000);
    let second = source.page(&asked, first.next.as_ref()).await.unwrap();
    assert_eq!((second.rows.len(), &second.next), (100, &None));
    let ids: std::collections::BTreeSet<_> =
        first.rows.iter().chain(&second.rows).map(|row| row.id).collect();
    assert_eq!(ids.len(), 5_100);
    let row: Value = serde_json::from_slice(&second.rows[0].body).unwrap();
    assert_eq!(row["acme_RegionId"]["acme_name"], "Europe");
    assert!(row["acme_number"].is_string() && row["modifiedon"].is_string(), "{row}");
    assert_eq!(row.get("acme_name"), None);
}

#[tokio::test]
async fn counts_are_exact_and_rows_are_found_as_the_system_compares_keys() {
    let (_running, source) = running().await;
    let total = source.count("acme_customer", None).await.unwrap();
    assert_eq!(total.into_iter().collect::<Vec<_>>(), [(String::new(), 5_100)]);
    let by = source.count("acme_region", Some("acme_name")).await.unwrap();
    assert_eq!(by.into_iter().collect::<Vec<_>>(), [("Europe".to_owned(), 1)]);
    let names = [number("c-0007"), number("C-9999"), Named::Id(uuid::Uuid::nil())];
    let found = source.find(&asked(&["acme_number"]), &names).await.unwrap();
    let [Some(seven), None, None] = found.as_slice() else { panic!("{found:?}") };
    let again = source.find(&asked(&[]), &[Named::Id(seven.id)]).await.unwrap();
    assert_eq!(again[0].as_ref().map(|row| row.id), Some(seven.id));
}

#[tokio::test]
async fn changes_since_a_token_are_told_until_the_token_is_dead() {
    let (running, source) = running().await;
    let asked = asked(&["acme_number"]);
    let mut token = None;
    let mut rows = 0;
    loop {
        let delta = source.changes(&asked, token.as_ref()).await.unwrap();
        let Delta::Changes(changes) = delta else { panic!("expired at once") };
        rows += changes.rows.len();
        token = Some(changes.token);
        if !changes.more {
            break;
        }
    }
    assert_eq!(rows, 5_100);
    let renamed = json!({"acme_name": "B"});
    running.call("PATCH", "acme_customers(acme_number='C-0001')", Some(renamed)).await;
    running.call("DELETE", "acme_customers(acme_number='C-0002')", None).await;
    let Delta::Changes(changes) = source.changes(&asked, token.as_ref()).await.unwrap() else {
        panic!("the token is young")
    };
    assert_eq!((changes.rows.len(), changes.removed.len(), changes.more), (1, 1, false));
    let old =
        concord::system::source::Token(token.unwrap().0.replace("$deltatoken=", "$deltatoken=x"));
    assert_eq!(source.changes(&asked, Some(&old)).await.unwrap(), Delta::Expired);
}
