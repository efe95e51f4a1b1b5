//! A faulty way to storage, and a watched way to the target: requests come in, go on, and now and then
//! they do not, or their answers do not come back, or come back as another. A trap holds the first
//! request of a step, before it is carried out or after, so that a process can be killed right there.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{ConnectInfo, Request, State};
use axum::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST,
    TRANSFER_ENCODING,
};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use bytes::Bytes;
use concord::emulator::dataverse::connection::{Acceptor, Connection};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use crate::azurite::Service;
use crate::step::{Place, Step, When};

/// The longest body that is passed on.
const LONGEST: usize = 512 << 20;

/// The ways to the three services of one account, and to the target.
#[derive(Debug)]
pub(crate) struct Proxy {
    /// Scheme, host and port of each service, as the processes under test see it.
    pub(crate) roots: [String; 3],
    /// The same of the target.
    pub(crate) target: String,
    pub(crate) state: Arc<Weather>,
    _servers: JoinSet<()>,
}

#[derive(Debug)]
struct Trap {
    step: Step,
    when: When,
    sprung: oneshot::Sender<()>,
}

/// What goes wrong on the way, and how often it did.
#[derive(Debug)]
pub(crate) struct Weather {
    dice: Mutex<fastrand::Rng>,
    /// Whether faults come by chance.
    pub(crate) stormy: AtomicBool,
    /// Whether nothing gets through to storage at all.
    pub(crate) down: AtomicBool,
    /// What the target answers to everything, packed, when that is set.
    pub(crate) bomb: Mutex<Option<Bytes>>,
    /// Whether storage gets every request under a wrong signature.
    pub(crate) locked: AtomicBool,
    requests: AtomicU64,
    kinds: Mutex<BTreeMap<&'static str, u64>>,
    faults: Mutex<BTreeMap<&'static str, u64>>,
    trap: Mutex<Option<Trap>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Refused,
    Cut,
    Lost,
    Late,
    /// It was done, and is said to have met somebody else's change.
    FalseConflict(u16),
    /// It was not done, and is said to have met somebody else's change.
    Conflict,
}

/// Each fault, its name and its share in a thousand requests.
const FAULTS: [(Fault, &str, u32); 7] = [
    (Fault::Refused, "storage 503", 12),
    (Fault::Cut, "storage cut", 8),
    (Fault::Lost, "storage answer lost", 12),
    (Fault::Late, "storage late", 20),
    (Fault::FalseConflict(412), "storage 412 though done", 8),
    (Fault::FalseConflict(409), "storage 409 though done", 4),
    (Fault::Conflict, "storage 412 and not done", 8),
];

impl Fault {
    /// Whether a service could answer like this.
    fn fits(self, place: Place, method: &Method) -> bool {
        match self {
            Self::Refused | Self::Cut | Self::Lost | Self::Late => true,
            Self::FalseConflict(_) | Self::Conflict => {
                place == Place::Storage(Service::Table) && method != Method::GET
            }
        }
    }
}

impl Weather {
    fn draw(&self, place: Place, method: &Method) -> Option<Fault> {
        if place == Place::Target {
            return None;
        }
        if self.down.load(Ordering::Relaxed) {
            return Some(Fault::Refused);
        }
        if !self.stormy.load(Ordering::Relaxed) {
            return None;
        }
        let mut drawn = self.dice.lock().unwrap().u32(0..1_000);
        for (fault, name, share) in FAULTS {
            if drawn < share {
                if !fault.fits(place, method) {
                    return None;
                }
                *self.faults.lock().unwrap().entry(name).or_default() += 1;
                return Some(fault);
            }
            drawn -= share;
        }
        None
    }

