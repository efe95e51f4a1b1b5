use jiff::{Timestamp, ToSpan};

use super::*;
use crate::chance::Chance;
use crate::cli::dev::organisation::all;

fn denmark() -> Organisation {
    let mut places = all(usize::MAX, &Chance::seeded(7)).into_iter();
    places.find(|organisation| organisation.code == "DK-84").unwrap()
}

fn countries() -> Countries {
    Countries::from([("DNK".to_owned(), 1640)])
}

fn after(consumer: Consumer, history: Vec<What>) -> (Option<Expected>, Model) {
    let organisation = denmark();
    let at = |second: i64| Timestamp::UNIX_EPOCH + second.seconds();
    let facts = history.into_iter().zip(0_i64..).map(|(what, n)| Fact { who: 0, at: at(n), what });
    let facts: Vec<_> = facts.collect();
    let key = consumer.key_of(&organisation);
    let mut model = model(consumer, &[organisation], &facts, &countries());
    (model.rows.remove(&key), model)
}

#[test]
fn each_consumer_sees_the_country_in_its_own_words() {
    let now = || vec![What::Now(denmark().first)];
    for (consumer, column, value) in [
        (Consumer::Sales, "address1_country", json!("DK")),
        (Consumer::Finance, "acme_country", json!("DNK")),
        (Consumer::Logistics, "acme_countrynumber", json!(1640)),
    ] {
        let Some(Expected::Exactly(row)) = after(consumer, now()).0 else { panic!("no row") };
        assert_eq!(row[column], value);
    }
}

#[test]
fn a_removal_leaves_what_the_consumer_wants() {
    let history = || vec![What::Now(denmark().first), What::Removed(denmark().first)];
    let left = |consumer| match after(consumer, history()).0 {
        Some(Expected::Leftover(rows)) => rows,
        other => panic!("{other:?}"),
    };
    assert_eq!(left(Consumer::Sales)[0]["statecode"], 1);
    assert_eq!(left(Consumer::Finance)[0]["statecode"], 1);
    assert!(left(Consumer::Logistics).is_empty());
}

#[test]
fn a_bad_state_leaves_the_last_good_one_and_is_counted() {
    let bad = State { country: "XQQ".to_owned(), ..denmark().first };
    let (good, _) = after(Consumer::Sales, vec![What::Now(denmark().first)]);
    let (kept, model) = after(Consumer::Sales, vec![What::Now(denmark().first), What::Now(bad)]);
    assert_eq!(kept, good);
    assert_eq!(model.refused, BTreeMap::from([("inconvertible", 1)]));
}
