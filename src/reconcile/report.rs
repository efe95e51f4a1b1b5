//! What a comparison found: figures, every difference with its reason, what was done about it, and the
//! figures of the nights before. Kept as JSON and as a page.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use object_store::ObjectStore;
use serde::{Deserialize, Serialize};

use super::blobs::Blobs;
use super::class::{Act, Class};
use super::config::{Depth, Order};
use super::mark::Mark;
use super::page;
use super::shape::Differs;
use super::side::Tally;
use crate::fault::Fault;

/// A difference in one row, and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The row's key, masked when it is secured.
    pub key: String,
    /// Why it differs.
    pub class: Class,
    /// More of why: the record in quarantine, or the fault.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// The columns that differ; none when the row is on one side only.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub columns: Vec<Differs>,
    /// The source's id of the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// The target's id of the row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_id: Option<String>,
    /// When the source changed it last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_changed: Option<Timestamp>,
    /// When it was changed last at the target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target_changed: Option<Timestamp>,
    /// What should be done.
    pub act: Act,
    /// What was done.
    pub done: Done,
}

/// What was done about a difference.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", tag = "state", content = "why")]
pub enum Done {
    /// Nothing: there was nothing to do, or no repair was asked for.
    No,
    /// What a repair would do, and what nobody can know beforehand.
    Would(String),
    /// It was mended, and the two sides were seen to agree.
    Mended,
    /// It arrived while the sides were compared, and they were seen to agree.
    Arrived,
    /// It was sent, and is not there yet: why.
    Sent(String),
    /// It was not done for safety's sake: why.
    Withheld(String),
}

/// What one comparison of one map came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// What was asked for.
    pub order: Order,
    /// When it ended.
    pub ended: Timestamp,
    /// The source, or `ledger` where the source cannot be asked.
    pub from: String,
    /// The target's system and table.
    pub to: (String, String),
    /// The rows of the source.
    pub source: Tally,
    /// The rows of the target.
    pub target: Tally,
    /// Rows that agree.
    pub equal: u64,
    /// Rows that were looked at column by column.
    pub looked: u64,
    /// Counts by company, of each side; under the empty text where there is none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub counts: BTreeMap<String, (u64, u64)>,
    /// Differences by class, as they were found.
    pub found: BTreeMap<Class, u64>,
    /// Those of them that were mended, or arrived meanwhile.
    pub mended: u64,
    /// Those that are left and not as the map wants them.
    pub open: u64,
    /// Changes that the source made and that never arrived.
    pub holes: u64,
    /// The differences, up to a limit.
    pub findings: Vec<Finding>,
    /// Up to when everything is verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mark: Option<Mark>,
    /// The figures of earlier comparisons, oldest first.
    #[serde(default)]
    pub before: Vec<Figures>,
}

/// The figures of one comparison, for the trend.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Which.
    pub run: String,
    /// When it began.
    pub started: Timestamp,
    /// How deep it looked.
    pub depth: Depth,
    /// Rows of the source that should be at the target, and rows of the target.
    pub rows: (u64, u64),
    /// Differences that were found.
    pub found: u64,
    /// Holes among them.
    pub holes: u64,
    /// Those that were mended.
    pub mended: u64,
    /// Those that are left.
    pub open: u64,
}

/// Findings that a report shows; all are counted.
pub(super) const SHOWN: usize = 1_000;
/// Nights that the trend goes back.
const NIGHTS: usize = 60;

impl Report {
    /// Its figures.
    pub fn figures(&self) -> Figures {
        Figures {
            run: self.order.run.clone(),
            started: self.order.started,
            depth: self.order.depth,
            rows: match self.order.depth {
                Depth::Counts => {
                    let sum = |side: fn(&(u64, u64)) -> u64| self.counts.values().map(side).sum();
                    (sum(|rows| rows.0), sum(|rows| rows.1))
                }
                Depth::Sample | Depth::Full | Depth::Since => (self.source.there, self.target.rows),
            },
            found: self.found.iter().filter(|(class, _)| !class.is_meant()).map(|(_, n)| n).sum(),
            holes: self.holes,
            mended: self.mended,
            open: self.open,
        }
    }

    /// Whether the two sides are as the map wants them, now.
    pub fn is_equal(&self) -> bool {
        let counted = self.counts.values().all(|(ours, theirs)| ours == theirs);
        self.open == 0 && (self.order.depth != Depth::Counts || counted)
    }
}

/// Reports of all maps.
#[derive(Clone, Debug)]
pub struct Reports(pub(super) Blobs);

fn folder(map: &str) -> String {
    format!("reconcile/reports/{map}")
}

impl Reports {
    /// Those kept in these blobs.
    pub fn of(blobs: Arc<dyn ObjectStore>) -> Self {
        Self(Blobs(blobs))
    }

    /// The figures of a map's comparisons, oldest first.
    pub async fn trend(&self, map: &str) -> Result<Vec<Figures>, Fault> {
        let path = format!("reconcile/trends/{map}.json");
        Ok(self.0.get_json(&path).await?.unwrap_or_default())
    }

    /// One report; the newest without a name.
    pub async fn get(&self, map: &str, run: Option<&str>) -> Result<Option<Report>, Fault> {
        let newest = match run {
            Some(_) => None,
            None => self.trend(map).await?.pop().map(|figures| figures.run),
        };
        let Some(run) = run.or(newest.as_deref()) else { return Ok(None) };
        self.0.get_json(&format!("{}/{run}.json", folder(map))).await
    }

    /// The page of one report.
    pub async fn page(&self, map: &str, run: &str) -> Result<Option<bytes::Bytes>, Fault> {
        self.0.get(&format!("{}/{run}.html", folder(map))).await
    }

    /// Keeps a report, its page and its figures; twice is once.
    pub(super) async fn keep(&self, mut report: Report) -> Result<Report, Fault> {
        let (map, run) = (report.order.map.clone(), report.order.run.clone());
        let mut trend = self.trend(&map).await?;
        trend.retain(|figures| figures.run != run);
        report.before.clone_from(&trend);
        trend.push(report.figures());
        let surplus = trend.len().saturating_sub(NIGHTS);
        trend.drain(..surplus);
        self.0.put_json(&format!("{}/{run}.json", folder(&map)), &report).await?;
        self.0.put(&format!("{}/{run}.html", folder(&map)), page::html(&report)).await?;
        self.0.put_json(&format!("reconcile/trends/{map}.json"), &trend).await?;
        Ok(report)
    }
}