    /// How many requests to storage arrived.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Those that were answered, by what they were for.
    pub(crate) fn kinds(&self) -> BTreeMap<&'static str, u64> {
        self.kinds.lock().unwrap().clone()
    }

    fn answered(&self, place: Place, head: &Parts, answer: &[u8]) {
        let Place::Storage(service) = place else { return };
        let holds = |word: &[u8]| answer.windows(word.len()).any(|part| part == word);
        let query = head.uri.query().unwrap_or_default();
        let kind = match (service, &head.method) {
            (Service::Blob, _) => "blobs",
            (Service::Queue, _) => "queues",
            // Index rows start like this.
            (Service::Table, &Method::GET)
                if ["~l", "~h"].iter().any(|row| query.contains(row)) =>
            {
                "sweeps"
            }
            (Service::Table, &Method::GET) => "looks",
            (Service::Table, _) if holds(b"HTTP/1.1 412") || holds(b"HTTP/1.1 409") => "conflicts",
            (Service::Table, _) => "transactions",
        };
        *self.kinds.lock().unwrap().entry(kind).or_default() += 1;
    }

    /// The faults that came by chance.
    pub(crate) fn faults(&self) -> BTreeMap<&'static str, u64> {
        self.faults.lock().unwrap().clone()
    }

    /// Holds the next request of this step for ever, and says when it is held.
    pub(crate) fn trap(&self, step: Step, when: When) -> oneshot::Receiver<()> {
        let (sprung, held) = oneshot::channel();
        *self.trap.lock().unwrap() = Some(Trap { step, when, sprung });
        held
    }

    /// Takes the trap away; answers whether it was still set.
    pub(crate) fn disarm(&self) -> bool {
        self.trap.lock().unwrap().take().is_some()
    }

    fn springs(&self, when: When, step: impl FnOnce() -> Option<Step>) -> bool {
        let mut trap = self.trap.lock().unwrap();
        let fits = trap.as_ref().is_some_and(|trap| trap.when == when && step() == Some(trap.step));
        let sprung = fits.then(|| trap.take()).flatten();
        sprung.is_some_and(|trap| trap.sprung.send(()).is_ok())
    }
}

impl Proxy {
    /// In front of these services of storage, and of the target.
    pub(crate) async fn start(storage: &[String; 3], target: &str, seed: u64) -> Self {
        let state = Arc::new(Weather {
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            stormy: AtomicBool::new(false),
            down: AtomicBool::new(false),
            locked: AtomicBool::new(false),
            bomb: Mutex::default(),
            requests: AtomicU64::new(0),
            kinds: Mutex::default(),
            faults: Mutex::default(),
            trap: Mutex::default(),
        });
        let mut servers = JoinSet::new();
        let mut roots = [const { String::new() }; 3];
        for ((root, behind), service) in roots.iter_mut().zip(storage).zip(Service::ALL) {
            *root = serve(&mut servers, Place::Storage(service), behind, &state).await;
        }
        let target = serve(&mut servers, Place::Target, target, &state).await;
        Self { roots, target, state, _servers: servers }
    }
}

/// Serves one way; answers its root.
async fn serve(
    servers: &mut JoinSet<()>,
    place: Place,
    behind: &str,
    weather: &Arc<Weather>,
) -> String {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let root = format!("http://{}", listener.local_addr().unwrap());
    // A kept connection may be closed by Azurite just as it is used again: none is kept long.
    let http = reqwest::Client::builder()
        .no_gzip()
        .no_proxy()
        .pool_idle_timeout(Duration::from_secs(1))
        .build()
        .unwrap();
    let way = Way { http, place, behind: behind.to_owned(), weather: Arc::clone(weather) };
    let router = Router::new().fallback(pass).with_state(way);
    let service = router.into_make_service_with_connect_info::<Connection>();
    servers.spawn(async move { axum::serve(Acceptor(listener), service).await.unwrap() });
    root
}

#[derive(Clone)]
struct Way {
    http: reqwest::Client,
    place: Place,
    behind: String,
    weather: Arc<Weather>,
}

