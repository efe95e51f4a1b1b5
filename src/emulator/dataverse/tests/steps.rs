//! Steps, webhooks and buses.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State as Given;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::post;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::Service;
use crate::decode::Decoder;
use crate::decode::dataverse::Tables;
use crate::delivery::Event;
use crate::emulator::dataverse::schema::stable_id;
use crate::emulator::dataverse::steps;

/// Takes webhooks; answers each with the next status, the last of them for ever.
pub(super) struct Receiver {
    pub(super) url: String,
    calls: Calls,
    _task: JoinSet<()>,
}

type Calls = Arc<Mutex<(Vec<u16>, Vec<(HeaderMap, Value)>)>>;

async fn take(Given(calls): Given<Calls>, headers: HeaderMap, body: Bytes) -> (StatusCode, String) {
    let mut calls = calls.lock().unwrap();
    calls.1.push((headers, serde_json::from_slice(&body).unwrap()));
    let status = if calls.0.len() > 1 { calls.0.remove(0) } else { calls.0[0] };
    (StatusCode::from_u16(status).unwrap(), "said the receiver".to_owned())
}

impl Receiver {
    pub(super) async fn new(statuses: &[u16]) -> Self {
        let calls: Calls = Arc::new(Mutex::new((statuses.to_vec(), Vec::new())));
        let router = Router::new().route("/hook", post(take)).with_state(Arc::clone(&calls));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, calls, _task: task }
    }

    pub(super) fn bodies(&self) -> Vec<Value> {
        self.calls.lock().unwrap().1.iter().map(|(_, body)| body.clone()).collect()
    }
}

/// A service that delivers.
pub(super) struct Posting {
    pub(super) service: Service,
    _task: JoinSet<()>,
}

impl Posting {
    pub(super) fn new() -> Self {
        let service = Service::new();
        let mut task = JoinSet::new();
        task.spawn(steps::run(Arc::clone(&service.state), service.state.jobs().unwrap()));
        Self { service, _task: task }
    }

    pub(super) async fn endpoint(&self, contract: i32, url: &str) -> String {
        let secret = r#"<settings><setting name="x-hook-secret" value="s3&amp;cret"/></settings>"#;
        let body = json!({ "name": "hub", "url": url, "contract": contract, "authtype": 5, "authvalue": secret });
        self.service.create("serviceendpoints", body).await
    }

    pub(super) async fn step(&self, endpoint: &str, message: &str, more: Value) -> String {
        self.step_of(endpoint, message, Some("acme_customer"), more).await
    }

    /// A step of a table, or of none.
    pub(super) async fn step_of(
        &self,
        endpoint: &str,
        message: &str,
        table: Option<&str>,
        more: Value,
    ) -> String {
        let of = stable_id(&format!("sdkmessage/{message}"));
        let mut body = json!({
            "name": message, "mode": 1, "stage": 40, "rank": 1,
            "supporteddeployment": 0, "asyncautodelete": true,
            "sdkmessageid@odata.bind": format!("/sdkmessages({of})"),
            "eventhandler_serviceendpoint@odata.bind": format!("/serviceendpoints({endpoint})"),
        });
        if let Some(table) = table {
            let filter = stable_id(&format!("sdkmessagefilter/{message}/{table}"));
            body["sdkmessagefilterid@odata.bind"] = format!("/sdkmessagefilters({filter})").into();
        }
        body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        self.service.create("sdkmessageprocessingsteps", body).await
    }

    async fn image(&self, step: &str, kind: i32) {
        let body = json!({
            "name": "pre", "entityalias": "pre", "imagetype": kind, "messagepropertyname": "Target",
            "attributes": "acme_name,acme_number",
            "sdkmessageprocessingstepid@odata.bind": format!("/sdkmessageprocessingsteps({step})"),
        });
        self.service.create("sdkmessageprocessingstepimages", body).await;
    }

