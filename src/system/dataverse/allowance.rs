//! What is left of the service's allowance, as far as its answers and our own calls tell.
//!
//! The service counts requests and their execution time over a sliding window and says with each answer
//! what is left (Dataverse Web API, limits). Those two figures are meant for people; here they only hold
//! back: between two answers our own calls are counted against them, and what we spent a window ago is
//! back. Bulk work leaves a share of it to live work, here and in other instances.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::time::Instant;

use crate::system::Lane;

/// What is left in the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Left {
    /// Requests.
    pub(super) requests: f64,
    /// Seconds of execution.
    pub(super) seconds: f64,
}

/// What was told, and what we did since.
#[derive(Debug)]
pub(super) struct Allowance {
    window: Duration,
    /// The most that was ever told: the whole of it.
    whole: Option<Left>,
    /// The last answer: what it said of the moment at which its call was sent.
    told: Option<(Instant, Left)>,
    started: VecDeque<Instant>,
    ended: VecDeque<(Instant, Duration)>,
    running: usize,
    probed: Option<Instant>,
}

/// The share of the whole that bulk work leaves to live work.
const RESERVE: f64 = 0.025;
/// When nothing is left and no answer comes, one call in this time finds out what others left.
const PROBE: Duration = Duration::from_secs(5);
/// No more calls are remembered than the service lets through in a window on many servers.
const REMEMBERED: usize = 100_000;

impl Allowance {
    /// Nothing is known of limits that count over this window.
    pub(super) fn new(window: Duration) -> Self {
        Self {
            window,
            whole: None,
            told: None,
            started: VecDeque::new(),
            ended: VecDeque::new(),
            running: 0,
            probed: None,
        }
    }

    /// A call was sent.
    pub(super) fn start(&mut self, now: Instant) {
        self.running += 1;
        self.started.push_back(now);
        if self.started.len() > REMEMBERED {
            self.started.pop_front();
        }
    }

    /// A call ended after so long.
    pub(super) fn end(&mut self, now: Instant, took: Duration) {
        self.running = self.running.saturating_sub(1);
        self.ended.push_back((now, took));
        if self.ended.len() > REMEMBERED {
            self.ended.pop_front();
        }
    }

    /// The answer to a call that was sent at this moment said what was left then.
    pub(super) fn tell(&mut self, sent: Instant, left: Left) {
        if self.told.is_some_and(|(before, _)| before > sent) {
            return;
        }
        let whole = self.whole.unwrap_or(left);
        self.whole = Some(Left {
            requests: whole.requests.max(left.requests),
            seconds: whole.seconds.max(left.seconds),
        });
        self.told = Some((sent, left));
        self.forget(sent);
    }

    /// Until when a call had better wait; `None` when it may be sent.
    pub(super) fn wait(&mut self, now: Instant, lane: Lane) -> Option<Instant> {
        let (left, whole) = (self.left(now)?, self.whole?);
        let share = match lane {
            Lane::Live => 0.0,
            Lane::Bulk => RESERVE,
        };
        let few = left.requests < 1.0 + share * whole.requests;
        let short = left.seconds <= share * whole.seconds;
        if !few && !short {
            return None;
        }
        let probe = self.probed.or(self.told.map(|(at, _)| at)).map(|at| at + PROBE);
        if probe.is_some_and(|probe| probe <= now) {
            self.probed = Some(now);
            return None;
        }
        let back = |at: Option<Instant>| at.map(|at| at + self.window).filter(|at| *at > now);
        let request = back(self.started.iter().find(|at| **at + self.window > now).copied());
        let second = self.ended.iter().find(|(at, _)| *at + self.window > now);
        let second = back(second.map(|(at, _)| *at));
        let next = if few { request } else { second };
        [next, probe].into_iter().flatten().min()
    }

    /// Whether so much is left that a refusal must be about something else.
    pub(super) fn is_plenty(&self, now: Instant) -> bool {
        let left = self.left(now).zip(self.whole);
        left.is_some_and(|(left, whole)| {
            left.requests > RESERVE * whole.requests && left.seconds > RESERVE * whole.seconds
        })
    }

    /// What is left now: what was told, less what we did since, and what came back since.
    fn left(&self, now: Instant) -> Option<Left> {
        let (told, Left { mut requests, mut seconds }) = self.told?;
        let came_back =
            |at: Instant| at <= told && told < at + self.window && at + self.window <= now;
        requests -= count(self.started.iter().rev().take_while(|at| **at > told));
        requests += count(
            self.started
                .iter()
                .take_while(|at| **at + self.window <= now)
                .filter(|at| came_back(**at)),
        );
        let since: f64 = self
            .ended
            .iter()
            .rev()
            .take_while(|(at, _)| *at > told)
            .map(|(_, took)| took.as_secs_f64())
            .sum();
        let back: f64 = self
            .ended
            .iter()
            .take_while(|(at, _)| *at + self.window <= now)
            .filter(|(at, _)| came_back(*at))
            .map(|(_, took)| took.as_secs_f64())
            .sum();
        seconds += back - since - self.running_seconds();
        Some(Left { requests, seconds })
    }

    /// What the calls that are under way will have taken, going by the last few.
    fn running_seconds(&self) -> f64 {
        let last = self.ended.iter().rev().take(8).map(|(_, took)| took.as_secs_f64());
        let (sum, number) = last.fold((0.0, 0.0), |(sum, number), one| (sum + one, number + 1.0));
        if number > 0.0 { sum / number * count(0..self.running) } else { 0.0 }
    }

    /// Forgets what was back before anybody told what is left.
    fn forget(&mut self, told: Instant) {
        while self.started.front().is_some_and(|at| *at + self.window <= told) {
            self.started.pop_front();
        }
        while self.ended.front().is_some_and(|(at, _)| *at + self.window <= told) {
            self.ended.pop_front();
        }
    }
}

#[allow(clippy::cast_precision_loss, reason = "numbers of calls, far below 2^52")]
fn count(calls: impl Iterator) -> f64 {
    calls.count() as f64
}
