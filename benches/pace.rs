//! Whether what a target allows is used, little is refused, and live work hardly notices bulk work.
//!
//!     cargo bench --bench pace
//!     PACE_SECONDS=300 PACE_LIMITS=requests=6000,time=1200s,window=300s cargo bench --bench pace
//!
//! The emulated Dataverse runs in this process with its service-protection limits on, scaled to a window
//! of ten seconds; two targets stand for two instances of the handler. Every call is an UpsertMultiple
//! of a few rows over HTTP.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a bench ends at the first surprise")]
#![allow(clippy::print_stdout, reason = "it prints a table")]
#![allow(clippy::disallowed_methods, reason = "it is told its sizes by the environment")]
#![allow(clippy::indexing_slicing, reason = "figures of a sorted list that is not empty")]

use std::sync::Arc;
use std::time::Duration;

use concord::chance::Chance;
use concord::change::Correlation;
use concord::clock::SystemClock;
use concord::emulator::dataverse::faults::Faults;
use concord::emulator::dataverse::limits::Settings;
use concord::emulator::dataverse::server::{Server, serve};
use concord::emulator::dataverse::state::Options;
use concord::order::Order;
use concord::row::{Action, Columns, Destination, Key, Row, Value};
use concord::system::dataverse::{Config, Dataverse};
use concord::system::{Answer, Lane, Target as _, Until, Write};
use futures::future::join_all;
use jiff::Timestamp;
use tokio::time::{Instant, sleep, timeout};

/// Rows in a call, bulk calls wanted at once, and the pause between two live calls.
const ROWS: usize = 10;
const AT_ONCE: usize = 24;
const BETWEEN: Duration = Duration::from_millis(100);

fn setting(name: &str, usual: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| usual.to_owned())
}

struct Stage {
    server: Server,
    limits: Settings,
    seconds: u64,
}

impl Stage {
    async fn new(seconds: u64) -> Self {
        let text = setting("PACE_LIMITS", "requests=400,time=40s,window=10s");
        let limits = Settings::parse(&text).unwrap();
        // Every call takes a little, as a service does.
        let faults = Faults::parse("slow:1@40ms").unwrap();
        let options =
            Options { limits: Some(limits), parallelism: 16, faults, ..Options::default() };
        Self { server: serve(options).await.unwrap(), limits, seconds }
    }

    fn instance(&self) -> Dataverse {
        let url = format!("http://{}", self.server.address);
        let config = Config { window: self.limits.window, ..Config::new("sales", url) };
        Dataverse::new(config, None, Arc::new(SystemClock), Chance::from_system()).unwrap()
    }

    fn counts(&self) -> (u64, u64) {
        let counters = self.server.state.counters();
        (counters.requests.values().sum(), counters.throttled)
    }

    /// Bulk calls without end.
    async fn bulk(&self, target: &Dataverse) {
        join_all((0..AT_ONCE).map(async |first| {
            loop {
                call(target, Lane::Bulk, first).await;
            }
        }))
        .await;
    }

    /// What live calls take, in order, once everything is settled.
    async fn live(&self, target: &Dataverse) -> Vec<Duration> {
        let start = Instant::now();
        let settled = start + Duration::from_secs(self.seconds / 3);
        let mut taken = Vec::new();
        while start.elapsed() < Duration::from_secs(self.seconds) {
            sleep(BETWEEN).await;
            let since = Instant::now();
            call(target, Lane::Live, AT_ONCE).await;
            if since > settled {
                taken.push(since.elapsed());
            }
        }
        taken.sort_unstable();
        taken
    }
}

