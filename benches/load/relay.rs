//! A relay in front of a real service: what comes in goes on unchanged, and is counted.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::http::{Method, StatusCode};
use axum::response::{IntoResponse as _, Response};
use tokio::task::JoinSet;

use crate::calls::{Calls, Side};
use crate::server::{self, decoded};

/// The way to one service.
#[derive(Debug)]
pub(crate) struct Relay {
    side: Side,
    behind: String,
    http: reqwest::Client,
    calls: Arc<Calls>,
    messages: Mutex<BTreeMap<String, usize>>,
}

impl Relay {
    pub(crate) fn new(side: Side, behind: &str, calls: Arc<Calls>) -> Arc<Self> {
        let http = reqwest::Client::builder().no_gzip().no_proxy().build().unwrap();
        let messages = Mutex::default();
        Arc::new(Self { side, behind: behind.to_owned(), http, calls, messages })
    }

    /// How many messages went into queues whose name holds this word.
    pub(crate) fn messages(&self, word: &str) -> usize {
        let messages = self.messages.lock().unwrap();
        messages.iter().filter(|(path, _)| path.contains(word)).map(|(_, count)| count).sum()
    }

    fn kind(&self, method: &Method, address: &str) -> &'static str {
        let path = address.split('?').next().unwrap_or_default();
        let holds = |word: &str| address.contains(word);
        match self.side {
            Side::Target if holds("UpsertMultiple") => "UpsertMultiple",
            Side::Target if holds("$batch") => "$batch",
            Side::Target if holds("EntityDefinitions") => "metadata",
            Side::Storage if holds("$batch") => "transaction",
            Side::Storage if holds("$filter") => "query",
            Side::Storage if holds("PartitionKey=") => "get",
            Side::Storage if path.ends_with("/messages") && *method == Method::POST => {
                *self.messages.lock().unwrap().entry(path.to_owned()).or_default() += 1;
                "put message"
            }
            Side::Storage if *method == Method::PUT => "write blob",
            Side::Target | Side::Storage => "other",
        }
    }

    async fn pass(&self, request: Request) -> Option<Response> {
        let from = Instant::now();
        let (mut head, body) = request.into_parts();
        let address = head.uri.path_and_query()?.as_str().to_owned();
        let body = to_bytes(body, usize::MAX).await.ok()?;
        for name in [HOST, CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING] {
            head.headers.remove(name);
        }
        let url = format!("{}{address}", self.behind);
        let sent = self.http.request(head.method.clone(), url).headers(head.headers);
        let answer = sent.body(body.clone()).send().await.ok()?;
        let (status, mut headers) = (answer.status(), answer.headers().clone());
        for name in [CONTENT_LENGTH, CONNECTION, TRANSFER_ENCODING] {
            headers.remove(name);
        }
        let content = answer.bytes().await.ok()?;
        let address = decoded(&address);
        let kind = self.kind(&head.method, &address);
        self.calls.note((self.side, kind), (&address, &body), from);
        let mut response = Response::new(Body::from(content));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        Some(response)
    }
}

/// Serves a relay on a free port; answers its root.
pub(crate) async fn serve(relay: &Arc<Relay>, tasks: &mut JoinSet<()>) -> String {
    let router = Router::new().fallback(answer).with_state(Arc::clone(relay));
    server::serve(router, tasks).await
}

async fn answer(State(relay): State<Arc<Relay>>, request: Request) -> Response {
    let passed = relay.pass(request).await;
    passed.unwrap_or_else(|| StatusCode::BAD_GATEWAY.into_response())
}
