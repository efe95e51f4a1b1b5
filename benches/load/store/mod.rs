//! A stand-in for a storage account: tables, queues and blobs over HTTP as Azure Storage serves them, as
//! much of it as a handler needs, three milliseconds a call, in memory. Signatures are not checked.

mod filter;
mod table;
mod transaction;

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;

use self::table::Table;
use crate::calls::{Calls, Side};
use crate::server::read;

/// The account.
#[derive(Debug)]
pub(crate) struct Store {
    tables: Mutex<HashMap<String, Table>>,
    messages: Mutex<BTreeMap<String, usize>>,
    blobs: Mutex<HashMap<String, Bytes>>,
    versions: AtomicUsize,
    pause: Duration,
    calls: Arc<Calls>,
}

/// The kind of a call, and its answer.
type Served = (&'static str, Response);

impl Store {
    pub(crate) fn new(pause: Duration, calls: Arc<Calls>) -> Self {
        Self {
            tables: Mutex::default(),
            messages: Mutex::default(),
            blobs: Mutex::default(),
            versions: AtomicUsize::new(1),
            pause,
            calls,
        }
    }

    /// A connection string for the account, served at this root.
    pub(crate) fn connection(root: &str) -> String {
        let key = format!("{}==", "A".repeat(86));
        format!(
            "DefaultEndpointsProtocol=http;AccountName=bench;AccountKey={key};\
             TableEndpoint={root}/tables;QueueEndpoint={root}/queues;BlobEndpoint={root}/blobs"
        )
    }

    /// How many messages were put into queues whose name holds this word.
    pub(crate) fn messages(&self, word: &str) -> usize {
        let messages = self.messages.lock().unwrap();
        messages.iter().filter(|(queue, _)| queue.contains(word)).map(|(_, count)| count).sum()
    }

    fn version(&self) -> usize {
        self.versions.fetch_add(1, Ordering::Relaxed)
    }

    fn serve(&self, method: &Method, address: &str, body: &Bytes, head: &HeaderMap) -> Served {
        if let Some(path) = address.strip_prefix("/tables/") {
            return self.serve_table(method, path, body, head);
        }
        if let Some(path) = address.strip_prefix("/queues/") {
            return self.serve_queue(method, path);
        }
        let path = address.strip_prefix("/blobs/").unwrap_or(address);
        self.serve_blob(method, path, body)
    }

    fn serve_queue(&self, method: &Method, path: &str) -> Served {
        let (name, rest) = path.split_once(['/', '?']).unwrap_or((path, ""));
        match (method, rest.starts_with("messages")) {
            (&Method::POST, true) => {
                *self.messages.lock().unwrap().entry(name.to_owned()).or_default() += 1;
                ("put message", StatusCode::CREATED.into_response())
            }
            (&Method::GET, true) => ("take messages", "<QueueMessagesList />".into_response()),
            (&Method::GET, false) => {
                ("prepare", [("x-ms-approximate-messages-count", "0")].into_response())
            }
            _ => ("prepare", StatusCode::CREATED.into_response()),
        }
    }

    fn serve_blob(&self, method: &Method, path: &str, body: &Bytes) -> Served {
        if path.contains("restype=container") {
            return ("prepare", StatusCode::CREATED.into_response());
        }
        let known = [("etag", "\"1\""), ("last-modified", "Fri, 20 Nov 2026 14:00:00 GMT")];
        match *method {
            Method::PUT => {
                self.blobs.lock().unwrap().insert(path.to_owned(), body.clone());
                ("write blob", (StatusCode::CREATED, known).into_response())
            }
            _ => match self.blobs.lock().unwrap().get(path) {
                Some(blob) => ("read blob", (known, blob.clone()).into_response()),
                None => ("read blob", StatusCode::NOT_FOUND.into_response()),
            },
        }
    }
}

/// Answers one call.
pub(crate) async fn answer(State(store): State<Arc<Store>>, request: Request) -> Response {
    let from = Instant::now();
    let (method, address, body, head) = read(request).await;
    tokio::time::sleep(store.pause).await;
    let (kind, answer) = store.serve(&method, &address, &body, &head);
    store.calls.note((Side::Storage, kind), (&address, &body), from);
    answer
}
