//! What an environment says by Service Bus and by Event Hubs: the functions `bus` and `events`, started from
//! their own files by the stand-in of the functions host, with the handler as its process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use concord::chance::Chance;
use concord::clock::{Clock as _, SystemClock};
use concord::emulator::host::bus::Subscription;
use concord::emulator::host::hub::Hub;
use concord::emulator::host::{Host, Options, Surroundings, read_settings};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::support::twins::Twins;

const ERRORS: &str = "
map = 'errors'
version = 1
from = { system = 'one', entity = 'acme_syncerror' }
to = { system = 'two', table = 'acme_syncerror' }
key = { acme_errorid = 'acme_errorid' }
fields = { acme_map = 'acme_map', acme_payload = 'acme_payload' }
removed = { action = 'delete' }
";

/// How long messages may take on their way.
const PATIENCE: Duration = Duration::from_mins(1);

/// The host with its two brokers.
struct Brokers {
    hub: Arc<Hub>,
    topic: Arc<Subscription>,
    _host: JoinSet<()>,
}

impl Brokers {
    fn start(twins: &Twins) -> Self {
        let off = ["webhook", "sync", "changes", "nightly", "sweep", "work"];
        let off = off.map(|name| (format!("AzureWebJobs.{name}.Disabled"), "true".to_owned()));
        let names = [
            ("BUS_TOPIC", "edits"),
            ("BUS_SUBSCRIPTION", "concord"),
            ("EVENTS_HUB", "edits"),
            ("EVENTS_CONSUMER_GROUP", "$Default"),
        ];
        let names = names.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let mut settings: BTreeMap<String, String> = off.into_iter().chain(names).collect();
        settings.extend(twins.settings.iter().cloned());
        let storage = twins.folder.path().join("host");
        settings.insert("CONCORD_STORAGE".to_owned(), format!("local:{}", storage.display()));
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).to_owned();
        let app = read_settings(&root, &settings).unwrap();
        let hub = Arc::new(Hub::new("ns", "edits", 2));
        let topic = Arc::new(Subscription::default());
        let (notices, mut told) = tokio::sync::mpsc::unbounded_channel();
        let around = Surroundings {
            hub: Arc::clone(&hub),
            queues: BTreeMap::new(),
            buses: [("edits/concord".to_owned(), Arc::clone(&topic))].into(),
            clock: Arc::new(SystemClock),
            chance: Chance::from_system(),
            notices,
        };
        let executable = Some(env!("CARGO_BIN_EXE_concord").into());
        let options = Options { root, executable, settings, key: "key".to_owned(), pace: 100 };
        let host = Host::new(options, app, around).unwrap();
        let mut task = JoinSet::new();
        task.spawn(async move { host.run().await.unwrap() });
        task.spawn(async move {
            while let Some(notice) = told.recv().await {
                println!("{notice:?}");
            }
        });
        Self { hub, topic, _host: task }
    }

    /// Brings what the first environment said so far to its broker, and waits until it was handled.
    async fn bring(&self, twins: &Twins, by_bus: bool) {
        twins.rest().await;
        let now = SystemClock.now();
        for (place, message) in twins.one.state.buses().take("bus", 1_000).into_iter().enumerate() {
            let body = Bytes::from(message.body);
            if by_bus {
                self.topic.send(body, message.properties, now);
            } else {
                self.hub.send(place, [body], now);
            }
        }
        let handled = async {
            self.topic.consumed().await;
            self.hub.consumed("$Default").await;
        };
        tokio::time::timeout(PATIENCE, handled).await.expect("messages are not handled");
    }
}

async fn errors(twins: &Twins) -> Vec<Shown> {
    let path = "acme_syncerrors?$orderby=acme_errorid";
    let (_, page) = twins.call(&twins.two, "GET", path, Value::Null).await;
    let shown = |found: &Value| {
        let text = |name: &str| found[name].as_str().unwrap_or_default();
        row(text("acme_errorid"), text("acme_map"), text("acme_payload").chars().count())
    };
    page["value"].as_array().unwrap().iter().map(shown).collect()
}

type Shown = (String, String, usize);

fn row(id: &str, map: &str, payload: usize) -> Shown {
    (id.to_owned(), map.to_owned(), payload)
}

async fn edit(twins: &Twins, verb: &str, id: &str, body: Value) {
    twins.write(&twins.one, verb, &format!("acme_syncerrors(acme_errorid='{id}')"), body).await;
}

async fn what_is_said_arrives(by_bus: bool) {
    let functions = "read = 'image'\ntag = true\n[functions]\nbus = 'one'\nevents = 'one'";
    let twins = Twins::start(functions, &[ERRORS.to_owned()]).await;
    twins.keep(&twins.one, "acme_syncerror").await;
    let brokers = Brokers::start(&twins);
    three_rows(&twins).await;
    brokers.bring(&twins, by_bus).await;
    assert_eq!(twins.one.state.trouble().told.cut, 1);
    let all = [row("E-1", "a", 1), row("E-2", "a", 0), row("E-3", "a", 100_000)];
    assert_eq!(errors(&twins).await, all);
    edit(&twins, "PATCH", "E-1", json!({ "acme_map": "b" })).await;
    edit(&twins, "DELETE", "E-2", Value::Null).await;
    brokers.bring(&twins, by_bus).await;
    assert_eq!(errors(&twins).await, [row("E-1", "b", 1), row("E-3", "a", 100_000)]);
    assert_eq!(brokers.topic.dead(), 0);
}

async fn three_rows(twins: &Twins) {
    edit(twins, "PATCH", "E-1", json!({ "acme_map": "a", "acme_payload": "x" })).await;
    edit(twins, "PATCH", "E-2", json!({ "acme_map": "a" })).await;
    edit(twins, "PATCH", "E-3", too_large()).await;
}

/// More than a context may hold, a webhook's 256 KB or a message's 192: it is cut down, and the row is read
/// again.
fn too_large() -> Value {
    json!({ "acme_map": "a", "acme_payload": "€".repeat(100_000) })
}

#[tokio::test]
async fn a_webhook_above_its_size_limit_is_cut_down_and_its_row_read_again() {
    let twins = Twins::start("read = 'image'", &[ERRORS.to_owned()]).await;
    twins.register().await;
    edit(&twins, "PATCH", "E-1", too_large()).await;
    twins.rest().await;
    assert_eq!(errors(&twins).await, [row("E-1", "a", 100_000)]);
    let told = twins.one.state.trouble().told;
    assert_eq!((told.cut, told.failed), (1, 0), "{told:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_comes_by_service_bus_is_a_row_at_the_target() {
    what_is_said_arrives(true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_context_that_comes_by_event_hubs_is_a_row_at_the_target() {
    what_is_said_arrives(false).await;
}
