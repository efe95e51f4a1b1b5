//! What the real handler sends to an OpenTelemetry collector: one trace from the host's call to the call
//! of the target, and metrics with units and few labels. A collector that is away changes nothing.

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::http::Uri;
use concord::emulator::dataverse::server::serve;
use concord::emulator::dataverse::state::Options;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use crate::support::serving::Serving;
use crate::support::{MAP, SYSTEMS, thing};

type Posts = Arc<Mutex<Vec<(String, Value)>>>;

async fn collector(server: &mut JoinSet<()>) -> (String, Posts) {
    let posts = Posts::default();
    let kept = Arc::clone(&posts);
    let take = async move |uri: Uri, body: String| {
        kept.lock().unwrap().push((uri.path().to_owned(), serde_json::from_str(&body).unwrap()));
        "{}"
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let router = Router::new().fallback(take);
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    (address, posts)
}

fn parts(posts: &Posts, path: &str, at: &str) -> Vec<Value> {
    let posts = posts.lock().unwrap();
    let found = posts.iter().filter(|(posted, _)| posted == path);
    found.flat_map(|(_, body)| body.pointer(at).unwrap().as_array().unwrap().clone()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_is_one_trace_down_to_the_target_and_comes_to_metrics() {
    let (mut servers, target) = (JoinSet::new(), serve(Options::default()).await.unwrap());
    let (collector, posts) = collector(&mut servers).await;
    let url = format!("http://{}", target.address);
    let settings = [("SALES_URL", url.as_str()), ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector)];
    let files = [("concord.toml", SYSTEMS), ("thing.toml", MAP)];
    let mut handler = Serving::start(&files, &settings).await;
    let parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let events = [thing("1", "a"), thing("2", &"x".repeat(99))];
    let (status, _) = handler.call("events", &events, &[("traceparent", parent)]).await;
    assert_eq!(status, 200);
    handler.end().await;

    let spans = parts(&posts, "/v1/traces", "/resourceSpans/0/scopeSpans/0/spans");
    let traces: Vec<&Value> = spans.iter().map(|span| &span["traceId"]).collect();
    assert!(traces.iter().all(|id| **id == "0af7651916cd43dd8448eb211c80319c"), "{traces:?}");
    let of = |name: &str| spans.iter().find(|span| span["name"] == name).expect(name);
    let (call, map, write) = (of("call events"), of("map thing"), of("write"));
    assert_eq!(call["parentSpanId"], "b7ad6b7169203331");
    assert_eq!((&map["parentSpanId"], &write["parentSpanId"]), (&call["spanId"], &map["spanId"]));
    assert!(
        spans.iter().any(|span| span["name"] == "claim")
            && spans.iter().any(|span| span["name"] == "settle")
    );
    let targets: Vec<&Value> = spans.iter().filter(|span| span["name"] == "target").collect();
    assert!(targets.iter().any(|span| span["parentSpanId"] == write["spanId"]), "{targets:#?}");

    let metrics = parts(&posts, "/v1/metrics", "/resourceMetrics/0/scopeMetrics/0/metrics");
    let metric = |name: &str| metrics.iter().find(|metric| metric["name"] == name).expect(name);
    assert_eq!(metric("concord.events")["sum"]["dataPoints"][0]["asDouble"], 2.0);
    assert_eq!(metric("concord.call.duration")["unit"], "s");
    let poisoned = &metric("concord.poisoned")["sum"]["dataPoints"][0];
    assert!(poisoned["attributes"].to_string().contains("too-long"), "{poisoned}");
    assert_eq!(metric("concord.rows")["sum"]["dataPoints"].as_array().unwrap().len(), 2);
    let all = format!("{spans:?}{metrics:?}");
    assert!(!all.contains("xxx"), "no payload is sent");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_silent_costs_no_call_anything() {
    let target = serve(Options::default()).await.unwrap();
    let url = format!("http://{}", target.address);
    // Takes connections and never answers.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}", silent.local_addr().unwrap());
    for collector in ["http://127.0.0.1:1", &silent] {
        let settings = [("SALES_URL", url.as_str()), ("OTEL_EXPORTER_OTLP_ENDPOINT", collector)];
        let handler =
            Serving::start(&[("concord.toml", SYSTEMS), ("thing.toml", MAP)], &settings).await;
        let since = std::time::Instant::now();
        for n in 0..20 {
            let (status, _) = handler.call("events", &[thing(&n.to_string(), "a")], &[]).await;
            assert_eq!(status, 200);
        }
        assert!(since.elapsed() < std::time::Duration::from_secs(4), "{:?}", since.elapsed());
    }
}
