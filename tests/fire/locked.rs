//! Storage that refuses the key: from the start, and from some moment on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use concord::emulator::dataverse::state::Options;
use futures::future::join;
use tokio::time::{Instant, sleep};

use crate::envelope::{Held, Retry};
use crate::handler::{self, Handler};
use crate::singles::{batch, name, with_bad};
use crate::stage::Stage;

/// What the host may say of its attempts: the first, the last, and none.
const ATTEMPTS: [Retry; 3] = [
    Retry { count: 0, most: Some(3) },
    Retry { count: 3, most: Some(3) },
    Retry { count: 0, most: None },
];

/// What is wrong, and what is to be done.
const WHY: [&str; 3] = ["the store refused the credential: 403", "check", "key"];

async fn refused(stage: &Stage, events: &[Held], retry: Retry) {
    let answer = stage.post(events, retry).await.expect("an answer");
    assert_eq!(answer.status, 503, "{answer:?}");
    let why = answer.body["error"]["message"].as_str().unwrap();
    assert!(why.starts_with("credential: "), "{why}");
    assert!(WHY.iter().all(|word| why.contains(word)), "{why}");
}

async fn accepted(stage: &Stage, events: &[Held]) {
    for count in 0..8 {
        if stage.post(events, Retry { count, most: Some(8) }).await.unwrap().is_done() {
            return;
        }
    }
    panic!("not accepted after many attempts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_given_a_wrong_key_ends_at_once_and_says_what_to_check() {
    let stage = Stage::calm(0).await;
    let within = tempfile::tempdir().unwrap();
    let wrong = stage.connection.replace("AccountKey=AAAA", "AccountKey=BBBB");
    assert_ne!(wrong, stage.connection);
    let url = format!("http://{}", stage.target.address);
    let handler = Handler::new(0, &handler::maps(), (&wrong, &url), within.path());
    let (status, said) = handler.ended().await;
    assert!(!status.success(), "{said}");
    assert!(WHY.iter().all(|word| said.contains(word)), "{said}");
    assert!(!said.contains("BBBB"), "the key is shown: {said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_a_key_that_becomes_wrong_nothing_is_acknowledged_claimed_poisoned_or_written() {
    let stage = Stage::calm(1).await;
    accepted(&stage, &batch(0, 10, 1)).await;
    stage.proxy.state.locked.store(true, Ordering::Relaxed);
    let events = with_bad(batch(0, 20, 2), 3);
    for retry in ATTEMPTS {
        refused(&stage, &events, retry).await;
    }
    let calls = stage.calls_for_rows();
    assert_eq!(stage.sweep_once(0).await, None, "a sweep cannot be done either");
    assert_eq!(stage.calls_for_rows(), calls);
    assert!(stage.told_of("halted") >= ATTEMPTS.len(), "no alert can see it");
    assert!((0..10).all(|key| stage.customers()[&key.to_string()] == name(key, 1)));
    assert_eq!(stage.customers().len(), 10);
    assert!(stage.poison().await.is_empty());
    assert_eq!(stage.stores.work.depth().await.unwrap(), 0);
    assert!(stage.open_rows().await.is_empty(), "something is claimed");
    stage.proxy.state.locked.store(false, Ordering::Relaxed);
    accepted(&stage, &events).await;
    stage.come_to_rest().await;
    let names = stage.customers();
    assert!((0..20).all(|key| key == 3 || names[&key.to_string()] == name(key, 2)), "{names:?}");
    assert_eq!(stage.poison().await.len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_that_becomes_wrong_between_claim_and_settle_loses_nothing() {
    let stage = Stage::new(1, 1, Options::default()).await;
    accepted(&stage, &batch(0, 20, 1)).await;
    stage.storm(Some("slow:1@1s"), false);
    let before = stage.calls();
    let events = with_bad(batch(0, 20, 2), 3);
    let locked = async {
        let since = Instant::now();
        while stage.calls() == before {
            assert!(since.elapsed() < Duration::from_secs(20), "nothing is written");
            sleep(Duration::from_millis(10)).await;
        }
        stage.proxy.state.locked.store(true, Ordering::Relaxed);
    };
    join(refused(&stage, &events, ATTEMPTS[1]), locked).await;
    assert!(stage.poison().await.is_empty());
    assert!(!stage.open_rows().await.is_empty(), "it was claimed before");
    stage.storm(None, false);
    stage.proxy.state.locked.store(false, Ordering::Relaxed);
    accepted(&stage, &events).await;
    stage.come_to_rest().await;
    let names = stage.customers();
    assert!((0..20).all(|key| names[&key.to_string()] == name(key, if key == 3 { 1 } else { 2 })));
    assert_eq!(stage.poison().await.len(), 1);
}
