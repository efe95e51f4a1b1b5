use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::{StatusCode, Uri};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::chance::Chance;
use crate::clock::SystemClock;
use crate::telemetry::trace;

type Posts = Arc<Mutex<Vec<(String, Value)>>>;

/// A collector that takes everything, or nothing while it is told so.
async fn collector(server: &mut JoinSet<()>) -> (String, Posts, Arc<Mutex<bool>>) {
    let (posts, away) = (Posts::default(), Arc::new(Mutex::new(false)));
    let (kept, refuses) = (Arc::clone(&posts), Arc::clone(&away));
    let answer = async move |uri: Uri, body: String| {
        if *refuses.lock().unwrap() {
            return StatusCode::SERVICE_UNAVAILABLE;
        }
        kept.lock().unwrap().push((uri.path().to_owned(), serde_json::from_str(&body).unwrap()));
        StatusCode::OK
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer);
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, posts, away)
}

fn exporter(address: &str) -> Exporter {
    let sink = Arc::new(Sink::new(Arc::new(SystemClock), Chance::seeded(1)));
    Exporter::new(Config::parse(address, "", "concord").unwrap(), sink).unwrap()
}

#[tokio::test]
async fn spans_nest_below_the_hosts_call_and_the_header_names_the_innermost() {
    let mut server = JoinSet::new();
    let (address, posts, _) = collector(&mut server).await;
    let exporter = exporter(&address);
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let work = trace::stage("write", async {
        trace::client("target", async {
            trace::note("http.response.status_code", 204);
            trace::traceparent().unwrap()
        })
        .await
    });
    let call = trace::call(Some(exporter.sink()), Some(given), "call events".to_owned(), work);
    let header = exporter.beside(call).await;
    let posts = posts.lock().unwrap();
    let [(path, body)] = &posts[..] else { panic!("{posts:?}") };
    assert_eq!(path, "/v1/traces");
    let spans = &body["resourceSpans"][0]["scopeSpans"][0]["spans"];
    let [target, write, call] = &spans.as_array().unwrap()[..] else { panic!("{spans:#}") };
    assert_eq!(
        (&target["name"], &write["name"], &call["name"]),
        (&json!("target"), &json!("write"), &json!("call events"))
    );
    assert_eq!(call["parentSpanId"], "b7ad6b7169203331");
    assert_eq!(
        (&write["parentSpanId"], &target["parentSpanId"]),
        (&call["spanId"], &write["spanId"])
    );
    assert_eq!((&target["kind"], &call["kind"]), (&json!(3), &json!(2)));
    let expected =
        format!("00-0af7651916cd43dd8448eb211c80319c-{}-01", target["spanId"].as_str().unwrap());
    assert_eq!(header, expected);
    assert_eq!(
        target["attributes"][0],
        json!({ "key": "http.response.status_code", "value": { "intValue": "204" } })
    );
    assert!(
        call["endTimeUnixNano"].as_str().unwrap() >= call["startTimeUnixNano"].as_str().unwrap()
    );
}

#[tokio::test]
async fn a_trace_that_the_caller_does_not_keep_is_not_kept_here() {
    let exporter = exporter("http://127.0.0.1:1");
    let given = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00";
    let work = trace::stage("write", async { trace::traceparent() });
    let header = trace::call(Some(exporter.sink()), Some(given), "call".to_owned(), work).await;
    assert_eq!(header.as_deref(), Some(given));
    assert!(exporter.sink().take().spans.is_empty());
}

#[tokio::test]
async fn measurements_are_summed_and_survive_a_collector_that_is_away() {
    let mut server = JoinSet::new();
    let (address, posts, away) = collector(&mut server).await;
    let exporter = exporter(&address);
    let sink = exporter.sink();
    let rows = |outcome: &str| vec![("map", "a".to_owned()), ("outcome", outcome.to_owned())];
    sink.measure(Metric::Rows, rows("applied"), 2.0);
    sink.measure(Metric::CallDuration, vec![], 0.2);
    *away.lock().unwrap() = true;
    trace::call(Some(sink), None, "call".to_owned(), async {}).await;
    exporter.export().await;
    *away.lock().unwrap() = false;
    sink.measure(Metric::Rows, rows("applied"), 3.0);
    sink.measure(Metric::Rows, rows("poisoned"), 1.0);
    sink.measure(Metric::QueueDepth, vec![], 7.0);
    sink.measure(Metric::QueueDepth, vec![], 4.0);
    exporter.export().await;
    let posts = posts.lock().unwrap();
    let [(path, body)] = &posts[..] else { panic!("{posts:?}") };
    assert_eq!(path, "/v1/metrics");
    let metrics = &body["resourceMetrics"][0]["scopeMetrics"][0]["metrics"];
    let of = |name: &str| {
        metrics.as_array().unwrap().iter().find(|metric| metric["name"] == name).unwrap()
    };
    let rows = &of("concord.rows")["sum"];
    assert_eq!(
        (&rows["aggregationTemporality"], &rows["dataPoints"][0]["asDouble"]),
        (&json!(1), &json!(5.0))
    );
    assert_eq!(rows["dataPoints"].as_array().unwrap().len(), 2);
    assert_eq!(of("concord.spans.dropped")["sum"]["dataPoints"][0]["asDouble"], 1.0);
    assert_eq!(of("concord.queue.depth")["gauge"]["dataPoints"][0]["asDouble"], 4.0);
    let duration = &of("concord.call.duration");
    assert_eq!(
        (&duration["unit"], &duration["histogram"]["dataPoints"][0]["bucketCounts"][2]),
        (&json!("s"), &json!("1"))
    );
}

#[tokio::test]
async fn what_finds_no_room_is_dropped_and_counted() {
    let sink = Arc::new(Sink::new(Arc::new(SystemClock), Chance::seeded(1)));
    for _ in 0..5_000 {
        trace::call(Some(&sink), None, "call".to_owned(), async {}).await;
    }
    for n in 0..5_000 {
        sink.measure(Metric::Rows, vec![("map", n.to_string())], 1.0);
    }
    let batch = sink.take();
    assert_eq!((batch.spans.len(), batch.series.len()), (512, 2_000));
    let dropped = batch.series.iter().find(|((metric, _), _)| *metric == Metric::DroppedSpans);
    assert!((dropped.unwrap().1.value - 904.0).abs() < 0.5);
}

#[test]
fn settings_are_read_and_their_values_never_shown() {
    let config =
        Config::parse("https://c.example/otlp/", "api-key=hunter2, x=a%20b", "concord").unwrap();
    assert_eq!(config.headers["api-key"], "hunter2");
    assert_eq!(config.headers["x"], "a b");
    assert!(!format!("{config:?}").contains("hunter2"));
    let wrong = |endpoint, headers| Config::parse(endpoint, headers, "concord").unwrap_err();
    assert_eq!(wrong("collector", ""), ConfigError::Endpoint);
    assert_eq!(wrong("http://c.example", "api-key=hunter2"), ConfigError::Plain);
    assert_eq!(wrong("https://c.example", "hunter2"), ConfigError::Headers);
    assert!(Config::parse("http://c.example", "", "concord").is_ok());
    assert!(Config::parse("http://127.0.0.1:4318", "a=b", "concord").is_ok());
}
