//! HTTP on loopback for the stand-ins, and what they all need of a request.

use axum::Router;
use axum::body::to_bytes;
use axum::extract::Request;
use axum::http::{HeaderMap, Method};
use axum::serve::ListenerExt as _;
use bytes::Bytes;
use percent_encoding::percent_decode_str;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// Serves a router on a free port for as long as `tasks` lives; answers its root.
pub(crate) async fn serve(router: Router, tasks: &mut JoinSet<()>) -> String {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    let listener = listener.tap_io(|connection| connection.set_nodelay(true).unwrap());
    tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
    root
}

/// Method, decoded address, body and headers.
pub(crate) async fn read(request: Request) -> (Method, String, Bytes, HeaderMap) {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap_or_default();
    let address = head.uri.path_and_query().map_or("", |address| address.as_str());
    (head.method, decoded(address), body, head.headers)
}

/// An address without its percent-encoding.
pub(crate) fn decoded(address: &str) -> String {
    percent_decode_str(&address.replace('+', " ")).decode_utf8_lossy().into_owned()
}
