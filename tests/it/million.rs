//! How long a full comparison of two large environments takes, and how much memory its process needs.
//! Asked for by name:
//!
//! ```sh
//! cargo build --release
//! CONCORD_BIN=target/release/concord cargo test --test it million -- --ignored --nocapture
//! ```

use std::io::Read as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::night;

/// Ends an emulated environment with the test.
struct Environment {
    process: Child,
    port: u16,
}

impl Drop for Environment {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn program() -> Command {
    let own = env!("CARGO_BIN_EXE_concord").to_owned();
    Command::new(std::env::var("CONCORD_BIN").unwrap_or(own))
}

impl Environment {
    async fn start(web: &reqwest::Client) -> Self {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let mut command = program();
        command.args(["emulate", "dataverse", "--port", &port.to_string()]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let environment = Self { process, port };
        let began = Instant::now();
        while web.get(format!("{}WhoAmI", environment.url())).send().await.is_err() {
            assert!(began.elapsed() < Duration::from_mins(1), "the emulator does not start");
            tokio::task::yield_now().await;
        }
        environment
    }

    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/api/data/v9.2/", self.port)
    }

    async fn post(&self, web: &reqwest::Client, path: &str, body: &Value) {
        let answer = web.post(format!("{}{path}", self.url())).json(body).send().await.unwrap();
        assert!(answer.status().is_success(), "{path}: {}", answer.status());
    }

    /// Fills it with customers, every thousandth one different by `salt`.
    async fn fill(&self, web: &reqwest::Client, rows: usize, salt: &str) {
        let region = json!({"acme_code": "EU", "acme_name": "Europe"});
        self.post(web, "acme_regions", &region).await;
        for from in (0..rows).step_by(1_000) {
            let customers = (from..(from + 1_000).min(rows)).map(|n| {
                let name = if n % 1_000 == 0 { format!("{salt} {n}") } else { format!("Name {n}") };
                json!({"@odata.type": "Microsoft.Dynamics.CRM.acme_customer",
                       "acme_number": format!("C-{n:07}"), "acme_name": name, "acme_credit": 12.5,
                       "acme_RegionId@odata.bind": "acme_regions(acme_code='EU')"})
            });
            let body = json!({ "Targets": customers.collect::<Vec<_>>() });
            let path = "acme_customers/Microsoft.Dynamics.CRM.CreateMultiple";
            self.post(web, path, &body).await;
        }
    }
}

/// The most memory that a process had so far, in MiB.
fn peak(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().split(' ').next()?.parse::<u64>().ok());
    kibibytes.unwrap_or_default() / 1024
}

/// The seconds that a process had a processor for (proc, stat: in hundredths).
fn worked(process: u32) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    let after = stat.rsplit(") ").next().unwrap_or_default();
    let ticks = after.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<f64>().ok());
    ticks.sum::<f64>() / 100.0
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of minutes, with gigabytes of rows"]
async fn a_million_rows_a_side() {
    let rows = std::env::var("ROWS").map_or(1_000_000, |rows| rows.parse().unwrap());
    let web = reqwest::Client::new();
    let (ours, theirs) = (Environment::start(&web).await, Environment::start(&web).await);
    let filled = Instant::now();
    futures::join!(ours.fill(&web, rows, "ours"), theirs.fill(&web, rows, "theirs"));
    println!("{rows} rows a side made in {:.0} s", filled.elapsed().as_secs_f64());
    let folder = tempfile::tempdir().unwrap();
    let maps = folder.path().join("maps");
    night::write_maps(&maps);
    let mut command = program();
    command.args(["reconcile", "--map", "customer", "--json"]);
    command.env("CONCORD_MAPS", &maps);
    command.env("CONCORD_STORAGE", format!("local:{}", folder.path().join("storage").display()));
    let url = |environment: &Environment| format!("http://127.0.0.1:{}", environment.port);
    command.env("PRIMARY_URL", url(&ours)).env("SECONDARY_URL", url(&theirs));
    let began = Instant::now();
    let mut process = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut output = process.stdout.take().unwrap();
    let read = std::thread::spawn(move || {
        let mut text = String::new();
        output.read_to_string(&mut text).unwrap();
        text
    });
    let (mut most, mut busy) = (0, 0.0);
    let mut ticks = tokio::time::interval(Duration::from_millis(100));
    let status = loop {
        ticks.tick().await;
        most = most.max(peak(process.id()));
        busy = worked(process.id()).max(busy);
        if let Some(status) = process.try_wait().unwrap() {
            break status;
        }
    };
    let took = began.elapsed();
    let reports: Value = serde_json::from_str(&read.join().unwrap()).unwrap();
    let seconds = took.as_secs_f64();
    println!("compared in {seconds:.1} s, {busy:.1} s of a processor, with at most {most} MiB");
    assert_eq!(status.code(), Some(2), "the rows that differ are found");
    let report = &reports[0];
    assert_eq!(report["source"]["rows"], rows, "{report}");
    assert_eq!(report["equal"], rows - rows.div_ceil(1_000), "{report}");
    assert_eq!(report["looked"], rows.div_ceil(1_000));
    if rows >= 1_000_000 {
        assert!(took <= Duration::from_mins(2), "{took:?}");
        assert!(most <= 150, "{most} MiB");
    }
}
