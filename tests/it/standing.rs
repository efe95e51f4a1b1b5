//! What operators decide: maps that are paused, mass removals that wait for approval; and targets that are
//! away while others go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use concord::clock;
use concord::control::Pause;
use concord::delivery::{Attempt, Delivery, Event};
use concord::emulator::dataverse::server::serve;
use concord::emulator::dataverse::state::Options;
use concord::outcome::Verdict;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};

use crate::support::running::Running;
use crate::support::work;

fn map(name: &str, system: &str, sections: &str) -> String {
    format!(
        "map = '{name}'\nversion = 1\nfrom = {{ system = 'mdm', entity = 'thing' }}\n\
         to = {{ system = '{system}', table = 'acme_customer' }}\n\
         [key]\nacme_number = 'id'\n[fields]\nacme_name = 'name'\n{sections}"
    )
}

/// Removals are events with `gone`.
const GONE: &str = "[systems.mdm.operation]\npath = 'op'\nremove = ['gone']\n";

fn thing(id: u32, second: u32, name: &str) -> Value {
    let at = format!("2026-03-01T00:00:{second:02}Z");
    json!({"id": id.to_string(), "at": at, "name": name, "op": "there"})
}

fn gone(id: u32, second: u32) -> Value {
    let mut gone = thing(id, second, "");
    gone["op"] = json!("gone");
    gone
}

async fn sweep(running: &Running) {
    running.app.pipeline.sweep(Duration::from_secs(20)).await.unwrap();
    work::now(&running.app).await;
}

async fn names(running: &Running) -> Vec<String> {
    let rows = running.rows("acme_customers", &["acme_number", "acme_name"]).await;
    let text =
        |row: Vec<Value>| format!("{} {}", row[0].as_str().unwrap(), row[1].as_str().unwrap());
    rows.into_iter().map(text).collect()
}

#[tokio::test]
async fn what_comes_for_a_paused_map_waits_over_a_restart_and_passes_the_gate_when_it_is_resumed() {
    let mut running = Running::start(&map("thing", "sales", ""), "").await;
    assert_eq!(running.take(&[thing(1, 1, "A")]).await, "applied 1");
    let since = running.app.clock.now();
    let pause = Pause { since, by: "me".into(), why: "maintenance".into(), aside: false };
    running.app.pipeline.control.pause("thing", &pause).await.unwrap();
    assert_eq!(running.take(&[thing(1, 3, "C"), thing(2, 1, "X")]).await, "paused 2");
    running.restart(&map("thing", "sales", ""), "").await;
    assert_eq!(running.take(&[thing(1, 2, "B")]).await, "paused 1");
    sweep(&running).await;
    assert_eq!(names(&running).await, ["1 A"]);
    let backlog = running.app.pipeline.deferral.backlog("paused/thing").await.unwrap();
    assert_eq!(backlog.iter().map(|kept| kept.events).collect::<Vec<_>>(), [2, 1]);
    running.app.pipeline.control.resume("thing").await.unwrap();
    sweep(&running).await;
    assert_eq!(names(&running).await, ["1 C", "2 X"]);
    assert_eq!(running.app.pipeline.deferral.backlog("paused").await.unwrap(), []);
}

#[tokio::test]
async fn a_target_that_is_away_keeps_the_sweep_from_nothing_else() {
    let maps = [map("sales", "sales", ""), map("finance", "finance", "")].join("\n---\n");
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let more =
        format!("[systems.finance]\nkind = 'dataverse'\nurl = 'http://{nobody}'\nauth = 'none'\n");
    let running = Running::start(&maps, &more).await;
    let pipeline = &running.app.pipeline;
    let since = running.app.clock.now();
    let pause = Pause { since, by: "me".into(), why: "maintenance".into(), aside: false };
    pipeline.control.pause("sales", &pause).await.unwrap();
    running.report(&[thing(1, 1, "A")]).await;
    pipeline.control.resume("sales").await.unwrap();
    let swept = pipeline.sweep(Duration::from_secs(5)).await.unwrap();
    assert_eq!((swept.brought, swept.left), (1, 4), "each bucket of the other one is left");
    work::now(&running.app).await;
    assert_eq!(names(&running).await, ["1 A"]);
    let none = pipeline.sweep(Duration::ZERO).await.unwrap();
    assert_eq!(none.left, 8, "what there was no time for is left");
}

