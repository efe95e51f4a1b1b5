use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering};

use axum::Router;
use axum::http::StatusCode;
use axum::response::IntoResponse as _;
use jiff::civil::date;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::*;
use crate::canary;
use crate::chance::Chance;
use crate::clock::RuntimeClock;
use crate::delivery::Event;
use crate::fault::Kind;
use crate::figures::Counts;
use crate::outcome::{Outcome, Report};
use crate::poison::Refusal;
use crate::store::{self, Stores};

/// A workflow that answers with a status and counts what it is sent.
struct Workflow {
    url: String,
    status: Arc<AtomicU16>,
    cards: Arc<AtomicUsize>,
    _server: JoinSet<()>,
}

async fn workflow() -> Workflow {
    let (status, cards) = (Arc::new(AtomicU16::new(202)), Arc::new(AtomicUsize::new(0)));
    let (says, counts) = (Arc::clone(&status), Arc::clone(&cards));
    let answer = async move || {
        counts.fetch_add(1, Ordering::SeqCst);
        let status = StatusCode::from_u16(says.load(Ordering::SeqCst)).unwrap();
        (status, [("location", "/elsewhere")]).into_response()
    };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/run?sig=hunter2", listener.local_addr().unwrap());
    let router = Router::new().fallback(answer);
    let mut server = JoinSet::new();
    server.spawn(async move { axum::serve(listener, router).await.unwrap() });
    Workflow { url, status, cards, _server: server }
}

async fn stores(folder: &tempfile::TempDir, clock: &SharedClock) -> Stores {
    let config = store::Config::parse(&format!("local:{}", folder.path().display())).unwrap();
    store::open(&config, Arc::clone(clock), Chance::seeded(1)).await.unwrap()
}

fn briefing(stores: &Stores, clock: &SharedClock, url: &str) -> Briefing {
    let chance = Chance::from_system();
    let figures = Figures::new(Arc::clone(&stores.poison), Arc::clone(clock), &chance);
    let facts = Facts {
        figures: Arc::new(figures),
        poison: poison(stores, clock),
        partitions: vec!["customer".into()],
        work: Arc::clone(&stores.work),
        logbook: Logbook::new(Arc::clone(&stores.ledger), &canary::Config::new()),
    };
    let config = Config {
        url: Some(url.into()),
        link: Some("https://x.example".into()),
        ..Config::default()
    };
    Briefing::new(config, facts, Arc::clone(&stores.poison), Arc::clone(clock))
}

fn poison(stores: &Stores, clock: &SharedClock) -> Poison {
    let (table, queue) = (Arc::clone(&stores.poison), Arc::clone(&stores.poisoned));
    Poison::new(table, queue, Arc::clone(&stores.blobs), Arc::clone(clock))
}

/// Monday, six o'clock.
fn clock() -> (SharedClock, Arc<Mutex<Timestamp>>) {
    let now: Timestamp = "2026-11-23T06:00:00Z".parse().unwrap();
    let now = Arc::new(Mutex::new(now));
    (Arc::new(Set(Arc::clone(&now))), now)
}

#[derive(Debug)]
struct Set(Arc<Mutex<Timestamp>>);

impl crate::clock::Clock for Set {
    fn now(&self) -> Timestamp {
        *self.0.lock().unwrap()
    }
}

fn later(now: &Mutex<Timestamp>, by: Duration) {
    let mut now = now.lock().unwrap();
    *now = crate::clock::after(*now, by);
}

