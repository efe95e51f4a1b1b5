//! The real process, `concord serve`, as the Functions host starts it; what it says on stdout is kept.

use std::fs::File;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use concord::chance::Chance;
use concord::clock::SystemClock;
use concord::store::{self, Config};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::{Child, Command};

/// A running handler.
pub(crate) struct Serving {
    address: String,
    log: PathBuf,
    web: reqwest::Client,
    child: Child,
    settings: Vec<(String, String)>,
    folder: TempDir,
}

impl Serving {
    /// Starts it with these files of maps and these settings, storage in a folder, and waits until it
    /// answers.
    pub(crate) async fn start(files: &[(&str, &str)], settings: &[(&str, &str)]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        drop(free);
        let log = folder.path().join("handler.log");
        let child = Command::new(env!("CARGO_BIN_EXE_concord"))
            .arg("serve")
            .env_clear()
            .env("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string())
            .env("CONCORD_MAPS", folder.path())
            .env("CONCORD_STORAGE", format!("local:{}", folder.path().join("storage").display()))
            .envs(settings.iter().copied())
            .stdin(Stdio::null())
            .stdout(File::create(&log).unwrap())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let web = reqwest::Client::builder().no_proxy().build().unwrap();
        let address = format!("http://127.0.0.1:{port}");
        let settings =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let serving = Self { address, log, web, child, settings: settings.collect(), folder };
        for _ in 0..400 {
            if serving.web.get(&serving.address).send().await.is_ok() {
                return serving;
            }
            tokio::time::sleep(Duration::from_millis(25)).await;
        }
        panic!("the handler does not answer");
    }

    /// Calls a function with these bodies, as the host would; answers status and body.
    pub(crate) async fn call(
        &self,
        function: &str,
        bodies: &[String],
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        self.send(function, bodies, json!({}), headers).await
    }

    /// The same for events that the broker took at that time.
    pub(crate) async fn call_late(
        &self,
        function: &str,
        bodies: &[String],
        enqueued: &str,
    ) -> (u16, Value) {
        let times = json!(vec![enqueued; bodies.len()]).to_string();
        self.send(function, bodies, json!({ "EnqueuedTimeUtcArray": times }), &[]).await
    }

    /// Brings what waits in the work queue, until nothing is left but what is refused; that stays hidden.
    pub(crate) async fn work_off(&self) {
        let storage = format!("local:{}", self.folder.path().join("storage").display());
        let (clock, chance) = (Arc::new(SystemClock), Chance::from_system());
        let stores = store::open(&Config::parse(&storage).unwrap(), clock, chance).await.unwrap();
        loop {
            let messages = stores.work.take(32, Duration::from_mins(1)).await.unwrap();
            if messages.is_empty() {
                return;
            }
            for message in messages {
                let body = String::from_utf8(message.body.to_vec()).unwrap();
                if self.call("work", &[body], &[]).await.0 == 200 {
                    stores.work.remove(&message).await.unwrap();
                }
            }
        }
    }

    async fn send(
        &self,
        function: &str,
        bodies: &[String],
        mut metadata: Value,
        headers: &[(&str, &str)],
    ) -> (u16, Value) {
        let events = serde_json::to_string(bodies).unwrap();
        metadata["RetryContext"] = json!({ "RetryCount": 0, "MaxRetryCount": 8 });
        let mut request = self
            .web
            .post(format!("{}/{function}", self.address))
            .header("X-Azure-Functions-InvocationId", uuid::Uuid::new_v4().to_string())
            .json(&json!({
                "Data": { "events": events },
                "Metadata": metadata,
            }));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    }

    /// Runs a command beside it, with its settings; answers the exit code and what it says as JSON.
    pub(crate) async fn run(&self, arguments: &[&str]) -> (i32, Value) {
        let folder = self.folder.path();
        let output = Command::new(env!("CARGO_BIN_EXE_concord"))
            .args(arguments)
            .arg("--json")
            .env_clear()
            .env("CONCORD_MAPS", folder)
            .env("CONCORD_STORAGE", format!("local:{}", folder.join("storage").display()))
            .envs(self.settings.iter().cloned())
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&output.stderr);
        let told = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| json!(told));
        (output.status.code().unwrap(), told)
    }

    /// Asks it to end, as a container does, and waits until it has.
    pub(crate) async fn end(&mut self) {
        let id = self.child.id().unwrap().to_string();
        let asked = Command::new("kill").args(["-TERM", &id]).status().await.unwrap();
        assert!(asked.success());
        assert!(self.child.wait().await.unwrap().success());
    }

    /// What it said so far, line by line.
    pub(crate) fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.log).unwrap();
        text.lines().map(str::to_owned).collect()
    }
}
