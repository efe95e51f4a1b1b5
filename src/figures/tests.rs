use super::*;
use crate::clock::{Clock, RuntimeClock};
use crate::fault::Kind;
use crate::outcome::{Outcome, Verdict};
use crate::store::{self, Config, Stores};

async fn stores(folder: &tempfile::TempDir, clock: &SharedClock) -> Stores {
    let config = Config::parse(&format!("local:{}", folder.path().display())).unwrap();
    store::open(&config, Arc::clone(clock), Chance::seeded(1)).await.unwrap()
}

fn start() -> SharedClock {
    Arc::new(RuntimeClock::starting_at("2026-11-20T23:59:00Z".parse().unwrap()))
}

fn report(outcomes: &[(&str, Outcome, usize)]) -> Report {
    let mut report = Report::default();
    for (map, outcome, rows) in outcomes {
        (0..*rows).for_each(|_| report.count(&Arc::from(*map), *outcome));
    }
    report
}

fn day(clock: &dyn Clock) -> Date {
    clock.now().to_zoned(TimeZone::UTC).date()
}

#[tokio::test]
async fn a_day_is_the_sum_of_all_processes_and_costs_a_transaction_a_minute() {
    tokio::time::pause();
    let (folder, clock) = (tempfile::tempdir().unwrap(), start());
    let stores = stores(&folder, &clock).await;
    let figures =
        |seed| Figures::new(Arc::clone(&stores.poison), Arc::clone(&clock), &Chance::seeded(seed));
    let (one, other) = (figures(1), figures(2));
    let before = stores.counters.total();
    for _ in 0..100 {
        one.note(&report(&[
            ("a", Outcome::Applied, 2),
            ("a~b", Outcome::Poisoned(Kind::TooLong), 1),
        ]));
        one.keep_if_due().await;
    }
    assert_eq!(stores.counters.total() - before, 1, "a hundred calls, one request");
    other.note(&report(&[("a", Outcome::Applied, 5)]));
    other.keep_if_due().await;
    one.keep().await;
    let today = one.day(day(&*clock)).await.unwrap();
    assert_eq!(today["a"].of_word("applied"), 205);
    assert_eq!((today["a~b"].of_word("poisoned"), today["a~b"].codes["too-long"]), (100, 100));

    tokio::time::advance(Duration::from_mins(2)).await;
    one.note(&report(&[("a", Outcome::Unchanged, 1)]));
    one.keep_if_due().await;
    let tomorrow = one.day(day(&*clock)).await.unwrap();
    assert_eq!((tomorrow.len(), tomorrow["a"].of_word("unchanged")), (1, 1));
    assert_eq!(one.state().counts.len(), 1, "an hour that is over needs no memory");

    let yesterday = day(&*clock).yesterday().unwrap();
    one.forget(yesterday).await.unwrap();
    assert!(one.day(yesterday).await.unwrap().is_empty());
    assert_eq!(one.day(day(&*clock)).await.unwrap().len(), 1);
}

#[tokio::test]
async fn of_a_delivery_that_comes_again_only_what_was_applied_counts() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), start());
    let stores = stores(&folder, &clock).await;
    let figures = Figures::new(stores.poison, Arc::clone(&clock), &Chance::seeded(1));
    let mut again =
        report(&[("a", Outcome::Applied, 2), ("a", Outcome::Poisoned(Kind::TooLong), 1)]);
    again.verdict = Verdict::Redeliver("later".into());
    figures.note(&again);
    figures.keep().await;
    let today = figures.day(day(&*clock)).await.unwrap();
    assert_eq!((today["a"].of_word("applied"), today["a"].of_word("poisoned")), (2, 0));
}
