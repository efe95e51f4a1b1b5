//! What the host is told when something is down, and what becomes of the delivery.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::time::Duration;

use concord::emulator::dataverse::state::Options;
use futures::StreamExt as _;
use futures::future::join;
use tokio::time::{Instant, sleep};

use crate::envelope::{self, Held, Retry};
use crate::singles::{batch, large, name};
use crate::stage::Stage;

const FIRST: Retry = Retry { count: 0, most: Some(3) };
const LAST: Retry = Retry { count: 3, most: Some(3) };
const NONE: Retry = Retry { count: 0, most: None };

/// Everything that asks for rows is refused.
const DOWN: &str = "503-before:1";

fn at(count: usize, version: usize) -> BTreeMap<String, String> {
    (0..count).map(|number| (number.to_string(), name(number, version))).collect()
}

async fn accepted(stage: &Stage, batch: &[Held], retry: Retry) {
    let answer = stage.post(batch, retry).await.expect("an answer");
    assert!(answer.is_done(), "{answer:?}");
}

/// The host comes again until it is done, a few times at most.
async fn until_accepted(stage: &Stage, batch: &[Held]) {
    for count in 1..8 {
        if stage.post(batch, Retry { count, most: Some(8) }).await.unwrap().is_done() {
            return;
        }
    }
    panic!("not accepted after many attempts");
}

async fn asked_again(stage: &Stage, batch: &[Held], retry: Retry) -> String {
    let answer = stage.post(batch, retry).await.expect("an answer");
    assert_eq!(answer.status, 503, "{answer:?}");
    answer.body["error"]["message"].as_str().unwrap().to_owned()
}

