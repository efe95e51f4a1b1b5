//! A comparison in pieces. Each piece can be repeated and says which pieces follow; what it found out is
//! kept before it says so. The work queue carries them between instances, the command line does them one
//! after the other.
//!
//! ```text
//! count ─────────────────────────────────────────────────────────┐
//! scan source ─ … ─┐                                             │
//!                  ├─ match ─ look ─ … ─ remove ─ again ─ … ─ close
//! scan target ─ … ─┘
//! ```

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::again::is_passing;
use super::blobs::Blobs;
use super::class::Act;
use super::config::{Config, Depth, Order};
use super::ground::{Ground, Span};
use super::join::{self, Suspect, Suspects};
use super::look::{Looked, is_due};
use super::print;
use super::report::Finding;
use super::side::{At, Counts, Origin, Side, Tally};
use crate::fault::{Fault, Kind};
use crate::row::{Action, Key};
use crate::system::Source;

/// A piece of a comparison, as the work queue carries it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Piece {
    /// Tells it from other messages of the queue: `reconcile`.
    pub kind: Word,
    /// The comparison.
    pub order: Order,
    pub(super) step: Step,
}

/// The word `reconcile`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Word {
    /// A piece of a comparison.
    Reconcile,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    Count,
    Scan { side: Side, at: Option<At>, part: u32 },
    Match,
    Look { part: u32 },
    Remove,
    Again { round: usize },
    Close,
}

/// Pages that go into one segment of prints: what bounds the memory of a scan.
const PAGES: usize = 16;
/// Rows in one segment, likewise.
const ROWS: usize = 100_000;

/// What a finished side came to.
#[derive(Serialize, Deserialize)]
pub(super) struct End {
    pub(super) tally: Tally,
    pub(super) segments: u32,
}

/// What a piece of looking found.
#[derive(Default, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) looked: u64,
    pub(super) equal: u64,
    pub(super) findings: Vec<Finding>,
    pub(super) removals: Vec<(Key, Action)>,
    /// Findings that may pass by themselves, by their places.
    #[serde(default)]
    pub(super) passing: Vec<(usize, Suspect)>,
}

/// What became of the removals.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) enum Removed {
    None,
    Withheld(String),
    Done { left: usize, held: usize },
}

/// One comparison of one map, with both sides open.
pub(super) struct Run<'r> {
    pub(super) ground: &'r Ground,
    pub(super) blobs: &'r Blobs,
    pub(super) config: Config,
    pub(super) order: &'r Order,
    pub(super) until: Instant,
}

