use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use rusqlite::Connection;

use super::*;
use crate::clock::{RuntimeClock, SystemClock};
use crate::store::{Entity, Etag, Operation, Property};

async fn opened(folder: &Path) -> Result<Stores, Error> {
    open(folder, &Names::default(), Arc::new(SystemClock)).await
}

fn entity(row: &str, value: i64) -> Entity {
    let properties = BTreeMap::from([("value".into(), Property::Integer(value))]);
    Entity { row: row.to_owned(), properties }
}

#[tokio::test]
async fn what_was_written_is_there_when_the_folder_is_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let nested = folder.path().join("made/when missing");
    let stores = opened(&nested).await.unwrap();
    let etags = stores.ledger.transact("p", vec![Operation::Insert(entity("r", 1))]).await.unwrap();
    stores.work.put(b"later", Duration::ZERO).await.unwrap();
    drop(stores);
    let stores = opened(&nested).await.unwrap();
    let replace = vec![Operation::Replace(entity("r", 2), etags[0].clone())];
    stores.ledger.transact("p", replace).await.unwrap();
    assert_eq!(stores.work.depth().await.unwrap(), 1);
}

/// Two openings share nothing but the file, as two processes do.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn several_processes_open_an_empty_folder_at_once_and_see_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let all = join_all((0..6).map(|_| opened(folder.path()))).await;
    let all: Vec<_> = all.into_iter().map(Result::unwrap).collect();
    let one = |stores: &Stores, i: usize| {
        let (ledger, insert) = (stores.ledger.clone(), Operation::Insert(entity("same", 1)));
        let own = Operation::Insert(entity(&format!("own-{i}"), 1));
        async move { ledger.transact("p", vec![own, insert]).await }
    };
    let answers = join_all(all.iter().enumerate().map(|(i, stores)| one(stores, i))).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.is_err()) {
        assert!(matches!(answer, Err(Error::Conflict { index: 1 })), "{answer:?}");
    }
    for stores in &all {
        assert_eq!(stores.ledger.scan("p", "", "~", 10).await.unwrap().rows.len(), 2);
    }
}

#[tokio::test]
async fn a_version_that_this_table_never_gave_fits_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let stores = opened(folder.path()).await.unwrap();
    stores.ledger.transact("p", vec![Operation::Insert(entity("r", 1))]).await.unwrap();
    for strange in ["", "W/\"1\"", "1.0", "null"] {
        let delete = vec![Operation::Delete("r".into(), Etag(strange.into()))];
        let answer = stores.ledger.transact("p", delete).await;
        assert!(matches!(answer, Err(Error::Conflict { index: 0 })), "{strange}: {answer:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn hidden_messages_follow_the_clock() {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(RuntimeClock::starting_at(Timestamp::UNIX_EPOCH));
    let stores = open(folder.path(), &Names::default(), clock).await.unwrap();
    let (queue, hour) = (stores.work, Duration::from_hours(1));
    queue.put(b"x", hour).await.unwrap();
    tokio::time::advance(Duration::from_millis(3_599_999)).await;
    assert_eq!(queue.take(1, hour).await.unwrap(), []);
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(queue.take(1, hour).await.unwrap()[0].taken, 1);
    assert_eq!(queue.take(1, hour).await.unwrap(), []);
    tokio::time::advance(hour).await;
    let again = queue.take(1, hour).await.unwrap().remove(0);
    assert_eq!((again.taken, again.inserted), (2, Timestamp::UNIX_EPOCH));
}

#[tokio::test]
async fn a_file_of_a_newer_version_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    drop(opened(folder.path()).await.unwrap());
    let file = Connection::open(folder.path().join("concord.db")).unwrap();
    file.pragma_update(None, "user_version", 99).unwrap();
    let error = opened(folder.path()).await.unwrap_err().to_string();
    assert!(error.contains("newer Concord"), "{error}");
}

#[tokio::test]
async fn a_folder_that_cannot_be_used_says_why() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "in the way").unwrap();
    let error = opened(&file).await.unwrap_err();
    assert!(
        matches!(&error, Error::Unavailable { reason, .. } if reason.contains("file")),
        "{error}"
    );
    std::fs::write(folder.path().join("concord.db"), "x".repeat(5_000)).unwrap();
    let error = opened(folder.path()).await.unwrap_err();
    assert!(matches!(&error, Error::Invalid { reason } if reason.contains("damaged")), "{error}");
}
