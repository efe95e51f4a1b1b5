//! The whole host with a handler that answers as the test says. Its process only sleeps, so that the
//! test can listen on its port.

use std::path::Path;
use std::sync::Mutex;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedReceiver;

use super::*;
use crate::clock::{Clock, SystemClock};
use crate::store::{Config, Names, Place, Stores};

/// A handler that notes what it is sent and answers as planned, then with success.
#[derive(Clone, Default)]
struct Script {
    answers: Arc<Mutex<Vec<(u16, &'static str)>>>,
    calls: Arc<Mutex<Vec<(String, HeaderMap, Value)>>>,
}

impl Script {
    fn answering(answers: &[(u16, &'static str)]) -> Self {
        let script = Self::default();
        script.answers.lock().unwrap().extend(answers.iter().rev());
        script
    }

    fn calls(&self) -> Vec<(String, HeaderMap, Value)> {
        self.calls.lock().unwrap().clone()
    }

    fn retry_counts(&self) -> Vec<i64> {
        let counts = |call: &Value| call["Metadata"]["RetryContext"]["RetryCount"].as_i64();
        self.calls().iter().filter_map(|(_, _, body)| counts(body)).collect()
    }
}

async fn answer(State(script): State<Script>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = axum::body::to_bytes(body, usize::MAX).await.unwrap();
    let body = serde_json::from_slice(&body).unwrap();
    script.calls.lock().unwrap().push((parts.uri.path().to_owned(), parts.headers, body));
    let (status, body) = script.answers.lock().unwrap().pop().unwrap_or((200, "{}"));
    let status = StatusCode::from_u16(status).unwrap();
    (status, [("content-type", "application/json")], body).into_response()
}

struct Play {
    host: Host,
    notices: UnboundedReceiver<Notice>,
    stores: Stores,
    poison: Arc<dyn Queue>,
    root: tempfile::TempDir,
}

const EVENTS: &str = r#"{ "bindings": [{ "type": "eventHubTrigger", "name": "events",
    "eventHubName": "hub", "cardinality": "many", "dataType": "string" }],
    "retry": { "strategy": "fixedDelay", "maxRetryCount": 2, "delayInterval": "00:00:01" } }"#;
const WORK: &str = r#"{ "bindings": [{ "type": "queueTrigger", "name": "msg", "queueName": "work",
    "dataType": "string" }] }"#;
const SWEEP: &str = r#"{ "bindings": [{ "type": "timerTrigger", "name": "timer",
    "schedule": "0 0 0 1 1 *" }] }"#;

async fn opened(folder: &Path, queue: &str) -> Stores {
    let mut config = Config::parse(&format!("local:{}", folder.display())).unwrap();
    config.names = Names { work: queue.to_owned(), ..Names::default() };
    assert!(matches!(config.place, Place::Local { .. }));
    store::open(&config, Arc::new(SystemClock), Chance::from_system()).await.unwrap()
}

const HOOK: &str = r#"{ "bindings": [
    { "type": "httpTrigger", "direction": "in", "name": "req", "authLevel": "function",
      "methods": ["post"], "route": "hook/{system}" },
    { "type": "http", "direction": "out", "name": "$return" }] }"#;

/// A host over the four functions; `program` is what stands for the handler's process.
async fn play(program: &str, arguments: &[&str]) -> Play {
    let root = tempfile::tempdir().unwrap();
    let host = json!({
        "customHandler": {
            "description": { "defaultExecutablePath": program, "arguments": arguments },
            "initializationTimeout": "00:00:20",
            "enableProxyingHttpRequest": true,
        },
        "extensions": {
            "eventHubs": { "maxEventBatchSize": 2 },
            "queues": { "maxDequeueCount": 1, "batchSize": 2 },
        },
    });
    std::fs::write(root.path().join("host.json"), host.to_string()).unwrap();
    for (name, text) in [("events", EVENTS), ("work", WORK), ("sweep", SWEEP), ("hook", HOOK)] {
        let folder = root.path().join("functions").join(name);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("function.json"), text).unwrap();
    }
    let stores = opened(&root.path().join("storage"), "work").await;
    let poison = opened(&root.path().join("storage"), "work-poison").await.work;
    let (told, notices) = mpsc::unbounded_channel();
    let work = Arc::clone(&stores.work);
    let around = Surroundings {
        hub: Arc::new(Hub::new("ns", "hub", 1)),
        queues: [("work".to_owned(), work), ("work-poison".to_owned(), Arc::clone(&poison))].into(),
        buses: BTreeMap::new(),
        clock: Arc::new(SystemClock),
        chance: Chance::from_system(),
        notices: told,
    };
    let options = Options {
        root: root.path().to_owned(),
        executable: None,
        settings: BTreeMap::new(),
        key: "key".to_owned(),
        pace: 1000,
    };
    let settings = read_settings(root.path(), &options.settings).unwrap();
    let host = Host::new(options, settings, around).unwrap();
    Play { host, notices, stores, poison, root }
}

/// Runs the host with a handler that answers as scripted until `done` is.
async fn run<T>(play: &Play, script: &Script, done: impl Future<Output = T>) -> T {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", play.host.handler.port)).await;
    let routes = Router::new()
        .route("/", get(|| async { StatusCode::NOT_FOUND }))
        .fallback(post(answer))
        .with_state(script.clone());
    tokio::select! {
        done = done => done,
        ended = play.host.run() => panic!("the host ended: {ended:?}"),
        _ = axum::serve(listener.unwrap(), routes).into_future() => unreachable!(),
    }
}

