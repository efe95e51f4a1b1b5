//! What is sent when all is well.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use uuid::Uuid;

use super::super::Bearer;
use super::stub::{Reply, Stub, each, error, say};
use super::*;
use crate::fault::Fault;
use crate::row::Owner;

#[tokio::test]
async fn a_batch_is_one_bulk_message_with_bound_lookups_and_no_key_columns() {
    let stub = Stub::start(|_| say(204, "")).await;
    let target = target(&stub.url);
    let columns = Columns {
        values: vec![
            ("acme_name".into(), text("Æ \"x\"")),
            (
                "acme_credit".into(),
                Value::Decimal("79228162514264337593543950.335".parse().unwrap()),
            ),
            ("acme_since".into(), Value::Date(jiff::civil::date(2024, 2, 29))),
            ("acme_seen".into(), Value::Time("2024-02-29T01:02:03.9Z".parse().unwrap())),
            ("acme_tags".into(), Value::Choices(vec![1, 3])),
            ("acme_regionid".into(), lookup("acme_region", &["acme_code"], "EU", Missing::Park)),
            ("acme_parentid".into(), Value::Null),
            ("acme_note".into(), Value::Null),
        ],
        state: Some(State { state: 0, status: Some(1) }),
        owner: Some(Owner::Team(Uuid::nil())),
    };
    let writes = [write("C-1", Action::Upsert(columns)), named("O'Neil #2")];
    assert_eq!(told(&target.write(&writes, soon()).await), ["written", "written"]);
    let asked = stub.asked();
    assert_eq!(stub.story(), ["POST acme_customers/Microsoft.Dynamics.CRM.UpsertMultiple"]);
    insta::assert_snapshot!(asked[0].body.replace(",\"", ",\n\""));
    let header = |name: &str| asked[0].headers[name].to_str().unwrap().to_owned();
    assert_eq!(header("x-ms-client-session-id"), CORRELATION);
    assert!(header("user-agent").ends_with(&format!(" ({CORRELATION})")));
    assert!(header("traceparent").starts_with("00-0af7651916cd43dd8448eb211c80319c-"));
    assert_eq!((header("odata-version"), header("odata-maxversion")), ("4.0".into(), "4.0".into()));
    assert!(!asked[0].headers.contains_key("cookie"));
    assert_eq!(target.calls(), 1);
}

#[tokio::test]
async fn without_saved_schemas_256_rows_with_two_lookups_cost_three_calls_the_second_time_two_or_in_bulk_one()
 {
    let stub = Stub::start(|asked| {
        let lookup = |column: &str, table: &str| {
            serde_json::json!({"ReferencingAttribute": column, "ReferencedEntity": table,
                "ReferencingEntityNavigationPropertyName": format!("nav_{column}")})
        };
        let definition = |name: &str| {
            serde_json::json!({"LogicalName": name, "EntitySetName": format!("{name}set"),
                "PrimaryIdAttribute": format!("{name}id"), "ManyToOneRelationships":
                [lookup("acme_regionid", "acme_region"), lookup("acme_parentid", "acme_customer")]})
        };
        if asked.is("GET", "EntityDefinitions?") {
            let both = [definition("acme_customer"), definition("acme_region")];
            return say(200, serde_json::json!({ "value": both }).to_string());
        }
        assert!(asked.is("POST", "UpsertMultiple"), "{asked:?}");
        say(204, "")
    })
    .await;
    let target = built(Config { schemas: [].into(), ..config(&stub.url) });
    let writes: Vec<Write> = (0..256)
        .map(|n| {
            let region = lookup("acme_region", &["acme_code"], "EU", Missing::Park);
            let parent = lookup("acme_customer", &["acme_number"], "C-0", Missing::Park);
            upsert(&format!("C-{n}"), &[("acme_regionid", region), ("acme_parentid", parent)])
        })
        .collect();
    assert!(told(&target.write(&writes, soon()).await).iter().all(|told| told == "written"));
    assert_eq!(target.calls(), 3);
    assert!(told(&target.write(&writes, soon()).await).iter().all(|told| told == "written"));
    assert_eq!(target.calls(), 5);
    let bulk = Until { lane: Lane::Bulk, ..soon() };
    assert!(told(&target.write(&writes, bulk).await).iter().all(|told| told == "written"));
    assert_eq!(target.calls(), 6);
    let asked = stub.asked();
    let rows = |call: usize| asked[call].json()["Targets"].as_array().unwrap().len();
    assert_eq!([1, 2, 3, 4, 5].map(rows), [128, 128, 128, 128, 256]);
    let body = asked[1].json();
    assert_eq!(body["Targets"][7]["@odata.id"], "acme_customerset(acme_number='C-7')");
    assert_eq!(
        body["Targets"][7]["nav_acme_regionid@odata.bind"],
        "/acme_regionset(acme_code='EU')"
    );
}

