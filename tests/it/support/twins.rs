//! Two emulated environments and Concord between them: each posts its webhooks to Concord, which writes
//! to the other one.

use std::time::Duration;

use axum::Router;
use concord::app::App;
use concord::config::Settings;
use concord::delivery::{Attempt, Delivery, Event};
use concord::emulator::dataverse::server::{Server, serve};
use concord::emulator::dataverse::state::Options;
use concord::outcome::Report;
use concord::trigger;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::task::JoinSet;

use super::work;

const SYSTEMS: &str = "
[systems.one]
kind = 'dataverse'
url = '${ONE_URL}'
auth = 'none'
webhook_secret = '${ONE_SECRET}'
READ
[systems.two]
kind = 'dataverse'
url = '${TWO_URL}'
auth = 'none'
tag = true
webhook_secret = '${TWO_SECRET}'
";

/// Customers, hotels and regions, and which customer stays at which hotel.
pub(crate) const GUESTS: [&str; 4] = [
    "
map = 'customers'
version = 1
from = { system = 'one', entity = 'acme_customer' }
to = { system = 'two', table = 'acme_customer' }
key = { acme_number = 'acme_number' }
removed = { action = 'delete' }
[fields]
acme_name = 'acme_name'
acme_regionid = { from = 'acme_regionid.acme_code', lookup = 'acme_region.acme_code' }
",
    "
map = 'hotels'
version = 1
from = { system = 'one', entity = 'acme_hotel' }
to = { system = 'two', table = 'acme_hotel' }
key = { acme_code = 'acme_code' }
fields = { acme_name = 'acme_name' }
removed = { action = 'delete' }
",
    "
map = 'guests'
version = 1
from = { system = 'one', entity = 'acme_customer_acme_hotel', pairs = true }
to = { system = 'two', table = 'acme_customer_acme_hotel', pairs = true }
removed = { action = 'delete' }
[key]
acme_customerid = { from = 'acme_customerid.acme_number', lookup = 'acme_customer.acme_number' }
acme_hotelid = { from = 'acme_hotelid.acme_code', lookup = 'acme_hotel.acme_code' }
",
    "
map = 'regions'
version = 1
from = { system = 'one', entity = 'acme_region' }
to = { system = 'two', table = 'acme_region' }
key = { acme_code = 'acme_code' }
fields = { acme_name = 'acme_name' }
removed = { action = 'delete' }
",
];

/// Two emulated environments and Concord between them, which listens.
pub(crate) struct Twins {
    pub(crate) one: Server,
    pub(crate) two: Server,
    pub(crate) app: App,
    pub(crate) url: String,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) web: reqwest::Client,
    pub(crate) folder: TempDir,
    _task: JoinSet<()>,
}

impl Twins {
    pub(crate) async fn start(read: &str, maps: &[String]) -> Self {
        let (one, two) = tokio::join!(serve(Options::default()), serve(Options::default()));
        let (one, two) = (one.unwrap(), two.unwrap());
        let folder = tempfile::tempdir().unwrap();
        let all = folder.path().join("maps");
        std::fs::create_dir_all(&all).unwrap();
        let tag = if read.contains("tag") { "" } else { "tag = true\n" };
        let systems = SYSTEMS.replace("READ", &format!("{tag}{read}"));
        std::fs::write(all.join("concord.toml"), systems).unwrap();
        for (index, map) in maps.iter().enumerate() {
            std::fs::write(all.join(format!("{index}.toml")), map).unwrap();
        }
        let root = |server: &Server| server.url().replace("/api/data/v9.2/", "");
        let settings: Vec<(String, String)> = [
            ("CONCORD_MAPS", all.display().to_string()),
            ("CONCORD_STORAGE", format!("local:{}", folder.path().join("storage").display())),
            ("ONE_URL", root(&one)),
            ("TWO_URL", root(&two)),
            ("ONE_SECRET", "the-first-secret-1 the-old-secret-1".to_owned()),
            ("TWO_SECRET", "the-second-secret".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let app = App::open(&Settings::of(settings.clone())).await.unwrap();
        let called = app.called().into_iter().map(|(_, router)| router);
        let router =
            called.fold(trigger::router(app.functions(), app.config.limits), Router::merge);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut task = JoinSet::new();
        task.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let web = reqwest::Client::new();
        Self { one, two, app, url, settings, web, folder, _task: task }
    }

    /// `concord webhook …`, as an operator calls it.
    pub(crate) async fn webhook(&self, arguments: &[&str]) -> Value {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_concord"))
            .arg("webhook")
            .args(arguments)
            .arg("--json")
            .envs(self.settings.iter().cloned())
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{told}");
        for secret in ["the-first-secret-1", "the-second-secret"] {
            assert!(
                !told.contains(secret) && !String::from_utf8_lossy(&output.stdout).contains(secret)
            );
        }
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Any command: its exit code and what it says.
    pub(crate) async fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_concord"))
            .args(arguments)
            .envs(self.settings.iter().cloned())
            .output()
            .await
            .unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout) + &text(&output.stderr))
    }

