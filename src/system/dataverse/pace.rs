//! How much is sent at once: how many calls, and how many rows in each.
//!
//! [`Pace`] follows the service's own hint and every 429: more by one at a time, half at once, and
//! nobody sends before a pause that was asked for is over. [`Chunks`] keeps, for every table, how
//! many rows one message takes. Both are shared by all writes of the process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

/// Calls at once before the service has given a hint: start low (Dataverse Web API, limits).
const FIRST: usize = 4;
/// The most rows of one message (Dataverse Web API, bulk: recommended 100 to 1000).
const MOST_ROWS: usize = 1000;
/// A message that took longer was too large.
const SLOW: Duration = Duration::from_secs(15);
/// A full message that took less may be larger.
const FAST: Duration = Duration::from_secs(3);

/// How many calls may run at once.
#[derive(Debug)]
pub(super) struct Pace {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    limit: f64,
    ceiling: usize,
    most: usize,
    running: usize,
    halvings: u64,
    hinted: bool,
    not_before: Option<Instant>,
}

/// Leave to make one call; dropped when its answer is there.
#[derive(Debug)]
pub(super) struct Permit<'p> {
    pace: &'p Pace,
    halvings: u64,
}

enum Turn {
    Go(u64),
    Full,
    Paused(Instant),
}

impl Pace {
    /// Never more than `most` calls at once.
    pub(super) fn new(most: usize) -> Self {
        let most = most.max(1);
        let state = State {
            limit: to_limit(most.min(FIRST)),
            ceiling: most,
            most,
            running: 0,
            halvings: 0,
            hinted: false,
            not_before: None,
        };
        Self { state: Mutex::new(state), freed: Notify::new() }
    }

    /// Waits for a free place. `None` when there is none before the deadline.
    pub(super) async fn enter(&self, deadline: Instant) -> Option<Permit<'_>> {
        loop {
            let freed = self.freed.notified();
            match self.turn() {
                Turn::Go(halvings) => return Some(Permit { pace: self, halvings }),
                Turn::Paused(until) if until >= deadline => return None,
                Turn::Paused(until) => sleep_until(until).await,
                Turn::Full => timeout_at(deadline, freed).await.ok()?,
            }
        }
    }

    /// A call went well: a little more may run at once.
    pub(super) fn went_well(&self) {
        let mut state = self.lock();
        state.limit = (state.limit + 1.0 / state.limit).min(to_limit(state.ceiling));
    }

    /// The service said how many calls at once it recommends. The first hint is taken at once.
    pub(super) fn hint(&self, recommended: usize) {
        let mut state = self.lock();
        state.ceiling = recommended.clamp(1, state.most);
        let ceiling = to_limit(state.ceiling);
        if !state.hinted || state.limit > ceiling {
            state.hinted = true;
            state.limit = ceiling;
        }
        drop(state);
        self.freed.notify_waiters();
    }

    fn turn(&self) -> Turn {
        let mut state = self.lock();
        if let Some(until) = state.not_before.filter(|until| *until > Instant::now()) {
            return Turn::Paused(until);
        }
        if to_limit(state.running) + 1.0 > state.limit.max(1.0) {
            return Turn::Full;
        }
        state.running += 1;
        Turn::Go(state.halvings)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit<'_> {
    /// The call was throttled: half as many from now on, and none before the pause is over. Calls
    /// that were under way together halve once.
    pub(super) fn throttled(&self, pause: Duration) {
        let mut state = self.pace.lock();
        if state.halvings == self.halvings {
            state.halvings += 1;
            state.limit = (state.limit / 2.0).max(1.0);
        }
        let until = Instant::now() + pause;
        state.not_before = Some(state.not_before.map_or(until, |set| set.max(until)));
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.pace.lock().running -= 1;
        self.pace.freed.notify_one();
    }
}

#[allow(clippy::cast_precision_loss, reason = "numbers of calls, far below 2^52")]
fn to_limit(calls: usize) -> f64 {
    calls as f64
}

/// How many rows one message of each table takes, and which tables take none.
#[derive(Debug)]
pub(super) struct Chunks {
    first: usize,
    tables: Mutex<HashMap<String, Chunk>>,
}

#[derive(Clone, Copy, Debug)]
struct Chunk {
    rows: usize,
    /// Growth is by a half until something was too much, and then by a sixteenth.
    step: usize,
    bulk: bool,
}

