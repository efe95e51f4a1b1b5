//! Moments as systems write them: text or a number comes in, a timestamp goes out. A time without an
//! offset is UTC; a bare number is seconds, milliseconds or microseconds by its size.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;

/// Reads a moment; none when the text is not one.
///
/// Sources: CluedIn's `TimeStamp` carries the offset of its pod; `Epoch` is seconds on the Event Hub
/// and milliseconds in a lake; the Functions host writes UTC without a `Z`; CSV written by .NET has
/// `03/14/2026 09:15:02 +00:00`.
pub(crate) fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    if let Ok(number) = text.parse::<i64>() {
        return epoch(number);
    }
    let offset = || text.parse::<Timestamp>().ok();
    let utc = || {
        let civil = text.parse::<DateTime>().ok()?;
        Some(civil.to_zoned(TimeZone::UTC).ok()?.timestamp())
    };
    let invariant = || Timestamp::strptime("%m/%d/%Y %H:%M:%S %:z", text).ok();
    // Behind the day, where it stands if there is one: to try in vain is dear.
    let has_offset = text.get(10..).is_some_and(|time| time.contains(['Z', 'z', '+', '-']));
    let moment = if has_offset { offset().or_else(utc) } else { utc().or_else(offset) };
    moment.or_else(invariant)
}

/// Seconds until the year 5138, milliseconds and microseconds above: no source sends older ones.
fn epoch(number: i64) -> Option<Timestamp> {
    match number.unsigned_abs() {
        0..100_000_000_000 => Timestamp::from_second(number).ok(),
        100_000_000_000..100_000_000_000_000 => Timestamp::from_millisecond(number).ok(),
        100_000_000_000_000.. => Timestamp::from_microsecond(number).ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_one_moment_is_that_moment() {
        let expected: Timestamp = "2026-03-14T09:15:02Z".parse().unwrap();
        for text in [
            "2026-03-14T09:15:02Z",
            "2026-03-14T10:15:02+01:00",
            "2026-03-14T09:15:02.0000000+00:00",
            "2026-03-14T09:15:02",
            "2026-03-14 09:15:02",
            "03/14/2026 09:15:02 +00:00",
            "1773479702",
            "1773479702000",
            "1773479702000000",
            " 1773479702 ",
        ] {
            assert_eq!(moment(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_moment_is_none() {
        for text in ["", "soon", "2026-13-01T00:00:00Z", "9223372036854775807", "1e3", "-"] {
            assert_eq!(moment(text), None, "{text}");
        }
    }
}
