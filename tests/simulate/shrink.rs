//! A failing run made as small as it gets: less is said, sent, spoilt and tried, for as long as
//! something still goes wrong.

use std::collections::BTreeSet;

use crate::plan::Plan;
use crate::run;

/// How many runs may be tried in all.
const RUNS: usize = 6_000;
/// How many other dice a smaller plan is tried with: what happens when is drawn anew with each change.
const DICE: u64 = 6;

/// The smallest failing plan that was found, and what goes wrong in it.
pub(crate) fn shrunk(plan: &Plan, wrong: String) -> (Plan, String) {
    let mut found = Found { plan: plan.clone(), wrong, runs: 0 };
    loop {
        let before = found.plan.size();
        found.limit_faults();
        found.say_less();
        found.send_less();
        found.simplify();
        found.spare_faults();
        if found.plan.size() >= before || found.runs >= RUNS {
            return (found.plan, found.wrong);
        }
    }
}

struct Found {
    plan: Plan,
    wrong: String,
    runs: usize,
}

impl Found {
    /// Takes a smaller plan when it fails too, with its own dice or with others.
    fn take(&mut self, mut smaller: Plan) -> bool {
        smaller.spared.retain(|number| *number < smaller.faults);
        if smaller.size() >= self.plan.size() || smaller.said.is_empty() {
            return false;
        }
        for more in 0..DICE {
            if self.runs >= RUNS {
                return false;
            }
            self.runs += 1;
            let plan = Plan { dice: smaller.dice.wrapping_add(more), ..smaller.clone() };
            if let Err(wrong) = run(&plan) {
                (self.plan, self.wrong) = (plan, wrong.0);
                return true;
            }
        }
        false
    }

    /// No more faults than it takes.
    fn limit_faults(&mut self) {
        let happened = run(&self.plan).err().map_or(0, |wrong| wrong.1);
        let mut most = happened.min(self.plan.faults);
        self.take(Plan { faults: most, ..self.plan.clone() });
        while most > 0 && self.take(Plan { faults: most / 2, ..self.plan.clone() }) {
            most /= 2;
        }
        while self.plan.faults > 0 && self.plan.faults < 64 {
            if !self.take(Plan { faults: self.plan.faults - 1, ..self.plan.clone() }) {
                return;
            }
        }
    }

    fn say_less(&mut self) {
        let keys: BTreeSet<u64> = self.plan.said.iter().map(|said| said.key).collect();
        for key in keys {
            let gone = self.plan.said.iter().filter(|said| said.key == key).map(|said| said.id);
            let gone = gone.collect();
            self.without(&gone);
        }
        let ids: Vec<usize> = self.plan.said.iter().map(|said| said.id).collect();
        for size in [8, 4, 2, 1] {
            for gone in ids.chunks(size) {
                self.without(&gone.iter().copied().collect());
            }
        }
    }

    fn without(&mut self, gone: &BTreeSet<usize>) {
        let mut plan = self.plan.clone();
        plan.said.retain(|said| !gone.contains(&said.id));
        self.take(with_deliveries(plan.complete(), |(id, _)| !gone.contains(&id)));
    }

    fn send_less(&mut self) {
        for one in &self.sent() {
            // Everything that is said is sent at least once.
            if self.sent().iter().filter(|other| other.0 == one.0).count() > 1 {
                self.take(with_deliveries(self.plan.clone(), |other| other != *one));
            }
        }
        // Fewer partitions, and fewer batches: what follows another goes into it.
        for index in (1..self.plan.partitions.len()).rev() {
            let mut plan = self.plan.clone();
            let last = plan.partitions.remove(index);
            plan.partitions[index - 1].extend(last);
            self.take(plan);
        }
        for partition in 0..self.plan.partitions.len() {
            for batch in (1..self.plan.partitions[partition].len()).rev() {
                let mut plan = self.plan.clone();
                let last = plan.partitions[partition].remove(batch);
                plan.partitions[partition][batch - 1].extend(last);
                self.take(plan);
            }
        }
    }

    fn sent(&self) -> Vec<(usize, i64)> {
        self.plan.partitions.iter().flatten().flatten().copied().collect()
    }

    fn simplify(&mut self) {
        for index in 0..self.plan.said.len() {
            let mut plan = self.plan.clone();
            if plan.said[index].parent.take().is_some() {
                self.take(plan);
            }
        }
        while self.plan.instances > 1
            && self.take(Plan { instances: self.plan.instances - 1, ..self.plan.clone() })
        {}
        while self.plan.targets > 1
            && self.take(Plan { targets: self.plan.targets - 1, ..self.plan.clone() })
        {}
        while self.plan.retries > 0
            && self.take(Plan { retries: self.plan.retries - 1, ..self.plan.clone() })
        {}
    }

    fn spare_faults(&mut self) {
        for number in (0..self.plan.faults.min(64)).rev() {
            let mut plan = self.plan.clone();
            if plan.spared.insert(number) {
                self.take(plan);
            }
        }
    }
}

/// Keeps these deliveries; batches and partitions that are left empty go.
fn with_deliveries(mut plan: Plan, keep: impl Fn((usize, i64)) -> bool) -> Plan {
    for partition in &mut plan.partitions {
        partition.iter_mut().for_each(|batch| batch.retain(|one| keep(*one)));
        partition.retain(|batch| !batch.is_empty());
    }
    plan.partitions.retain(|partition| !partition.is_empty());
    plan
}
