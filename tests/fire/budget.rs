//! What a batch may cost, from counters.

use crate::envelope::{Held, Retry};
use crate::singles::{batch, with_bad};
use crate::stage::Stage;

/// Target calls and storage operations of one delivery.
async fn cost(stage: &Stage, batch: &[Held]) -> (u64, u64) {
    let before = (stage.calls_for_rows(), stage.proxy.state.requests());
    let answer = stage.post(batch, Retry::default()).await.unwrap();
    assert!(answer.is_done(), "{answer:?}");
    let figures = answer.figures();
    let cost = (stage.calls_for_rows() - before.0, stage.proxy.state.requests() - before.1);
    println!("{} events cost {cost:?}; {figures}", batch.len());
    cost
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_of_256_changes_stays_within_its_budget() {
    let stage = Stage::calm(1).await;
    // The very first delivery also learns the tables; it is not counted.
    cost(&stage, &batch(900_000, 1, 0)).await;
    let (target, storage) = cost(&stage, &batch(0, 256, 1)).await;
    assert!(target <= 3 && storage <= 51, "cold: {target} target calls, {storage} operations");
    let (target, storage) = cost(&stage, &batch(10_000, 256, 1)).await;
    assert!(target <= 3 && storage <= 19, "new: {target} target calls, {storage} operations");
    let (target, storage) = cost(&stage, &batch(0, 256, 2)).await;
    assert!(target <= 3 && storage <= 19, "warm: {target} target calls, {storage} operations");
    let (target, storage) = cost(&stage, &batch(0, 256, 2)).await;
    assert_eq!((target, storage), (0, 0), "nothing new costs nothing");
    let (target, _) = cost(&stage, &with_bad(batch(0, 256, 3), 3)).await;
    assert!(target <= 4, "one bad chunk: {target} target calls");
}