    /// Waits until every job was answered, and tells the counts.
    pub(super) async fn told(&self) -> Value {
        loop {
            let told = self.service.get("/_emulator/webhooks").await.json();
            if told["waiting"] == 0 {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

fn images(body: &Value, which: &str) -> String {
    let image = body[which].as_array().unwrap().iter().find(|image| image["key"] == "pre").unwrap();
    let columns = image["value"]["Attributes"].as_array().unwrap();
    let pairs = columns.iter().map(|pair| format!("{}={}", pair["key"], pair["value"]));
    pairs.collect::<Vec<_>>().join(" ").replace('"', "")
}

#[tokio::test]
async fn every_write_is_posted_as_the_service_does_and_reads_back_as_a_change() {
    let (emulator, receiver) = (Posting::new(), Receiver::new(&[200]).await);
    let endpoint = emulator.endpoint(8, &receiver.url).await;
    for message in ["Create", "Update", "Delete"] {
        let step = emulator.step(&endpoint, message, json!({})).await;
        if message != "Create" {
            emulator.image(&step, 0).await;
        }
    }
    let id = emulator
        .service
        .create("acme_customers?tag=ours", json!({ "acme_name": "A", "acme_number": "C-1" }))
        .await;
    assert_eq!(emulator.told().await["taken"], 1);
    let row = format!("acme_customers({id})");
    emulator.service.send(&format!("PATCH {row}"), json!({ "acme_name": "B" })).await;
    assert_eq!(emulator.told().await["taken"], 2);
    emulator.service.send(&format!("DELETE {row}"), json!({})).await;
    assert_eq!(emulator.told().await["taken"], 3);
    let [created, updated, deleted] = &receiver.bodies()[..] else { panic!() };
    assert_eq!(created["SharedVariables"][0], json!({ "key": "tag", "value": "ours" }));
    assert_eq!((&created["Mode"], &created["Stage"]), (&json!(1), &json!(40)));
    let before = format!("acme_name=A acme_number=C-1 acme_customerid={id}");
    assert_eq!(images(updated, "PreEntityImages"), before);
    assert!(deleted["InputParameters"][0]["value"]["Attributes"].is_null());
    let (headers, _) = receiver.calls.lock().unwrap().1[1].clone();
    assert_eq!(headers["x-hook-secret"], "s3&cret");
    assert_eq!(headers["x-ms-dynamics-request-name"], "Update");
    assert_eq!(headers["x-ms-dynamics-entity-name"], "acme_customer");
    for (body, kind) in receiver.bodies().iter().zip(["Upsert", "Upsert", "Remove"]) {
        let event = Event { body: body.to_string().into(), ..Event::default() };
        let change = Decoder::dataverse(Tables::default()).decode(&event).remove(0).change.unwrap();
        assert_eq!((format!("{:?}", change.kind), &*change.id), (kind.to_owned(), &*id));
    }
}

#[tokio::test]
async fn a_filter_counts_what_was_sent_and_not_what_differs() {
    let (emulator, receiver) = (Posting::new(), Receiver::new(&[200]).await);
    let endpoint = emulator.endpoint(8, &receiver.url).await;
    emulator.step(&endpoint, "Update", json!({ "filteringattributes": "acme_name" })).await;
    let id = emulator.service.create("acme_customers", json!({ "acme_name": "A" })).await;
    let row = format!("PATCH acme_customers({id})");
    emulator.service.send(&row, json!({ "acme_number": "C-2" })).await;
    emulator.service.send(&row, json!({ "acme_name": "A" })).await;
    emulator.told().await;
    assert_eq!(receiver.bodies().len(), 1);
}

#[tokio::test]
async fn a_gateway_error_is_tried_once_more_and_anything_else_fails_the_job() {
    for (statuses, posts, failed) in [(&[503, 200][..], 2, 0), (&[502], 2, 1), (&[500], 1, 1)] {
        let (emulator, receiver) = (Posting::new(), Receiver::new(statuses).await);
        let endpoint = emulator.endpoint(8, &receiver.url).await;
        emulator.step(&endpoint, "Create", json!({})).await;
        emulator.service.create("acme_customers", json!({ "acme_name": "A" })).await;
        let told = emulator.told().await;
        assert_eq!(
            (&told["posted"], &told["failed"]),
            (&json!(posts), &json!(failed)),
            "{statuses:?}"
        );
        let jobs =
            emulator.service.get("asyncoperations?$filter=statuscode%20eq%2031").await.json();
        assert_eq!(jobs["value"].as_array().unwrap().len(), failed);
    }
}

#[tokio::test]
async fn a_synchronous_step_rolls_back_what_it_refuses_and_says_why() {
    let (emulator, receiver) = (Posting::new(), Receiver::new(&[422, 200]).await);
    let endpoint = emulator.endpoint(8, &receiver.url).await;
    emulator.step(&endpoint, "Create", json!({ "mode": 0 })).await;
    let refused = emulator.service.send("POST acme_customers", json!({ "acme_name": "A" })).await;
    assert_eq!(refused.refusal(), (400, "0x80040265".to_owned()));
    assert!(refused.text.contains("said the receiver"), "{}", refused.text);
    let count = emulator.service.get("acme_customers/$count").await;
    assert_eq!(count.text.trim_start_matches('\u{feff}'), "0");
    let id = emulator.service.create("acme_customers", json!({ "acme_name": "A" })).await;
    let asked = &receiver.bodies()[1];
    assert_eq!((asked["PrimaryEntityId"].as_str(), &asked["Mode"]), (Some(&*id), &json!(0)));
}

#[tokio::test]
async fn a_large_context_is_cut_down_and_a_bus_keeps_its_messages() {
    let emulator = Posting::new();
    let bus = emulator.endpoint(5, "").await;
    emulator.step(&bus, "Create", json!({})).await;
    let long = "x".repeat(100_000);
    let large = json!({ "name": "x", "description": &long[..2_000] });
    assert_eq!(emulator.service.send("POST accounts", large).await.status, 204);
    emulator.service.create("acme_customers", json!({ "acme_name": "A" })).await;
    emulator.told().await;
    let messages = emulator.service.send("POST /_emulator/bus/hub", json!({})).await.json();
    assert_eq!(messages.as_array().unwrap().len(), 1);
    let claim = "http://schemas.microsoft.com/xrm/2011/Claims/RequestName";
    assert_eq!(messages[0]["properties"][claim], "Create");
    assert_eq!(emulator.service.send("POST /_emulator/bus/hub", json!({})).await.json(), json!([]));
}

#[tokio::test]
async fn troubles_come_at_their_share_and_a_cut_context_names_its_row() {
    let (emulator, receiver) = (Posting::new(), Receiver::new(&[200]).await);
    let endpoint = emulator.endpoint(8, &receiver.url).await;
    emulator.step(&endpoint, "Create", json!({})).await;
    let set = async |shares: Value| {
        let reply = emulator.service.send("POST /_emulator/webhooks", shares).await;
        assert_eq!(reply.status, 204);
    };
    for shares in [
        json!({ "lost": 1.0 }),
        json!({ "doubled": 1.0, "cut": 1.0 }),
        json!({ "late": 1.0, "late_seconds": 0.01 }),
    ] {
        set(shares).await;
        emulator.service.create("acme_customers", json!({ "acme_name": "A" })).await;
    }
    let told = emulator.told().await;
    for (name, count) in
        [("caused", 3), ("lost", 1), ("doubled", 1), ("cut", 1), ("late", 1), ("taken", 3)]
    {
        assert_eq!(told[name], count, "{name} of {told}");
    }
    let cut: Vec<Value> =
        receiver.bodies().into_iter().filter(|body| body["InputParameters"].is_null()).collect();
    assert_eq!((cut.len(), cut[0]["PrimaryEntityName"].as_str()), (2, Some("acme_customer")));
}

#[tokio::test]
async fn what_the_service_would_not_register_is_refused_and_secrets_are_not_shown() {
    let emulator = Posting::new();
    let far = json!({ "name": "x", "url": "https://hub.example.com:8443/", "contract": 8 });
    assert_eq!(emulator.service.send("POST serviceendpoints", far).await.status, 400);
    let endpoint = emulator.endpoint(8, "https://hub.example.com/api").await;
    let shown = emulator.service.get(&format!("serviceendpoints({endpoint})")).await;
    assert!(!shown.text.contains("cret"), "{}", shown.text);
    let step = emulator.step(&endpoint, "Create", json!({})).await;
    let early = json!({ "stage": 20 });
    let reply =
        emulator.service.send(&format!("PATCH sdkmessageprocessingsteps({step})"), early).await;
    assert_eq!(reply.status, 400, "{reply:?}");
    let reply =
        emulator.service.send(&format!("DELETE serviceendpoints({endpoint})"), json!({})).await;
    assert_eq!(reply.code(), "0x80040227");
}
