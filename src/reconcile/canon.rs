//! One text for every value that the target takes for the same.
//!
//! In goes a value, as a map made it or as the target shows it, and what its column holds; out comes
//! text that is equal exactly when the target would not tell the two apart: trailing blanks, the empty
//! text, line ends, digits beyond the column's precision, parts of a second, the order of choices, and,
//! in keys, letters of either case. A collation may also ignore accents; that is left to the target,
//! which is asked again before a row is called missing.

use jiff::{Timestamp, tz::TimeZone};
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::value::RawValue;

use crate::row::{Lookup, Value};
use crate::system::ColumnKind;

/// What a column holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Canon {
    pub(super) kind: Option<ColumnKind>,
    /// Digits after the point.
    pub(super) precision: Option<u32>,
}

impl Canon {
    /// The text of a value; none for null.
    pub(super) fn text(&self, value: &Value) -> Option<String> {
        match (self.kind, value) {
            (_, Value::Null) => None,
            (_, Value::Lookup(lookup)) => reference(lookup),
            (Some(ColumnKind::Date), Value::Time(time)) => {
                Some(time.to_zoned(TimeZone::UTC).date().to_string())
            }
            (Some(ColumnKind::Date), Value::Text(text)) => {
                Some(text.get(..10).unwrap_or(text).to_owned())
            }
            (Some(ColumnKind::Time), Value::Date(date)) => Some(format!("{date}T00:00:00Z")),
            (Some(ColumnKind::Time), Value::Text(text)) => {
                let moment: Option<Timestamp> = text.parse().ok();
                Some(moment.map_or_else(|| text.clone(), seconds))
            }
            (_, Value::Time(time)) => Some(seconds(*time)),
            (Some(ColumnKind::Decimal | ColumnKind::Money | ColumnKind::Double), value) => {
                Some(self.number(value))
            }
            (_, Value::Decimal(number)) => Some(number.normalize().to_string()),
            (Some(ColumnKind::Choices), Value::Text(text)) => Some(sorted(text.split(','))),
            (_, Value::Choices(choices)) => {
                let texts: Vec<String> = choices.iter().map(ToString::to_string).collect();
                Some(sorted(texts.iter().map(String::as_str)))
            }
            (
                Some(ColumnKind::Guid | ColumnKind::Lookup | ColumnKind::Owner),
                Value::Text(text),
            ) => Some(text.trim_matches(['{', '}']).to_ascii_lowercase()),
            (_, Value::Text(text)) => plain(text),
            (_, Value::Integer(_) | Value::Boolean(_) | Value::Date(_) | Value::Guid(_)) => {
                Some(value.to_string())
            }
        }
    }

    /// The same of a value as JSON has it.
    pub(super) fn json(&self, raw: &RawValue) -> Option<String> {
        self.text(&value(raw))
    }

    /// The text of a part of a key.
    pub(super) fn key(&self, value: &Value) -> Option<String> {
        self.text(value).map(|text| folded(&text))
    }

    fn number(&self, value: &Value) -> String {
        let text = value.to_string();
        let number = Decimal::from_str_exact(&text).or_else(|_| Decimal::from_scientific(&text));
        let Ok(number) = number else { return text };
        let rounded = self.precision.map_or(number, |digits| {
            number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero)
        });
        rounded.normalize().to_string()
    }
}

/// A value in our types, as far as JSON tells them apart.
pub(super) fn value(raw: &RawValue) -> Value {
    let raw = raw.get();
    match raw.as_bytes().first() {
        Some(b'"') => Value::Text(serde_json::from_str(raw).unwrap_or_default()),
        Some(b't') => Value::Boolean(true),
        Some(b'f') => Value::Boolean(false),
        Some(b'n') | None => Value::Null,
        Some(_) => match (raw.parse(), Decimal::from_str_exact(raw)) {
            (Ok(number), _) => Value::Integer(number),
            (Err(_), Ok(number)) => Value::Decimal(number),
            (Err(_), Err(_)) => Decimal::from_scientific(raw)
                .map_or_else(|_| Value::Text(raw.into()), Value::Decimal),
        },
    }
}

