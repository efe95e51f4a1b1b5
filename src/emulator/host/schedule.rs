//! When a timer fires: NCRONTAB expressions of five or six fields, and intervals `hh:mm:ss`.
//!
//! Source: Azure Functions timer trigger. Times are UTC. Unlike Unix cron, day of month and day of
//! week must both match. Refused are values outside a field's range and unknown names.

use std::time::Duration;

use jiff::civil::{Date, DateTime, Time};
use jiff::{Timestamp, ToSpan, tz::TimeZone};

use crate::clock::after;

/// A parsed schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Schedule {
    /// At certain times of certain days.
    Cron(Box<Cron>),
    /// Again and again after the same span.
    Every(Duration),
}

/// The allowed values of each field, one bit each.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cron {
    second: u64,
    minute: u64,
    hour: u64,
    day: u64,
    month: u64,
    weekday: u64,
}

const MONTHS: &[&str] =
    &["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: &[&str] = &["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Days to look ahead before a schedule is taken to fire never (30 February): the longest gap of a
/// calendar is the eight years between two 29 Februaries around 1900 or 2100.
const HORIZON: i32 = 8 * 366;

impl Schedule {
    /// Parses an expression; says in words what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Some(span) = span(text) {
            return if span.is_zero() {
                Err(format!("the interval {text:?} is zero"))
            } else {
                Ok(Self::Every(span))
            };
        }
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [second, minute, hour, day, month, weekday] = match fields.as_slice() {
            [minute, hour, day, month, weekday] => ["0", minute, hour, day, month, weekday],
            [second, minute, hour, day, month, weekday] => {
                [*second, *minute, *hour, *day, *month, *weekday]
            }
            _ => {
                return Err(format!(
                    "{text:?} has neither five or six fields nor the form hh:mm:ss"
                ));
            }
        };
        Ok(Self::Cron(Box::new(Cron {
            second: field(second, 0, 59, &[])?,
            minute: field(minute, 0, 59, &[])?,
            hour: field(hour, 0, 23, &[])?,
            day: field(day, 1, 31, &[])?,
            month: field(month, 1, 12, MONTHS)?,
            weekday: field(weekday, 0, 6, WEEKDAYS)?,
        })))
    }

    /// The first moment after `moment` at which it fires; none when it never does.
    pub(super) fn next(&self, moment: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Every(span) => Some(after(moment, *span)),
            Self::Cron(cron) => cron.next(moment),
        }
    }

    /// Whether it can fire twice within a minute: the host then keeps no status of it.
    pub(super) fn is_rapid(&self) -> bool {
        match self {
            Self::Every(span) => *span < Duration::from_mins(1),
            Self::Cron(cron) => cron.second.count_ones() > 1,
        }
    }
}

impl Cron {
    fn next(&self, moment: Timestamp) -> Option<Timestamp> {
        let start = TimeZone::UTC.to_datetime(moment).checked_add(1.second()).ok()?;
        (0..HORIZON).find_map(|ahead| {
            let date = start.date().checked_add(ahead.days()).ok()?;
            let from = if ahead == 0 { start.time() } else { Time::midnight() };
            let time = self.fires_on(date).then(|| self.time_from(from)).flatten()?;
            TimeZone::UTC.to_timestamp(DateTime::from_parts(date, time)).ok()
        })
    }

    fn fires_on(&self, date: Date) -> bool {
        has(self.month, date.month())
            && has(self.day, date.day())
            && has(self.weekday, date.weekday().to_sunday_zero_offset())
    }

    fn time_from(&self, from: Time) -> Option<Time> {
        let hours = (from.hour()..24).filter(|hour| has(self.hour, *hour));
        hours.flat_map(|hour| (0..60).map(move |minute| (hour, minute))).find_map(
            |(hour, minute)| {
                let now = (hour, minute).cmp(&(from.hour(), from.minute()));
                let second = if now.is_eq() { from.second() } else { 0 };
                let fires = now.is_ge() && has(self.minute, minute);
                let second = (second..60).find(|second| fires && has(self.second, *second))?;
                Time::new(hour, minute, second, 0).ok()
            },
        )
    }
}

fn has(set: u64, value: i8) -> bool {
    u32::try_from(value).is_ok_and(|value| set & (1 << value) != 0)
}

