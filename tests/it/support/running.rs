//! The whole of Concord in this process: an emulated Dataverse as the target, local storage, maps and a
//! configuration of the test's own, and events that come in as deliveries.

use std::time::Duration;

use bytes::Bytes;
use concord::app::App;
use concord::config::Settings;
use concord::delivery::{Attempt, Delivery, Event};
use concord::emulator::dataverse::server::{Server, serve};
use concord::emulator::dataverse::state::Options;
use concord::outcome::{Report, Verdict};
use serde_json::Value;
use tempfile::TempDir;

use super::SYSTEMS;

/// A running installation.
pub(crate) struct Running {
    pub(crate) app: App,
    server: Server,
    folder: TempDir,
    web: reqwest::Client,
}

impl Running {
    /// Starts with this map (or several, between lines of `---`) and these further lines of `concord.toml`.
    pub(crate) async fn start(map: &str, more: &str) -> Self {
        let server = serve(Options::default()).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let app = open(&folder, &server, map, more).await;
        Self { app, server, folder, web: reqwest::Client::new() }
    }

    /// Starts again on the same storage and target, with another map.
    pub(crate) async fn restart(&mut self, map: &str, more: &str) {
        self.app = open(&self.folder, &self.server, map, more).await;
    }

    /// Takes these events in as one delivery.
    pub(crate) async fn report(&self, events: &[Value]) -> Report {
        let event =
            |event: &Value| Event { body: Bytes::from(event.to_string()), ..Event::default() };
        self.deliver(events.iter().map(event).collect()).await
    }

    /// The same with all that there is to an event.
    pub(crate) async fn deliver(&self, events: Vec<Event>) -> Report {
        let delivery = Delivery {
            system: "mdm".into(),
            function: "events".into(),
            invocation: "1".into(),
            traceparent: None,
            attempt: Attempt { count: 0, last: false },
            within: Duration::from_secs(20),
            events,
        };
        self.app.pipeline.run(&delivery).await
    }

    /// The same, as the words of its outcomes with their numbers: `applied 2, filtered 1`, or `redeliver`.
    pub(crate) async fn take(&self, events: &[Value]) -> String {
        let report = self.report(events).await;
        if report.verdict != Verdict::Acknowledge {
            return "redeliver".to_owned();
        }
        let counts = report.counts().rows;
        let words: Vec<String> =
            counts.iter().map(|(word, rows)| format!("{word} {rows}")).collect();
        words.join(", ")
    }

    /// Calls the target's Web API as somebody else would.
    pub(crate) async fn call(&self, verb: &str, path: &str, body: Option<Value>) -> Value {
        let url = format!("{}{path}", self.server.url());
        let mut request = self.web.request(verb.parse().unwrap(), url);
        if let Some(body) = body {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{verb} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or(Value::Null)
    }

    /// The values of these columns in all rows of a table, ordered by the first of them.
    pub(crate) async fn rows(&self, set: &str, columns: &[&str]) -> Vec<Vec<Value>> {
        let (select, first) = (columns.join(","), columns[0]);
        let path = format!("{set}?$select={select}&$orderby={first}");
        let page = self.call("GET", &path, None).await;
        let rows = page["value"].as_array().unwrap().iter();
        rows.map(|row| columns.iter().map(|column| row[*column].clone()).collect()).collect()
    }
}

async fn open(folder: &TempDir, server: &Server, map: &str, more: &str) -> App {
    let maps = folder.path().join("maps");
    std::fs::create_dir_all(&maps).unwrap();
    std::fs::write(maps.join("concord.toml"), format!("{SYSTEMS}{more}")).unwrap();
    for (number, map) in map.split("\n---\n").enumerate() {
        std::fs::write(maps.join(format!("thing{number}.toml")), map).unwrap();
    }
    let storage = format!("local:{}", folder.path().join("storage").display());
    let url = server.url().replace("/api/data/v9.2/", "");
    let settings = Settings::of([
        ("CONCORD_MAPS", maps.display().to_string()),
        ("CONCORD_STORAGE", storage),
        ("SALES_URL", url),
    ]);
    App::open(&settings).await.unwrap()
}