fn send(play: &Play, bodies: &[&'static str]) {
    let bodies = bodies.iter().map(|body| Bytes::from_static(body.as_bytes()));
    play.host.around.hub.send(0, bodies, SystemClock.now());
}

fn told(play: &mut Play) -> Vec<Notice> {
    std::iter::from_fn(|| play.notices.try_recv().ok()).collect()
}

#[tokio::test]
async fn a_failed_batch_comes_again_whole_with_its_count_and_then_the_partition_goes_on() {
    let play = play("sleep", &["60"]).await;
    let script = Script::answering(&[(503, ""), (200, r#"{"Logs":["done"]}"#)]);
    send(&play, &["a", "b", "c"]);
    run(&play, &script, play.host.around.hub.consumed("$Default")).await;
    assert_eq!(script.retry_counts(), [0, 1, 0]);
    let calls = script.calls();
    let data = |n: usize| calls[n].2["Data"]["events"].clone();
    assert_eq!([data(0), data(1), data(2)], [r#"["a","b"]"#, r#"["a","b"]"#, r#"["c"]"#]);
    assert_eq!(calls[0].0, "/events");
    let id = |n: usize| calls[n].1["x-azure-functions-invocationid"].clone();
    assert_eq!(id(0), id(1), "an invocation keeps its id over its attempts");
    assert_ne!(id(1), id(2));
    assert_eq!(calls[0].1["transfer-encoding"], "chunked");
    assert_eq!(calls[0].1["content-type"], "application/json; charset=utf-8");
}

#[tokio::test]
async fn after_the_last_attempt_the_checkpoint_moves_on_and_the_loss_is_told() {
    let mut play = play("sleep", &["60"]).await;
    let script = Script::answering(&[(500, ""), (204, ""), (500, "")]);
    send(&play, &["a", "b"]);
    run(&play, &script, play.host.around.hub.consumed("$Default")).await;
    assert_eq!(script.retry_counts(), [0, 1, 2]);
    let told = told(&mut play);
    let lost = told
        .iter()
        .filter(|notice| matches!(notice, Notice::Lost { call, .. } if call.events == 2));
    assert_eq!(lost.count(), 1);
    let hung = |notice: &&Notice| matches!(notice, Notice::Failed { reason, .. } if reason.contains("hangs"));
    assert_eq!(told.iter().filter(hung).count(), 1);
}

#[tokio::test]
async fn a_message_is_removed_on_success_and_goes_to_the_poison_queue_when_taken_too_often() {
    let play = play("sleep", &["60"]).await;
    let script = Script::answering(&[(500, "")]);
    let [work, poison] = [&play.stores.work, &play.poison];
    for body in [b"{\"n\":1}", b"{\"n\":2}"] {
        work.put(body, Duration::ZERO).await.unwrap();
    }
    let emptied = async {
        while work.depth().await.unwrap() > 0 {
            tokio::task::yield_now().await;
        }
    };
    run(&play, &script, emptied).await;
    assert_eq!(poison.depth().await.unwrap(), 1);
    let (path, _, body) = script.calls().remove(0);
    assert_eq!(path, "/work");
    assert!(body["Data"]["msg"].as_str().unwrap().contains(r#"{\"n\":"#));
    assert_eq!(body["Metadata"]["DequeueCount"], "1");
    assert!(body["Metadata"].get("RetryContext").is_none());
}

#[tokio::test]
async fn a_timer_can_be_fired_and_is_told_when_it_fires_next() {
    let play = play("sleep", &["60"]).await;
    let script = Script::default();
    assert!(run(&play, &script, play.host.fire("sweep")).await);
    assert!(!play.host.fire("events").await);
    let (path, _, body) = script.calls().remove(0);
    assert_eq!(path, "/sweep");
    let next = body["Data"]["timer"]["ScheduleStatus"]["Next"].as_str().unwrap().to_owned();
    assert!(next.ends_with("-01-01T00:00:00+00:00"), "{next}");
}

#[tokio::test]
async fn a_handler_that_ends_three_times_ends_the_host_with_its_last_words() {
    let mut play = play("ls", &["--no-such-option"]).await;
    let ended = play.host.run().await;
    assert!(
        matches!(&ended, Err(Error::GaveUp { last_words }) if last_words.contains("no-such-option")),
        "{ended:?}"
    );
    let told = told(&mut play);
    assert_eq!(told.iter().filter(|notice| matches!(notice, Notice::Restarting(_))).count(), 2);
}

#[tokio::test]
async fn a_handler_that_is_not_there_is_named() {
    let play = play("no-such-program", &[]).await;
    let ended = play.host.run().await;
    assert!(
        matches!(ended, Err(Error::NotStarted { path, .. }) if path.ends_with("no-such-program"))
    );
    assert!(play.root.path().exists());
}

#[tokio::test]
async fn a_call_with_the_key_goes_through_to_the_handler_and_its_answer_comes_back_as_it_is() {
    let play = play("sleep", &["60"]).await;
    let script = Script::answering(&[(418, r#"{"error":"no"}"#)]);
    let address = format!("{}/api/hook/group", play.host.address().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let post = |query: &str| client.post(format!("{address}{query}")).body(r#"{"a": 1}"#).send();
    let calls = async {
        let refused = post("?code=wrong").await.unwrap().status().as_u16();
        let got = client.get(format!("{address}?code=key")).send().await.unwrap().status().as_u16();
        let passed = post("?code=key&x=1").await.unwrap();
        (refused, got, passed.status().as_u16(), passed.text().await.unwrap())
    };
    let (refused, got, status, body) = run(&play, &script, calls).await;
    assert_eq!((refused, got, status, body.as_str()), (401, 404, 418, r#"{"error":"no"}"#));
    let heard = script.calls();
    let [(path, headers, said)] = heard.as_slice() else { panic!("{heard:?}") };
    assert_eq!((path.as_str(), &said["a"]), ("/api/hook/group", &json!(1)));
    assert!(headers.contains_key("x-azure-functions-invocationid"));
}