impl Chunks {
    /// Every table starts with `first` rows.
    pub(super) fn new(first: usize) -> Self {
        Self { first: first.clamp(1, MOST_ROWS), tables: Mutex::default() }
    }

    /// How many rows to send at once.
    pub(super) fn rows(&self, table: &str) -> usize {
        self.with(table, |chunk| chunk.rows)
    }

    /// Whether bulk messages are still believed to be there.
    pub(super) fn bulk(&self, table: &str) -> bool {
        self.with(table, |chunk| chunk.bulk)
    }

    /// The table has no bulk messages: not asked again in this process.
    pub(super) fn no_bulk(&self, table: &str) {
        self.with(table, |chunk| chunk.bulk = false);
    }

    /// A message of `sent` rows was too much for the service.
    pub(super) fn too_many(&self, table: &str, sent: usize) {
        self.with(table, |chunk| {
            chunk.rows = chunk.rows.min(sent / 2).max(1);
            chunk.step = 16;
        });
    }

    /// A message of `sent` rows took this long.
    pub(super) fn took(&self, table: &str, sent: usize, time: Duration) {
        if time > SLOW {
            self.too_many(table, sent);
        } else if time < FAST {
            self.with(table, |chunk| {
                if sent >= chunk.rows {
                    chunk.rows = (chunk.rows + chunk.rows.div_ceil(chunk.step)).min(MOST_ROWS);
                }
            });
        }
    }

    fn with<T>(&self, table: &str, act: impl FnOnce(&mut Chunk) -> T) -> T {
        let mut tables = self.tables.lock().unwrap_or_else(PoisonError::into_inner);
        let first = Chunk { rows: self.first, step: 2, bulk: true };
        act(tables.entry(table.to_owned()).or_insert(first))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn soon() -> Instant {
        Instant::now() + Duration::from_secs(1)
    }

    async fn places(pace: &Pace) -> usize {
        let mut held = Vec::new();
        while let Some(permit) = pace.enter(soon()).await {
            held.push(permit);
        }
        held.len()
    }

    #[tokio::test(start_paused = true)]
    async fn the_hint_is_followed_up_to_the_most_that_is_configured() {
        let pace = Pace::new(8);
        assert_eq!(places(&pace).await, 4);
        pace.hint(50);
        assert_eq!(places(&pace).await, 8);
        pace.hint(3);
        assert_eq!(places(&pace).await, 3);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_throttled_together_halve_the_limit_once_and_all_wait_out_the_pause() {
        let pace = Pace::new(8);
        pace.hint(8);
        let (one, two) = (pace.enter(soon()).await.unwrap(), pace.enter(soon()).await.unwrap());
        one.throttled(Duration::from_secs(30));
        two.throttled(Duration::from_secs(20));
        drop((one, two));
        assert!(pace.enter(soon()).await.is_none(), "nobody sends during the pause");
        let before = Instant::now();
        drop(pace.enter(before + Duration::from_mins(1)).await.unwrap());
        assert_eq!(before.elapsed().as_secs(), 30);
        assert_eq!(places(&pace).await, 4);
        for _ in 0..40 {
            pace.went_well();
        }
        assert_eq!(places(&pace).await, 8);
    }

    #[tokio::test(start_paused = true)]
    async fn who_waits_gets_the_place_that_is_freed() {
        let pace = Pace::new(1);
        let held = pace.enter(soon()).await.unwrap();
        let (waited, ()) = tokio::join!(pace.enter(soon()), async { drop(held) });
        assert!(waited.is_some());
    }

    #[test]
    fn chunks_shrink_when_slow_and_grow_when_full_and_fast() {
        let chunks = Chunks::new(256);
        chunks.took("a", 256, Duration::from_secs(1));
        assert_eq!(chunks.rows("a"), 384);
        chunks.took("a", 10, Duration::from_secs(1));
        assert_eq!(chunks.rows("a"), 384, "a small message says nothing");
        chunks.took("a", 384, Duration::from_secs(16));
        assert_eq!(chunks.rows("a"), 192);
        chunks.took("a", 192, Duration::from_secs(1));
        assert_eq!(chunks.rows("a"), 204, "carefully, once it was too much");
        for _ in 0..60 {
            chunks.took("a", 1000, Duration::from_secs(1));
        }
        assert_eq!(chunks.rows("a"), 1000);
        chunks.too_many("b", 1);
        assert_eq!(chunks.rows("b"), 1, "never nothing");
    }
}
