//! Reconciliation: the two sides of each map compared, every difference explained, and what is wrong
//! sent once more through the same path as any change.
//!
//! Both sides are read a page at a time (`side`), the source through its map, and each row leaves a
//! small print (`print`) of what the target would take for the same (`canon`, `shape`). The prints are
//! merged by their keys' hashes (`join`), which needs no common order of the two sides and little memory
//! for tables of any size. Rows that do not agree are read again and given their reason (`look`,
//! `class`), mended (`repair`), looked at once more where they were on their way (`again`), and
//! reported (`report`, `page`); `mark` says up to when all is verified. The work is cut into pieces
//! (`run`) that can be repeated. Where a source cannot be asked, the ledger stands for it.

mod again;
mod blobs;
mod canon;
mod class;
mod close;
mod config;
mod gone;
mod ground;
mod join;
mod look;
mod mark;
mod page;
mod plan;
mod planned;
mod print;
mod repair;
mod report;
mod run;
mod shape;
mod side;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

pub use self::class::{Act, Class};
pub use self::config::{Config, Depth, Order, Removals};
pub use self::mark::{Gap, Mark};
pub use self::plan::Planner;
pub use self::planned::{Does, Plan, Planned};
pub use self::report::{Done, Figures, Finding, Report, Reports};
pub use self::run::Piece;
pub use self::shape::Differs;
pub use self::side::Tally;

use self::blobs::Blobs;
use self::ground::Ground;
use self::run::{Run, Step, Word};
use self::side::Side;
use crate::delta::Places;
use crate::fault::{Fault, Kind};
use crate::pipeline::Pipeline;
use crate::store::Queue;

/// Compares.
#[derive(Debug)]
pub struct Reconciler {
    pipeline: Arc<Pipeline>,
    blobs: Blobs,
    queue: Arc<dyn Queue>,
    places: Places,
    config: Config,
    grounds: Mutex<HashMap<String, Arc<Ground>>>,
}

/// What one asks of a comparison.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// How deep it looks.
    pub depth: Depth,
    /// How many rows of each side a sample draws; as configured when none.
    pub sample: Option<usize>,
    /// What they are drawn with; another each time when none.
    pub seed: Option<u64>,
    /// Whether what is wrong is sent again.
    pub repair: bool,
    /// Whether it is only said what would be done.
    pub dry: bool,
}

/// Pieces that are done at once by one process.
const PARALLEL: usize = 4;

impl Reconciler {
    /// Over the path, with its blobs and the work queue, and the places that change tracking reached.
    pub fn new(
        pipeline: Arc<Pipeline>,
        (blobs, queue): (Arc<dyn ObjectStore>, Arc<dyn Queue>),
        places: Places,
        config: Config,
    ) -> Self {
        Self { pipeline, blobs: Blobs(blobs), queue, places, config, grounds: Mutex::default() }
    }

    /// The reports.
    pub fn reports(&self) -> Reports {
        Reports(self.blobs.clone())
    }

    /// The point up to which a map is verified.
    pub async fn mark(&self, map: &str) -> Result<Option<Mark>, Fault> {
        self.blobs.mark(map).await
    }

    /// Begins a comparison of these maps: its first pieces.
    pub async fn begin(&self, maps: &[String], wish: Wish) -> Result<Vec<Piece>, Fault> {
        let started = self.pipeline.clock.now();
        let chance = self.pipeline.chance.uuid().simple().to_string();
        let (second, millis) = (started.strftime("%Y%m%dT%H%M%S"), started.subsec_millisecond());
        let run = format!("{second}{millis:03}-{}", chance.get(..6).unwrap_or_default());
        let seed = wish.seed.unwrap_or_else(|| self.pipeline.chance.below(1 << 32));
        let mut pieces = Vec::new();
        for map in maps.iter().filter(|map| maps.len() == 1 || self.compares(map)) {
            let mark = self.blobs.mark(map).await?.unwrap_or_default();
            let since = mark.through.filter(|_| wish.depth == Depth::Since).and_then(overlapping);
            let removals = match since {
                Some(_) => self.removals(map, &mark).await?,
                None => Removals::All,
            };
            // what was never verified is compared whole
            let whole = wish.depth == Depth::Since && since.is_none();
            let order = Order {
                run: run.clone(),
                map: map.clone(),
                depth: if whole { Depth::Full } else { wish.depth },
                sample: wish.sample.unwrap_or(self.config.sample),
                seed,
                repair: wish.repair,
                dry: wish.dry,
                gently: false,
                started,
                since,
                removals,
                place: self.place(map).await?,
            };
            pieces.extend(first(&order));
        }
        Ok(pieces)
    }

    /// Whether there is anything to compare. Of several maps, those without are passed over.
    fn compares(&self, map: &str) -> bool {
        self.pipeline.maps.get(map).is_none_or(|map| map.compares())
    }

    /// Begins the nightly comparison of all maps; the work queue carries it.
    pub async fn night(&self) -> Result<usize, Fault> {
        let maps: Vec<String> =
            self.pipeline.maps.destinations().iter().map(|to| to.map.to_string()).collect();
        let wish =
            Wish { depth: self.config.nightly, repair: self.config.repair, ..Wish::default() };
        let pieces = self.begin(&maps, wish).await?;
        let gently = |mut piece: Piece| {
            piece.order.gently = true;
            piece
        };
        self.put(pieces.into_iter().map(gently).collect()).await?;
        Ok(maps.len())
    }