    /// What happens to rows of a table of one side is kept for `brought`.
    pub(crate) async fn keep(&self, server: &Server, table: &str) {
        let row = json!({ "name": "bus", "contract": 5 });
        self.write(server, "POST", "serviceendpoints", row).await;
        let (_, found) = self.call(server, "GET", "serviceendpoints", Value::Null).await;
        let endpoint = found["value"][0]["serviceendpointid"].as_str().unwrap().to_owned();
        for message in ["Create", "Update", "Delete"] {
            let filter = format!(
                "sdkmessagefilters?$filter=primaryobjecttypecode eq '{table}' and sdkmessageid/name eq '{message}'"
            );
            let (_, found) = self.call(server, "GET", &filter, Value::Null).await;
            let id = |name: &str| found["value"][0][name].as_str().unwrap().to_owned();
            let step = json!({
                "name": message, "mode": 1, "stage": 40, "rank": 1, "supporteddeployment": 0,
                "sdkmessageid@odata.bind": format!("/sdkmessages({})", id("_sdkmessageid_value")),
                "sdkmessagefilterid@odata.bind":
                    format!("/sdkmessagefilters({})", id("sdkmessagefilterid")),
                "eventhandler_serviceendpoint@odata.bind": format!("/serviceendpoints({endpoint})"),
            });
            self.write(server, "POST", "sdkmessageprocessingsteps", step).await;
        }
    }

    /// Takes in what was kept of one side, and tells what became of it.
    pub(crate) async fn brought(&self, system: &str) -> Report {
        self.rest().await;
        let server = if system == "one" { &self.one } else { &self.two };
        let messages = server.state.buses().take("bus", 1_000).into_iter();
        let events = messages.map(|one| Event { body: one.body.into(), ..Event::default() });
        let delivery = Delivery {
            system: system.into(),
            function: "bus".into(),
            invocation: "1".into(),
            traceparent: None,
            attempt: Attempt { count: 0, last: false },
            within: Duration::from_secs(20),
            events: events.collect(),
        };
        self.app.pipeline.run(&delivery).await
    }

    pub(crate) async fn register(&self) -> usize {
        let told = self.webhook(&["register", "--url", &self.url]).await;
        told.as_array().unwrap().iter().map(|one| one["changes"].as_array().unwrap().len()).sum()
    }

    pub(crate) async fn call(
        &self,
        server: &Server,
        verb: &str,
        path: &str,
        body: Value,
    ) -> (u16, Value) {
        let url = format!("{}{path}", server.url());
        let request = self.web.request(verb.parse().unwrap(), url);
        let answer = request.json(&body).send().await.unwrap();
        let status = answer.status().as_u16();
        (status, serde_json::from_str(&answer.text().await.unwrap()).unwrap_or_default())
    }

    pub(crate) async fn write(&self, server: &Server, verb: &str, path: &str, body: Value) {
        let (status, said) = self.call(server, verb, path, body).await;
        assert_eq!(status, 204, "{verb} {path}: {said}");
    }

    /// Does all work that can be taken now, as the host's queue trigger does.
    pub(crate) async fn work(&self) {
        work::now(&self.app).await;
    }

    /// Waits until all webhooks of both sides were answered.
    pub(crate) async fn rest(&self) {
        for _ in 0..2_000 {
            let waiting = |server: &Server| server.state.trouble().told.waiting;
            if waiting(&self.one) + waiting(&self.two) == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("webhooks do not come to rest");
    }

    pub(crate) async fn trouble(&self, shares: Value) {
        let root = self.one.url().replace("/api/data/v9.2/", "");
        let sent = self.web.post(format!("{root}/_emulator/webhooks")).json(&shares).send().await;
        assert!(sent.unwrap().status().is_success());
    }

    /// The values of these columns in all rows of a table, ordered by the first of them.
    pub(crate) async fn rows(&self, server: &Server, set: &str, columns: &[&str]) -> Vec<String> {
        let path = format!("{set}?$select={}&$orderby={}", columns.join(","), columns[0]);
        let (_, page) = self.call(server, "GET", &path, Value::Null).await;
        let shown = |row: &Value| {
            let values = columns.iter().map(|column| row[*column].to_string().replace('"', ""));
            values.collect::<Vec<_>>().join(" ")
        };
        page["value"].as_array().unwrap().iter().map(shown).collect()
    }

    pub(crate) async fn regions(&self, server: &Server) -> Vec<String> {
        self.rows(server, "acme_regions", &["acme_code", "acme_name"]).await
    }

    /// How often rows of regions were written.
    pub(crate) fn written(server: &Server) -> (u64, u64) {
        let counters = server.state.counters();
        let rows = counters.tables.get("acme_region").copied().unwrap_or_default();
        (rows.created, rows.updated)
    }
}
