//! A moment, or a span before now: `2026-03-14T09:15:00Z`, `2h`, `3 days`.

use std::str::FromStr;

use jiff::{SignedDuration, Span, SpanRelativeTo, Timestamp};

/// From when on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Since {
    At(Timestamp),
    Ago(SignedDuration),
}

impl Since {
    /// The moment that is meant now.
    pub(in crate::cli) fn moment(self, now: Timestamp) -> Timestamp {
        match self {
            Self::At(moment) => moment,
            Self::Ago(span) => now.checked_sub(span).unwrap_or(Timestamp::MIN),
        }
    }
}

impl FromStr for Since {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Ok(moment) = text.parse() {
            return Ok(Self::At(moment));
        }
        // A day has 24 hours here: the clock of the operator's place does not come into it.
        let days = SpanRelativeTo::days_are_24_hours();
        let span = text.parse::<Span>().and_then(|span| span.to_duration(days));
        let wrong = "write a moment such as 2026-03-14T09:15:00Z, or a span such as 30m, 2h or 3d";
        span.map(|span| Self::Ago(span.abs())).map_err(|_| wrong.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_or_a_span_before_now() {
        let now: Timestamp = "2026-03-14T12:00:00Z".parse().unwrap();
        let since = |text: &str| text.parse::<Since>().map(|since| since.moment(now).to_string());
        assert_eq!(since("2026-03-14T09:15:00Z").unwrap(), "2026-03-14T09:15:00Z");
        assert_eq!(since("2h").unwrap(), "2026-03-14T10:00:00Z");
        assert_eq!(since("30m").unwrap(), "2026-03-14T11:30:00Z");
        assert_eq!(since("3 days").unwrap(), "2026-03-11T12:00:00Z");
        for wrong in ["", "yesterday", "2", "1 month", "2026-03-14"] {
            assert!(since(wrong).is_err(), "{wrong}");
        }
    }
}
