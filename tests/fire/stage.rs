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
use concord::store::{self, Message, Property, Stores};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

use crate::azurite::Account;
use crate::envelope::{self, Held, Retry};
use crate::handler::{self, Answer, Handler};
use crate::model::{self, Rows, Side};
use crate::proxy::Proxy;

/// The maps of the fixture.
const MAPS: [&str; 3] = ["thing-account", "thing-contact", "single-customer"];
/// As many messages at once mean that much is left to do.
const BUSY: usize = 16;
/// How long a message that was taken stays out of sight.
const HIDDEN: Duration = Duration::from_secs(15);
/// How long nothing may move before all is quiet: longer than what was deferred often has to wait.
const STALLED: Duration = Duration::from_mins(6);

/// What is special about a stage.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Usual,
    Watched,
    Patient,
}

pub(crate) struct Stage {
    pub(crate) proxy: Proxy,
    pub(crate) target: Server,
    pub(crate) handlers: Vec<Handler>,
    /// Storage, not by way of the proxy.
    pub(crate) stores: Stores,
    /// How the handlers are told of storage.
    pub(crate) connection: String,
    clock: SharedClock,
    _folder: TempDir,
}

impl Stage {
    /// With this many processes, all of them ready.
    pub(crate) async fn new(seed: u64, processes: usize, options: Options) -> Self {
        Self::open(seed, processes, options, Kind::Usual).await
    }

    /// The same with a watched way to the target too.
    pub(crate) async fn watched(processes: usize) -> Self {
        Self::open(1, processes, Options::default(), Kind::Watched).await
    }

    /// Where no call is late because the machine is busy.
    pub(crate) async fn patient(seed: u64, processes: usize, options: Options) -> Self {
        Self::open(seed, processes, options, Kind::Patient).await
    }

