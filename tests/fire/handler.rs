//! The real process, `concord serve`: started by environment alone, killed, started again.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use serde_json::Value;
use tokio::process::{Child, Command};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep};

/// How long the host waits for a process to answer at all.
const START: Duration = Duration::from_mins(1);
/// How long the host waits for an answer: its `functionTimeout`.
const PATIENCE: Duration = Duration::from_secs(90);

/// The maps under fire.
pub(crate) fn maps() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/fire")
}

/// The same for calls that may take their time; laid down in `folder`.
pub(crate) fn patient_maps(folder: &Path) -> PathBuf {
    let patient = folder.join("maps");
    std::fs::create_dir(&patient).unwrap();
    for file in std::fs::read_dir(maps()).unwrap() {
        let (name, path) = file.map(|file| (file.file_name(), file.path())).unwrap();
        let text = std::fs::read_to_string(path).unwrap();
        let text = text.replace("deadline_seconds = 5", "deadline_seconds = 15");
        std::fs::write(patient.join(name), text).unwrap();
    }
    patient
}

/// One instance of the handler, and the port that it keeps over its restarts.
#[derive(Debug)]
pub(crate) struct Handler {
    port: u16,
    settings: Vec<(&'static str, String)>,
    log: PathBuf,
    child: Mutex<Option<Child>>,
    http: reqwest::Client,
    /// How often it ended by itself.
    pub(crate) fell: AtomicU64,
    /// The largest file that it may write, in blocks of 512 bytes; 0 for no limit.
    pub(crate) largest_file: AtomicU64,
}

/// An answer to the host.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn is_done(&self) -> bool {
        self.status == 200
    }

    /// The figures that the handler logs with an answer.
    pub(crate) fn figures(&self) -> Value {
        let line = self.body["Logs"][0].as_str().expect("an answer with its figures");
        serde_json::from_str(line).unwrap()
    }
}

impl Handler {
    /// A process that is not started yet. What it says is kept in `folder`.
    pub(crate) fn new(
        number: usize,
        maps: &Path,
        (storage, target): (&str, &str),
        folder: &Path,
    ) -> Self {
        let free = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        let settings = vec![
            ("FUNCTIONS_CUSTOMHANDLER_PORT", port.to_string()),
            ("CONCORD_MAPS", maps.display().to_string()),
            ("CONCORD_STORAGE", storage.to_owned()),
            ("CONCORD_LOG", "concord=info".to_owned()),
            ("SALES_URL", target.to_owned()),
        ];
        Self {
            port,
            settings,
            log: folder.join(format!("handler-{number}.log")),
            child: Mutex::default(),
            http: reqwest::Client::builder().no_proxy().timeout(PATIENCE).build().unwrap(),
            fell: AtomicU64::new(0),
            largest_file: AtomicU64::new(0),
        }
    }

    /// Starts it and waits until it answers. One that ends by itself is started again, as the host does.
    pub(crate) async fn start(&self) {
        let mut child = self.child.lock().await;
        let since = Instant::now();
        *child = Some(self.spawn());
        let address = format!("http://127.0.0.1:{}/", self.port);
        while self.http.get(&address).send().await.is_err() {
            assert!(since.elapsed() < START, "the handler does not answer: see {:?}", self.log);
            if child.as_mut().unwrap().try_wait().unwrap().is_some() {
                self.fell.fetch_add(1, Ordering::Relaxed);
                *child = Some(self.spawn());
            }
            sleep(Duration::from_millis(25)).await;
        }
    }

    /// Starts it again if it ended by itself, as the host does.
    async fn revive(&self) {
        let mut child = self.child.lock().await;
        if let Some(running) = child.as_mut()
            && running.try_wait().unwrap().is_some()
        {
            self.fell.fetch_add(1, Ordering::Relaxed);
            *child = Some(self.spawn());
        }
    }

