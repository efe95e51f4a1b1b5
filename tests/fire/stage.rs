//! One installation: storage behind a faulty proxy, an emulated Dataverse, and handler processes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use concord::app;
use concord::chance::Chance;
use concord::clock::{SharedClock, SystemClock};
use concord::emulator::dataverse::admin;
use concord::emulator::dataverse::counters::Counters;
use concord::emulator::dataverse::faults::Faults;
use concord::emulator::dataverse::server::{self, Server};
use concord::emulator::dataverse::state::Options;
use concord::poison::{Filter, Poison};
use concord::store::{self, Message, Stores};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::azurite::Account;
use crate::envelope::{self, Held, Retry};
use crate::handler::{Answer, Handler};
use crate::model::{self, Rows, Side};
use crate::proxy::Proxy;

/// The maps of the fixture.
const MAPS: [&str; 3] = ["thing-account", "thing-contact", "single-customer"];
/// How long a message that was taken stays out of sight.
const HIDDEN: Duration = Duration::from_secs(15);
/// How long nothing may move before all is quiet: longer than what was deferred often has to wait.
const STALLED: Duration = Duration::from_mins(6);

pub(crate) struct Stage {
    pub(crate) proxy: Proxy,
    pub(crate) target: Server,
    pub(crate) handlers: Vec<Handler>,
    /// Storage, not by way of the proxy.
    pub(crate) stores: Stores,
    clock: SharedClock,
    _folder: TempDir,
}

impl Stage {
    /// With this many processes, all of them ready.
    pub(crate) async fn new(seed: u64, processes: usize, options: Options) -> Self {
        let account = Account::new();
        let proxy = Proxy::start(&account.roots, seed).await;
        let clock: SharedClock = Arc::new(SystemClock);
        let direct = store::Config::parse(&account.connection(&account.roots)).unwrap();
        let stores = store::open(&direct, Arc::clone(&clock), Chance::seeded(seed)).await.unwrap();
        let target = server::serve(options).await.unwrap();
        let folder = tempfile::Builder::new().prefix("fire-").tempdir().unwrap();
        let (storage, url) =
            (account.connection(&proxy.roots), format!("http://{}", target.address));
        let handlers: Vec<_> = (0..processes)
            .map(|number| Handler::new(number, &storage, &url, folder.path()))
            .collect();
        futures::future::join_all(handlers.iter().map(Handler::start)).await;
        Self { proxy, target, handlers, stores, clock, _folder: folder }
    }

    /// With a target that does nothing wrong by itself.
    pub(crate) async fn calm(processes: usize) -> Self {
        Self::new(1, processes, Options::default()).await
    }

    pub(crate) async fn post(&self, batch: &[Held], retry: Retry) -> Option<Answer> {
        self.handlers[0].post("events", envelope::events(0, batch, retry)).await
    }

    /// From now on, faults come by chance or they do not.
    pub(crate) fn storm(&self, target: Option<&str>, storage: bool) {
        *self.target.state.faults() = Faults::parse(target.unwrap_or_default()).unwrap();
        self.proxy.state.stormy.store(storage, Ordering::Relaxed);
    }

    pub(crate) fn served(&self) -> Counters {
        self.target.state.counters().clone()
    }

    /// All HTTP requests that the target got.
    pub(crate) fn calls(&self) -> u64 {
        self.served().requests.values().sum()
    }

    /// Those of them that are about rows, not about tables.
    pub(crate) fn calls_for_rows(&self) -> u64 {
        let requests = self.served().requests;
        requests.iter().filter(|(kind, _)| !kind.ends_with("metadata")).map(|(_, n)| n).sum()
    }

    /// The rows of one table by the key of its map.
    pub(crate) fn rows(&self, side: Side) -> Rows {
        let dump = admin::dump(&self.target.state.world().env);
        let dump: Value = serde_json::from_str(&dump).unwrap();
        let rows = dump[side.table()].as_object().unwrap().values().cloned();
        let keyed = rows.map(|row| row.as_object().unwrap().clone());
        keyed.map(|row| (model::key_of(side, &row), row)).collect()
    }

