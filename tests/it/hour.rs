//! An hour between one environment and two that follow it: webhooks are lost, doubled, late and cut down, and
//! one of the two is dead for half the time. Then one night: all are equal, and every repair has its reason.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Duration, Instant};

use axum::Router;
use concord::app::App;
use concord::chance::Chance;
use concord::config::Settings;
use concord::emulator::dataverse::server::{Server, serve};
use concord::emulator::dataverse::state::Options;
use concord::reconcile::{Class, Done, Report};
use concord::trigger;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::night::Behind;
use crate::support::work;

const SYSTEMS: &str = "
[systems.primary]
kind = 'dataverse'
url = '${PRIMARY_URL}'
webhook_secret = 'a-secret-of-the-test'
changes = false
[systems.north]
kind = 'dataverse'
url = '${NORTH_URL}'
[systems.south]
kind = 'dataverse'
url = '${SOUTH_URL}'
longest = 1
[reconcile]
rest_percent = 0
removals = 50
";

const REGION: &str = "
map = 'region-TO'
version = 1
from = { system = 'primary', entity = 'acme_region' }
to = { system = 'TO', table = 'acme_region' }
key = { acme_code = 'acme_code' }
fields = { acme_name = 'acme_name' }
removed = { action = 'delete' }
";

const CUSTOMER: &str = "
map = 'customer-TO'
version = 1
from = { system = 'primary', entity = 'acme_customer' }
to = { system = 'TO', table = 'acme_customer' }
key = { acme_number = 'acme_number' }
removed = { action = 'delete' }
[fields]
acme_name = 'acme_name'
acme_regionid = { from = 'acme_regionid.acme_code', lookup = 'acme_region.acme_code' }
";

/// Passes connections on to an address as long as it is up, and cuts them off when it is not.
async fn proxy(to: SocketAddr, up: watch::Receiver<bool>, tasks: &mut JoinSet<()>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tasks.spawn(async move {
        let mut connections = JoinSet::new();
        while let Ok((mut from, _)) = listener.accept().await {
            let mut up = up.clone();
            connections.spawn(async move {
                if !*up.borrow() {
                    return;
                }
                let mut to = TcpStream::connect(to).await.unwrap();
                tokio::select! {
                    _ = copy_bidirectional(&mut from, &mut to) => {}
                    _ = up.wait_for(|up| !up) => {}
                }
            });
        }
    });
    port
}

/// The three environments, and Concord, which listens.
struct Hour {
    app: App,
    behind: Arc<Behind>,
    primary: Server,
    others: [Server; 2],
    up: watch::Sender<bool>,
    web: reqwest::Client,
    chance: Chance,
    /// The ids and numbers of customers, and the codes of regions.
    customers: Vec<String>,
    regions: usize,
    numbers: usize,
    /// Kept until the test ends.
    _kept: (TempDir, JoinSet<()>),
}