#[tokio::test]
async fn concurrent_writes_read_the_names_once() {
    let stub = Stub::start(|asked| match asked.is("GET", "EntityDefinitions(") {
        true => say(200, r#"{"LogicalName":"acme_customer","EntitySetName":"acme_custs","PrimaryIdAttribute":"id"}"#),
        false => say(204, ""),
    })
    .await;
    let target = built(Config { schemas: [].into(), ..config(&stub.url) });
    let (one, two) = ([named("1")], [named("2")]);
    futures::join!(target.write(&one, soon()), target.write(&two, soon()));
    assert_eq!(stub.story().iter().filter(|call| call.starts_with("GET")).count(), 1);
    assert_eq!(target.calls(), 3);
}

#[tokio::test]
async fn an_endpoint_without_metadata_gets_the_usual_names() {
    for status in [404, 501] {
        let stub = Stub::start(move |asked| match asked.verb.as_str() {
            "GET" => say(status, ""),
            _ => say(204, ""),
        })
        .await;
        let target = built(Config { schemas: [].into(), ..config(&stub.url) });
        assert_eq!(told(&target.write(&[named("1")], soon()).await), ["written"]);
        assert!(stub.asked().last().unwrap().is("POST", "acme_customers/Microsoft.Dynamics"));
    }
}

#[tokio::test]
async fn deletions_and_deactivations_share_one_batch_and_a_missing_row_is_gone_already() {
    let stub = Stub::start(|asked| {
        each(asked, |part| match part.path.contains("gone") {
            true => error(404, "0x80040217", "Does Not Exist"),
            false => say(204, ""),
        })
    })
    .await;
    let target = target(&stub.url);
    let inactive = State { state: 1, status: Some(2) };
    let writes = [
        write("C-1", Action::Remove(Removal::Delete)),
        write("gone-2", Action::Remove(Removal::Delete)),
        write("C-3", Action::Remove(Removal::Deactivate(inactive))),
        write("gone-4", Action::Remove(Removal::Deactivate(inactive))),
        write("C-5", Action::Hold { due: Timestamp::UNIX_EPOCH, then: Removal::Delete }),
    ];
    assert_eq!(told(&target.write(&writes, soon()).await), ["written"; 5]);
    assert_eq!(stub.story(), ["POST $batch"]);
    let asked = &stub.asked()[0];
    assert_eq!(asked.headers["prefer"], "odata.continue-on-error");
    let parts = asked.parts();
    assert!(parts[0].is("DELETE", "acme_customers(acme_number='C-1')"));
    assert!(parts[2].is("PATCH", "acme_customers(acme_number='C-3')"));
    assert_eq!(parts[2].headers["if-match"], "*");
    assert_eq!(parts[2].body, r#"{"statecode":1,"statuscode":2}"#);
    assert_eq!(parts.len(), 4, "nothing is asked for a row on hold");
}

#[tokio::test]
async fn a_state_is_a_second_step_and_only_where_it_differs() {
    let stub = Stub::start(|asked| match asked.is("POST", "$batch") {
        true => each(asked, |_| say(204, "")),
        false => say(204, ""),
    })
    .await;
    let target = target(&stub.url);
    let with = |number: &str, state: i32, before: Option<Before>| {
        let state = Some(State { state, status: None });
        let columns = Columns { state, ..columns(&[]) };
        Write { before, ..write(number, Action::Upsert(columns)) }
    };
    let was =
        |state: i32| Some(Before { target_id: None, state: Some(State { state, status: None }) });
    let writes = [
        with("new-active", 0, None),
        with("new-inactive", 1, None),
        with("stays-inactive", 1, was(1)),
        with("comes-back", 0, was(1)),
        with("unknown-before", 0, Some(Before::default())),
    ];
    assert_eq!(told(&target.write(&writes, soon()).await), ["written"; 5]);
    assert_eq!(stub.asked().len(), 2);
    let parts = stub.asked()[1].parts();
    let paths: Vec<&str> = parts.iter().map(|part| part.path.as_str()).collect();
    assert_eq!(
        paths,
        ["new-inactive", "comes-back", "unknown-before"]
            .map(|number| format!("acme_customers(acme_number='{number}')"))
    );
    assert_eq!(parts[0].body, r#"{"statecode":1}"#);
    assert!(!stub.asked()[0].body.contains("statecode"));
}

#[tokio::test]
async fn a_key_that_no_address_carries_is_found_by_a_filter_and_written_by_id() {
    let stub = Stub::start(|asked| match asked.is("POST", "$batch") {
        true => each(asked, |part| match part.path.contains("a/b") {
            true => say(200, format!(r#"{{"value":[{{"acme_customerid":"{CORRELATION}"}}]}}"#)),
            false => say(200, r#"{"value":[]}"#),
        }),
        false => say(204, ""),
    })
    .await;
    let target = target(&stub.url);
    let known = Before { target_id: Some(Uuid::nil()), state: None };
    let writes = [
        named("a/b"),
        named("new+row"),
        Write { before: Some(known), ..named("c:d") },
        write("50%", Action::Remove(Removal::Delete)),
    ];
    let answers = target.write(&writes, soon()).await;
    assert_eq!(told(&answers), ["written"; 4]);
    assert_eq!(stub.asked().len(), 2, "one call finds them, one writes them");
    assert_eq!(stub.asked()[0].parts().len(), 3, "an id that is known is not looked up");
    let targets = stub.asked()[1].json()["Targets"].clone();
    let of = |number: &str| {
        targets.as_array().unwrap().iter().find(|row| row["acme_number"] == number).unwrap().clone()
    };
    assert_eq!(of("a/b")["acme_customerid"], CORRELATION);
    assert_eq!(of("c:d")["acme_customerid"], Uuid::nil().to_string());
    let made = super::super::keys::made_id("acme_customer", &writes[1].row.key);
    assert_eq!(of("new+row")["acme_customerid"], made.to_string());
    let Answer::Written { target_id } = answers[1] else { panic!() };
    assert_eq!(target_id, Some(made));
}

#[tokio::test]
async fn lookups_over_hops_are_resolved_once_and_remembered() {
    let id = Uuid::from_u128(9);
    let stub = Stub::start(move |asked| match asked.verb.as_str() {
        "GET" => say(200, format!(r#"{{"value":[{{"acme_regionid":"{id}"}}]}}"#)),
        _ => say(204, ""),
    })
    .await;
    let target = target(&stub.url);
    let hop = lookup("acme_region", &["acme_countryid", "acme_iso"], "DK", Missing::Park);
    let writes =
        [upsert("1", &[("acme_regionid", hop.clone())]), upsert("2", &[("acme_regionid", hop)])];
    assert_eq!(told(&target.write(&writes, soon()).await), ["written"; 2]);
    assert_eq!(told(&target.write(&writes, soon()).await), ["written"; 2]);
    let asked = stub.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked[0].path.contains("$filter=acme_CountryId/acme_iso%20eq%20%27DK%27"), "{asked:?}");
    assert_eq!(
        asked[1].json()["Targets"][0]["acme_RegionId@odata.bind"],
        format!("/acme_regions({id})")
    );
}

#[tokio::test]
async fn never_more_calls_at_once_than_allowed_and_the_hint_is_followed() {
    let stub =
        Stub::start(|_| Reply::Say(204, vec![("x-ms-dop-hint", "2".into())], String::new())).await;
    let target = built(Config { chunk: 1, parallel: 3, ..config(&stub.url) });
    let writes: Vec<Write> = (0..12).map(|n| named(&n.to_string())).collect();
    assert_eq!(told(&target.write(&writes, soon()).await), ["written"; 12]);
    assert_eq!(target.calls(), 12);
    assert_eq!(stub.most_at_once(), 3);
    let target = built(Config { chunk: 1, parallel: 12, ..config(&stub.url) });
    assert_eq!(told(&target.write(&writes[..1], soon()).await), ["written"]);
    stub.most_at_once();
    let again: Vec<Write> =
        (0..12).map(|n| write(&n.to_string(), Action::clone(&writes[0].row.action))).collect();
    // The first message was fast, so that the next three hold four rows each.
    assert_eq!(told(&target.write(&again, soon()).await), ["written"; 12]);
    assert_eq!(stub.most_at_once(), 2, "two is what the service recommended");
}

#[derive(Debug, Default)]
struct Tokens {
    given: AtomicUsize,
    refused: Mutex<Vec<String>>,
}

#[async_trait]
impl Bearer for Tokens {
    async fn bearer(&self) -> Result<String, Fault> {
        Ok(format!("t{}", self.refused.lock().unwrap().len() + self.given.load(Ordering::Relaxed)))
    }

    fn forget(&self, token: &str) {
        self.refused.lock().unwrap().push(token.to_owned());
    }
}

#[tokio::test]
async fn a_token_that_is_refused_is_dropped_and_renewed_once() {
    let stub = Stub::start(|asked| match asked.headers["authorization"].to_str().unwrap() {
        "Bearer t0" => say(401, ""),
        _ => say(204, ""),
    })
    .await;
    let tokens = Arc::new(Tokens::default());
    let target = Dataverse::new(
        config(&stub.url),
        Some(tokens.clone()),
        Arc::new(SystemClock),
        Chance::seeded(1),
    )
    .unwrap();
    assert_eq!(told(&target.write(&[named("1")], soon()).await), ["written"]);
    assert_eq!(*tokens.refused.lock().unwrap(), ["t0"]);
    assert_eq!(target.calls(), 2);
}

#[tokio::test]
async fn a_target_that_refuses_every_token_is_not_ready_until_it_takes_one() {
    let mut calls = 0;
    let stub = Stub::start(move |_| {
        calls += 1;
        if calls <= 4 { say(401, "") } else { say(200, "{}") }
    })
    .await;
    let tokens = Arc::new(Tokens::default());
    let target =
        Dataverse::new(config(&stub.url), Some(tokens), Arc::new(SystemClock), Chance::seeded(1))
            .unwrap();
    assert!(target.ready().await.is_ok(), "nothing is known against it yet");
    assert_eq!(target.calls(), 0);
    assert_eq!(told(&target.write(&[named("1")], soon()).await), ["not credential"]);
    assert_eq!(target.ready().await.unwrap_err().kind, Kind::Credential);
    assert!(target.ready().await.is_ok());
    assert!(target.ready().await.is_ok());
    assert_eq!(target.calls(), 5, "once it is well again, asking is free");
}

#[tokio::test]
async fn a_call_to_the_target_goes_on_in_the_trace_of_the_host() {
    let stub = Stub::start(|_| say(200, "{}")).await;
    let target = target(&stub.url);
    let given = "00-11111111111111112222222222222222-3333333333333333-01";
    let writes = [named("1")];
    let write = target.write(&writes, soon());
    crate::telemetry::trace::call(None, Some(given), "call".to_owned(), write).await;
    let asked = stub.asked();
    let sent: Vec<_> =
        asked.iter().map(|call| call.headers["traceparent"].to_str().unwrap()).collect();
    assert!(!sent.is_empty());
    assert!(sent.iter().all(|sent| sent.starts_with(&given[..35])), "{sent:?}");
    assert_eq!(
        asked[0].headers["x-ms-client-session-id"], CORRELATION,
        "the change's own id goes along"
    );
}