    /// The names of all rows of `/Single`, by number.
    pub(crate) fn customers(&self) -> BTreeMap<String, String> {
        let dump = admin::dump(&self.target.state.world().env);
        let dump: Value = serde_json::from_str(&dump).unwrap();
        let text = |row: &Value, column: &str| row[column].as_str().unwrap().to_owned();
        let rows = dump["acme_customer"].as_object().unwrap().values();
        rows.map(|row| (text(row, "acme_number"), text(row, "acme_name"))).collect()
    }

    /// Takes what is due from the work queue and hands it to a process, as the host does; answers how
    /// many messages there were, and how often one of them was handed out at most.
    pub(crate) async fn work_once(&self, to: usize) -> (usize, u32) {
        let taken = self.stores.work.take(16, HIDDEN).await.unwrap();
        let most = taken.iter().map(|message| message.taken).max().unwrap_or_default();
        futures::future::join_all(taken.iter().map(|message| self.hand(to, message))).await;
        (taken.len(), most)
    }

    async fn hand(&self, to: usize, message: &Message) {
        let body = std::str::from_utf8(&message.body).unwrap();
        let envelope = envelope::message(&message.id, body, message.taken);
        let answer = self.handlers[to].post("work", envelope).await;
        if answer.is_some_and(|answer| answer.is_done()) {
            self.stores.work.remove(message).await.unwrap();
        }
    }

    /// What a sweep found to do; none when it was not finished.
    pub(crate) async fn sweep_once(&self, by: usize) -> Option<u64> {
        let answer = self.handlers[by].post("sweep", envelope::timer()).await?;
        let figures = answer.is_done().then(|| answer.figures())?;
        let found = ["resumed", "asserted", "released", "left"];
        Some(found.iter().map(|name| figures[name].as_u64().unwrap()).sum())
    }

    /// Serves work and sweeps until there is nothing left of either. Answers how long that took.
    pub(crate) async fn come_to_rest(&self) -> Duration {
        let since = Instant::now();
        let (mut quiet, mut last) = (0, since);
        while quiet < 3 {
            let (taken, _) = self.work_once(0).await;
            let found = self.sweep_once(quiet % self.handlers.len()).await;
            let depth = self.stores.work.depth().await.unwrap();
            let idle = taken == 0 && found == Some(0);
            let open = if idle { self.open_rows().await } else { Vec::new() };
            if idle && depth == 0 && open.is_empty() {
                quiet += 1;
            } else {
                quiet = 0;
            }
            if !idle {
                last = Instant::now();
            }
            assert!(
                last.elapsed() < STALLED,
                "nothing moves: {depth} messages of work, {} rows are open: {open:#?}",
                open.len(),
            );
            sleep(Duration::from_millis(200)).await;
        }
        last.duration_since(since)
    }

    /// Everything in the ledger that is not settled: intents, loose claims, index rows.
    pub(crate) async fn open_rows(&self) -> Vec<String> {
        let mut open = Vec::new();
        for map in MAPS {
            for bucket in 0..8 {
                let partition = format!("{map}-{bucket:02}");
                let mut next = Some(String::new());
                while let Some(from) = next {
                    let page = self.stores.ledger.scan(&partition, &from, "\u{10ffff}", 1_000);
                    let page = page.await.unwrap();
                    open.extend(page.rows.iter().filter_map(|stored| {
                        let entity = &stored.entity;
                        let unsettled = entity.row.starts_with('~')
                            || ["intent", "loose", "held"].iter().any(|part| {
                                entity.properties.keys().any(|name| name.starts_with(part))
                            });
                        unsettled
                            .then(|| format!("{partition} {}: {:?}", entity.row, entity.properties))
                    }));
                    next = page.next;
                }
            }
        }
        open
    }

    /// The bodies in quarantine, by partition of the poison store, as they can be had back.
    pub(crate) async fn poison(&self) -> BTreeMap<(String, String), String> {
        let poison: Poison = app::poison(&self.stores, &self.clock);
        let partitions = ["@mdm".to_owned()].into_iter();
        let partitions = partitions.chain(MAPS.map(str::to_owned));
        let kept = poison.list(&partitions.collect::<Vec<_>>(), &Filter::default()).await.unwrap();
        let mut bodies = BTreeMap::new();
        for kept in kept {
            let original = poison.original(&kept.record).await.unwrap();
            let body = String::from_utf8(original.event.body.to_vec()).unwrap();
            bodies.insert((kept.record.id.partition, body), kept.record.code.code().to_owned());
        }
        bodies
    }
}
