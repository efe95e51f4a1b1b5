//! A stand-in for the service that plays planned answers and remembers what it was asked.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use serde_json::Value as Json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// One call, or one part of a batch.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) verb: String,
    pub(super) path: String,
    pub(super) headers: HeaderMap,
    pub(super) body: String,
}

impl Asked {
    pub(super) fn is(&self, verb: &str, part: &str) -> bool {
        self.verb == verb && self.path.contains(part)
    }

    pub(super) fn json(&self) -> Json {
        serde_json::from_str(&self.body).unwrap()
    }

    /// The operations of a batch.
    pub(super) fn parts(&self) -> Vec<Asked> {
        let boundary = self.body.lines().next().unwrap().to_owned();
        let parts = self.body.split(&boundary).skip(1).filter(|part| !part.starts_with("--"));
        parts.map(part).collect()
    }
}

fn part(text: &str) -> Asked {
    let inner = text.split_once("\r\n\r\n").unwrap().1;
    let (head, body) = inner.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let request = lines.next().unwrap();
    let verb = request.split(' ').next().unwrap().to_owned();
    let url = request.split(' ').nth(1).unwrap();
    let path = url.split("/api/data/v9.2/").nth(1).unwrap().to_owned();
    let mut headers = HeaderMap::new();
    for (name, value) in lines.filter_map(|line| line.split_once(": ")) {
        headers.insert(
            axum::http::HeaderName::try_from(name.to_lowercase()).unwrap(),
            value.parse().unwrap(),
        );
    }
    Asked { verb, path, headers, body: body.trim().to_owned() }
}

/// What is answered.
#[derive(Clone, Debug)]
pub(super) enum Reply {
    /// A status, headers and a body.
    Say(u16, Vec<(&'static str, String)>, String),
    /// The connection is cut.
    Cut,
    /// No answer comes in time.
    Silence,
}

pub(super) fn say(status: u16, body: impl Into<String>) -> Reply {
    Reply::Say(status, vec![], body.into())
}

pub(super) fn error(status: u16, code: &str, message: &str) -> Reply {
    say(status, serde_json::json!({"error": {"code": code, "message": message}}).to_string())
}

pub(super) fn throttled(seconds: &str) -> Reply {
    Reply::Say(429, vec![("retry-after", seconds.to_owned())], String::new())
}

/// Answers a batch part by part.
pub(super) fn each(asked: &Asked, mut answer: impl FnMut(&Asked) -> Reply) -> Reply {
    let mut body = String::new();
    for part in asked.parts() {
        let Reply::Say(status, headers, text) = answer(&part) else { panic!("a part must say") };
        body += "--batchresponse_1\r\nContent-Type: application/http\r\n\r\n";
        writeln!(body, "HTTP/1.1 {status} Reason\r").unwrap();
        for (name, value) in headers {
            writeln!(body, "{name}: {value}\r").unwrap();
        }
        writeln!(body, "\r\n{text}\r").unwrap();
    }
    body += "--batchresponse_1--\r\n";
    let kind = ("content-type", "multipart/mixed; boundary=batchresponse_1".to_owned());
    Reply::Say(200, vec![kind], body)
}

type Script = dyn FnMut(&Asked) -> Reply + Send;

#[derive(Clone)]
struct Played {
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Arc<Mutex<Box<Script>>>,
    /// Calls under way, and the most there were at once.
    running: Arc<Mutex<(usize, usize)>>,
}

/// A running stand-in; stops when dropped.
pub(super) struct Stub {
    pub(super) url: String,
    played: Played,
    _server: JoinSet<()>,
}

impl Stub {
    pub(super) async fn start(script: impl FnMut(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let played = Played {
            asked: Arc::default(),
            script: Arc::new(Mutex::new(Box::new(script))),
            running: Arc::default(),
        };
        let router = Router::new().fallback(play).with_state(played.clone());
        let mut server = JoinSet::new();
        server.spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { url, played, _server: server }
    }

    /// All calls so far.
    pub(super) fn asked(&self) -> Vec<Asked> {
        self.played.asked.lock().unwrap().clone()
    }

    /// The most calls that were under way at once since this was last asked.
    pub(super) fn most_at_once(&self) -> usize {
        std::mem::take(&mut self.played.running.lock().unwrap().1)
    }

    /// The calls so far as `verb path`, without queries.
    pub(super) fn story(&self) -> Vec<String> {
        let short = |path: &str| path.split('?').next().unwrap_or_default().to_owned();
        self.asked().iter().map(|asked| format!("{} {}", asked.verb, short(&asked.path))).collect()
    }
}

async fn play(State(played): State<Played>, request: Request) -> Response {
    {
        let mut running = played.running.lock().unwrap();
        running.0 += 1;
        running.1 = running.1.max(running.0);
    }
    // Long enough for others to arrive meanwhile.
    tokio::time::sleep(Duration::from_millis(2)).await;
    let (head, body) = request.into_parts();
    let body: Bytes = to_bytes(body, usize::MAX).await.unwrap();
    let path = head.uri.to_string().replace("/api/data/v9.2/", "");
    let asked = Asked {
        verb: head.method.to_string(),
        path,
        headers: head.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    };
    let reply = (played.script.lock().unwrap())(&asked);
    played.asked.lock().unwrap().push(asked);
    played.running.lock().unwrap().0 -= 1;
    match reply {
        Reply::Say(status, headers, body) => {
            let mut response = Response::builder().status(StatusCode::from_u16(status).unwrap());
            for (name, value) in headers {
                response = response.header(name, value);
            }
            response.body(Body::from(body)).unwrap()
        }
        Reply::Cut => {
            let cut = futures::stream::iter([Err::<Bytes, _>(std::io::Error::other("cut"))]);
            Response::builder().status(200).body(Body::from_stream(cut)).unwrap()
        }
        Reply::Silence => std::future::pending().await,
    }
}