    fn spawn(&self) -> Child {
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let program = env!("CARGO_BIN_EXE_concord");
        let mut command = match self.largest_file.load(Ordering::Relaxed) {
            0 => Command::new(program),
            blocks => {
                // The signal is ignored, so that the write fails as on a full disk.
                let script = format!("trap '' XFSZ; ulimit -f {blocks}; exec {program} \"$@\"");
                let mut shell = Command::new("/bin/sh");
                shell.args(["-c", &script, "sh"]);
                shell
            }
        };
        command
            .arg("serve")
            .env_clear()
            .envs(self.settings.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .unwrap()
    }

    /// Starts it and waits until it ends by itself. Answers what it said.
    pub(crate) async fn ended(&self) -> (ExitStatus, String) {
        let ended = tokio::time::timeout(START, self.spawn().wait_with_output()).await;
        let ended = ended.expect("it does not end").unwrap();
        (ended.status, std::fs::read_to_string(&self.log).unwrap())
    }

    /// What a command says that is run as its operator would; nothing when it fails.
    pub(crate) async fn command(&self, args: &[&str]) -> Option<String> {
        let run = Command::new(env!("CARGO_BIN_EXE_concord"))
            .args(args)
            .env_clear()
            .envs(self.settings.iter().cloned())
            .output();
        let run = run.await.unwrap();
        run.status.success().then(|| String::from_utf8(run.stdout).unwrap())
    }

    /// `kill -9`, now.
    pub(crate) async fn kill(&self) {
        if let Some(mut child) = self.child.lock().await.take() {
            child.kill().await.unwrap();
        }
    }

    /// Where it listens.
    pub(crate) fn address(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// The most memory that the process has held so far, in MiB; nothing where that cannot be known.
    pub(crate) async fn peak_memory(&self) -> Option<u64> {
        let id = self.child.lock().await.as_ref()?.id()?;
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.split_whitespace().next()?.parse::<u64>().ok()? / 1_024)
    }

    /// Posts a call. `None` when the process died before it answered.
    pub(crate) async fn post(&self, function: &str, body: String) -> Option<Answer> {
        let address = format!("http://127.0.0.1:{}/{function}", self.port);
        let request = self
            .http
            .post(address)
            .header("X-Azure-Functions-InvocationId", uuid::Uuid::new_v4().to_string())
            .header("Content-Type", "application/json; charset=utf-8");
        let (body, since) = (Bytes::from(body), Instant::now());
        let sent = loop {
            let sent = request.try_clone().unwrap().body(body.clone()).send().await;
            match sent {
                // The host keeps its calls until there is a process that takes them.
                Err(error) if error.is_connect() && since.elapsed() < START => {
                    self.revive().await;
                    sleep(Duration::from_millis(25)).await;
                }
                sent => break sent,
            }
        };
        let sent = match sent {
            Ok(sent) => sent,
            Err(error) => {
                assert!(!error.is_timeout(), "a call hangs: see {:?}", self.log);
                return None;
            }
        };
        let status = sent.status().as_u16();
        let kind = sent.headers().get(CONTENT_TYPE).cloned();
        let text = sent.text().await.ok()?;
        // Anything else hangs the host or fails a call that went well.
        assert_eq!(kind.as_ref().map(HeaderValue::as_bytes), Some(&b"application/json"[..]));
        let body: Value = serde_json::from_str(&text).expect("the answer is JSON");
        assert!(body.is_object(), "{text}");
        assert!(matches!(status, 200 | 503), "{function} answered {status}: {text}");
        Some(Answer { status, body })
    }

    /// How many lines of its log are about this.
    pub(crate) fn told_of(&self, event: &str) -> usize {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter(|line| line["ev"] == event).count()
    }

    /// A figure of its log, summed over all calls, also those that were to come again.
    pub(crate) fn told(&self, figure: &str) -> u64 {
        let log = std::fs::read_to_string(&self.log).unwrap();
        let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        lines.filter_map(|line| line[figure].as_u64()).sum()
    }
}
