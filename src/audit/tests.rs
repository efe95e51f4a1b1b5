use std::collections::BTreeMap;

use futures::future::join_all;

use super::*;
use crate::chance::Chance;
use crate::clock::SystemClock;
use crate::store::{self, Config, Property};

async fn audit(folder: &tempfile::TempDir) -> Audit {
    let config = Config::parse(&format!("local:{}", folder.path().display())).unwrap();
    let clock: SharedClock = Arc::new(SystemClock);
    let stores = store::open(&config, Arc::clone(&clock), Chance::seeded(1)).await.unwrap();
    Audit::new(stores.poison, clock)
}

fn ann() -> Person {
    Person { id: "1".into(), name: "ann@acme.example".into(), ..Person::default() }
}

fn deeds(verb: Verb, subjects: &[&str]) -> Vec<Deed> {
    subjects.iter().map(|subject| Deed::new(verb, *subject)).collect()
}

#[tokio::test]
async fn deeds_are_listed_newest_first_and_filtered() {
    let folder = tempfile::tempdir().unwrap();
    let audit = audit(&folder).await;
    audit.record(&ann(), &deeds(Verb::Retry, &["a.1", "a.2", "b.1"])).await.unwrap();
    let bob = Person { id: "2".into(), name: "bob".into(), ..Person::default() };
    let dismissal = Deed::new(Verb::Dismiss, "a.1").because(Some("test data".into()));
    audit.record(&bob, &[dismissal]).await.unwrap();
    let subjects = async |filter: Filter, most| {
        let found = audit.list(&filter, most).await.unwrap();
        found.into_iter().map(|entry| entry.deed.subject).collect::<Vec<_>>()
    };
    assert_eq!(subjects(Filter::default(), 9).await, ["a.1", "b.1", "a.2", "a.1"]);
    assert_eq!(subjects(Filter::default(), 2).await, ["a.1", "b.1"]);
    let of = Filter { who: Some("acme".into()), subject: Some("a.".into()), ..Filter::default() };
    assert_eq!(subjects(of, 9).await, ["a.2", "a.1"]);
    let of = Filter { verb: Some(Verb::Dismiss), ..Filter::default() };
    let found = audit.list(&of, 9).await.unwrap();
    assert_eq!((found[0].number, found[0].who.name.as_str()), (4, "bob"));
    assert_eq!(found[0].deed.why.as_deref(), Some("test data"));
    let later = Filter { since: Some(jiff::Timestamp::MAX), ..Filter::default() };
    assert!(subjects(later, 9).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_many_record_at_once_stands_in_one_chain() {
    let folder = tempfile::tempdir().unwrap();
    let audit = audit(&folder).await;
    let ann = ann();
    let all = (0..4).map(|_| {
        let (audit, ann) = (audit.clone(), ann.clone());
        async move { audit.record(&ann, &deeds(Verb::Retry, &["x"; 60])).await }
    });
    assert!(join_all(all).await.iter().all(Result::is_ok));
    assert_eq!(audit.check().await.unwrap(), Chain::Whole(240));
}

#[tokio::test]
async fn an_entry_that_was_changed_or_taken_away_shows() {
    let folder = tempfile::tempdir().unwrap();
    let audit = audit(&folder).await;
    audit.record(&ann(), &deeds(Verb::Edit, &["a", "b", "c", "d"])).await.unwrap();
    assert_eq!(audit.check().await.unwrap(), Chain::Whole(4));

    let rows = [entry::row(2)];
    let stored = audit.table.get_many(PARTITION, &rows).await.unwrap().remove(0).unwrap();
    let Some(Property::Text(json)) = stored.entity.properties.get("entry") else { panic!() };
    let forged = Property::Text(json.replace("ann@", "bob@"));
    let properties = BTreeMap::from([("entry".into(), forged)]);
    let entity = Entity { row: rows[0].clone(), properties };
    audit.table.transact(PARTITION, vec![Operation::Put(entity)]).await.unwrap();
    assert_eq!(audit.check().await.unwrap(), Chain::Broken(3));

    audit.table.transact(PARTITION, vec![Operation::Put(stored.entity)]).await.unwrap();
    assert_eq!(audit.check().await.unwrap(), Chain::Whole(4));
    audit.table.transact(PARTITION, vec![Operation::Discard(entry::row(3))]).await.unwrap();
    assert_eq!(audit.check().await.unwrap(), Chain::Broken(4));
    audit.table.transact(PARTITION, vec![Operation::Discard(entry::row(1))]).await.unwrap();
    assert_eq!(audit.check().await.unwrap(), Chain::Broken(4));
}
