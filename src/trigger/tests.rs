//! The router as the host meets it.

use std::sync::Mutex;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use futures::stream;
use tower::ServiceExt;

use super::*;

/// Does what the first event of its call says, and remembers what it was called with.
#[derive(Default)]
struct Told {
    calls: Mutex<Vec<Seen>>,
}

/// Function, invocation, attempt and trace context of a call.
type Seen = (String, String, u32, Option<String>);

#[async_trait]
impl Handler for Told {
    async fn handle(&self, call: Call) -> Answer {
        let attempt = call.envelope.attempt().count;
        let (function, traceparent) = (call.function.to_string(), call.traceparent.clone());
        self.calls.lock().unwrap().push((function, call.invocation.clone(), attempt, traceparent));
        let delivery = call.delivery("mdm".into(), Timestamp::UNIX_EPOCH);
        match &delivery.events[0].body[..] {
            b"panic" => panic!("told to"),
            b"sleep" => tokio::time::sleep(Duration::from_hours(1)).await,
            _ => {}
        }
        Answer::done([format!("{}s", delivery.within.as_secs())])
    }
}

fn host(limits: Config) -> (Arc<Told>, Router) {
    let told = Arc::new(Told::default());
    let handler: Arc<dyn Handler> = Arc::clone(&told) as Arc<dyn Handler>;
    (told, router(BTreeMap::from([("events".to_owned(), handler)]), limits))
}

fn call(method: &str, path: &str, body: Body) -> Request<Body> {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("X-Azure-Functions-InvocationId", "call-1");
    request.header("traceparent", "00-1").body(body).unwrap()
}

fn envelope(text: &str) -> Body {
    Body::from(format!(r#"{{"Data":{{"events":["{text}","{{}}"]}}}}"#))
}

async fn read(response: Response<Body>) -> (u16, serde_json::Value) {
    assert_eq!(response.headers()["content-type"], "application/json");
    let status = response.status().as_u16();
    let body = to_bytes(response.into_body(), 10_000).await.unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert!(body.is_object());
    (status, body)
}

async fn status(router: &Router, request: Request<Body>) -> u16 {
    read(router.clone().oneshot(request).await.unwrap()).await.0
}

#[tokio::test(start_paused = true)]
async fn a_call_reaches_its_function_with_all_the_host_said() {
    let (told, router) = host(Config::default());
    let (status, body) =
        read(router.oneshot(call("POST", "/events", envelope("x"))).await.unwrap()).await;
    assert_eq!((status, &body["Logs"][0]), (200, &serde_json::json!("100s")));
    let calls = told.calls.lock().unwrap();
    assert_eq!(*calls, [("events".into(), "call-1".into(), 0, Some("00-1".into()))]);
}

#[tokio::test]
async fn what_is_not_a_call_is_answered_with_a_json_object() {
    let (told, router) = host(Config::default());
    for (method, path, body, expected) in [
        ("GET", "/", "", 200),
        ("POST", "/Events", "{}", 404),
        ("POST", "/events/more", "{}", 404),
        ("POST", "/%ff", "{}", 404),
        ("GET", "/events", "", 405),
        ("POST", "/", "{}", 405),
        ("POST", "/events", "", 400),
        ("POST", "/events", "[1]", 400),
    ] {
        assert_eq!(status(&router, call(method, path, Body::from(body))).await, expected, "{path}");
    }
    assert!(told.calls.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_body_may_be_as_long_as_the_limit_and_come_in_pieces() {
    let (_, router) = host(Config { body_limit: 3_000_000, ..Config::default() });
    let pieces = |length: usize| {
        let text = format!(r#"{{"Data":{{"events":["{}"]}}}}"#, "x".repeat(length));
        let pieces: Vec<_> = text
            .into_bytes()
            .chunks(65_536)
            .map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece)))
            .collect();
        Body::from_stream(stream::iter(pieces))
    };
    assert_eq!(status(&router, call("POST", "/events", pieces(2_900_000))).await, 200);
    assert_eq!(status(&router, call("POST", "/events", pieces(3_100_000))).await, 413);
    let never = Body::from_stream(stream::pending::<std::io::Result<Bytes>>());
    let mut said = call("POST", "/events", never);
    said.headers_mut().insert(CONTENT_LENGTH, 3_000_001.into());
    assert_eq!(status(&router, said).await, 413, "nothing of it is read");
    let broken = stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
    assert_eq!(status(&router, call("POST", "/events", Body::from_stream(broken))).await, 400);
}

#[tokio::test]
async fn a_panic_harms_its_own_call_only() {
    let (_, router) = host(Config::default());
    let calls =
        ["x", "panic", "x"].map(|text| status(&router, call("POST", "/events", envelope(text))));
    let [before, panicked, after] = calls;
    assert_eq!(tokio::join!(before, panicked, after), (200, 500, 200));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_overruns_is_cut_off_and_comes_again() {
    let (_, router) = host(Config::default());
    let started = Instant::now();
    assert_eq!(status(&router, call("POST", "/events", envelope("sleep"))).await, 503);
    assert_eq!(started.elapsed().as_secs(), 130);
}

#[tokio::test]
async fn a_port_is_served_until_the_end_and_can_be_taken_over_at_once() {
    let listener = bind(0).unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = tokio::sync::oneshot::channel::<()>();
    let served = serve(listener, host(Config::default()).1, async {
        ended.await.ok();
    });
    let asked = async {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let ready = client.get(format!("http://{address}/")).send().await.unwrap().status();
        drop(client);
        end.send(()).unwrap();
        ready
    };
    let (served, ready) = tokio::join!(served, asked);
    served.unwrap();
    assert_eq!(ready, 200);
    assert_eq!(bind(address.port()).unwrap().local_addr().unwrap(), address);
}

#[tokio::test]
async fn every_answer_carries_the_headers_of_a_page() {
    for (method, path) in [("GET", "/"), ("POST", "/events"), ("POST", "/none"), ("PUT", "/events")]
    {
        let (_, router) = host(Config::default());
        let response = shielded(router).oneshot(call(method, path, envelope("x"))).await.unwrap();
        let header = |name: &str| response.headers()[name].to_str().unwrap().to_owned();
        assert_eq!(header("cache-control"), "no-store");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert!(header("content-security-policy").starts_with("default-src 'none'"));
    }
}