impl Run<'_> {
    /// Does one step, and says which follow.
    pub(super) async fn step(&self, step: &Step) -> Result<Vec<Step>, Fault> {
        match step {
            Step::Count => self.count().await,
            Step::Scan { side, at, part } => self.scan(*side, at.as_ref(), *part).await,
            Step::Match => self.matched().await,
            Step::Look { part } => self.look(*part).await,
            Step::Remove => self.remove().await,
            Step::Again { round } => self.again(*round).await,
            Step::Close => self.close().await.map(|_| Vec::new()),
        }
    }

    pub(super) fn path(&self, name: &str) -> String {
        format!("{}/{name}", folder(self.order))
    }

    fn segment(&self, side: Side, part: u32) -> String {
        self.path(&format!("{}-{part:05}.prints", side.word()))
    }

    async fn count(&self) -> Result<Vec<Step>, Fault> {
        let map = &self.ground.shape.map;
        let by = map.company();
        let theirs =
            self.ground.target.count(&map.destination.table, by.as_ref().map(|(_, to)| &**to));
        let theirs = theirs.await?;
        let ours = match &self.ground.origin {
            Origin::System(source, asked) => {
                Source::count(&**source, &asked.table, by.as_ref().map(|(from, _)| &**from)).await?
            }
            Origin::Ledger => self.entries().await?,
        };
        let mut counts = BTreeMap::<String, (u64, u64)>::new();
        for (name, rows) in ours {
            counts.entry(name).or_default().0 = rows;
        }
        for (name, rows) in theirs {
            counts.entry(name).or_default().1 = rows;
        }
        self.blobs.put_json(&self.path("counts.json"), &counts).await?;
        Ok(if self.order.depth == Depth::Counts { vec![Step::Close] } else { Vec::new() })
    }

    /// How many rows the ledger says are at the target.
    async fn entries(&self) -> Result<Counts, Fault> {
        let (mut rows, mut at) = (0, None);
        loop {
            let printed =
                self.ground.read((Side::Source, true), Span::default(), at.as_ref()).await?;
            rows += printed.prints.len() as u64;
            at = printed.next;
            if at.is_none() {
                return Ok(Counts::from([(String::new(), rows)]));
            }
        }
    }

    /// Reads pages of a side until a segment is full or time is up.
    async fn scan(&self, side: Side, at: Option<&At>, part: u32) -> Result<Vec<Step>, Fault> {
        let keys = self.order.depth == Depth::Sample;
        let span = Span::of(self.order);
        let (mut prints, mut next, mut tally) = (Vec::new(), at.cloned(), Tally::default());
        for page in 0..PAGES {
            let began = Instant::now();
            let read = self.ground.read((side, keys), span, next.as_ref()).await?;
            read.prints.iter().for_each(|print| tally.add(print.stand));
            prints.extend(read.prints);
            next = read.next;
            let late = Instant::now() + began.elapsed() * 2 >= self.until;
            if next.is_none() || prints.len() >= ROWS || late || page + 1 == PAGES {
                break;
            }
            self.rest(began).await;
        }
        let width = self.ground.shape.width();
        self.blobs.put(&self.segment(side, part), print::segment(prints, width)).await?;
        let total = self.path(&format!("{}-{part:05}.json", side.word()));
        self.blobs.put_json(&total, &tally).await?;
        if let Some(at) = next {
            return Ok(vec![Step::Scan { side, at: Some(at), part: part + 1 }]);
        }
        let mut sum = Tally::default();
        for part in 0..=part {
            let path = self.path(&format!("{}-{part:05}.json", side.word()));
            sum.join(self.blobs.get_json(&path).await?.unwrap_or_default());
        }
        let end = End { tally: sum, segments: part + 1 };
        self.blobs.put_json(&self.path(&format!("{}.end", side.word())), &end).await?;
        if self.end(side.other()).await?.is_none() {
            return Ok(Vec::new());
        }
        // Both sides may come to their ends at once, and one of them goes on: two would clear each other's
        // blobs away.
        let goes_on = self.blobs.is_first(&self.path("match"), side.word()).await?;
        Ok(if goes_on { vec![Step::Match] } else { Vec::new() })
    }

    /// Gives way to live work: rests for a share of the time that a page took.
    async fn rest(&self, began: Instant) {
        if self.order.gently {
            tokio::time::sleep(began.elapsed() * self.config.rest_percent / 100).await;
        }
    }

    pub(super) async fn end(&self, side: Side) -> Result<Option<End>, Fault> {
        self.blobs.get_json(&self.path(&format!("{}.end", side.word()))).await
    }

    async fn matched(&self) -> Result<Vec<Step>, Fault> {
        let mut segments = Vec::new();
        for side in [Side::Source, Side::Target] {
            let parts = self.end(side).await?.map_or(0, |end| end.segments);
            segments.extend((0..parts).map(|part| (side, self.segment(side, part))));
        }
        let sample = if self.order.depth == Depth::Sample { self.order.sample } else { 0 };
        let (width, partial) = (self.ground.shape.width(), self.order.since.is_some());
        let plan = join::Plan { sample, seed: self.order.seed, width, partial };
        let out = Suspects::below(self.blobs.clone(), folder(self.order));
        let joined = join::join(&self.blobs.0, &segments, plan, out).await?;
        self.blobs.put_json(&self.path("joined.json"), &joined).await?;
        Ok(vec![Step::Look { part: 0 }])
    }

    async fn look(&self, part: u32) -> Result<Vec<Step>, Fault> {
        let path = Suspects::path(&folder(self.order), part);
        let Some(suspects) = self.blobs.get_json::<Vec<Suspect>>(&path).await? else {
            return Ok(vec![Step::Remove]);
        };
        let mut looked = self.ground.look(suspects, self.order).await?;
        if self.order.dry {
            self.ground.foretell(&mut looked).await?;
        } else if self.order.repair {
            looked = self.ground.mend(looked, self.order, self.left()).await?;
        }
        self.keep_found(part, &self.found(looked)).await?;
        Ok(vec![Step::Look { part: part + 1 }])
    }

    /// The time that is left for writing.
    pub(super) fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now()).max(Duration::from_secs(5))
    }

    pub(super) async fn keep_found(&self, part: u32, found: &Found) -> Result<(), Fault> {
        self.blobs.put_json(&self.path(&format!("found-{part:05}.json")), found).await
    }

    fn found(&self, looked: Vec<Looked>) -> Found {
        let mut found = Found { looked: looked.len() as u64, ..Found::default() };
        for one in looked {
            if is_due(&one, Act::Remove) {
                found.removals.extend(self.ground.removal(&one));
            }
            let Some(finding) = one.finding else {
                found.equal += 1;
                continue;
            };
            if is_passing(&finding) {
                found.passing.push((found.findings.len(), one.suspect));
            }
            found.findings.push(finding);
        }
        found
    }

    pub(super) async fn all_found(&self) -> Result<Vec<Found>, Fault> {
        let mut all = Vec::new();
        for part in 0_u32.. {
            let path = self.path(&format!("found-{part:05}.json"));
            match self.blobs.get_json(&path).await? {
                Some(found) => all.push(found),
                None => break,
            }
        }
        Ok(all)
    }

    /// Removals come last and together, so that a source that is empty by mistake empties no target.
    async fn remove(&self) -> Result<Vec<Step>, Fault> {
        let found = self.all_found().await?;
        let removals: Vec<_> = found.into_iter().flat_map(|found| found.removals).collect();
        let idle = !self.order.repair || self.order.dry || removals.is_empty();
        let removed = if idle {
            Removed::None
        } else if let Some(why) = self.refused(removals.len() as u64).await? {
            Removed::Withheld(why)
        } else {
            let (left, held) = self.ground.remove(removals, self.left()).await?;
            Removed::Done { left, held }
        };
        self.blobs.put_json(&self.path("removed.json"), &removed).await?;
        Ok(vec![self.settling(0).await?])
    }

    /// How many rows each side has: as they were read, or as each says where only a part was read.
    async fn sizes(&self) -> Result<(u64, u64), Fault> {
        if self.order.since.is_some()
            && let Origin::System(source, asked) = &self.ground.origin
        {
            let ours = Source::count(&**source, &asked.table, None).await?;
            let theirs = self.ground.target.count(self.ground.target_table(), None).await?;
            return Ok((ours.values().sum(), theirs.values().sum()));
        }
        let rows = |end: Option<End>| end.map(|end| end.tally.rows).unwrap_or_default();
        Ok((rows(self.end(Side::Source).await?), rows(self.end(Side::Target).await?)))
    }

    /// Why so many rows are not removed without somebody's approval.
    async fn refused(&self, removals: u64) -> Result<Option<String>, Fault> {
        let (ours, theirs) = self.sizes().await?;
        if ours == 0 {
            return Ok(Some("the source has no rows at all, so none is removed".to_owned()));
        }
        let Config { removal_percent, removals: few, .. } = self.config;
        let most = few.max(theirs * removal_percent / 100);
        Ok((removals > most).then(|| {
            format!("{removals} rows would be removed, and {most} are allowed without approval")
        }))
    }
}

/// Where the pieces of a comparison leave what they found out.
pub(super) fn folder(order: &Order) -> String {
    format!("reconcile/runs/{}/{}", order.run, order.map)
}

/// No map is called so.
pub(super) fn unknown(map: &str) -> Fault {
    Fault::new(Kind::Misconfigured, format!("no map is called {map}; was it removed meanwhile?"))
}
