//! `kill -9` at named points: the proxy holds the request that makes the point, the process is killed
//! while it waits for it, and another process gets the batch. Then processes are killed inside a sweep.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::envelope::{self, Held, Retry};
use crate::singles::{batch, name, with_bad};
use crate::stage::Stage;
use crate::step::{Step, When};

/// How many keys each point has for itself.
const KEYS: usize = 16;
/// The bad one of them, where there is one.
const BAD: usize = 12;
/// The keys below this get something newer while their batch has no process.
const NEWER: usize = 8;

/// Every point inside a delivery.
const POINTS: [(Step, When); 14] = [
    (Step::Look, When::After),
    (Step::Claim, When::Before),
    (Step::Claim, When::After),
    (Step::Write, When::Before),
    (Step::Write, When::After),
    (Step::Quarantine, When::Before),
    (Step::Quarantine, When::After),
    (Step::Record, When::After),
    (Step::Alarm, When::Before),
    (Step::Alarm, When::After),
    (Step::Settle, When::Before),
    (Step::Settle, When::After),
    (Step::Defer, When::Before),
    (Step::Defer, When::After),
];

/// Every point inside a sweep that finishes abandoned writes.
const SWEEP: [(Step, When); 4] = [
    (Step::Claim, When::After),
    (Step::Write, When::After),
    (Step::Settle, When::Before),
    (Step::Settle, When::After),
];

/// A delivery or a sweep at a handler that is killed at a point. Answers whether it got that far.
async fn killed(stage: &Stage, (step, when): (Step, When), function: &str, body: String) -> bool {
    let held = stage.proxy.state.trap(step, when);
    let post = stage.handlers[0].post(function, body);
    let reached = tokio::select! {
        held = held => held.is_ok(),
        _ = post => false,
    };
    stage.proxy.state.disarm();
    if reached {
        stage.handlers[0].kill().await;
    }
    reached
}

/// Another process gets it, again and again until it is done.
async fn redelivered(stage: &Stage, events: &[Held]) {
    let until_done = async {
        for count in 1.. {
            let retry = Retry { count, most: Some(count + 1) };
            let body = envelope::events(0, events, retry);
            if stage.handlers[1].post("events", body).await.is_some_and(|answer| answer.is_done()) {
                return;
            }
        }
    };
    timeout(Duration::from_secs(90), until_done).await.expect("it is acknowledged in the end");
}

fn is_refused(step: Step) -> bool {
    matches!(step, Step::Quarantine | Step::Record | Step::Alarm)
}

/// The batch of a point: its second version, with a bad one where the point is about refusals.
fn second(number: usize, step: Step) -> Vec<Held> {
    let events = batch(number * 100, KEYS, 2);
    if is_refused(step) { with_bad(events, BAD) } else { events }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_at_any_named_point_leaves_nothing_lost_and_nothing_open() {
    let stage = Stage::watched(2).await;
    for (number, (step, when)) in POINTS.into_iter().enumerate() {
        redelivered(&stage, &batch(number * 100, KEYS, 1)).await;
        let events = second(number, step);
        // What is put in the work queue is what the target did not take on the last attempt.
        let defers = step == Step::Defer;
        stage.storm(defers.then_some("503-before:1"), false);
        let retry = Retry { count: u32::from(defers), most: Some(1) };
        let body = envelope::events(0, &events, retry);
        assert!(killed(&stage, (step, when), "events", body).await, "never at {step:?} {when:?}");
        stage.storm(None, false);
        let since = Instant::now();
        let newer = async { redelivered(&stage, &batch(number * 100, NEWER, 3)).await };
        futures::join!(newer, redelivered(&stage, &events), stage.handlers[0].start());
        let took = since.elapsed().as_secs_f64();
        println!("killed at {step:?} {when:?}: all of it is acknowledged {took:.1} s later");
    }
    let rest = stage.come_to_rest().await;
    println!("quiet {:.1} s after the last delivery", rest.as_secs_f64());
    let (names, poison) = (stage.customers(), stage.poison().await);
    let mut bad = 0;
    for (number, (step, when)) in POINTS.into_iter().enumerate() {
        for key in number * 100..number * 100 + KEYS {
            let refused = is_refused(step) && key == number * 100 + BAD;
            let version = if key < number * 100 + NEWER { 3 } else { 2 - usize::from(refused) };
            let is = names.get(&key.to_string());
            assert_eq!(is, Some(&name(key, version)), "{key} after {step:?} {when:?}");
            bad += usize::from(refused);
        }
    }
    assert_eq!(poison.len(), bad, "{poison:#?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_process_that_is_killed_inside_a_sweep_leaves_it_to_the_next() {
    let stage = Stage::watched(2).await;
    redelivered(&stage, &batch(0, 64, 1)).await;
    let events = batch(0, 64, 2);
    let body = envelope::events(0, &events, Retry { count: 0, most: Some(3) });
    assert!(killed(&stage, (Step::Claim, When::After), "events", body).await);
    stage.handlers[0].start().await;
    for point in SWEEP {
        let since = Instant::now();
        // There is something to sweep when the leases of what was abandoned last are over.
        while !killed(&stage, point, "sweep", envelope::timer()).await {
            assert!(since.elapsed() < Duration::from_secs(60), "never at {point:?}");
            sleep(Duration::from_millis(250)).await;
        }
        println!("killed in a sweep at {point:?} after {:.1} s", since.elapsed().as_secs_f64());
        stage.handlers[0].start().await;
    }
    // Nobody brought the batch again: the sweeps alone finish it.
    stage.come_to_rest().await;
    let names = stage.customers();
    let second = (0..64).filter(|key| names[&key.to_string()] == name(*key, 2)).count();
    println!("the sweeps brought {second} of 64 keys to their second version");
    redelivered(&stage, &events).await;
    stage.come_to_rest().await;
    assert_eq!(stage.customers(), (0..64).map(|key| (key.to_string(), name(key, 2))).collect());
}
