//! The host under fire: partitions that move, retries, the work queue, the timer, and `kill -9`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use futures::future::{join, join_all};
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::envelope::{self, Retry};
use crate::handler::Answer;
use crate::plan::{Batch, Plan};
use crate::stage::Stage;

/// How often a long run says how far it is.
const TOLD: Duration = Duration::from_secs(30);

/// What can become of a row.
const OUTCOMES: [&str; 9] = [
    "applied",
    "unchanged",
    "superseded",
    "filtered",
    "held",
    "asked",
    "deferred",
    "parked",
    "poisoned",
];

/// How often an operator looks after what waits for a decision.
const LOOKED_AFTER: Duration = Duration::from_secs(20);

/// What the host saw.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    /// Events posted, every time they were.
    pub(crate) posted: usize,
    /// Deliveries that died with their process.
    pub(crate) unanswered: usize,
    /// Deliveries that were asked for again.
    pub(crate) redelivered: usize,
    /// Of these, on the last attempt: the host itself would not have come again.
    pub(crate) refused_last: usize,
    pub(crate) doubled: usize,
    pub(crate) kills: usize,
    pub(crate) sweeps: usize,
    pub(crate) work: usize,
    /// How often one message of the work queue was handed out at most.
    pub(crate) handed_out: u32,
    /// Why deliveries were asked for again.
    pub(crate) reasons: BTreeMap<String, usize>,
    /// How long it took from the death of a process until what it was carrying was acknowledged.
    pub(crate) recovered: Vec<Duration>,
    /// Rows by outcome, over all answers that acknowledged a batch of the hub.
    pub(crate) outcomes: BTreeMap<&'static str, u64>,
    /// Answers whose outcomes are not those of their events.
    pub(crate) miscounted: Vec<String>,
}

/// Delivers a plan.
pub(crate) struct Host<'a> {
    stage: &'a Stage,
    plan: &'a Plan,
    dice: RefCell<Rng>,
    delivered: Cell<usize>,
    done: Cell<bool>,
    pub(crate) tally: RefCell<Tally>,
}

impl<'a> Host<'a> {
    pub(crate) fn new(stage: &'a Stage, plan: &'a Plan, seed: u64) -> Self {
        Self {
            stage,
            plan,
            dice: RefCell::new(Rng::with_seed(seed)),
            delivered: Cell::new(0),
            done: Cell::new(false),
            tally: RefCell::default(),
        }
    }

    /// Delivers everything until all of it is acknowledged.
    pub(crate) async fn run(&self) {
        let partitions = async {
            let partitions = self.plan.partitions.iter().enumerate();
            join_all(partitions.map(|(number, batches)| self.partition(number, batches))).await;
            self.done.set(true);
        };
        let background = join(join(self.sweeping(), self.approving()), self.telling());
        join(join(partitions, self.killing()), join(self.working(), background)).await;
    }

    fn any(&self) -> usize {
        self.dice.borrow_mut().usize(0..self.stage.handlers.len())
    }

    async fn partition(&self, number: usize, batches: &[Batch]) {
        let mut owner = number % self.stage.handlers.len();
        for batch in batches {
            if batch.doubled && self.stage.handlers.len() > 1 {
                // The partition moves: the old owner still has the batch when the new one gets it.
                let next = (owner + 1) % self.stage.handlers.len();
                self.tally.borrow_mut().doubled += 1;
                join(self.batch(number, owner, batch), self.batch(number, next, batch)).await;
                owner = next;
            } else {
                self.batch(number, owner, batch).await;
            }
            self.delivered.set(self.delivered.get() + 1);
        }
    }

    /// Brings one batch until it is acknowledged.
    async fn batch(&self, partition: usize, owner: usize, batch: &Batch) {
        let most = match partition % 3 {
            0 => None,
            1 => Some(2),
            _ => Some(8),
        };
        let (mut count, mut died) = (0, None);
        loop {
            let body = envelope::events(partition, &batch.events, Retry { count, most });
            self.tally.borrow_mut().posted += batch.events.len();
            let answer = self.stage.handlers[owner].post("events", body).await;
            if let Some(answer) = answer.as_ref().filter(|answer| answer.is_done()) {
                self.count(batch, answer);
                let recovered = died.map(|died: Instant| died.elapsed());
                self.tally.borrow_mut().recovered.extend(recovered);
                return;
            }
            died = died.or_else(|| answer.is_none().then(Instant::now));
            count = self.note(answer.as_ref(), (count, most.unwrap_or_default()));
            sleep(Duration::from_millis(if count > 1 { 300 } else { 60 })).await;
        }
    }

