//! One contender's turn: fresh far sides, a fresh process, all the work, and what that came to.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::calls::{Side, Span, kinds, under_way};
use crate::drive::{Delivered, Growth, drive};
use crate::far::Far;
use crate::options::Options;
use crate::process::{Process, Used};
use crate::work::Work;

/// A handler that takes part.
#[derive(Clone, Debug)]
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    pub(crate) command: Vec<String>,
}

/// What a turn came to.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) name: &'static str,
    pub(crate) events: usize,
    pub(crate) took: Duration,
    pub(crate) start: Duration,
    /// What the process had used before the first event, and after the last.
    pub(crate) idle: Option<Used>,
    pub(crate) used: Option<Used>,
    pub(crate) growth: Growth,
    /// Seconds of each batch: in all, and while a call of it was under way at a far side.
    pub(crate) batches: Vec<(f64, f64)>,
    pub(crate) target: BTreeMap<&'static str, usize>,
    pub(crate) storage: BTreeMap<&'static str, usize>,
    /// Rows that are right, and that should be.
    pub(crate) right: (usize, usize),
    /// Rows that are there and wrong, or should not be there.
    pub(crate) surplus: usize,
    /// Messages on the poison queue, and bad events.
    pub(crate) poison: (usize, usize),
    /// Messages on other queues.
    pub(crate) deferred: usize,
}

/// Long enough for a process to come to rest after its start.
const REST: Duration = Duration::from_millis(500);

/// Takes one turn.
pub(crate) async fn turn(contender: &Contender, options: &Options, work: &Work) -> Turn {
    let far = Far::new(options).await;
    let process = start(contender, &far).await;
    tokio::time::sleep(REST).await;
    let idle = process.used();
    far.calls.take();
    let since = Instant::now();
    let (delivered, growth) = drive(work, &process, options.batch, options.growth).await;
    let took = since.elapsed();
    let used = process.used();
    let spans = far.calls.take();
    let start = process.start;
    process.end();
    let there = far.rows().await;
    let right = work.rows.iter().filter(|(key, revision)| there.get(*key) == Some(revision));
    let right = right.count();
    Turn {
        name: contender.name,
        events: work.events,
        took,
        start,
        idle,
        used,
        growth,
        batches: batches(&delivered, &spans),
        target: kinds(&spans, Side::Target),
        storage: kinds(&spans, Side::Storage),
        right: (right, work.rows.len()),
        surplus: there.len() - right,
        poison: (far.messages("poison"), work.bad),
        deferred: far.messages("work"),
    }
}

/// Starts the process without holding up the far sides, which it asks things while it starts.
async fn start(contender: &Contender, far: &Far) -> Process {
    let command = contender.command.clone();
    let maps = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/maps");
    let settings = [
        ("CONCORD_MAPS", maps.to_owned()),
        ("CONCORD_STORAGE", far.storage.clone()),
        ("SALES_URL", far.target.clone()),
    ];
    let started = tokio::task::spawn_blocking(move || Process::start(&command, &settings));
    started.await.expect("the handler starts")
}

/// Every batch with the time in which a call for its partition was under way.
fn batches(delivered: &[Delivered], spans: &[Span]) -> Vec<(f64, f64)> {
    let mut of_partition = BTreeMap::<usize, Vec<Span>>::new();
    for span in spans {
        if let Some(partition) = span.partition {
            of_partition.entry(partition).or_default().push(*span);
        }
    }
    let none = Vec::new();
    let mut batches = Vec::with_capacity(delivered.len());
    for Delivered { partition, from, to } in delivered {
        let spans = of_partition.get(partition).unwrap_or(&none);
        // Calls are noted in the order in which they ended.
        let first = spans.partition_point(|span| span.to < *from);
        let last = spans.partition_point(|span| span.to <= *to);
        let own = spans.get(first..last).unwrap_or_default();
        batches.push(((*to - *from).as_secs_f64(), under_way(own, *from, *to)));
    }
    batches
}

impl Turn {
    /// Whether every row and every bad event is where it belongs.
    pub(crate) fn is_right(&self) -> bool {
        let (right, wanted) = self.right;
        let (poisoned, bad) = self.poison;
        right == wanted && self.surplus == 0 && poisoned == bad
    }
}