#[tokio::test]
async fn a_mass_removal_changes_nothing_until_it_is_approved_and_spares_what_came_back() {
    let sections = "[removed]\naction = 'delete'\nask_above = 3\n";
    let running = Running::start(&map("thing", "sales", sections), GONE).await;
    let all: Vec<Value> = (1..=6).map(|id| thing(id, 1, "A")).collect();
    assert_eq!(running.take(&all).await, "applied 6");
    assert_eq!(running.take(&[gone(6, 2), gone(5, 2)]).await, "applied 2", "a few are no matter");
    let most: Vec<Value> = (1..=4).map(|id| gone(id, 2)).collect();
    assert_eq!(running.take(&most).await, "asked 4");
    assert_eq!(names(&running).await.len(), 4);
    assert_eq!(running.take(&[thing(1, 3, "back"), gone(2, 2)]).await, "applied 1, asked 1");
    sweep(&running).await;
    assert_eq!(names(&running).await.len(), 4, "nothing is removed meanwhile");
    let control = &running.app.pipeline.control;
    let hold = control.look().await.unwrap().holds["thing"].clone();
    assert!(hold.why.contains("6 removals"), "{}", hold.why);
    let until = clock::after(running.app.clock.now(), Duration::from_hours(1));
    control.approve("thing", &hold, until).await.unwrap();
    sweep(&running).await;
    assert_eq!(names(&running).await, ["1 back"]);
}

#[tokio::test]
async fn what_was_never_written_is_never_removed() {
    let sections = "[removed]\naction = 'delete'\n";
    let running = Running::start(&map("thing", "sales", sections), GONE).await;
    let theirs = json!({"acme_number": "1", "acme_name": "theirs"});
    running.call("POST", "acme_customers", Some(theirs)).await;
    assert_eq!(running.take(&[gone(1, 1)]).await, "filtered 1");
    assert_eq!(names(&running).await, ["1 theirs"]);
}

#[tokio::test]
async fn nothing_may_be_removed_because_a_source_is_empty() {
    let running = Running::start(&map("thing", "sales", ""), "").await;
    let pipeline = &running.app.pipeline;
    assert!(pipeline.may_remove("thing", 3, 1_000).await.unwrap());
    assert!(!pipeline.may_remove("thing", 3, 0).await.unwrap());
    assert!(!pipeline.may_remove("thing", 1, 1_000).await.unwrap(), "a hold stands now");
}

/// Passes connections on to an address while it is up, and lets them hang while it is not.
async fn proxy(to: std::net::SocketAddr, up: Arc<AtomicBool>) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    #[allow(clippy::disallowed_methods, reason = "it ends with the runtime of its test")]
    tokio::spawn(async move {
        while let Ok((mut from, _)) = listener.accept().await {
            let up = Arc::clone(&up);
            tokio::spawn(async move {
                while !up.load(Ordering::Relaxed) {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
                let mut to = TcpStream::connect(to).await.unwrap();
                copy_bidirectional(&mut from, &mut to).await.ok();
            });
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn targets_that_hang_delay_no_other_and_get_everything_once_they_are_back() {
    let up = Arc::new(AtomicBool::new(false));
    let (mut maps, mut more) = (vec![map("sales", "sales", "")], Vec::new());
    let mut away = Vec::new();
    for system in ["finance", "logistics"] {
        let server = serve(Options::default()).await.unwrap();
        let port = proxy(server.address, Arc::clone(&up)).await;
        maps.push(map(system, system, ""));
        let url = format!("url = 'http://127.0.0.1:{port}'");
        more.push(format!("[systems.{system}]\nkind = 'dataverse'\n{url}\nauth = 'none'\n"));
        away.push(server);
    }
    let running = Running::start(&maps.join("\n---\n"), &more.concat()).await;
    let mut slowest = Duration::ZERO;
    for second in 1..=8 {
        let events: Vec<Value> =
            (1..=20).map(|id| thing(id, second, &second.to_string())).collect();
        let event = |event: &Value| Event { body: event.to_string().into(), ..Event::default() };
        let delivery = Delivery {
            system: "mdm".into(),
            function: "events".into(),
            invocation: "1".into(),
            traceparent: None,
            attempt: Attempt { count: 0, last: false },
            within: Duration::from_secs(3),
            events: events.iter().map(event).collect(),
        };
        let started = Instant::now();
        let report = running.app.pipeline.run(&delivery).await;
        assert_eq!(report.verdict, Verdict::Acknowledge, "the other targets are no reason to wait");
        assert_eq!(report.counts().rows, [("applied", 20), ("deferred", 40)].into());
        if second > 1 {
            slowest = slowest.max(started.elapsed());
        }
    }
    println!("the slowest of seven batches took {slowest:?} while the other targets hung");
    assert!(slowest < Duration::from_secs(2), "{slowest:?}");
    up.store(true, Ordering::Relaxed);
    let deadline = Instant::now() + Duration::from_secs(40);
    while running.app.stores.work.depth().await.unwrap() > 0 {
        assert!(Instant::now() < deadline, "the deferred rows never came to their end");
        work::now(&running.app).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let wanted: Vec<Value> = (0..20).map(|_| json!("8")).collect();
    let sales = running.rows("acme_customers", &["acme_name"]).await;
    assert_eq!(sales.concat(), wanted);
    for server in away {
        let url = format!("{}acme_customers?$select=acme_name", server.url());
        let page: Value = reqwest::get(url).await.unwrap().json().await.unwrap();
        let rows = page["value"].as_array().unwrap().iter();
        assert_eq!(rows.map(|row| row["acme_name"].clone()).collect::<Vec<_>>(), wanted);
    }
}