#[tokio::test]
async fn of_several_instances_one_posts_and_a_failure_is_tried_again_later() {
    let (folder, (clock, now)) = (tempfile::tempdir().unwrap(), clock());
    let (stores, workflow) = (stores(&folder, &clock).await, workflow().await);
    let one = briefing(&stores, &clock, &workflow.url);
    let other = briefing(&stores, &clock, &workflow.url);

    workflow.status.store(500, Ordering::SeqCst);
    assert_eq!(one.tick().await, Posted::Failed);
    assert_eq!(other.tick().await, Posted::NotDue, "not before the pause is over");
    workflow.status.store(202, Ordering::SeqCst);
    later(&now, Duration::from_mins(11));
    let both = futures::join!(one.tick(), other.tick());
    assert!(
        [(Posted::Now, Posted::NotDue), (Posted::NotDue, Posted::Now)].contains(&both),
        "{both:?}"
    );
    later(&now, Duration::from_hours(3));
    assert_eq!((one.tick().await, other.tick().await), (Posted::NotDue, Posted::NotDue));
    later(&now, Duration::from_hours(24));
    assert_eq!(other.tick().await, Posted::Now);
    assert_eq!(workflow.cards.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn the_address_is_told_nowhere_and_no_redirect_is_followed() {
    let (folder, (clock, now)) = (tempfile::tempdir().unwrap(), clock());
    let (stores, workflow) = (stores(&folder, &clock).await, workflow().await);
    workflow.status.store(302, Ordering::SeqCst);
    for url in [
        &workflow.url,
        "http://10.0.0.1/?sig=hunter2",
        "hunter2",
        "http://127.0.0.1:1/?sig=hunter2",
    ] {
        let briefing = briefing(&stores, &clock, url);
        assert_eq!(briefing.tick().await, Posted::Failed, "{url}");
        assert!(!format!("{briefing:?}").contains("hunter2"));
        assert!(!briefing.post(date(2026, 11, 22)).await.unwrap_err().contains("hunter2"));
        later(&now, Duration::from_hours(3));
    }
    assert_eq!(workflow.cards.load(Ordering::SeqCst), 2, "a redirect is not followed");
}

#[tokio::test]
async fn a_digest_tells_of_yesterday_the_week_and_what_waits() {
    let (folder, (clock, now)) = (tempfile::tempdir().unwrap(), clock());
    let stores = stores(&folder, &clock).await;
    let briefing = briefing(&stores, &clock, "https://x.example");
    let monday = *now.lock().unwrap();
    for (days, poisoned) in [(8, 4), (1, 6)] {
        *now.lock().unwrap() =
            monday.checked_sub(jiff::SignedDuration::from_hours(24 * days)).unwrap();
        let mut report = Report::default();
        let map: Arc<str> = "customer".into();
        (0..poisoned).for_each(|_| report.count(&map, Outcome::Poisoned(Kind::TooLong)));
        report.count(&map, Outcome::Applied);
        briefing.figures.note(&report);
        briefing.figures.keep().await;
    }
    let refusal = Refusal {
        system: "mdm".into(),
        map: Some("customer".into()),
        key: Some("1".into()),
        event: Event::default(),
        fault: Fault::new(Kind::TooLong, "too long"),
        correlation: crate::change::Correlation::default(),
    };
    briefing.poison.keep(&[refusal]).await.unwrap();
    *now.lock().unwrap() = monday;
    let digest = briefing.digest(briefing.yesterday()).await.unwrap();
    let map = &digest.maps[0];
    assert_eq!((map.counts.of_word("poisoned"), map.before.of_word("poisoned")), (6, 4));
    assert_eq!((digest.waiting.records, digest.waiting.codes[0].0.as_str()), (1, "too-long"));
    assert_eq!(digest.week.as_ref().unwrap().codes, [("too-long".to_owned(), 6, 4)]);
    let message = briefing.card(&digest);
    let text = message.to_string();
    for expected in
        ["24 hours", "6, was 4 (+50 %)", "concord poison list --code too-long", "1 × too-long"]
    {
        assert!(text.contains(expected), "{expected}: {text}");
    }
    check_message(&message);
    let tuesday = briefing.digest(date(2026, 11, 23)).await.unwrap();
    assert!(tuesday.week.is_none());
}

#[test]
fn a_card_stays_small_however_much_happened() {
    let counts = Counts {
        rows: BTreeMap::from([("applied".to_owned(), 1_000_000_000_000)]),
        codes: BTreeMap::new(),
    };
    let maps = (0..500).map(|n| MapDay {
        map: format!("{n}{}", "é".repeat(300)),
        counts: counts.clone(),
        before: counts.clone(),
    });
    let codes = (0..50).map(|n| (format!("code-{n}"), n));
    let digest = Digest {
        day: date(2026, 11, 22),
        maps: maps.collect(),
        waiting: Waiting { records: 1, overdue: 3, codes: codes.collect(), ..Waiting::default() },
        canaries: vec![canary::History { map: "é".repeat(300), ..Default::default() }; 50],
        week: Some(Week { applied: (1, 0), codes: vec![("x".into(), 1, 2); 50] }),
    };
    let message = card::message(&digest, None, Timestamp::UNIX_EPOCH);
    check_message(&message);
    assert!(message.to_string().len() < 28_000, "{}", message.to_string().len());
    assert!(message.to_string().contains("and 480 more maps"));
}

/// The message that a workflow takes, with a card as the schema of version 1.4 allows, as far as it is
/// used here: every element's type, properties, required properties and words.
fn check_message(message: &Value) {
    assert_eq!(message["type"], "message");
    let attachment = &message["attachments"][0];
    assert_eq!(attachment["contentType"], "application/vnd.microsoft.card.adaptive");
    let card = &attachment["content"];
    assert_eq!((&card["type"], &card["version"]), (&json!("AdaptiveCard"), &json!("1.4")));
    check(card);
}

/// Properties of each element; `!` marks required ones, words after `=` are the only ones allowed.
const ELEMENTS: &[(&str, &[&str])] = &[
    ("AdaptiveCard", &["type!", "version!", "$schema", "fallbackText", "body", "actions"]),
    (
        "Container",
        &[
            "type!",
            "items!",
            "style=default,emphasis,good,attention,warning,accent",
            "bleed",
            SPACING,
        ],
    ),
    ("ColumnSet", &["type!", "columns!", SPACING]),
    ("Column", &["type!", "items", "width"]),
    ("FactSet", &["type!", "facts!", SPACING]),
    ("Action.OpenUrl", &["type!", "url!", "title"]),
    (
        "TextBlock",
        &[
            "type!",
            "text!",
            "wrap",
            "separator",
            "isSubtle",
            SPACING,
            "size=default,small,medium,large,extraLarge",
            "weight=default,lighter,bolder",
            "fontType=default,monospace",
            "color=default,dark,light,accent,good,warning,attention",
        ],
    ),
];
const SPACING: &str = "spacing=default,none,small,medium,large,extraLarge,padding";

fn check(element: &Value) {
    let kind = element["type"].as_str().unwrap();
    let (_, rules) = ELEMENTS.iter().find(|(name, _)| *name == kind).expect(kind);
    for rule in *rules {
        if let Some(name) = rule.strip_suffix('!') {
            assert!(!element[name].is_null(), "{kind} needs {name}");
        }
    }
    for (name, value) in element.as_object().unwrap() {
        let rule = rules.iter().find(|rule| rule.split(['!', '=']).next() == Some(name));
        let rule = rule.unwrap_or_else(|| panic!("{kind} has no {name}"));
        if let Some((_, words)) = rule.split_once('=') {
            assert!(words.split(',').any(|word| word == value), "{kind}.{name}: {value}");
        }
        match name.as_str() {
            "body" | "items" | "columns" | "actions" => {
                value.as_array().unwrap().iter().for_each(check);
            }
            "wrap" | "separator" | "isSubtle" | "bleed" => assert!(value.is_boolean()),
            "facts" => value.as_array().unwrap().iter().for_each(|fact| {
                assert!(fact["title"].is_string() && fact["value"].is_string(), "{fact}");
                assert_eq!(fact.as_object().unwrap().len(), 2);
            }),
            "width" => assert!(value.is_number() || value.is_string()),
            _ => assert!(value.is_string(), "{kind}.{name}"),
        }
    }
}

#[test]
fn it_is_due_from_its_hour_on() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let start: Timestamp = "2026-11-23T05:59:00Z".parse().unwrap();
        let clock: SharedClock = Arc::new(RuntimeClock::starting_at(start));
        let folder = tempfile::tempdir().unwrap();
        let stores = stores(&folder, &clock).await;
        let briefing = briefing(&stores, &clock, "https://x.example");
        assert_eq!(briefing.due(start), None);
        let due = briefing.due("2026-11-23T06:00:00Z".parse().unwrap());
        assert_eq!(due, Some(date(2026, 11, 22)));
    });
}
