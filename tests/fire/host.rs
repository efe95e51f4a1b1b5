//! The host under fire: partitions that move, retries, the work queue, the timer, and `kill -9`.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use futures::future::{join, join_all};
use tokio::time::sleep;

use crate::envelope::{self, Retry};
use crate::handler::Answer;
use crate::plan::{Batch, Plan};
use crate::stage::Stage;

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
        join(join(partitions, self.killing()), join(self.working(), self.sweeping())).await;
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
        let mut count = 0;
        loop {
            let body = envelope::events(partition, &batch.events, Retry { count, most });
            self.tally.borrow_mut().posted += batch.events.len();
            let answer = self.stage.handlers[owner].post("events", body).await;
            if answer.as_ref().is_some_and(Answer::is_done) {
                return;
            }
            count = self.note(answer.as_ref(), (count, most.unwrap_or_default()));
            sleep(Duration::from_millis(if count > 1 { 300 } else { 60 })).await;
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

    async fn sweeping(&self) {
        while !self.done.get() {
            sleep(Duration::from_secs(2)).await;
            self.stage.sweep_once(self.any()).await;
            self.tally.borrow_mut().sweeps += 1;
        }
    }
}