    /// Every event has its outcomes: one for each map, or one when no map could read it, or when all of
    /// them wait as a whole because storage did not say what is paused.
    fn count(&self, batch: &Batch, answer: &Answer) {
        let figures = answer.figures();
        let mut tally = self.tally.borrow_mut();
        let mut sum = 0;
        for outcome in OUTCOMES {
            let rows = figures[outcome].as_u64().unwrap_or_default();
            sum += rows;
            *tally.outcomes.entry(outcome).or_default() += rows;
        }
        let events = batch.events.len();
        let whole = json!([{ "map": "-", "outcome": "deferred", "rows": events }]);
        let expected = if figures["maps"] == whole { events as u64 } else { batch.outcomes };
        if sum != expected || figures["events"] != events {
            tally.miscounted.push(format!("{expected} outcomes are called for: {figures}"));
        }
    }

    /// Notes why a delivery is not done; answers the number of its next attempt.
    fn note(&self, answer: Option<&Answer>, (count, most): (u32, u32)) -> u32 {
        let mut tally = self.tally.borrow_mut();
        let Some(answer) = answer else {
            tally.unanswered += 1;
            return 0;
        };
        tally.redelivered += 1;
        tally.refused_last += usize::from(count >= most);
        let reason = answer.body["error"]["message"].as_str().unwrap_or_default();
        let reason = reason.split(['(', ';']).next().unwrap_or_default();
        *tally.reasons.entry(reason.to_owned()).or_default() += 1;
        (count + 1).min(most)
    }

    /// Kills processes at their moments, and starts them again at once or a little later.
    async fn killing(&self) {
        for (before, number) in &self.plan.kills {
            while self.delivered.get() < *before && !self.done.get() {
                sleep(Duration::from_millis(10)).await;
            }
            if self.done.get() {
                return;
            }
            let (moment, pause) = {
                let mut dice = self.dice.borrow_mut();
                (dice.u64(0..400), if dice.bool() { 0 } else { dice.u64(0..800) })
            };
            sleep(Duration::from_millis(moment)).await;
            self.stage.handlers[*number].kill().await;
            self.tally.borrow_mut().kills += 1;
            sleep(Duration::from_millis(pause)).await;
            self.stage.handlers[*number].start().await;
        }
    }

    async fn working(&self) {
        while !self.done.get() {
            let (taken, most) = self.stage.work_once(self.any()).await;
            {
                let mut tally = self.tally.borrow_mut();
                tally.work += taken;
                tally.handed_out = tally.handed_out.max(most);
            }
            sleep(Duration::from_millis(250)).await;
        }
    }

    /// Says how far it is, now and then.
    async fn telling(&self) {
        let (batches, since) =
            (self.plan.partitions.iter().map(Vec::len).sum::<usize>(), Instant::now());
        let mut told = since;
        while !self.done.get() {
            sleep(Duration::from_millis(100)).await;
            if told.elapsed() < TOLD {
                continue;
            }
            told = Instant::now();
            let (tally, delivered) = (self.tally.borrow(), self.delivered.get());
            println!(
                "{:>5} s: {delivered} of {batches} batches, {} kills, {} asked for again, {} work messages",
                since.elapsed().as_secs(),
                tally.kills,
                tally.redelivered,
                tally.work,
            );
        }
    }

    /// An operator looks after removals that wait for approval. What fails comes right the next time.
    async fn approving(&self) {
        let mut since = Instant::now();
        while !self.done.get() {
            sleep(Duration::from_millis(100)).await;
            if since.elapsed() > LOOKED_AFTER {
                self.stage.approve().await;
                since = Instant::now();
            }
        }
    }

    async fn sweeping(&self) {
        while !self.done.get() {
            sleep(Duration::from_secs(2)).await;
            self.stage.sweep_once(self.any()).await;
            self.stage.hear_of_poison().await;
            self.tally.borrow_mut().sweeps += 1;
        }
    }
}