/// The set of one field: `*`, `5`, `1-5`, `*/15`, `10-40/5`, names, and lists of these.
fn field(text: &str, low: u32, high: u32, names: &[&str]) -> Result<u64, String> {
    let wrong = || format!("{text:?} is no field of a schedule from {low} to {high}");
    let value = |part: &str| -> Result<u32, String> {
        let part = part.to_ascii_lowercase();
        let named = names.iter().zip(low..).find(|(name, _)| {
            part.len() >= 3 && part.starts_with(*name) && part.chars().all(char::is_alphabetic)
        });
        let found = named.map_or_else(|| part.parse().ok(), |(_, value)| Some(value));
        found.filter(|value| (low..=high).contains(value)).ok_or_else(wrong)
    };
    let mut set = 0;
    for part in text.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse().ok().filter(|step| *step > 0)),
            None => (part, Some(1)),
        };
        let step: usize = step.ok_or_else(wrong)?;
        let (first, last) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((first, last)) => (value(first)?, value(last)?),
            None if part.contains('/') => (value(range)?, high),
            None => (value(range)?, value(range)?),
        };
        if first > last {
            return Err(wrong());
        }
        set |= (first..=last).step_by(step).fold(0, |set, value| set | (1 << value));
    }
    Ok(set)
}

/// A span as .NET writes it: `hh:mm:ss` or `d.hh:mm:ss`.
pub(super) fn span(text: &str) -> Option<Duration> {
    let (days, clock) = match text.split_once('.') {
        Some((days, clock)) if clock.contains(':') => (days.parse().ok()?, clock),
        Some(_) | None => (0_u64, text),
    };
    let parts: Vec<u64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = parts.try_into().ok()?;
    let inside = hours < 24 && minutes < 60 && seconds < 60 && days < 10_000;
    inside.then(|| Duration::from_secs(((days * 24 + hours) * 60 + minutes) * 60 + seconds))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fires(schedule: &str, moment: &str) -> String {
        let next = Schedule::parse(schedule).unwrap().next(moment.parse().unwrap());
        next.map_or_else(|| "never".to_owned(), |next| next.to_string())
    }

    #[test]
    fn a_cron_expression_fires_at_the_next_matching_second() {
        for (schedule, moment, next) in [
            ("0 */5 * * * *", "2026-03-02T09:15:00Z", "2026-03-02T09:20:00Z"),
            ("0 */5 * * * *", "2026-03-02T09:14:59.5Z", "2026-03-02T09:15:00Z"),
            ("0 */5 * * * *", "2026-12-31T23:58:00Z", "2027-01-01T00:00:00Z"),
            ("*/15 * * * * *", "2026-03-02T09:15:01Z", "2026-03-02T09:15:15Z"),
            ("0 30 2 * * 1-5", "2026-03-06T03:00:00Z", "2026-03-09T02:30:00Z"),
            ("0 0 9 * * Sunday", "2026-03-02T00:00:00Z", "2026-03-08T09:00:00Z"),
            ("0 0 0 29 FEB *", "2026-03-02T00:00:00Z", "2028-02-29T00:00:00Z"),
            ("0 0 0 13 * Fri", "2026-03-14T00:00:00Z", "2026-11-13T00:00:00Z"),
            ("30 4 * * *", "2026-03-02T09:15:00Z", "2026-03-03T04:30:00Z"),
            ("5,10 59 23 31 12 *", "2026-12-31T23:59:05Z", "2026-12-31T23:59:10Z"),
            ("0 50/4 * * * *", "2026-03-02T09:51:00Z", "2026-03-02T09:54:00Z"),
            ("0 0 0 30 2 *", "2026-03-02T00:00:00Z", "never"),
        ] {
            assert_eq!(fires(schedule, moment), next, "{schedule} after {moment}");
        }
    }

    #[test]
    fn an_interval_counts_from_the_moment() {
        assert_eq!(fires("00:05:00", "2026-03-02T09:15:30Z"), "2026-03-02T09:20:30Z");
        assert_eq!(span("1.00:00:01"), Some(Duration::from_secs(86_401)));
    }

    #[test]
    fn what_is_no_schedule_is_refused_with_its_reason() {
        for wrong in [
            "",
            "* * * *",
            "60 * * * * *",
            "* * * 0 * *",
            "* * * * * 7",
            "0 5-1 * * * *",
            "0 */0 * * * *",
            "0 0 0 * Foo *",
            "00:00:00",
            "a:b:c",
            "* * * * * * *",
        ] {
            assert!(Schedule::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_host_keeps_no_status_of_what_fires_more_than_once_a_minute() {
        assert!(Schedule::parse("*/15 * * * * *").unwrap().is_rapid());
        assert!(!Schedule::parse("0 * * * * *").unwrap().is_rapid());
    }
}
