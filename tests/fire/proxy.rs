//! A faulty way to storage: requests come in, go on to Azurite, and now and then they do not, or their
//! answers do not come back. Every request that arrives is counted.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use axum::response::Response;
use concord::emulator::dataverse::connection::{Acceptor, Connection};
use tokio::net::TcpListener;
use tokio::task::JoinSet;

/// The longest body that is passed on.
const LONGEST: usize = 64 << 20;

/// The way to the three services of one account.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Scheme, host and port of each service, as the processes under test see it.
    pub(crate) roots: [String; 3],
    pub(crate) state: Arc<Weather>,
    _servers: JoinSet<()>,
}

/// What goes wrong on the way, and how often it did.
#[derive(Debug)]
pub(crate) struct Weather {
    dice: Mutex<fastrand::Rng>,
    /// Whether faults come by chance.
    pub(crate) stormy: AtomicBool,
    /// Whether nothing gets through at all.
    pub(crate) down: AtomicBool,
    requests: AtomicU64,
    faults: Mutex<BTreeMap<&'static str, u64>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Refused,
    Cut,
    Lost,
    Late,
}

/// Each fault, its name and its share in a thousand requests.
const FAULTS: [(Fault, &str, u32); 4] = [
    (Fault::Refused, "storage 503", 12),
    (Fault::Cut, "storage cut", 8),
    (Fault::Lost, "storage answer lost", 12),
    (Fault::Late, "storage late", 20),
];

impl Weather {
    fn draw(&self) -> Option<Fault> {
        if self.down.load(Ordering::Relaxed) {
            return Some(Fault::Refused);
        }
        if !self.stormy.load(Ordering::Relaxed) {
            return None;
        }
        let mut drawn = self.dice.lock().unwrap().u32(0..1_000);
        for (fault, name, share) in FAULTS {
            if drawn < share {
                *self.faults.lock().unwrap().entry(name).or_default() += 1;
                return Some(fault);
            }
            drawn -= share;
        }
        None
    }

    /// How many requests arrived.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The faults that came by chance.
    pub(crate) fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.faults.lock().unwrap().clone()
    }
}

impl Proxy {
    /// In front of these services.
    pub(crate) async fn start(behind: &[String; 3], seed: u64) -> Self {
        let state = Arc::new(Weather {
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            stormy: AtomicBool::new(false),
            down: AtomicBool::new(false),
            requests: AtomicU64::new(0),
            faults: Mutex::default(),
        });
        let mut servers = JoinSet::new();
        let mut roots = [const { String::new() }; 3];
        for (root, behind) in roots.iter_mut().zip(behind) {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
            *root = format!("http://{}", listener.local_addr().unwrap());
            // A kept connection may be closed by Azurite just as it is used again: none is kept long.
            let http = reqwest::Client::builder()
                .no_gzip()
                .no_proxy()
                .pool_idle_timeout(Duration::from_secs(1))
                .build()
                .unwrap();
            let way = Way { http, behind: behind.clone(), weather: Arc::clone(&state) };
            let router = Router::new().fallback(pass).with_state(way);
            let service = router.into_make_service_with_connect_info::<Connection>();
            servers.spawn(async move { axum::serve(Acceptor(listener), service).await.unwrap() });
        }
        Self { roots, state, _servers: servers }
    }
}

#[derive(Clone)]
struct Way {
    http: reqwest::Client,
    behind: String,
    weather: Arc<Weather>,
}

async fn pass(
    State(way): State<Way>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    way.weather.requests.fetch_add(1, Ordering::Relaxed);
    let fault = way.weather.draw();
    match fault {
        Some(Fault::Refused) => return plain(503, "Server busy"),
        Some(Fault::Cut) => {
            connection.cut();
            return plain(503, "");
        }
        Some(Fault::Late) => {
            let late = way.weather.dice.lock().unwrap().u64(20..700);
            tokio::time::sleep(Duration::from_millis(late)).await;
        }
        Some(Fault::Lost) | None => {}
    }
    let answer = way.forward(request).await.unwrap_or_else(|error| {
        println!("the proxy could not reach Azurite: {error}");
        plain(503, "Server busy")
    });
    if fault == Some(Fault::Lost) {
        connection.cut();
    }
    answer
}

impl Way {
    async fn forward(&self, request: Request) -> Result<Response, reqwest::Error> {
        let (head, body) = request.into_parts();
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let body = to_bytes(body, LONGEST).await.unwrap_or_default();
        let mut headers = head.headers;
        for hop in [HOST, CONNECTION, TRANSFER_ENCODING] {
            headers.remove(hop);
        }
        let url = format!("{}{path}", self.behind);
        let sent = self.http.request(head.method, url).headers(headers).body(body).send().await?;
        let mut response = Response::builder().status(sent.status());
        for (name, value) in sent.headers() {
            if ![CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH].contains(name) {
                response = response.header(name, value);
            }
        }
        Ok(response.body(Body::from(sent.bytes().await?)).unwrap())
    }
}

fn plain(status: u16, text: &'static str) -> Response {
    Response::builder().status(status).body(Body::from(text)).unwrap()
}
