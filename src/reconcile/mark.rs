//! The point up to which a map is verified: everything that the source did until then is at the target.
//! It moves on with every comparison that finds nothing open, and stops before the oldest difference
//! that is, until that one is mended.

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::blobs::Blobs;
use crate::fault::Fault;
use crate::system::source::Token;

/// How far a map is verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mark {
    /// Everything until then is at the target; none when that was never so.
    pub through: Option<Timestamp>,
    /// When that was found out.
    pub at: Timestamp,
    /// What it stopped at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gap: Option<Gap>,
    /// A place in the source's history, not after that point.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<Token>,
}

/// Differences that a mark stops at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Since when there is a gap.
    pub since: Timestamp,
    /// How many rows.
    pub rows: u64,
    /// One of them.
    pub key: String,
}

/// What is open after a comparison.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Open {
    pub(super) rows: u64,
    pub(super) key: Option<String>,
    /// When the source changed the oldest of them; none when that is not known of one.
    pub(super) oldest: Option<Timestamp>,
    pub(super) undated: bool,
}

impl Open {
    pub(super) fn add(&mut self, key: &str, changed: Option<Timestamp>) {
        self.rows += 1;
        match changed {
            Some(changed) => self.oldest = Some(self.oldest.map_or(changed, |at| at.min(changed))),
            None => self.undated = true,
        }
        self.key.get_or_insert_with(|| key.to_owned());
    }
}

/// The mark after a comparison that began at `started`, when the source's history stood at `place`. Without
/// one the mark keeps the place that it has, so that a removal in between is not passed over.
pub(super) fn moved(
    before: Option<&Mark>,
    open: &Open,
    (started, now): (Timestamp, Timestamp),
    place: Option<&Token>,
) -> Mark {
    let was = before.and_then(|mark| mark.through);
    let known = before.and_then(|mark| mark.place.as_ref());
    if open.rows == 0 {
        let place = place.or(known).cloned();
        return Mark { through: was.max(Some(started)), at: now, gap: None, place };
    }
    let second = SignedDuration::from_secs(1);
    let until = open.oldest.filter(|_| !open.undated);
    let until = until.and_then(|oldest| oldest.checked_sub(second).ok()).map(|at| at.min(started));
    let since = before.and_then(|mark| mark.gap.as_ref()).map_or(now, |gap| gap.since);
    let gap = Gap { since, rows: open.rows, key: open.key.clone().unwrap_or_default() };
    let through = was.max(until.filter(|_| was.is_some()));
    Mark { through, at: now, gap: Some(gap), place: known.cloned() }
}

fn path(map: &str) -> String {
    format!("reconcile/marks/{map}.json")
}

impl Blobs {
    pub(super) async fn mark(&self, map: &str) -> Result<Option<Mark>, Fault> {
        self.get_json(&path(map)).await
    }

    pub(super) async fn put_mark(&self, map: &str, mark: &Mark) -> Result<(), Fault> {
        self.put_json(&path(map), mark).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn the_mark_stops_before_the_oldest_gap_and_stays_until_it_is_mended() {
        let first = moved(None, &Open::default(), (at(100), at(110)), None);
        assert_eq!((first.through, &first.gap), (Some(at(100)), &None));
        let mut open = Open::default();
        open.add("7", Some(at(150)));
        open.add("8", Some(at(130)));
        let second = moved(Some(&first), &open, (at(200), at(210)), None);
        assert_eq!(second.through, Some(at(129)));
        assert_eq!(second.gap, Some(Gap { since: at(210), rows: 2, key: "7".into() }));
        let third = moved(Some(&second), &open, (at(300), at(310)), None);
        assert_eq!((third.through, third.gap.unwrap().since), (Some(at(129)), at(210)));
        let fourth = moved(Some(&second), &Open::default(), (at(400), at(410)), None);
        assert_eq!((fourth.through, fourth.gap), (Some(at(400)), None));
    }

    #[test]
    fn an_undated_gap_leaves_the_mark_where_it_was_and_it_never_goes_back() {
        let mark = Mark { through: Some(at(100)), at: at(100), ..Mark::default() };
        let mut open = Open::default();
        open.add("7", None);
        assert_eq!(moved(Some(&mark), &open, (at(200), at(210)), None).through, Some(at(100)));
        let mut old = Open::default();
        old.add("7", Some(at(50)));
        assert_eq!(moved(Some(&mark), &old, (at(200), at(210)), None).through, Some(at(100)));
        assert_eq!(moved(None, &old, (at(200), at(210)), None).through, None);
    }

    #[test]
    fn the_place_in_the_history_moves_with_the_mark_and_never_over_a_gap() {
        let place = |text: &str| Token(text.to_owned());
        let first = moved(None, &Open::default(), (at(100), at(110)), Some(&place("1")));
        let mut open = Open::default();
        open.add("7", Some(at(150)));
        let second = moved(Some(&first), &open, (at(200), at(210)), Some(&place("2")));
        assert_eq!(second.place, Some(place("1")));
        let third = moved(Some(&second), &Open::default(), (at(300), at(310)), None);
        assert_eq!(third.place, Some(place("1")));
        let fourth = moved(Some(&third), &Open::default(), (at(400), at(410)), Some(&place("4")));
        assert_eq!(fourth.place, Some(place("4")));
    }
}