/// One call; `first` keeps the rows of concurrent calls apart.
async fn call(target: &Dataverse, lane: Lane, first: usize) {
    let to = Arc::new(Destination {
        map: "pace".into(),
        system: "sales".into(),
        table: "account".into(),
        key: vec!["accountnumber".into()],
        ..Destination::default()
    });
    let write = |number: usize| {
        let key = Value::Text(format!("P{}", first * ROWS + number));
        let name = Value::Text(format!("{lane:?}"));
        let columns = Columns { values: vec![("name".into(), name)], ..Columns::default() };
        let row = Row {
            to: Arc::clone(&to),
            key: Key(vec![("accountnumber".into(), key)]),
            action: Action::Upsert(columns).into(),
            order: Order::emitted_at(Timestamp::UNIX_EPOCH),
            thing: None,
            correlation: Correlation::default(),
            only_if_known: false,
        };
        Write { row: Arc::new(row), before: None }
    };
    let writes: Vec<Write> = (0..ROWS).map(write).collect();
    let deadline = Instant::now() + Duration::from_mins(1);
    let answers = target.write(&writes, Until { deadline, lane }).await;
    let wrong = answers.iter().find(|answer| !matches!(answer, Answer::Written { .. }));
    assert!(wrong.is_none(), "{wrong:?}");
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    let whole = std::env::args().any(|argument| argument == "--bench");
    let seconds = setting("PACE_SECONDS", if whole { "60" } else { "6" }).parse().unwrap();
    let used = used(seconds).await;
    let alone = live(seconds, None).await;
    let beside = live(seconds, Some(true)).await;
    let elsewhere = live(seconds, Some(false)).await;
    println!("| live call | p50, ms | p95, ms |\n|---|---:|---:|");
    for (what, taken) in
        [("alone", &alone), ("beside bulk work", &beside), ("bulk in another instance", &elsewhere)]
    {
        let at = |percent: usize| taken[taken.len() * percent / 100].as_secs_f64() * 1_000.0;
        println!("| {what} | {:.1} | {:.1} |", at(50), at(95));
    }
    if whole {
        let p95 = |taken: &[Duration]| taken[taken.len() * 95 / 100];
        let most = p95(&alone).mul_f64(1.2);
        assert!(p95(&beside) <= most && p95(&elsewhere) <= most, "live work waits for bulk work");
        assert!(used.0 >= 95.0 && used.1 < 1.0, "{used:?}");
    }
}

/// How many of a hundred allowed requests bulk work makes, and how many of them are refused.
async fn used(seconds: u64) -> (f64, f64) {
    let stage = Stage::new(seconds).await;
    let target = stage.instance();
    let measure = async {
        sleep(Duration::from_secs(seconds / 3)).await;
        let (before, since) = (stage.counts(), Instant::now());
        sleep(Duration::from_secs(seconds - seconds / 3)).await;
        let (calls, refused) = stage.counts();
        let number = |calls: u64| f64::from(u32::try_from(calls).unwrap());
        let (calls, refused) = (number(calls - before.0), number(refused - before.1));
        let requests = f64::from(u32::try_from(stage.limits.requests).unwrap());
        let allowed = requests * since.elapsed().as_secs_f64() / stage.limits.window.as_secs_f64();
        ((calls - refused) * 100.0 / allowed, refused * 100.0 / calls)
    };
    let used = tokio::select! {
        () = stage.bulk(&target) => unreachable!("it has no end"),
        used = measure => used,
    };
    println!("bulk work uses {:.1} % of what is allowed, {:.2} % are refused\n", used.0, used.1);
    used
}

/// What live calls take alone, beside bulk work in the same instance, or in another.
async fn live(seconds: u64, bulk: Option<bool>) -> Vec<Duration> {
    let stage = Stage::new(seconds).await;
    let (one, other) = (stage.instance(), stage.instance());
    let live = timeout(Duration::from_secs(seconds * 3), stage.live(&one));
    let taken = match bulk {
        None => live.await,
        Some(same) => tokio::select! {
            () = stage.bulk(if same { &one } else { &other }) => unreachable!("it has no end"),
            taken = live => taken,
        },
    };
    taken.expect("live calls get through")
}
