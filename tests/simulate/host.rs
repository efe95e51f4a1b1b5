//! The host: partitions, retries, a work queue, a timer, and instances that die at any await.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use concord::delivery::{Attempt, Delivery, Event, Origin};
use concord::job::{self, Asked};
use concord::outcome::Verdict;
use concord::pipeline::{Pipeline, Swept};
use concord::store::Queue as _;
use futures::future::{join, join_all};

use crate::target::LONGEST;
use crate::world::{Mutant, World};

/// How long a call may take.
const WITHIN: Duration = Duration::from_secs(20);

impl World {
    /// Delivers everything that was said, some of it twice, in some order, over some partitions.
    pub(crate) async fn deliver_everything(&self) {
        let partitions = self.partitions();
        let done = std::cell::Cell::new(false);
        let deliveries = async {
            join_all(partitions.into_iter().map(|batches| self.partition(batches))).await;
            done.set(true);
        };
        let work = async {
            while !done.get() {
                tokio::time::sleep(Duration::from_secs(1)).await;
                self.work_once().await;
            }
        };
        let sweeps = async {
            while !done.get() {
                tokio::time::sleep(Duration::from_secs(20)).await;
                self.sweep_once().await;
            }
        };
        join(deliveries, join(work, sweeps)).await;
    }

    /// The batches of each partition, as the broker holds them.
    fn partitions(&self) -> Vec<Vec<Vec<Event>>> {
        let partitions = self.plan.partitions.iter().enumerate();
        let batches = partitions.map(|(number, batches)| {
            batches.iter().map(|batch| self.events(number, batch)).collect()
        });
        batches.collect()
    }

    fn events(&self, partition: usize, batch: &[(usize, i64)]) -> Vec<Event> {
        let event = |(id, sequence): &(usize, i64)| {
            let origin = Origin {
                stream: Some("hub".into()),
                partition: Some(partition.to_string().into()),
                sequence: Some(*sequence),
                enqueued: Some(self.clock.now()),
                received: Some(self.clock.now()),
            };
            Event { body: self.plan.change(*id).body().into(), origin, ..Event::default() }
        };
        batch.iter().map(event).collect()
    }

    async fn partition(&self, batches: Vec<Vec<Event>>) {
        for batch in batches {
            // A partition that moves: two instances hold the same batch at once.
            if self.dice.fault("partition moved", 5.0) {
                join(self.batch(&batch), self.batch(&batch)).await;
            } else {
                self.batch(&batch).await;
            }
        }
    }

    /// Brings one batch until it is acknowledged.
    async fn batch(&self, events: &[Event]) {
        let mut count = 0;
        loop {
            let attempt = Attempt { count, last: count >= self.plan.retries };
            let delivery = Delivery {
                system: "mdm".into(),
                function: "events".into(),
                invocation: "simulated".into(),
                traceparent: None,
                attempt,
                within: WITHIN,
                events: events.to_vec(),
            };
            let ran = self.alive(async |instance| instance.run(&delivery).await).await;
            match ran.map(|report| report.verdict) {
                Some(Verdict::Acknowledge) => return,
                Some(Verdict::Redeliver(_)) if self.dice.is(Mutant::NeverRedeliver) => return,
                Some(Verdict::Redeliver(_)) => count = (count + 1).min(self.plan.retries),
                None => count = 0,
            }
            tokio::time::sleep(self.dice.latency(4_000)).await;
        }
    }

    /// Hands messages of the work queue to an instance, as the host's queue trigger does.
    pub(crate) async fn work_once(&self) {
        let taken = self.work.take(4, Duration::from_secs(60)).await.unwrap();
        for message in taken {
            if self.dice.is(Mutant::ForgetDeferred) {
                self.work.remove(&message).await.unwrap();
            }
            let asked = Asked {
                function: "work".into(),
                invocation: "simulated".into(),
                traceparent: None,
                within: WITHIN,
            };
            let ran = self.alive(async |one| job::work(&one, &message.body, asked.clone()).await);
            if let Some(Ok(report)) = ran.await
                && report.verdict == Verdict::Acknowledge
            {
                self.work.remove(&message).await.unwrap();
            }
        }
    }

    pub(crate) async fn sweep_once(&self) -> Option<Swept> {
        if self.dice.is(Mutant::NeverSweep) {
            return Some(Swept::default());
        }
        self.alive(async |instance| instance.sweep(WITHIN).await).await.and_then(Result::ok)
    }

    /// Runs something on some instance, which may die on the way: what it was doing is dropped where it
    /// stood, and a new process takes its place.
    async fn alive<T, F: Future<Output = T>>(
        &self,
        act: impl FnOnce(Arc<Pipeline>) -> F,
    ) -> Option<T> {
        let count = self.instances.borrow().len() as u64;
        let index = usize::try_from(self.dice.chance.below(count)).unwrap();
        let instance = Arc::clone(&self.instances.borrow()[index]);
        if !self.dice.fault("crash", 8.0) {
            return Some(act(instance).await);
        }
        match tokio::time::timeout(self.dice.latency(600), act(instance)).await {
            Ok(done) => Some(done),
            Err(_) => {
                self.crashes.set(self.crashes.get() + 1);
                let successor = self.instance();
                self.instances.borrow_mut()[index] = successor;
                None
            }
        }
    }

    /// How many events wait for rows that are missing.
    fn parked(&self) -> usize {
        self.parked_rows("p~").len()
    }

    fn parked_rows(&self, beginning: &str) -> Vec<String> {
        let all = self.ledger.all().into_iter().map(|(place, _)| place);
        let parked = all.filter(|(partition, _)| partition.starts_with("~parked"));
        parked.map(|(_, row)| row).filter(|row| row.starts_with(beginning)).collect()
    }

    /// Whether no row is said to wait, by a pointer that was left behind.
    async fn nothing_points(&self) -> Result<(), String> {
        let parking = &self.instance().parking;
        for row in self.parked_rows("c~") {
            let child = row.split('~').nth(1).unwrap_or_default();
            let left = parking.pointers(child).await.map_err(|fault| fault.to_string())?;
            if !left.is_empty() {
                return Err(format!("nothing waits, and {row} is said to"));
            }
        }
        Ok(())
    }

    /// With no more faults, everything that waits comes to its end within hours.
    pub(crate) async fn come_to_rest(&self) -> Result<(), String> {
        tokio::time::sleep(WITHIN + LONGEST).await;
        let (mut calm, mut last) = (0, Swept::default());
        for _ in 0..2_000 {
            self.work_once().await;
            let swept = self.sweep_once().await.ok_or("the sweep failed without a fault")?;
            last = swept;
            let idle = swept == Swept::default() && self.work.len() == 0 && self.parked() == 0;
            calm = if idle { calm + 1 } else { 0 };
            if calm > 3 {
                return self.nothing_points().await;
            }
            tokio::time::sleep(Duration::from_secs(20)).await;
        }
        let (work, parked) = (self.work.len(), self.parked());
        Err(format!("not at rest after hours: {work} messages of work, {parked} parked, {last:?}"))
    }
}