async fn deferred(stage: &Stage) -> u64 {
    stage.stores.work.depth().await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_that_fails_midway_is_finished_by_the_next_attempt_and_nothing_is_written_twice() {
    let stage = Stage::calm(1).await;
    accepted(&stage, &batch(0, 1, 1), FIRST).await;
    // One chunk of 256 rows passes; what is left of the batch does not.
    let plan = r#"[{ "fault": "503-before", "times": 100000, "skip": 1, "method": "POST" }]"#;
    stage.target.state.faults().plan(serde_json::from_str(plan).unwrap()).unwrap();
    let events = batch(0, 400, 2);
    asked_again(&stage, &events, FIRST).await;
    let midway = stage.customers().values().filter(|name| name.ends_with("at 2")).count();
    assert!((1..400).contains(&midway), "{midway}");
    assert_eq!(deferred(&stage).await, 0);
    stage.storm(None, false);
    until_accepted(&stage, &events).await;
    assert_eq!(stage.customers(), at(400, 2));
    let written = stage.served().rows;
    assert_eq!((written.created, written.updated), (400, 1), "midway {midway}");
    stage.come_to_rest().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_host_would_not_come_again_everything_open_is_deferred_and_later_applied() {
    let stage = Stage::calm(1).await;
    stage.storm(Some(DOWN), false);
    asked_again(&stage, &batch(0, 30, 1), FIRST).await;
    assert_eq!(deferred(&stage).await, 0, "the host still has it");
    accepted(&stage, &batch(0, 30, 1), LAST).await;
    let once = deferred(&stage).await;
    assert!(once > 0);
    accepted(&stage, &batch(30, 30, 1), NONE).await;
    assert!(deferred(&stage).await > once);
    assert!(stage.customers().is_empty() && stage.poison().await.is_empty());
    stage.storm(None, false);
    stage.come_to_rest().await;
    assert_eq!(stage.customers(), at(60, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_target_that_is_down_for_long_loses_nothing_and_is_not_hammered() {
    let stage = Stage::calm(2).await;
    accepted(&stage, &batch(0, 100, 1), NONE).await;
    stage.storm(Some(DOWN), false);
    accepted(&stage, &batch(0, 100, 2), LAST).await;
    accepted(&stage, &batch(0, 100, 3), LAST).await;
    let (since, before) = (Instant::now(), stage.calls());
    while since.elapsed() < Duration::from_secs(25) {
        stage.work_once(0).await;
        sleep(Duration::from_millis(250)).await;
    }
    let calls = stage.calls() - before;
    println!("25 s down: {calls} calls of the target");
    assert!(calls < 100, "{calls} calls while the target was down");
    assert_eq!(stage.customers(), at(100, 1));
    stage.storm(None, false);
    // Something newer comes before what waits.
    accepted(&stage, &batch(0, 50, 4), FIRST).await;
    let rest = stage.come_to_rest().await;
    println!("quiet {:.1} s after the target was back", rest.as_secs_f64());
    let mut expected = at(100, 3);
    expected.extend(at(50, 4));
    assert_eq!(stage.customers(), expected);
    assert!(stage.poison().await.is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_storage_nothing_is_acknowledged_and_nothing_written() {
    let stage = Stage::calm(1).await;
    accepted(&stage, &batch(0, 10, 1), FIRST).await;
    stage.proxy.state.down.store(true, Ordering::Relaxed);
    for retry in [FIRST, LAST, NONE] {
        asked_again(&stage, &batch(0, 20, 2), retry).await;
    }
    assert_eq!(stage.customers(), at(10, 1));
    stage.proxy.state.down.store(false, Ordering::Relaxed);
    until_accepted(&stage, &batch(0, 20, 2)).await;
    assert_eq!(stage.customers(), at(20, 2));
    stage.come_to_rest().await;
}

/// The host stops itself at the third process that ends.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_starts_without_storage_waits_for_it() {
    let stage = Stage::calm(1).await;
    stage.handlers[0].kill().await;
    stage.proxy.state.down.store(true, Ordering::Relaxed);
    stage.handlers[0].start().await;
    let first = batch(0, 10, 1);
    let back = async {
        while stage.told_of("storage_away") == 0 {
            sleep(Duration::from_millis(100)).await;
        }
        stage.proxy.state.down.store(false, Ordering::Relaxed);
    };
    let (answer, ()) = futures::join!(stage.post(&first, FIRST), back);
    assert!(answer.unwrap().is_done());
    assert_eq!(stage.customers(), at(10, 1));
    assert_eq!(stage.handlers[0].fell.load(Ordering::Relaxed), 0, "it ended");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn with_wrong_credentials_nothing_is_claimed_and_nothing_poisoned() {
    let stage = Stage::new(1, 1, Options { secret: true, ..Options::default() }).await;
    let why = asked_again(&stage, &batch(0, 10, 1), FIRST).await;
    assert!(why.starts_with("credential"), "{why}");
    asked_again(&stage, &batch(0, 10, 1), Retry { count: 1, ..FIRST }).await;
    assert_eq!(deferred(&stage).await, 0);
    accepted(&stage, &batch(0, 10, 1), LAST).await;
    assert!(deferred(&stage).await > 0, "kept until somebody mends it");
    assert!(stage.poison().await.is_empty());
    let (since, before) = (Instant::now(), stage.calls());
    while since.elapsed() < Duration::from_secs(12) {
        stage.work_once(0).await;
        sleep(Duration::from_millis(250)).await;
    }
    println!("12 s halted: {} calls of the target", stage.calls() - before);
    assert!(stage.poison().await.is_empty());
    assert!(deferred(&stage).await > 0, "still kept");
    sleep(Duration::from_secs(1)).await;
    assert!(stage.open_rows().await.is_empty(), "something is claimed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handler_at_its_deadline_answers_in_time_and_the_rest_comes_again() {
    let stage = Stage::calm(1).await;
    accepted(&stage, &batch(0, 1, 1), FIRST).await;
    stage.storm(Some("slow:1@8s"), false);
    let since = Instant::now();
    asked_again(&stage, &batch(0, 300, 2), FIRST).await;
    let took = since.elapsed();
    assert!(took < Duration::from_secs(8), "{took:?}");
    stage.storm(None, false);
    until_accepted(&stage, &batch(0, 300, 2)).await;
    stage.come_to_rest().await;
    assert_eq!(stage.customers(), at(300, 2));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_too_large_for_one_message_wait_in_a_blob_that_is_removed_afterwards() {
    let stage = Stage::calm(1).await;
    stage.storm(Some(DOWN), false);
    accepted(&stage, &large(0, 200, 1, 2_000), LAST).await;
    assert_eq!(deferred(&stage).await, 1);
    let waiting = || async {
        let path = object_store::path::Path::from("deferred");
        stage.stores.blobs.list(Some(&path)).count().await
    };
    assert_eq!(waiting().await, 1);
    stage.storm(None, false);
    stage.come_to_rest().await;
    assert_eq!(stage.customers(), at(200, 1));
    assert_eq!(waiting().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_batches_of_one_partition_at_once_end_at_the_newest() {
    let stage = Stage::calm(2).await;
    let post = async |to: usize, batch: &[Held]| {
        let mut count = 0;
        loop {
            let body = envelope::events(0, batch, Retry { count, most: Some(20) });
            if stage.handlers[to].post("events", body).await.unwrap().is_done() {
                return;
            }
            count += 1;
        }
    };
    // The same batch, as when a partition moves; then an older and a newer one that overlap.
    let events = batch(0, 256, 1);
    join(post(0, &events), post(1, &events)).await;
    assert_eq!(stage.customers(), at(256, 1));
    let written = stage.served().rows;
    assert_eq!(written.created, 256);
    println!("the same batch at once: {written:?}");
    join(post(0, &batch(0, 256, 2)), post(1, &batch(0, 256, 3))).await;
    join(post(0, &batch(0, 256, 5)), post(1, &batch(0, 256, 4))).await;
    stage.come_to_rest().await;
    assert_eq!(stage.customers(), at(256, 5));
}
