//! The HTTP trigger: calls from outside come in on one port and are passed through to the handler, bytes
//! unchanged; its answer goes back as it is, whatever its status. Refused before the handler hears of
//! them: calls without the key (401), without a function (404), and bodies above the host's limit (413).
//!
//! Source: Functions custom handler, httpTrigger forwarded or proxied (the proxied column).

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;

use super::handler::HOST_VERSION;
use super::settings::{Settings, Trigger};
use super::{Call, Error, Host, Notice};
use crate::chance::Chance;

/// The largest body that the host takes, in bytes.
const LARGEST: usize = 100 * 1024 * 1024;

/// Attempts to reach a handler that does not listen, and the wait between them.
const ATTEMPTS: u32 = 10;
const PAUSE: Duration = Duration::from_millis(150);

/// Where a function is called.
#[derive(Clone, Debug)]
pub(super) struct Route {
    /// Under the prefix of all functions: `webhook/{system}`.
    pub(super) path: String,
    /// In capitals; none of them allows all.
    pub(super) methods: Vec<String>,
    pub(super) level: Level,
}

/// What a caller must show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Level {
    Anonymous,
    Key,
}

/// The port on which HTTP functions are called.
#[derive(Debug)]
pub(super) struct Front {
    listener: TcpListener,
    address: SocketAddr,
}

/// What the calls of one function need.
struct Passing {
    function: String,
    route: Route,
    key: String,
    handler: u16,
    client: reqwest::Client,
    chance: Chance,
    notices: tokio::sync::mpsc::UnboundedSender<Notice>,
}

impl Front {
    /// A free port, when there is a function to call.
    pub(super) fn of(settings: &Settings) -> Result<Option<Self>, Error> {
        if !settings.functions.iter().any(|one| matches!(one.trigger, Trigger::Http(_))) {
            return Ok(None);
        }
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(Error::Port)?;
        listener.set_nonblocking(true).map_err(Error::Port)?;
        let address = listener.local_addr().map_err(Error::Port)?;
        Ok(Some(Self { listener, address }))
    }

    /// `http://127.0.0.1:7071`
    pub(super) fn address(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Serves calls for ever.
    pub(super) async fn serve(&self, host: &Host) -> Result<(), Error> {
        let mut router = Router::new();
        for function in &host.settings.functions {
            let Trigger::Http(route) = &function.trigger else { continue };
            if !host.settings.host.proxying {
                let what = "HTTP calls are imitated with enableProxyingHttpRequest only".to_owned();
                return Err(Error::Wrong { path: host.options.root.join("host.json"), what });
            }
            let passing = Arc::new(Passing {
                function: function.name.clone(),
                route: route.clone(),
                key: host.options.key.clone(),
                handler: host.handler.port,
                client: host.handler.client.clone(),
                chance: host.around.chance.clone(),
                notices: host.around.notices.clone(),
            });
            let pass = move |request| Arc::clone(&passing).pass(request);
            router = router.route(&route.under(&host.settings.host.prefix), any(pass));
        }
        let listener = self.listener.try_clone().and_then(tokio::net::TcpListener::from_std);
        axum::serve(listener.map_err(Error::Port)?, router).await.map_err(Error::Port)
    }
}

impl Route {
    fn under(&self, prefix: &str) -> String {
        match prefix {
            "" => format!("/{}", self.path),
            prefix => format!("/{prefix}/{}", self.path),
        }
    }
}

impl Passing {
    async fn pass(self: Arc<Self>, request: Request) -> Response {
        let method = request.method().as_str();
        if !self.route.methods.is_empty() && !self.route.methods.iter().any(|one| one == method) {
            return StatusCode::NOT_FOUND.into_response();
        }
        if self.route.level == Level::Key && !self.shows_key(&request) {
            return StatusCode::UNAUTHORIZED.into_response();
        }
        let started = Instant::now();
        let answer = self.proxied(request).await;
        let call = Call { function: self.function.clone(), partition: None, events: 1, attempt: 0 };
        // Whatever the status is, the host counts the call as a success.
        self.notices.send(Notice::Done { call, logs: Vec::new(), took: started.elapsed() }).ok();
        answer
    }

    fn shows_key(&self, request: &Request) -> bool {
        let header = request.headers().get("x-functions-key");
        let query = request.uri().query().unwrap_or_default();
        let code = query.split('&').find_map(|pair| pair.strip_prefix("code="));
        header.is_some_and(|key| key.as_bytes() == self.key.as_bytes())
            || code.is_some_and(|code| code == self.key)
    }

    async fn proxied(&self, request: Request) -> Response {
        let (parts, body) = request.into_parts();
        let Ok(body) = axum::body::to_bytes(body, LARGEST).await else {
            return StatusCode::PAYLOAD_TOO_LARGE.into_response();
        };
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let address = format!("http://127.0.0.1:{}{path}", self.handler);
        let headers = self.headers(&parts.headers);
        for attempt in 1..=ATTEMPTS {
            let call = self.client.request(parts.method.clone(), &address);
            match call.headers(headers.clone()).body(body.clone()).send().await {
                Ok(answer) => return passed_on(answer),
                Err(error) if error.is_connect() && attempt < ATTEMPTS => {
                    tokio::time::sleep(PAUSE).await;
                }
                Err(_) => break,
            }
        }
        StatusCode::INTERNAL_SERVER_ERROR.into_response()
    }

    /// The caller's headers without those of the connection, and the host's own over them.
    fn headers(&self, from: &HeaderMap) -> HeaderMap {
        let mut headers = ends_removed(from);
        headers.remove(header::HOST);
        let invocation = self.chance.uuid().to_string();
        for (name, value) in [
            ("x-azure-functions-invocationid", invocation.as_str()),
            ("x-azure-functions-hostversion", HOST_VERSION),
            ("x-ms-invocation-id", invocation.as_str()),
        ] {
            if let Ok(value) = HeaderValue::from_str(value) {
                headers.insert(HeaderName::from_static(name), value);
            }
        }
        headers
    }
}

/// Headers that concern one connection only, and the length, which is set anew.
fn ends_removed(from: &HeaderMap) -> HeaderMap {
    let mut headers = from.clone();
    for name in [
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::UPGRADE,
        header::TE,
        header::TRAILER,
        header::CONTENT_LENGTH,
    ] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
    headers
}

fn passed_on(answer: reqwest::Response) -> Response {
    let (status, headers) = (answer.status(), ends_removed(answer.headers()));
    let mut response = Response::new(Body::from_stream(answer.bytes_stream()));
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    response
}
