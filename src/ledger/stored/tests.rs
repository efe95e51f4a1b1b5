use super::*;
use crate::ledger::bench::{self, Bench, bench};
use crate::ledger::{Claimed, Conclusion, Landing, Settlement};
use crate::outcome::Outcome;
use crate::row::{Columns, Row, Value};

fn row(second: i64, name: &str) -> Arc<Row> {
    let values = vec![("name".into(), Value::Text(name.into()))];
    bench::row(1, second, Action::Upsert(Columns { values, ..Columns::default() }))
}

impl Bench {
    async fn write(&self, row: &Arc<Row>, landing: Landing) -> Conclusion {
        let Claimed::Ticket(ticket) = self.claim(row).await else { panic!("no ticket") };
        self.ledger.settle(vec![Settlement { ticket: *ticket, landing }]).await.remove(0)
    }

    async fn applied(&self, row: &Arc<Row>) {
        let done = self.write(row, Landing::Landed { target_id: None }).await;
        assert!(matches!(done, Conclusion::Done { outcome: Outcome::Applied, .. }), "{done:?}");
    }

    /// The entry as a process that remembers nothing reads it, and the places in which a row stands.
    async fn stored(&self) -> (Entry, Vec<String>) {
        let key = row(0, "").key.clone();
        let entry = self.fresh().entry("m", &key).await.unwrap();
        let page = self.stores.ledger.scan("m-00", "", "~", 10).await.unwrap();
        let stored = page.rows.into_iter().next().unwrap().entity;
        let full = stored.properties.into_iter().filter(|(name, property)| {
            let empty = [Property::Text(String::new()), Property::Bytes(bytes::Bytes::new())];
            name.starts_with("row_") && !empty.contains(property)
        });
        (entry, full.map(|(name, _)| name.into_owned()).collect())
    }
}

fn action(version: &Version) -> &Action {
    version.action.as_deref().unwrap()
}

#[tokio::test]
async fn a_row_changes_places_with_the_one_before_it_and_only_one_is_kept() {
    let bench = bench().await;
    for (second, place) in [(1, "row_a"), (2, "row_b"), (3, "row_a")] {
        let row = row(second, &format!("name {second}"));
        bench.applied(&row).await;
        let (entry, places) = bench.stored().await;
        assert_eq!(action(&entry.applied.unwrap().version), &*row.action);
        assert_eq!((entry.intent, places), (None, vec![place.to_owned()]));
    }
}

#[tokio::test]
async fn a_claim_over_a_remembered_entry_leaves_the_row_that_is_applied_as_it_is() {
    let bench = bench().await;
    bench.applied(&row(1, "one")).await;
    let two = row(2, "two");
    assert!(matches!(bench.claim(&two).await, Claimed::Ticket(_)));
    let (entry, places) = bench.stored().await;
    assert_eq!(action(&entry.applied.unwrap().version), &*row(1, "one").action);
    assert_eq!(action(&entry.intent.unwrap().version), &*two.action);
    assert_eq!(places, ["row_a", "row_b"]);
    // A newer one overtakes the intent and takes its place.
    bench.applied(&row(3, "three")).await;
    let (entry, places) = bench.stored().await;
    assert_eq!(action(&entry.applied.unwrap().version), &*row(3, "three").action);
    assert_eq!((entry.loose.len(), places), (1, vec!["row_b".to_owned()]));
}

#[tokio::test]
async fn a_refused_row_is_not_kept_and_what_was_applied_stays() {
    let bench = bench().await;
    bench.applied(&row(1, "one")).await;
    let withdrawn = bench.write(&row(2, "two"), Landing::Never).await;
    assert!(matches!(withdrawn, Conclusion::Withdrawn));
    let (entry, places) = bench.stored().await;
    assert_eq!(action(&entry.applied.unwrap().version), &*row(1, "one").action);
    assert_eq!((entry.intent, places), (None, vec!["row_a".to_owned()]));
}

#[tokio::test]
async fn the_same_content_in_a_newer_version_moves_the_order_and_not_the_row() {
    let bench = bench().await;
    bench.applied(&row(1, "one")).await;
    let unchanged = bench.claim(&row(2, "one")).await;
    assert!(
        matches!(unchanged, Claimed::Done { outcome: Outcome::Unchanged, .. }),
        "{unchanged:?}"
    );
    let (entry, places) = bench.stored().await;
    let applied = entry.applied.unwrap();
    assert_eq!(applied.version.order, row(2, "one").order);
    assert_eq!(action(&applied.version), &*row(1, "one").action);
    assert_eq!(places, ["row_a"]);
}

#[tokio::test]
async fn rows_of_every_size_come_back_as_they_were() {
    let bench = bench().await;
    let mut dice = fastrand::Rng::with_seed(1);
    let noise: String = (0..100_000).map(|_| dice.alphanumeric()).collect();
    let rows = [
        (row(1, "small"), "row_a"),
        (row(2, &"much ".repeat(10_000)), "row_b_z"),
        (row(3, &noise), "row_a_blob"),
        (row(4, &"more ".repeat(10_000)), "row_b_z"),
        (row(5, "small"), "row_a"),
    ];
    for (row, place) in rows {
        bench.applied(&row).await;
        let (entry, places) = bench.stored().await;
        assert_eq!(action(&entry.applied.unwrap().version), &*row.action);
        assert_eq!(places, [place]);
    }
}
