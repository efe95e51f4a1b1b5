use futures::TryStreamExt as _;

use super::*;
use crate::change::Correlation;
use crate::clock::RuntimeClock;
use crate::fault::Kind;
use crate::order::Order;
use crate::outcome::{Outcome, Told};
use crate::row::{Action, Columns, Destination, Key, Row, Value};
use crate::store::{self, Stores};

async fn stores(folder: &tempfile::TempDir, clock: &SharedClock) -> Stores {
    let config = store::Config::parse(&format!("local:{}", folder.path().display())).unwrap();
    store::open(&config, Arc::clone(clock), Chance::seeded(1)).await.unwrap()
}

fn clock() -> SharedClock {
    Arc::new(RuntimeClock::starting_at("2026-11-20T14:05:00Z".parse().unwrap()))
}

fn log(stores: &Stores, clock: &SharedClock) -> OutcomeLog {
    let blobs = Arc::clone(&stores.blobs);
    OutcomeLog::new(Config::default(), blobs, Arc::clone(clock), &Chance::seeded(2))
}

fn told(map: &str, key: &str, outcome: Outcome, secured: bool) -> Told {
    let to = Destination {
        map: map.into(),
        version: 3,
        system: "sales".into(),
        table: "account".into(),
        key: vec!["number".into()],
        secured: if secured { vec!["number".into()] } else { vec![] },
        ..Destination::default()
    };
    let row = Row {
        to: Arc::new(to),
        key: Key(vec![("number".into(), Value::Text(key.into()))]),
        action: Action::Upsert(Columns::default()).into(),
        order: Order::emitted_at(Timestamp::UNIX_EPOCH),
        correlation: Correlation::default(),
        only_if_known: false,
        thing: None,
    };
    Told { map: map.into(), outcome, row: Some(Arc::new(row)), key: None, correlation: None }
}

fn report(rows: Vec<Told>) -> Report {
    Report { rows, ..Report::default() }
}

async fn files(stores: &Stores) -> Vec<(String, Vec<csv::StringRecord>)> {
    let found: Vec<_> =
        stores.blobs.list(Some(&Path::from("outcomes"))).try_collect().await.unwrap();
    let mut files = Vec::new();
    for meta in found {
        let bytes = stores.blobs.get(&meta.location).await.unwrap().bytes().await.unwrap();
        let mut reader = csv::Reader::from_reader(&bytes[..]);
        let rows = reader.records().map(Result::unwrap).collect();
        files.push((meta.location.to_string(), rows));
    }
    files.sort_by(|a, b| a.0.cmp(&b.0));
    files
}

#[tokio::test]
async fn every_row_stands_in_the_file_of_its_map_and_hour_and_secured_keys_are_masked() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let stores = stores(&folder, &clock).await;
    let log = log(&stores, &clock);
    log.note(&report(vec![
        told("a", "1,\"x\"\n", Outcome::Applied, false),
        told("b", "12345", Outcome::Poisoned(Kind::TooLong), true),
        Told {
            map: "-".into(),
            outcome: Outcome::Poisoned(Kind::Malformed),
            row: None,
            key: None,
            correlation: Some(Correlation::default()),
        },
    ]));
    log.write_if_due().await;
    let files = files(&stores).await;
    let names: Vec<&str> = files.iter().map(|(name, _)| &name[..name.len() - 43]).collect();
    let folder = |map| format!("outcomes/map={map}/date=2026-11-20/hour=14/");
    assert_eq!(names, [folder("-"), folder("a"), folder("b")]);
    let (unread, a, b) = (&files[0].1[0], &files[1].1[0], &files[2].1[0]);
    assert_eq!((&a[1], &a[2], &a[5], &a[6]), ("a", "3", "1\\,\"x\"\n", "applied"));
    assert_eq!((&b[5], &b[6], &b[7]), (crate::row::MASK, "poisoned", "too-long"));
    assert_eq!((&unread[1], &unread[7]), ("-", "malformed-event"));
    assert!(!format!("{files:?}").contains("12345"));
}

#[tokio::test]
async fn a_thousand_calls_write_one_file_a_minute_and_many_rows_one_at_once() {
    tokio::time::pause();
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let stores = stores(&folder, &clock).await;
    let log = log(&stores, &clock);
    log.write().await;
    let before = stores.counters.total();
    for _ in 0..999 {
        log.note(&report(vec![told("a", "1", Outcome::Unchanged, false)]));
        log.write_if_due().await;
    }
    assert_eq!(stores.counters.total() - before, 0);
    tokio::time::advance(INTERVAL).await;
    log.write_if_due().await;
    assert_eq!((stores.counters.total() - before, files(&stores).await[0].1.len()), (1, 999));
    log.note(&report(vec![told("a", "1", Outcome::Unchanged, false); ROWS]));
    log.write_if_due().await;
    assert_eq!(files(&stores).await.len(), 2);
}

#[tokio::test]
async fn what_storage_does_not_take_waits_until_there_is_no_room() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let stores = stores(&folder, &clock).await;
    let log = log(&stores, &clock);
    let blobs = folder.path().join("blobs");
    std::fs::remove_dir_all(&blobs).unwrap();
    std::fs::write(&blobs, "no folder").unwrap();
    log.note(&report(vec![told("a", "1", Outcome::Applied, false)]));
    log.write().await;
    let key = "k".repeat(500);
    for _ in 0..9 {
        log.note(&report(vec![told("a", &key, Outcome::Applied, false); 4_000]));
    }
    let (used, dropped) = {
        let state = log.state();
        (state.gathered.values().map(|lines| lines.text.len()).sum::<usize>(), state.dropped)
    };
    assert!(used <= ROOM && dropped > 0);
    std::fs::remove_file(&blobs).unwrap();
    std::fs::create_dir(&blobs).unwrap();
    log.write().await;
    assert_eq!(files(&stores).await[0].1[0][5], *"1", "what came first stands first");
}
