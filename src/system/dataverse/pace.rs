//! How many calls are made at once, and who goes first.
//!
//! [`Pace`] follows the service's own hint and every 429: more by one at a time, half at once, and
//! nobody sends before a pause that was asked for is over. Live work goes before bulk work: bulk work
//! waits while a live call waits, leaves places free while there is live work, and leaves a part of the
//! [`Allowance`] to it. Shared by all calls of the process to one environment.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::allowance::{Allowance, Left};
use crate::system::Lane;

/// Calls at once before the service has given a hint: start low (Dataverse Web API, limits).
const FIRST: usize = 4;
/// One place in so many is left to live work, while there is some.
const SPARED: usize = 4;
/// How long it takes until one more at once is tried than was too many.
const RAISE: Duration = Duration::from_mins(5);
/// How long after its last call live work is still expected.
const EXPECTED: Duration = Duration::from_mins(1);

/// How many calls may run at once.
#[derive(Debug)]
pub(super) struct Pace {
    state: Mutex<State>,
    freed: Notify,
}

#[derive(Debug)]
struct State {
    limit: f64,
    /// What the limit may grow to, and what that may grow to.
    ceiling: usize,
    top: usize,
    most: usize,
    /// When the ceiling was changed last.
    since: Option<Instant>,
    running: usize,
    halvings: u64,
    hinted: bool,
    not_before: Option<Instant>,
    /// Live calls that wait, and when the last one was sent.
    live: (usize, Option<Instant>),
    allowance: Allowance,
}

/// Leave to make one call; dropped when its answer is there.
#[derive(Debug)]
pub(super) struct Permit<'p> {
    pace: &'p Pace,
    halvings: u64,
    since: Instant,
}

/// A live call that waits: bulk calls let it go first.
struct Waiting<'p>(&'p Pace);

enum Turn {
    Go(u64),
    Full,
    Paused(Instant),
    Spent(Instant),
}

impl Pace {
    /// Never more than `most` calls at once, under limits that count over `window`.
    pub(super) fn new(most: usize, window: Duration) -> Self {
        let most = most.max(1);
        let state = State {
            limit: to_limit(most.min(FIRST)),
            ceiling: most,
            top: most,
            most,
            since: None,
            running: 0,
            halvings: 0,
            hinted: false,
            not_before: None,
            live: (0, None),
            allowance: Allowance::new(window),
        };
        Self { state: Mutex::new(state), freed: Notify::new() }
    }

    /// Waits for a free place. `None` when there is none before the deadline.
    pub(super) async fn enter(&self, deadline: Instant, lane: Lane) -> Option<Permit<'_>> {
        let _waiting = (lane == Lane::Live).then(|| Waiting::new(self));
        loop {
            let freed = self.freed.notified();
            let turn = self.lock().turn(lane, Instant::now());
            match turn {
                Turn::Go(halvings) => {
                    return Some(Permit { pace: self, halvings, since: Instant::now() });
                }
                Turn::Paused(until) if until >= deadline => return None,
                Turn::Paused(until) => sleep_until(until).await,
                Turn::Full => timeout_at(deadline, freed).await.ok()?,
                // An answer may say that there is more left.
                Turn::Spent(until) => {
                    let woken = timeout_at(until.min(deadline), freed).await;
                    if woken.is_err() && until >= deadline {
                        return None;
                    }
                }
            }
        }
    }

    /// A call went well: a little more may run at once.
    pub(super) fn went_well(&self) {
        let mut state = self.lock();
        let now = Instant::now();
        if state.ceiling < state.top && state.since.is_some_and(|since| since + RAISE <= now) {
            state.ceiling += 1;
            state.since = Some(now);
        }
        state.limit = (state.limit + 1.0 / state.limit).min(to_limit(state.ceiling));
    }

    /// The service said how many calls at once it recommends. The first hint is taken at once.
    pub(super) fn hint(&self, recommended: usize) {
        let mut state = self.lock();
        let top = recommended.clamp(1, state.most);
        if top != state.top {
            (state.top, state.ceiling) = (top, top);
        }
        let ceiling = to_limit(state.ceiling);
        if !state.hinted || state.limit > ceiling {
            state.hinted = true;
            state.limit = ceiling;
        }
        drop(state);
        self.freed.notify_waiters();
    }

    /// The answer to a call sent at this moment said what was left of the allowance then.
    pub(super) fn left(&self, sent: Instant, left: Left) {
        self.lock().allowance.tell(sent, left);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn turn(&mut self, lane: Lane, now: Instant) -> Turn {
        if let Some(until) = self.not_before.filter(|until| *until > now) {
            return Turn::Paused(until);
        }
        let spared = match lane {
            Lane::Live => 0,
            Lane::Bulk if self.live.0 > 0 => return Turn::Full,
            Lane::Bulk => self.spared(now),
        };
        let limit = (self.limit.max(1.0) - to_limit(spared)).max(1.0);
        if to_limit(self.running) + 1.0 > limit {
            return Turn::Full;
        }
        if let Some(until) = self.allowance.wait(now, lane) {
            return Turn::Spent(until);
        }
        self.running += 1;
        self.allowance.start(now);
        if lane == Lane::Live {
            self.live.1 = Some(now);
        }
        Turn::Go(self.halvings)
    }

    /// The places that bulk work leaves free.
    fn spared(&self, now: Instant) -> usize {
        let expected = self.live.1.is_some_and(|last| now < last + EXPECTED);
        if expected { self.ceiling.div_ceil(SPARED) } else { 0 }
    }
}

impl<'p> Waiting<'p> {
    fn new(pace: &'p Pace) -> Self {
        pace.lock().live.0 += 1;
        Self(pace)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.live.0 -= 1;
        let last = state.live.0 == 0;
        drop(state);
        if last {
            self.0.freed.notify_waiters();
        }
    }
}

impl Permit<'_> {
    /// The call was throttled: none before the pause is over, and fewer from now on. Half as many; but
    /// where the allowance is not spent, there were only too many at once, and a few less will do until
    /// one more is tried much later. Calls that were under way together count once.
    pub(super) fn throttled(&self, pause: Duration) {
        let now = Instant::now();
        let mut state = self.pace.lock();
        if state.halvings == self.halvings {
            state.halvings += 1;
            if state.allowance.is_plenty(now) {
                state.ceiling = (state.running - state.running.div_ceil(20)).max(1);
                state.limit = to_limit(state.ceiling);
                state.since = Some(now);
            } else {
                state.limit = (state.limit / 2.0).max(1.0);
            }
        }
        let until = now + pause;
        state.not_before = Some(state.not_before.map_or(until, |set| set.max(until)));
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        let now = Instant::now();
        let mut state = self.pace.lock();
        state.running -= 1;
        state.allowance.end(now, now.duration_since(self.since));
        drop(state);
        self.pace.freed.notify_waiters();
    }
}

#[allow(clippy::cast_precision_loss, reason = "numbers of calls, far below 2^52")]
fn to_limit(calls: usize) -> f64 {
    calls as f64
}

#[cfg(test)]
mod tests;
