//! The far sides of a turn: stand-ins with set latencies, or the emulated Dataverse and Azurite behind
//! relays that count.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use serde_json::Value;
use tokio::task::JoinSet;

use crate::azurite::Account;
use crate::calls::{Calls, Side};
use crate::options::Options;
use crate::relay::{self, Relay};
use crate::server::serve;
use crate::sink::{self, Sink};
use crate::store::{self, Store};

/// Where a contender finds target and storage, and what they hold afterwards.
pub(crate) struct Far {
    /// The root of the Dataverse environment.
    pub(crate) target: String,
    /// The connection string of the storage account.
    pub(crate) storage: String,
    pub(crate) calls: Arc<Calls>,
    kept: Kept,
    _tasks: JoinSet<()>,
}

enum Kept {
    StandIns(Arc<Sink>, Arc<Store>),
    Real { emulator: Emulator, storage: Vec<Arc<Relay>> },
}

/// `concord emulate dataverse`, ended with this value.
struct Emulator {
    child: Child,
    root: String,
}

impl Drop for Emulator {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

impl Far {
    /// Fresh ones.
    pub(crate) async fn new(options: &Options) -> Self {
        if options.real { Self::real().await } else { Self::stand_ins(options).await }
    }

    async fn stand_ins(options: &Options) -> Self {
        let (calls, mut tasks) = (Arc::new(Calls::default()), JoinSet::new());
        let sink = Arc::new(Sink::new(options.pace(), Arc::clone(&calls)));
        let store = Arc::new(Store::new(options.store_pause(), Arc::clone(&calls)));
        let routes = Router::new().fallback(sink::answer).with_state(Arc::clone(&sink));
        let target = serve(routes, &mut tasks).await;
        let routes = Router::new().fallback(store::answer).with_state(Arc::clone(&store));
        let storage = Store::connection(&serve(routes, &mut tasks).await);
        Self { target, storage, calls, kept: Kept::StandIns(sink, store), _tasks: tasks }
    }

    async fn real() -> Self {
        let (calls, mut tasks) = (Arc::new(Calls::default()), JoinSet::new());
        let emulator = emulator().await;
        let relay = Relay::new(Side::Target, &emulator.root, Arc::clone(&calls));
        let target = relay::serve(&relay, &mut tasks).await;
        let account = Account::new();
        let (mut roots, mut storage) = (Vec::new(), Vec::new());
        for root in &account.roots {
            let relay = Relay::new(Side::Storage, root, Arc::clone(&calls));
            roots.push(relay::serve(&relay, &mut tasks).await);
            storage.push(relay);
        }
        let roots: [String; 3] = roots.try_into().expect("three services");
        let connection = account.connection(&roots);
        let kept = Kept::Real { emulator, storage };
        Self { target, storage: connection, calls, kept, _tasks: tasks }
    }

    /// Every row of the target by its number, with its revision.
    pub(crate) async fn rows(&self) -> BTreeMap<String, u64> {
        match &self.kept {
            Kept::StandIns(sink, _) => sink.revisions(),
            Kept::Real { emulator, .. } => {
                let url = format!("{}/_emulator/dump", emulator.root);
                let dump = reqwest::get(url).await.unwrap().text().await.unwrap();
                let dump: Value = serde_json::from_str(&dump).unwrap();
                let rows = dump["acme_partner"].as_object().cloned().unwrap_or_default();
                let named = |row: &Value| {
                    let number = row["acme_number"].as_str()?.to_owned();
                    Some((number, row["acme_revision"].as_u64()?))
                };
                rows.values().filter_map(named).collect()
            }
        }
    }

    /// How many messages were put into queues whose name holds this word.
    pub(crate) fn messages(&self, word: &str) -> usize {
        match &self.kept {
            Kept::StandIns(_, store) => store.messages(word),
            Kept::Real { storage, .. } => storage.iter().map(|relay| relay.messages(word)).sum(),
        }
    }
}

async fn emulator() -> Emulator {
    let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
    let schema = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/load/schema.toml");
    let child = Command::new(env!("CARGO_BIN_EXE_concord"))
        .args(["emulate", "dataverse", "--port", &port.to_string(), "--schema", schema])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let emulator = Emulator { child, root: format!("http://127.0.0.1:{port}") };
    for _ in 0..500 {
        if reqwest::get(format!("{}/_emulator/counters", emulator.root)).await.is_ok() {
            return emulator;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the emulator does not answer");
}
