//! A value on its way through a rule: what the source sent, or already what the target takes.
//!
//! Missing, null and the empty text are three different things until a policy says otherwise. Numbers
//! stay the text they were sent as.

use std::borrow::Cow;

use serde_json::value::RawValue;

use crate::quote;
use crate::row::Value;

/// A value on its way.
#[derive(Clone, Debug, PartialEq)]
pub enum Datum<'a> {
    /// The property is not there.
    Missing,
    /// The property is null.
    Null,
    /// A text.
    Text(Cow<'a, str>),
    /// A number, as it was written.
    Number(Cow<'a, str>),
    /// Yes or no.
    Boolean(bool),
    /// A list or an object, as JSON.
    Json(Cow<'a, str>),
    /// Already in the target's types.
    Typed(Value),
}

impl<'a> Datum<'a> {
    /// Reads a JSON value; nothing but escaped texts is copied.
    pub fn read(raw: &'a RawValue) -> Self {
        Self::of_json(raw.get())
    }

    /// The same for the text of a JSON value that is known to be well-formed.
    pub fn of_json(text: &'a str) -> Self {
        match text.as_bytes().first() {
            Some(b'"') => Self::of_string(text),
            Some(b'n') => Self::Null,
            Some(b't') => Self::Boolean(true),
            Some(b'f') => Self::Boolean(false),
            Some(b'-' | b'0'..=b'9') => Self::Number(text.into()),
            Some(_) | None => Self::Json(text.into()),
        }
    }

    fn of_string(text: &'a str) -> Self {
        let inner = text.get(1..text.len().saturating_sub(1)).unwrap_or_default();
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Self::Text(inner.into());
        }
        match quote::unescaped(inner).or_else(|| serde_json::from_str(text).ok()) {
            Some(text) => Self::Text(text.into()),
            // half of a surrogate pair is no text, though JSON lets it pass
            None => Self::Json(text.into()),
        }
    }

    /// The value as text; none for missing, null, lists, objects and what is no single value.
    pub fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Text(text) | Self::Number(text) => Some(Cow::Borrowed(text)),
            Self::Boolean(yes) => Some(Cow::Borrowed(if *yes { "true" } else { "false" })),
            Self::Typed(Value::Text(text)) => Some(Cow::Borrowed(text)),
            Self::Typed(
                value @ (Value::Integer(_)
                | Value::Decimal(_)
                | Value::Boolean(_)
                | Value::Date(_)
                | Value::Time(_)
                | Value::Guid(_)
                | Value::Choices(_)),
            ) => Some(Cow::Owned(value.to_string())),
            Self::Missing
            | Self::Null
            | Self::Json(_)
            | Self::Typed(Value::Null | Value::Lookup(_)) => None,
        }
    }

    /// Whether there is nothing: missing, null or the empty text.
    pub fn is_blank(&self) -> bool {
        self.is_absent() || matches!(self, Self::Text(text) if text.is_empty())
    }

    /// Whether there is no value at all: missing or null.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Missing | Self::Null | Self::Typed(Value::Null))
    }

    /// How the value is shown in a trace.
    pub fn show(&self) -> String {
        match self {
            Self::Missing => "missing".to_owned(),
            Self::Null => "null".to_owned(),
            Self::Text(text) => format!("{text:?}"),
            Self::Number(text) | Self::Json(text) => text.to_string(),
            Self::Boolean(yes) => yes.to_string(),
            Self::Typed(Value::Text(text)) => format!("{text:?}"),
            Self::Typed(value) => value.to_string(),
        }
    }

    /// What the target is given when nothing converts the value: texts, numbers and booleans as text.
    pub fn into_value(self) -> Option<Value> {
        match self {
            Self::Missing | Self::Null => Some(Value::Null),
            Self::Text(text) | Self::Number(text) => Some(Value::Text(text.into_owned())),
            Self::Boolean(yes) => Some(Value::Text(yes.to_string())),
            Self::Typed(value) => Some(value),
            Self::Json(_) => None,
        }
    }

    /// The same value, owning what it holds.
    pub fn into_owned(self) -> Datum<'static> {
        match self {
            Self::Missing => Datum::Missing,
            Self::Null => Datum::Null,
            Self::Text(text) => Datum::Text(text.into_owned().into()),
            Self::Number(text) => Datum::Number(text.into_owned().into()),
            Self::Boolean(yes) => Datum::Boolean(yes),
            Self::Json(text) => Datum::Json(text.into_owned().into()),
            Self::Typed(value) => Datum::Typed(value),
        }
    }
}

impl From<Value> for Datum<'_> {
    /// A value that goes on through further steps: texts are texts again.
    fn from(value: Value) -> Self {
        match value {
            Value::Text(text) => Self::Text(text.into()),
            Value::Null => Self::Null,
            value @ (Value::Integer(_)
            | Value::Decimal(_)
            | Value::Boolean(_)
            | Value::Date(_)
            | Value::Time(_)
            | Value::Guid(_)
            | Value::Choices(_)
            | Value::Lookup(_)) => Self::Typed(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_keeps_its_digits_and_an_escaped_text_is_read() {
        let shown = |json: &str| Datum::of_json(json).show();
        assert_eq!(shown("18446744073709551616.10"), "18446744073709551616.10");
        assert_eq!(shown(r#""a\u00e9\"""#), r#""aé\"""#);
        assert_eq!(shown("null"), "null");
    }

    #[test]
    fn half_a_surrogate_pair_is_no_text() {
        assert_eq!(Datum::of_json(r#""\ud800""#).text(), None);
    }
}