    async fn put(&self, pieces: Vec<Piece>) -> Result<(), Fault> {
        for piece in pieces {
            let message = serde_json::to_vec(&piece).map_err(|error| {
                Fault::new(Kind::TooLarge, "a piece of a comparison cannot be written")
                    .caused_by(error)
            })?;
            let put = self.queue.put(&message, again::pause(&piece.step)).await;
            put.map_err(|error| error.fault("work queue"))?;
        }
        Ok(())
    }

    /// Does the piece that a message of the work queue is, and puts those that follow there. `None`
    /// when the message is something else; the report when it was the last piece of a comparison.
    pub async fn work(
        &self,
        message: &[u8],
        within: Duration,
    ) -> Option<Result<Option<Report>, Fault>> {
        let piece: Piece = serde_json::from_slice(message).ok()?;
        Some(self.go_on(&piece, within.mul_f64(0.8)).await)
    }

    async fn go_on(&self, piece: &Piece, within: Duration) -> Result<Option<Report>, Fault> {
        let next = self.piece(piece, within).await?;
        self.put(next).await?;
        if piece.step != Step::Close {
            return Ok(None);
        }
        self.reports().get(&piece.order.map, Some(&piece.order.run)).await
    }

    /// Does all pieces here, some at once, and answers with the reports of the maps.
    pub async fn finish(
        self: &Arc<Self>,
        pieces: Vec<Piece>,
    ) -> Result<Vec<Result<Report, Fault>>, Fault> {
        let orders: std::collections::BTreeMap<String, Order> =
            pieces.iter().map(|piece| (piece.order.map.clone(), piece.order.clone())).collect();
        let mut waiting = pieces;
        let mut failed = HashMap::<String, Fault>::new();
        let mut tasks = JoinSet::new();
        loop {
            while tasks.len() < PARALLEL
                && let Some(piece) = waiting.pop()
            {
                let this = Arc::clone(self);
                tasks.spawn(async move {
                    tokio::time::sleep(again::pause(&piece.step)).await;
                    let done = this.piece(&piece, Duration::from_hours(1)).await;
                    (piece.order.map, done)
                });
            }
            match tasks.join_next().await {
                None => break,
                Some(Ok((_, Ok(next)))) => waiting.extend(next),
                Some(Ok((map, Err(fault)))) => {
                    waiting.retain(|piece| piece.order.map != map);
                    failed.insert(map, fault);
                }
                Some(Err(error)) => {
                    let fault =
                        Fault::new(Kind::Misconfigured, "a piece of a comparison broke off");
                    return Err(fault.caused_by(error));
                }
            }
        }
        let mut reports = Vec::with_capacity(orders.len());
        for (map, order) in orders {
            if let Some(fault) = failed.remove(&map) {
                reports.push(Err(fault));
                continue;
            }
            let report = self.reports().get(&map, Some(&order.run)).await?;
            reports.push(report.ok_or_else(|| run::unknown(&map)));
        }
        Ok(reports)
    }

    async fn piece(&self, piece: &Piece, within: Duration) -> Result<Vec<Piece>, Fault> {
        let until = Instant::now() + within;
        let ground = self.ground(&piece.order).await?;
        let run = Run {
            ground: &ground,
            blobs: &self.blobs,
            config: self.config,
            order: &piece.order,
            until,
        };
        let next = run.step(&piece.step).await?;
        if piece.step == Step::Close {
            self.grounds.lock().await.remove(&run::folder(&piece.order));
        }
        let order = &piece.order;
        let next = next.into_iter().map(|step| piece_of(order, step));
        Ok(next.collect())
    }

    /// Both sides of a map, opened once for all pieces of a comparison that come here.
    async fn ground(&self, order: &Order) -> Result<Arc<Ground>, Fault> {
        let name = run::folder(order);
        let mut grounds = self.grounds.lock().await;
        if let Some(ground) = grounds.get(&name) {
            return Ok(Arc::clone(ground));
        }
        let map = self.pipeline.maps.get(&order.map).ok_or_else(|| run::unknown(&order.map))?;
        let ground = Arc::new(Ground::open(&self.pipeline, map).await?);
        // a comparison whose last pieces went elsewhere is forgotten in time
        if grounds.len() >= 64 {
            grounds.clear();
        }
        grounds.insert(name, Arc::clone(&ground));
        Ok(ground)
    }
}

/// Changes that were made up to an hour before the mark are looked at again.
fn overlapping(through: jiff::Timestamp) -> Option<jiff::Timestamp> {
    through.checked_sub(jiff::SignedDuration::from_hours(1)).ok()
}

fn first(order: &Order) -> Vec<Piece> {
    let scan = |side| Step::Scan { side, at: None, part: 0 };
    let steps = match order.depth {
        Depth::Counts => vec![Step::Count],
        Depth::Sample | Depth::Full | Depth::Since => vec![scan(Side::Source), scan(Side::Target)],
    };
    steps.into_iter().map(|step| piece_of(order, step)).collect()
}

fn piece_of(order: &Order, step: Step) -> Piece {
    Piece { kind: Word::Reconcile, order: order.clone(), step }
}