    async fn open(seed: u64, processes: usize, options: Options, kind: Kind) -> Self {
        let account = Account::new();
        let target = server::serve(options).await.unwrap();
        let url = format!("http://{}", target.address);
        let proxy = Proxy::start(&account.roots, &url, seed).await;
        let clock: SharedClock = Arc::new(SystemClock);
        let direct = store::Config::parse(&account.connection(&account.roots)).unwrap();
        let stores = store::open(&direct, Arc::clone(&clock), Chance::seeded(seed)).await.unwrap();
        let folder = tempfile::Builder::new().prefix("fire-").tempdir().unwrap();
        let storage = account.connection(&proxy.roots);
        let url = if kind == Kind::Watched { proxy.target.clone() } else { url };
        let maps = match kind {
            Kind::Patient => handler::patient_maps(folder.path()),
            Kind::Usual | Kind::Watched => handler::maps(),
        };
        let handlers: Vec<_> = (0..processes)
            .map(|number| Handler::new(number, &maps, (&storage, &url), folder.path()))
            .collect();
        futures::future::join_all(handlers.iter().map(Handler::start)).await;
        Self { proxy, target, handlers, stores, connection: storage, clock, _folder: folder }
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

    /// How many lines of the handlers' logs are about this.
    pub(crate) fn told_of(&self, event: &str) -> usize {
        self.handlers.iter().map(|handler| handler.told_of(event)).sum()
    }

    /// A figure of the handlers' logs, summed over all their calls.
    pub(crate) fn told(&self, figure: &str) -> u64 {
        self.handlers.iter().map(|handler| handler.told(figure)).sum()
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
        customers(&self.target)
    }

    /// Takes what is due from the work queue and hands it to a process, as the host does; answers how
    /// many messages there were, and how often one of them was handed out at most.
    pub(crate) async fn work_once(&self, to: usize) -> (usize, u32) {
        let taken = steadily(|| self.stores.work.take(16, HIDDEN)).await;
        let most = taken.iter().map(|message| message.taken).max().unwrap_or_default();
        futures::future::join_all(taken.iter().map(|message| self.hand(to, message))).await;
        (taken.len(), most)
    }

    async fn hand(&self, to: usize, message: &Message) {
        let body = std::str::from_utf8(&message.body).unwrap();
        let envelope = envelope::message(&message.id, body, message.taken);
        let answer = self.handlers[to].post("work", envelope).await;
        if answer.is_some_and(|answer| answer.is_done()) {
            steadily(|| self.stores.work.remove(message)).await;
        }
    }

    /// Takes what is told of poisoned rows, as whoever watches does: Azurite looks through the messages of
    /// all queues when it is asked for those of one.
    pub(crate) async fn hear_of_poison(&self) {
        loop {
            let told = steadily(|| self.stores.poisoned.take(32, HIDDEN)).await;
            for message in &told {
                steadily(|| self.stores.poisoned.remove(message)).await;
            }
            if told.len() < 32 {
                return;
            }
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
        let (mut quiet, mut rounds, mut last, mut told) = (0, 0, since, since);
        while quiet < 3 {
            let everywhere = (0..self.handlers.len()).map(|to| self.work_once(to));
            let taken = futures::future::join_all(everywhere).await;
            let taken: usize = taken.iter().map(|(taken, _)| taken).sum();
            // While there is much to do, a sweep now and then is enough.
            let found = if taken >= BUSY && rounds % 8 != 0 {
                None
            } else {
                self.sweep_once(quiet % self.handlers.len()).await
            };
            rounds += 1;
            let depth = steadily(|| self.stores.work.depth()).await;
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
            if told.elapsed() > Duration::from_secs(30) {
                told = Instant::now();
                println!(
                    "{:>5} s after the last delivery: {depth} messages of work",
                    since.elapsed().as_secs()
                );
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

    /// Approves mass removals, as an operator does: more than a map may remove within an hour without
    /// asking is what a long run is planned to remove. Whether any still waited; nothing when a command
    /// failed.
    pub(crate) async fn approve(&self) -> Option<bool> {
        let list = self.handlers[0].command(&["holds", "list", "--json"]).await?;
        let holds: Vec<Value> = serde_json::from_str(&list).unwrap();
        for hold in holds.iter().filter(|hold| hold["approved"].is_null()) {
            let map = hold["map"].as_str().unwrap();
            let approve = ["holds", "approve", map, "--why", "it is what was planned"];
            self.handlers[0].command(&approve).await?;
        }
        Some(holds.iter().any(|hold| hold["held"] != 0))
    }

    /// Everything in the ledger that is not settled: intents, loose claims, index rows.
    pub(crate) async fn open_rows(&self) -> Vec<String> {
        let mut open = Vec::new();
        for map in MAPS {
            for bucket in 0..8 {
                let partition = format!("{map}-{bucket:02}");
                let mut next = Some(String::new());
                while let Some(from) = next {
                    let scan = || self.stores.ledger.scan(&partition, &from, "\u{10ffff}", 1_000);
                    let page = steadily(scan).await;
                    open.extend(page.rows.iter().filter_map(|stored| {
                        let entity = &stored.entity;
                        let unsettled = entity.row.starts_with('~')
                            || ["intent", "loose", "held"].iter().any(|part| {
                                let empty = Property::Text(String::new());
                                entity.properties.get(*part).is_some_and(|part| *part != empty)
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
        let partitions: Vec<String> = partitions.collect();
        let everything = Filter::default();
        let kept = steadily(|| poison.list(&partitions, &everything)).await;
        let mut bodies = BTreeMap::new();
        for kept in kept {
            let original = steadily(|| poison.original(&kept.record)).await;
            let body = String::from_utf8(original.event.body.to_vec()).unwrap();
            bodies.insert((kept.record.id.partition, body), kept.record.code.code().to_owned());
        }
        bodies
    }
}

/// What the harness itself asks of storage, asked again when a connection ends: in a long run some do.
async fn steadily<T, E, F>(ask: impl Fn() -> F) -> T
where
    E: std::fmt::Debug,
    F: Future<Output = Result<T, E>>,
{
    for pause in [50, 200, 1_000, 5_000] {
        if let Ok(answer) = ask().await {
            return answer;
        }
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    ask().await.unwrap()
}

/// The names of all rows of `/Single` that a target holds, by number.
pub(crate) fn customers(target: &Server) -> BTreeMap<String, String> {
    let dump = admin::dump(&target.state.world().env);
    let dump: Value = serde_json::from_str(&dump).unwrap();
    let text = |row: &Value, column: &str| row[column].as_str().unwrap_or_default().to_owned();
    let rows = dump["acme_customer"].as_object().unwrap().values();
    rows.map(|row| (text(row, "acme_number"), text(row, "acme_name"))).collect()
}
