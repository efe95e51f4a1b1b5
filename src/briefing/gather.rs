//! What a digest tells: figures of the day, of the same day a week before, and what waits now.

use std::collections::BTreeMap;

use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::Serialize;

use super::Briefing;
use crate::canary::History;
use crate::fault::Fault;
use crate::figures::Counts;
use crate::poison::{Filter, Status};

/// One day, and what waits now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Digest {
    /// The day, in UTC.
    pub day: Date,
    /// Each map that did anything on the day or the same day a week before; `-` stands for events that no
    /// map could read.
    pub maps: Vec<MapDay>,
    /// What waits now.
    pub waiting: Waiting,
    /// How long canaries took on the day, and how many did not arrive.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub canaries: Vec<History>,
    /// The week's trend, on the day for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub week: Option<Week>,
}

/// A map's day.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct MapDay {
    /// The map.
    pub map: String,
    /// Rows of the day.
    pub counts: Counts,
    /// Rows of the same day a week before.
    pub before: Counts,
}

/// What waits now.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Waiting {
    /// Messages of the work queue: deferred and parked.
    pub work: Option<u64>,
    /// Open error records.
    pub records: usize,
    /// When the oldest of them was first refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest: Option<Timestamp>,
    /// Open error records by code, most first.
    pub codes: Vec<(String, usize)>,
    /// Records whose last day is over.
    pub overdue: usize,
}

/// Poisoned rows by code: seven days up to the day, and the seven before.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Week {
    /// Rows applied in either week.
    pub applied: (u64, u64),
    /// Code, this week and the one before; most of this week first.
    pub codes: Vec<(String, u64, u64)>,
}

/// How many days are read at once.
const PARALLEL: usize = 7;

/// The digest of a day.
pub(super) async fn digest(from: &Briefing, day: Date, weekly: bool) -> Result<Digest, Fault> {
    let days = if weekly { 0_i64..14 } else { 0..8 };
    let reads = days.map(|ago| {
        let date = day.checked_sub(Span::new().days(ago)).unwrap_or(Date::MIN);
        async move { Ok::<_, Fault>((ago, from.figures.day(date).await?)) }
    });
    // Only the day and the one a week before, unless a trend is asked for.
    let reads = reads.enumerate().filter(|(ago, _)| weekly || *ago == 0 || *ago == 7);
    let reads: Vec<_> = reads.map(|(_, read)| read).collect();
    let days: BTreeMap<i64, BTreeMap<String, Counts>> =
        stream::iter(reads).buffer_unordered(PARALLEL).try_collect().await?;
    let week = weekly.then(|| week(&days));
    let (waiting, canaries) = (waiting(from, day).await?, canaries(from, day).await?);
    Ok(Digest { day, maps: maps(&days), waiting, canaries, week })
}

fn maps(days: &BTreeMap<i64, BTreeMap<String, Counts>>) -> Vec<MapDay> {
    let mut maps = BTreeMap::<&str, MapDay>::new();
    for (ago, counts) in days.iter().filter(|(ago, _)| **ago == 0 || **ago == 7) {
        for (map, counts) in counts {
            let told =
                maps.entry(map).or_insert_with(|| MapDay { map: map.clone(), ..MapDay::default() });
            if *ago == 0 { told.counts = counts.clone() } else { told.before = counts.clone() }
        }
    }
    maps.into_values().collect()
}

fn week(days: &BTreeMap<i64, BTreeMap<String, Counts>>) -> Week {
    let sum = |range: std::ops::Range<i64>| {
        let mut sum = Counts::default();
        let days = days.range(range).flat_map(|(_, maps)| maps.values());
        days.for_each(|counts| sum.add(counts));
        sum
    };
    let (this, before) = (sum(0..7), sum(7..14));
    let mut codes: BTreeMap<&String, (u64, u64)> = BTreeMap::new();
    this.codes.iter().for_each(|(code, rows)| codes.entry(code).or_default().0 = *rows);
    before.codes.iter().for_each(|(code, rows)| codes.entry(code).or_default().1 = *rows);
    let mut codes: Vec<_> =
        codes.into_iter().map(|(code, (now, then))| (code.clone(), now, then)).collect();
    codes.sort_by_key(|(_, now, _)| std::cmp::Reverse(*now));
    Week { applied: (this.of_word("applied"), before.of_word("applied")), codes }
}

/// What became of the day's canaries, for maps that have one.
async fn canaries(from: &Briefing, day: Date) -> Result<Vec<History>, Fault> {
    let midnight = |day: Date| {
        day.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |midnight| midnight.timestamp())
    };
    let span = (midnight(day), day.tomorrow().map_or(Timestamp::MAX, midnight));
    let mut canaries = Vec::new();
    for map in from.logbook.maps() {
        canaries.push(from.logbook.history(map, span).await?);
    }
    canaries.retain(|history| history.flights > 0);
    Ok(canaries)
}

async fn waiting(from: &Briefing, day: Date) -> Result<Waiting, Fault> {
    let filter = Filter { status: Some(Status::Open), ..Filter::default() };
    let open = from.poison.list(&from.partitions, &filter).await?;
    let mut codes = BTreeMap::<&str, usize>::new();
    for kept in &open {
        *codes.entry(kept.record.code.code()).or_default() += 1;
    }
    let mut codes: Vec<_> = codes.into_iter().map(|(code, rows)| (code.to_owned(), rows)).collect();
    codes.sort_by_key(|(_, rows)| std::cmp::Reverse(*rows));
    let overdue = open.iter().filter(|kept| kept.record.due.is_some_and(|due| due <= day)).count();
    Ok(Waiting {
        work: from.work.depth().await.ok(),
        records: open.len(),
        oldest: open.iter().map(|kept| kept.record.first).min(),
        codes,
        overdue,
    })
}
