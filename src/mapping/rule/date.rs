//! Dates and moments. In comes ISO 8601 or one of the map's own formats; out goes a day or a moment.
//!
//! No time zone is assumed that the map does not name. A time that a zone skips (spring) is taken as
//! the hour after; one that it has twice (autumn) as the first of the two.

use jiff::civil::{DateTime, Time};
use jiff::fmt::strtime::BrokenDownTime;
use jiff::fmt::temporal::{Pieces, PiecesOffset};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, civil};

use super::inconvertible;
use crate::fault::Fault;

/// What the source wrote.
#[derive(Clone, Copy, Debug)]
struct Written {
    day: civil::Date,
    time: Option<Time>,
    offset: Option<Offset>,
}

/// How dates are read.
#[derive(Clone, Debug, Default)]
pub struct Calendar {
    /// The zone of values without an offset, and of the days that moments fall on.
    pub zone: Option<TimeZone>,
    /// The map's own formats; ISO 8601 when empty.
    pub formats: Vec<String>,
}

impl Calendar {
    /// The day: as written, or where the moment falls in the map's zone.
    pub fn date(&self, text: &str) -> Result<civil::Date, Fault> {
        let written = self.read(text)?;
        match (&self.zone, written.offset, written.time) {
            (Some(zone), Some(offset), Some(time)) => {
                let moment = moment(written.day.to_datetime(time), offset)?;
                Ok(zone.to_datetime(moment).date())
            }
            (Some(_) | None, Some(_) | None, Some(_) | None) => Ok(written.day),
        }
    }

    /// The moment. A day alone is its midnight in the map's zone.
    pub fn moment(&self, text: &str) -> Result<Timestamp, Fault> {
        let written = self.read(text)?;
        let local = written.day.to_datetime(written.time.unwrap_or_default());
        match (written.offset, &self.zone) {
            (Some(offset), _) => moment(local, offset),
            (None, Some(zone)) => zone.to_timestamp(local).map_err(|_| range()),
            (None, None) => Err(inconvertible(
                "it has no offset from UTC and the map names no time zone for such values",
            )),
        }
    }

    fn read(&self, text: &str) -> Result<Written, Fault> {
        if self.formats.is_empty() {
            return iso(text).ok_or_else(|| inconvertible("it is not a date in ISO 8601"));
        }
        let read = self.formats.iter().find_map(|format| formatted(format, text));
        read.ok_or_else(|| inconvertible("it is in none of the formats of the map"))
    }
}

/// Whether a text is a format that dates can be written and read in.
pub fn is_format(format: &str) -> bool {
    let sample = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    format.contains('%') && jiff::fmt::strtime::format(format, &sample).is_ok()
}

fn moment(local: DateTime, offset: Offset) -> Result<Timestamp, Fault> {
    offset.to_timestamp(local).map_err(|_| range())
}

fn range() -> Fault {
    inconvertible("it is outside the range of dates")
}

fn iso(text: &str) -> Option<Written> {
    let pieces = Pieces::parse(text).ok()?;
    let offset = pieces.offset().map(|offset| match offset {
        PiecesOffset::Numeric(numeric) => numeric.offset(),
        PiecesOffset::Zulu | _ => Offset::UTC,
    });
    Some(Written { day: pieces.date(), time: pieces.time(), offset })
}

fn formatted(format: &str, text: &str) -> Option<Written> {
    let parsed = BrokenDownTime::parse(format, text).ok()?;
    if let Ok(moment) = parsed.to_timestamp() {
        let offset = parsed.offset().unwrap_or(Offset::UTC);
        let local = offset.to_datetime(moment);
        return Some(Written { day: local.date(), time: Some(local.time()), offset: Some(offset) });
    }
    Some(Written { day: parsed.to_date().ok()?, time: parsed.to_time().ok(), offset: None })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar(zone: Option<&str>, formats: &[&str]) -> Calendar {
        Calendar {
            zone: zone.map(|zone| TimeZone::get(zone).unwrap()),
            formats: formats.iter().map(|format| (*format).to_owned()).collect(),
        }
    }

    #[test]
    fn moments_without_an_offset_are_of_the_zone_the_map_names() {
        let copenhagen = calendar(Some("Europe/Copenhagen"), &[]);
        for (text, expected) in [
            ("2024-05-01T10:00:00", Some("2024-05-01T08:00:00Z")),
            ("2024-05-01 10:00", Some("2024-05-01T08:00:00Z")),
            ("2024-05-01T10:00:00.1234567+00:00", Some("2024-05-01T10:00:00.1234567Z")),
            ("2024-05-01T10:00:00Z", Some("2024-05-01T10:00:00Z")),
            ("2024-05-01", Some("2024-04-30T22:00:00Z")),
            ("2024-03-31T02:30:00", Some("2024-03-31T01:30:00Z")),
            ("2024-10-27T02:30:00", Some("2024-10-27T00:30:00Z")),
            ("2024-02-30", None),
            ("yesterday", None),
            ("", None),
        ] {
            let read = copenhagen.moment(text).ok().map(|moment| moment.to_string());
            assert_eq!(read.as_deref(), expected, "{text}");
        }
        assert!(calendar(None, &[]).moment("2024-05-01T10:00:00").is_err());
    }

    #[test]
    fn a_day_is_taken_as_written_unless_the_map_names_a_zone() {
        let late = "2024-05-01T23:30:00Z";
        assert_eq!(calendar(None, &[]).date(late).unwrap().to_string(), "2024-05-01");
        let zone = calendar(Some("Europe/Copenhagen"), &[]);
        assert_eq!(zone.date(late).unwrap().to_string(), "2024-05-02");
        assert_eq!(zone.date("2024-05-01").unwrap().to_string(), "2024-05-01");
    }

    #[test]
    fn the_first_format_that_fits_is_used() {
        let own = calendar(Some("UTC"), &["%d.%m.%Y", "%Y%m%d%H%M%S", "%d/%m/%Y %H:%M %z", "%s"]);
        assert_eq!(own.date("31.12.2024").unwrap().to_string(), "2024-12-31");
        assert_eq!(own.moment("20241231235959").unwrap().to_string(), "2024-12-31T23:59:59Z");
        assert_eq!(
            own.moment("01/01/2025 00:30 +0100").unwrap().to_string(),
            "2024-12-31T23:30:00Z"
        );
        assert_eq!(own.moment("1700000000").unwrap().to_string(), "2023-11-14T22:13:20Z");
        assert!(own.date("2024-12-31").is_err());
        assert!(own.formats.iter().all(|format| is_format(format)));
        assert!(!is_format("dd.MM.yyyy") && !is_format("%Q%9"));
    }
}