async fn pass(
    State(way): State<Way>,
    ConnectInfo(connection): ConnectInfo<Connection>,
    request: Request,
) -> Response {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, LONGEST).await.unwrap_or_default();
    if way.place != Place::Target {
        way.weather.requests.fetch_add(1, Ordering::Relaxed);
    }
    if let Some(bomb) = way.bomb() {
        return packed(bomb);
    }
    let step = || Step::of(way.place, &head.method, &head.uri, &body);
    if way.weather.springs(When::Before, step) {
        std::future::pending::<()>().await;
    }
    let fault = way.weather.draw(way.place, &head.method);
    let is_batch = head.uri.path().ends_with("$batch");
    match fault {
        Some(Fault::Refused) => return plain(503, "Server busy"),
        Some(Fault::Conflict) => return conflict(412, is_batch),
        Some(Fault::Cut) => {
            connection.cut();
            return plain(503, "");
        }
        Some(Fault::Late) => {
            let late = way.weather.dice.lock().unwrap().u64(20..700);
            tokio::time::sleep(Duration::from_millis(late)).await;
        }
        Some(Fault::Lost | Fault::FalseConflict(_)) | None => {}
    }
    let answer = way.forward(&head, body.clone()).await.unwrap_or_else(|error| {
        println!("the proxy could not reach what is behind it: {error}");
        plain(503, "Server busy")
    });
    if way.weather.springs(When::After, step) {
        std::future::pending::<()>().await;
    }
    match fault {
        Some(Fault::Lost) => connection.cut(),
        Some(Fault::FalseConflict(status)) => return conflict(status, is_batch),
        _ => {}
    }
    answer
}

impl Way {
    fn bomb(&self) -> Option<Bytes> {
        let bomb = self.weather.bomb.lock().unwrap();
        bomb.clone().filter(|_| self.place == Place::Target)
    }

    async fn forward(&self, head: &Parts, body: Bytes) -> Result<Response, reqwest::Error> {
        let path = head.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut headers: HeaderMap = head.headers.clone();
        for hop in [CONNECTION, TRANSFER_ENCODING] {
            headers.remove(hop);
        }
        // Signatures do not cover the host; the addresses in a target's answers follow it.
        if self.place != Place::Target {
            headers.remove(HOST);
            if self.weather.locked.load(Ordering::Relaxed) {
                spoil(&mut headers);
            }
        }
        let url = format!("{}{path}", self.behind);
        let sent =
            self.http.request(head.method.clone(), url).headers(headers).body(body).send().await?;
        let mut response = Response::builder().status(sent.status());
        for (name, value) in sent.headers() {
            if ![CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH].contains(name) {
                response = response.header(name, value);
            }
        }
        let body = sent.bytes().await?;
        self.weather.answered(self.place, head, &body);
        Ok(response.body(Body::from(body)).unwrap())
    }
}

/// Makes the signature that of another key: its first letter is another.
fn spoil(headers: &mut HeaderMap) {
    let Some(signed) = headers.get(AUTHORIZATION).and_then(|signed| signed.to_str().ok()) else {
        return;
    };
    let (account, signature) = signed.split_once(':').unwrap();
    let first = if signature.starts_with('A') { 'B' } else { 'A' };
    let spoilt = format!("{account}:{first}{}", &signature[1..]);
    headers.insert(AUTHORIZATION, spoilt.parse().unwrap());
}

fn packed(body: Bytes) -> Response {
    let response = Response::builder().header(CONTENT_TYPE, "application/json");
    response.header(CONTENT_ENCODING, "gzip").body(Body::from(body)).unwrap()
}

fn plain(status: u16, text: &'static str) -> Response {
    Response::builder().status(status).body(Body::from(text)).unwrap()
}

/// What the Table service says when a condition does not hold: of the first operation, in a transaction.
fn conflict(status: u16, is_batch: bool) -> Response {
    let code = if status == 409 { "EntityAlreadyExists" } else { "UpdateConditionNotSatisfied" };
    let error = format!(
        r#"{{"odata.error":{{"code":"{code}","message":{{"lang":"en-US","value":"0:Made up."}}}}}}"#
    );
    let (status, kind, body) = if is_batch {
        let body = format!(
            "--batchresponse_1\r\nContent-Type: multipart/mixed; boundary=changesetresponse_1\r\n\
             \r\n--changesetresponse_1\r\nContent-Type: application/http\r\n\r\nHTTP/1.1 {status} \
             Conflict\r\nContent-Type: application/json\r\n\r\n{error}\r\n\
             --changesetresponse_1--\r\n--batchresponse_1--\r\n"
        );
        (202, "multipart/mixed; boundary=batchresponse_1", body)
    } else {
        (status, "application/json", error)
    };
    let response = Response::builder().status(status).header(CONTENT_TYPE, kind);
    response.body(Body::from(body)).unwrap()
}
