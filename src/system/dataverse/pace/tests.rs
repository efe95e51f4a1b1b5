use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures::future::join_all;
use tokio::time::{sleep, timeout};

use super::*;
use crate::chance::Chance;
use crate::clock::{Clock as _, RuntimeClock};
use crate::emulator::dataverse::limits::{Limits, Settings};

const WINDOW: Duration = Duration::from_mins(5);

fn soon() -> Instant {
    Instant::now() + Duration::from_secs(1)
}

async fn places(pace: &Pace, lane: Lane) -> usize {
    let mut held = Vec::new();
    while let Some(permit) = pace.enter(soon(), lane).await {
        held.push(permit);
    }
    held.len()
}

#[tokio::test(start_paused = true)]
async fn the_hint_is_followed_up_to_the_most_that_is_configured() {
    let pace = Pace::new(8, WINDOW);
    assert_eq!(places(&pace, Lane::Live).await, 4);
    pace.hint(50);
    assert_eq!(places(&pace, Lane::Live).await, 8);
    pace.hint(3);
    assert_eq!(places(&pace, Lane::Live).await, 3);
}

#[tokio::test(start_paused = true)]
async fn calls_throttled_together_halve_the_limit_once_and_all_wait_out_the_pause() {
    let pace = Pace::new(8, WINDOW);
    pace.hint(8);
    let enter = || pace.enter(soon(), Lane::Live);
    let (one, two) = (enter().await.unwrap(), enter().await.unwrap());
    one.throttled(Duration::from_secs(30));
    two.throttled(Duration::from_secs(20));
    drop((one, two));
    assert!(enter().await.is_none(), "nobody sends during the pause");
    let before = Instant::now();
    drop(pace.enter(before + Duration::from_mins(1), Lane::Live).await.unwrap());
    assert_eq!(before.elapsed().as_secs(), 30);
    assert_eq!(places(&pace, Lane::Live).await, 4);
    for _ in 0..40 {
        pace.went_well();
    }
    assert_eq!(places(&pace, Lane::Live).await, 8);
}

#[tokio::test(start_paused = true)]
async fn who_waits_gets_the_place_that_is_freed_and_live_work_gets_it_first() {
    let pace = Pace::new(1, WINDOW);
    let held = pace.enter(soon(), Lane::Bulk).await.unwrap();
    let order = Mutex::new(Vec::new());
    let take = async |lane| {
        let permit = pace.enter(soon(), lane).await.unwrap();
        order.lock().unwrap().push(lane);
        sleep(Duration::from_millis(1)).await;
        drop(permit);
    };
    tokio::join!(take(Lane::Bulk), take(Lane::Live), take(Lane::Live), async { drop(held) });
    assert_eq!(*order.lock().unwrap(), [Lane::Live, Lane::Live, Lane::Bulk]);
}

#[tokio::test(start_paused = true)]
async fn bulk_work_leaves_places_free_while_there_is_live_work() {
    let pace = Pace::new(8, WINDOW);
    pace.hint(8);
    assert_eq!(places(&pace, Lane::Bulk).await, 8);
    drop(pace.enter(soon(), Lane::Live).await);
    assert_eq!(places(&pace, Lane::Bulk).await, 6);
    sleep(EXPECTED).await;
    assert_eq!(places(&pace, Lane::Bulk).await, 8);
}

/// The service's own limits, over simulated time.
struct Service {
    limits: Mutex<Limits>,
    clock: RuntimeClock,
    chance: Chance,
    served: AtomicU64,
    spent: AtomicU64,
    refused: AtomicU64,
}

impl Service {
    fn new(settings: &str) -> Arc<Self> {
        Arc::new(Self {
            limits: Mutex::new(Limits::new(Settings::parse(settings).unwrap())),
            clock: RuntimeClock::starting_at(jiff::Timestamp::UNIX_EPOCH),
            chance: Chance::seeded(7),
            served: AtomicU64::default(),
            spent: AtomicU64::default(),
            refused: AtomicU64::default(),
        })
    }

    /// One call from the moment it is wanted until its answer is there.
    async fn call(&self, pace: &Pace, lane: Lane, takes: Duration) -> Duration {
        let wanted = Instant::now();
        loop {
            let deadline = Instant::now() + Duration::from_hours(1);
            let Some(permit) = pace.enter(deadline, lane).await else { continue };
            let (place, sent) = ((0, "us".to_owned()), Instant::now());
            let entered = self.limits.lock().unwrap().enter(self.clock.now(), &place);
            match entered {
                Ok(left) => {
                    let takes = self.chance.jittered(takes);
                    sleep(takes).await;
                    self.limits.lock().unwrap().leave(self.clock.now(), &place, takes);
                    self.served.fetch_add(1, Ordering::Relaxed);
                    let millis = u64::try_from(takes.as_millis()).unwrap();
                    self.spent.fetch_add(millis, Ordering::Relaxed);
                    let requests = f64::from(u32::try_from(left.requests).unwrap());
                    pace.left(sent, Left { requests, seconds: left.time.as_secs_f64() });
                    pace.went_well();
                    return wanted.elapsed();
                }
                Err(refusal) => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    permit.throttled(Duration::from_secs(refusal.retry_after.unwrap()));
                }
            }
        }
    }

    async fn calls_without_end(&self, pace: &Pace, lane: Lane, takes: Duration, at_once: usize) {
        join_all((0..at_once).map(async |_| {
            loop {
                self.call(pace, lane, takes).await;
            }
        }))
        .await;
    }

    fn counts(&self) -> [f64; 3] {
        [&self.served, &self.spent, &self.refused]
            .map(|count| f64::from(u32::try_from(count.load(Ordering::Relaxed)).unwrap()))
    }
}