impl Hour {
    async fn start() -> Self {
        let behind = Arc::new(Behind(AtomicI64::new(120)));
        let options = || Options { clock: Arc::clone(&behind) as _, ..Options::default() };
        let primary = serve(options()).await.unwrap();
        let others = [serve(options()).await.unwrap(), serve(options()).await.unwrap()];
        let (up, is_up) = watch::channel(true);
        let mut tasks = JoinSet::new();
        let port = proxy(others[1].address, is_up, &mut tasks).await;
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("concord.toml"), SYSTEMS).unwrap();
        for to in ["north", "south"] {
            for (name, map) in [("region", REGION), ("customer", CUSTOMER)] {
                let path = folder.path().join(format!("{name}-{to}.toml"));
                std::fs::write(path, map.replace("TO", to)).unwrap();
            }
        }
        let settings: Vec<(String, String)> = [
            ("CONCORD_MAPS", folder.path().display().to_string()),
            ("CONCORD_STORAGE", format!("local:{}", folder.path().join("storage").display())),
            ("PRIMARY_URL", format!("http://{}", primary.address)),
            ("NORTH_URL", format!("http://{}", others[0].address)),
            ("SOUTH_URL", format!("http://127.0.0.1:{port}")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        let app = App::open(&Settings::of(settings.clone())).await.unwrap();
        let called = app.called().into_iter().map(|(_, router)| router);
        let router =
            called.fold(trigger::router(app.functions(), app.config.limits), Router::merge);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tasks.spawn(async move { axum::serve(listener, router).await.unwrap() });
        let registered = tokio::process::Command::new(env!("CARGO_BIN_EXE_concord"))
            .args(["webhook", "register", "--system", "primary", "--url", &url])
            .envs(settings)
            .output()
            .await
            .unwrap();
        let told = String::from_utf8_lossy(&registered.stderr);
        assert!(registered.status.success(), "{told}");
        let (web, chance) = (reqwest::Client::new(), Chance::seeded(7));
        let (customers, regions, numbers) = (Vec::new(), 0, 0);
        let kept = (folder, tasks);
        Self {
            app,
            behind,
            primary,
            others,
            up,
            web,
            chance,
            customers,
            regions,
            numbers,
            _kept: kept,
        }
    }

    async fn call(&self, server: &Server, verb: &str, path: &str, body: Value) -> Value {
        let url = format!("{}{path}", server.url());
        let request = self.web.request(verb.parse().unwrap(), url);
        let answer = request.header("Prefer", "return=representation").json(&body).send().await;
        let answer = answer.unwrap();
        let (status, text) = (answer.status(), answer.text().await.unwrap());
        assert!(status.is_success(), "{verb} {path}: {status} {text}");
        serde_json::from_str(&text).unwrap_or_default()
    }

    async fn region(&mut self) {
        self.regions += 1;
        let row = json!({ "acme_code": format!("R{}", self.regions), "acme_name": "new" });
        self.call(&self.primary, "POST", "acme_regions", row).await;
    }

    fn number(&mut self) -> String {
        self.numbers += 1;
        format!("C-{:04}", self.numbers)
    }

    /// A customer in the newest region, which may not be known elsewhere yet.
    async fn customer(&mut self) {
        let number = self.number();
        let region = format!("acme_regions(acme_code='R{}')", self.regions);
        let row = json!({ "acme_number": number, "acme_name": "new",
                          "acme_RegionId@odata.bind": region });
        let made = self.call(&self.primary, "POST", "acme_customers", row).await;
        self.customers.push(made["acme_customerid"].as_str().unwrap().to_owned());
    }

    /// What somebody does.
    async fn edit(&mut self, minute: i64) {
        let some = usize::try_from(self.chance.below(self.customers.len() as u64)).unwrap();
        let path = format!("acme_customers({})", self.customers[some]);
        match self.chance.below(20) {
            0..3 => self.customer().await,
            3 => self.region().await,
            4 => {
                let region = 1 + self.chance.below(self.regions as u64);
                let path = format!("acme_regions(acme_code='R{region}')");
                let name = json!({ "acme_name": format!("at {minute}") });
                self.call(&self.primary, "PATCH", &path, name).await;
            }
            5 => {
                self.customers.swap_remove(some);
                self.call(&self.primary, "DELETE", &path, Value::Null).await;
            }
            6 => {
                let number = json!({ "acme_number": self.number() });
                self.call(&self.primary, "PATCH", &path, number).await;
            }
            7..10 => {
                let region = 1 + self.chance.below(self.regions as u64);
                let region = format!("acme_regions(acme_code='R{region}')");
                let moved = json!({ "acme_RegionId@odata.bind": region });
                self.call(&self.primary, "PATCH", &path, moved).await;
            }
            _ => {
                let name = json!({ "acme_name": format!("at {minute}") });
                self.call(&self.primary, "PATCH", &path, name).await;
            }
        }
    }

    /// Waits until all webhooks were answered.
    async fn rest(&self) {
        let deadline = Instant::now() + Duration::from_secs(90);
        while self.primary.state.trouble().told.waiting > 0 {
            assert!(Instant::now() < deadline, "webhooks do not come to rest");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    }

    /// Sweeps until nothing is left: what was on its way when a connection was cut ends with its lease.
    async fn evening(&self) {
        let deadline = Instant::now() + Duration::from_mins(3);
        loop {
            work::to_the_end(&self.app).await;
            self.app.pipeline.sweep(Duration::from_secs(20)).await.unwrap();
            let mut busy = 0;
            for to in self.app.maps.destinations() {
                busy += self.busy(&to.map).await;
            }
            if busy == 0 && self.app.stores.work.depth().await.unwrap() == 0 {
                return;
            }
            assert!(Instant::now() < deadline, "{busy} writes come to no end");
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// How many writes of a map are under way, as far as the ledger knows.
    async fn busy(&self, map: &str) -> usize {
        let (mut busy, mut at) = (0, None);
        loop {
            let page = self.app.pipeline.ledger.page(map, at.as_ref()).await.unwrap();
            busy += page.entries.iter().filter(|(_, entry)| !entry.is_quiet()).count();
            at = page.next;
            if at.is_none() {
                return busy;
            }
        }
    }

    async fn night(&self) -> Vec<Report> {
        let reconciler = self.app.reconciler();
        reconciler.night().await.unwrap();
        work::to_the_end(&self.app).await;
        let mut reports = Vec::new();
        for to in self.app.maps.destinations() {
            reports.push(reconciler.reports().get(&to.map, None).await.unwrap().unwrap());
        }
        reports
    }

    /// What an environment holds.
    async fn rows(&self, server: &Server) -> Vec<String> {
        let mut rows = Vec::new();
        for path in [
            "acme_regions?$select=acme_code,acme_name&$orderby=acme_code",
            "acme_customers?$select=acme_number,acme_name&$orderby=acme_number&\
             $expand=acme_RegionId($select=acme_code)",
        ] {
            let page = self.call(server, "GET", path, Value::Null).await;
            rows.extend(page["value"].as_array().unwrap().iter().map(|row| {
                let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                let region = row["acme_RegionId"]["acme_code"].as_str().unwrap_or_default();
                format!(
                    "{}{} {} {region}",
                    text("acme_code"),
                    text("acme_number"),
                    text("acme_name")
                )
            }));
        }
        rows
    }
}

/// Sixty minutes of edits; the second environment is dead from the fifteenth to the forty-fifth.
async fn pass(hour: &mut Hour) {
    hour.region().await;
    for _ in 0..10 {
        hour.customer().await;
    }
    for minute in 0..60 {
        match minute {
            15 => hour.up.send(false).unwrap(),
            45 => hour.up.send(true).unwrap(),
            _ => {}
        }
        hour.behind.0.store(120 - minute, Ordering::Relaxed);
        for _ in 0..8 {
            hour.edit(minute).await;
        }
        // no more is on its way at once than an environment sends
        if minute % 5 == 4 {
            hour.rest().await;
        }
    }
    hour.rest().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn after_an_hour_of_trouble_one_night_makes_all_equal_and_explains_every_repair() {
    let mut hour = Hour::start().await;
    let shares =
        json!({ "lost": 0.05, "doubled": 0.05, "late": 0.2, "late_seconds": 0.2, "cut": 0.05 });
    let url = format!("http://{}/_emulator/webhooks", hour.primary.address);
    let sent = hour.web.post(url).json(&shares).send().await.unwrap();
    assert!(sent.status().is_success());
    pass(&mut hour).await;
    let told = hour.primary.state.trouble().told;
    for (what, count) in
        [("lost", told.lost), ("doubled", told.doubled), ("late", told.late), ("cut", told.cut)]
    {
        assert!(count > 0, "nothing was {what}: {told:?}");
    }
    assert_eq!(told.failed, 0, "a dead secondary is no reason to turn a webhook away: {told:?}");
    let deferred = hour.app.stores.work.depth().await.unwrap();
    assert!(deferred > 0, "what was for the dead one waits");
    // what waited for it is brought, newest over older; what was lost is still missing on both
    hour.evening().await;
    let primary = hour.rows(&hour.primary).await;
    for other in &hour.others {
        assert_ne!(hour.rows(other).await, primary);
    }
    let reports = hour.night().await;
    let mut holes = 0;
    for report in &reports {
        assert!(report.is_equal(), "{}: {:#?}", report.order.map, report.findings);
        holes += report.holes;
        for finding in &report.findings {
            let hole =
                matches!(finding.class, Class::Missed | Class::NeverSeen | Class::MissedRemoval);
            let waited = matches!(finding.class, Class::Parked | Class::InFlight);
            assert!(hole || waited, "{finding:?}");
            assert!(matches!(finding.done, Done::Mended | Done::Arrived), "{finding:?}");
        }
    }
    println!("{told:?}; {deferred} deferred; {holes} holes mended");
    assert!(holes > 0);
    for other in &hour.others {
        assert_eq!(hour.rows(other).await, primary);
    }
    assert!(hour.night().await.iter().all(|report| report.findings.is_empty()));
    assert_eq!(hour.app.stores.poisoned.depth().await.unwrap(), 0);
}