/// A reference by the key of its row, which is folded as all keys are.
fn reference(lookup: &Lookup) -> Option<String> {
    let parts = lookup.by.iter().map(|(_, value)| Canon::default().key(value));
    joined(parts)
}

/// The parts of a key in one text; none when one of them is null.
pub(super) fn joined(parts: impl IntoIterator<Item = Option<String>>) -> Option<String> {
    let parts: Option<Vec<String>> = parts.into_iter().collect();
    parts.map(|parts| parts.join("\u{1f}"))
}

fn folded(text: &str) -> String {
    text.trim_end().to_lowercase()
}

/// The empty text is null to the target.
fn plain(text: &str) -> Option<String> {
    let text = text.trim_end();
    (!text.is_empty())
        .then(|| if text.contains('\r') { text.replace("\r\n", "\n") } else { text.to_owned() })
}

fn seconds(time: Timestamp) -> String {
    Timestamp::from_second(time.as_second()).unwrap_or(time).to_string()
}

fn sorted<'t>(choices: impl Iterator<Item = &'t str>) -> String {
    let mut choices: Vec<&str> = choices.map(str::trim).collect();
    choices.sort_by_key(|choice| choice.parse::<i64>().unwrap_or(i64::MAX));
    choices.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn same(kind: ColumnKind, precision: Option<u32>, ours: &Value, theirs: &str) -> bool {
        let canon = Canon { kind: Some(kind), precision };
        let raw: Box<RawValue> = serde_json::from_str(theirs).unwrap();
        canon.text(ours) == canon.json(&raw)
    }

    #[test]
    fn what_the_target_takes_for_the_same_is_the_same() {
        let decimal = |text: &str| Value::Decimal(text.parse().unwrap());
        let text = |text: &str| Value::Text(text.into());
        for (kind, precision, ours, theirs) in [
            (ColumnKind::Text, None, text("A  "), r#""A""#),
            (ColumnKind::Text, None, text(""), "null"),
            (ColumnKind::Text, None, text("a\r\nb"), r#""a\nb""#),
            (ColumnKind::Money, Some(4), decimal("12500.50"), "12500.5000"),
            (ColumnKind::Money, Some(2), decimal("1.005"), "1.01"),
            (ColumnKind::Double, Some(2), decimal("1500"), "1.5e3"),
            (ColumnKind::Decimal, Some(2), Value::Integer(3), "3.00"),
            (ColumnKind::Choice, None, Value::Integer(3), "3"),
            (ColumnKind::Choices, None, Value::Choices(vec![1, 3]), r#""3,1""#),
            (
                ColumnKind::Date,
                None,
                Value::Date(jiff::civil::date(2024, 2, 29)),
                r#""2024-02-29""#,
            ),
            (
                ColumnKind::Date,
                None,
                Value::Time("2024-02-29T00:00:00Z".parse().unwrap()),
                r#""2024-02-29""#,
            ),
            (
                ColumnKind::Time,
                None,
                Value::Time("2024-02-29T01:02:03.9Z".parse().unwrap()),
                r#""2024-02-29T01:02:03Z""#,
            ),
            (
                ColumnKind::Guid,
                None,
                Value::Guid(uuid::Uuid::from_u128(0xab)),
                r#""{00000000-0000-0000-0000-0000000000AB}""#,
            ),
            (ColumnKind::Boolean, None, Value::Boolean(true), "true"),
        ] {
            assert!(same(kind, precision, &ours, theirs), "{kind:?} {ours:?} {theirs}");
        }
    }

    #[test]
    fn what_differs_stays_different() {
        let text = |text: &str| Value::Text(text.into());
        assert!(!same(ColumnKind::Text, None, &text("a"), r#""A""#), "letters count in values");
        assert!(!same(ColumnKind::Text, None, &text(" a"), r#""a""#));
        assert!(!same(ColumnKind::Money, Some(2), &Value::Integer(1), "1.01"));
        assert!(!same(ColumnKind::Integer, None, &Value::Integer(0), "null"));
        let canon = Canon::default();
        assert_eq!(canon.key(&text("Ab ")), canon.key(&text("aB")));
        assert_ne!(joined([Some("a".into()), Some("b".into())]), joined([Some("ab".into())]));
    }
}