/// Half an hour of as many calls as may be, after the first ten minutes. Answers what was served, the
/// milliseconds it took in all, and how many of a hundred calls were refused.
async fn settled(settings: &str, lane: Lane, takes: Duration) -> [f64; 3] {
    let (service, pace) = (Service::new(settings), Pace::new(80, WINDOW));
    let work = async {
        service.calls_without_end(&pace, lane, takes, 60).await;
    };
    let measure = async {
        sleep(Duration::from_mins(10)).await;
        let before = service.counts();
        sleep(Duration::from_mins(30)).await;
        let [served, spent, refused] = service.counts();
        let calls = served - before[0] + refused - before[2];
        [served - before[0], spent - before[1], (refused - before[2]) * 100.0 / calls]
    };
    tokio::select! {
        () = work => unreachable!("it has no end"),
        measured = measure => measured,
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_number_of_requests_allows_is_used_and_next_to_nothing_is_refused() {
    for lane in [Lane::Live, Lane::Bulk] {
        let [served, _, refused] = settled("on", lane, Duration::from_millis(80)).await;
        let used = served / 36_000.0;
        println!("requests, {lane:?}: {:.1} % used, {refused:.2} % refused", used * 100.0);
        assert!(used >= 0.95 && refused < 1.0, "{lane:?}: {used} used, {refused} % refused");
    }
}

#[tokio::test(start_paused = true)]
async fn what_execution_time_allows_is_used_and_next_to_nothing_is_refused() {
    for lane in [Lane::Live, Lane::Bulk] {
        let [_, spent, refused] = settled("on", lane, Duration::from_secs(4)).await;
        let used = spent / (1_200_000.0 * 6.0);
        println!("execution time, {lane:?}: {:.1} % used, {refused:.2} % refused", used * 100.0);
        assert!(used >= 0.95 && refused < 1.0, "{lane:?}: {used} used, {refused} % refused");
    }
}

#[tokio::test(start_paused = true)]
async fn as_many_calls_run_at_once_as_may_and_next_to_none_is_refused() {
    let settings = "requests=10000000,time=10000000";
    let [_, spent, refused] = settled(settings, Lane::Bulk, Duration::from_secs(2)).await;
    let used = spent / (52.0 * 1_800_000.0);
    println!("calls at once: {:.1} % used, {refused:.3} % refused", used * 100.0);
    assert!(used >= 0.95 && refused < 1.0, "{used} used, {refused} % refused");
}

/// The 95th percentile of a live call, once bulk work is settled: by how many places bulk work comes,
/// through the same pace or that of another instance.
async fn live_p95(settings: &str, bulk: usize, own: bool) -> Duration {
    let service = Service::new(settings);
    let (pace, other) = (Pace::new(16, WINDOW), Pace::new(16, WINDOW));
    pace.hint(16);
    other.hint(16);
    let takes = Duration::from_millis(200);
    let live = async {
        let mut taken = Vec::new();
        for number in 0..1_500 {
            sleep(service.chance.jittered(Duration::from_millis(300))).await;
            let took = service.call(&pace, Lane::Live, takes).await;
            if number > 700 {
                taken.push(took);
            }
        }
        taken.sort_unstable();
        taken[taken.len() * 95 / 100]
    };
    let bulk_pace = if own { &pace } else { &other };
    tokio::select! {
        () = service.calls_without_end(bulk_pace, Lane::Bulk, takes * 2, bulk), if bulk > 0 => {
            unreachable!("it has no end")
        }
        p95 = live => p95,
    }
}

#[tokio::test(start_paused = true)]
async fn live_calls_hardly_notice_bulk_work_here_or_in_another_instance() {
    for settings in ["on", "time=10000000,requests=10000000"] {
        let alone = live_p95(settings, 0, true).await;
        for own in [true, false] {
            let beside = live_p95(settings, 64, own).await;
            println!(
                "live p95 {alone:.0?} alone, {beside:.0?} beside bulk work ({own}, {settings})"
            );
            assert!(beside <= alone.mul_f64(1.2), "{alone:?} became {beside:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn who_gives_up_waiting_does_not_hold_back_bulk_work() {
    let pace = Pace::new(1, WINDOW);
    let held = pace.enter(soon(), Lane::Bulk).await.unwrap();
    let never = timeout(Duration::from_millis(5), pace.enter(soon(), Lane::Live)).await;
    assert!(never.is_err());
    drop(held);
    assert!(pace.enter(soon(), Lane::Bulk).await.is_some());
}
