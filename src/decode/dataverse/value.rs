//! One normal form for values, whatever way they came: typed values of a context and values of a Web
//! API row come in; text, whole numbers, decimals without closing zeros, booleans, null, moments as
//! `2026-03-14T09:15:02Z`, dates as `2026-03-14`, choices as their numbers, several choices as `1,3`, and
//! references as GUIDs go out.
//!
//! Source: Dataverse Web API, column values in JSON, and webhooks, body.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;

use crate::decode::json::{self, Object, Type};

/// The most choices of one column.
const CHOICES: usize = 1_000;

/// A JSON value that is being passed on.
pub(super) type Raw<'a> = Cow<'a, RawValue>;

/// What a typed value of a context is.
pub(super) enum Typed<'a> {
    /// A single value, in normal form.
    Value(Raw<'a>),
    /// A reference: the row's id, and its table when it is named.
    Reference(Raw<'a>, Option<Raw<'a>>),
}

/// JSON of our own making.
pub(super) fn raw(json: String) -> Raw<'static> {
    RawValue::from_string(json).map_or(Cow::Borrowed(RawValue::NULL), Cow::Owned)
}

/// A text as JSON.
pub(super) fn text(text: &str) -> Raw<'static> {
    raw(serde_json::Value::from(text).to_string())
}

/// A value of a Web API row or of a context, in normal form; objects other than the known ones stay.
pub(super) fn normal(raw: &RawValue) -> Raw<'_> {
    match json::type_of(raw) {
        Type::Plain => number(raw),
        Type::Text => moment(raw).map_or(Cow::Borrowed(raw), |moment| text(&shown(moment))),
        Type::Array => choices(raw).map_or(Cow::Borrowed(raw), |choices| text(&choices)),
        Type::Object | Type::Null => Cow::Borrowed(raw),
    }
}

/// A value of a context, which may be an object around the value.
pub(super) fn typed(value: &RawValue) -> Typed<'_> {
    if json::type_of(value) != Type::Object {
        return Typed::Value(normal(value));
    }
    let Ok(object) = json::object(value.get(), "a value") else {
        return Typed::Value(Cow::Borrowed(value));
    };
    if let (Some(id), true) = (object.get("Id"), object.get("LogicalName").is_some()) {
        let table = object.get("LogicalName").filter(|name| json::type_of(name) == Type::Text);
        return Typed::Reference(Cow::Borrowed(id), table.map(Cow::Borrowed));
    }
    match object.get("Value") {
        Some(inner) => Typed::Value(normal(inner)),
        None => Typed::Value(Cow::Borrowed(value)),
    }
}

/// A moment as `/Date(1722582039000+0000)/`: the milliseconds are UTC whatever the offset says.
pub(super) fn moment(raw: &RawValue) -> Option<Timestamp> {
    let text = json::text(raw)?;
    let inner = text.strip_prefix("/Date(")?.strip_suffix(")/")?;
    let end = inner.get(1..)?.find(['+', '-']).map_or(inner.len(), |at| at + 1);
    Timestamp::from_millisecond(inner.get(..end)?.parse().ok()?).ok()
}

/// A moment as the Web API writes it: whole seconds.
pub(super) fn shown(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// The numbers of an array of choices.
fn choices(raw: &RawValue) -> Option<String> {
    let elements = json::array(raw.get(), "the choices", CHOICES).ok()?;
    let mut numbers = Vec::with_capacity(elements.len());
    for element in elements {
        let object: Object<'_> = json::object(element.get(), "a choice").ok()?;
        numbers.push(object.fact("Value")?.parse::<i32>().ok()?);
    }
    numbers.sort_unstable();
    let texts: Vec<String> = numbers.iter().map(ToString::to_string).collect();
    (!texts.is_empty()).then(|| texts.join(","))
}

/// `20000.0000` is `20000`: a context and a row write one amount with different zeros.
fn number(raw: &RawValue) -> Raw<'_> {
    let text = raw.get();
    let plain = text.contains('.') && !text.contains(['e', 'E']);
    let shorter = text.trim_end_matches('0').trim_end_matches('.');
    if plain && shorter.len() < text.len() {
        self::raw(if shorter == "-0" { "0".to_owned() } else { shorter.to_owned() })
    } else {
        Cow::Borrowed(raw)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> String {
        let raw: Box<RawValue> = serde_json::from_str(json).unwrap();
        match typed(&raw) {
            Typed::Value(value) => value.get().to_owned(),
            Typed::Reference(id, table) => {
                format!("{} in {}", id.get(), table.map_or("?".into(), |t| t.get().to_owned()))
            }
        }
    }

    #[test]
    fn typed_values_become_plain_ones() {
        for (json, expected) in [
            (r#"{"__type":"Money:http:\/\/x","Value":2154.3200}"#, "2154.32"),
            (r#"{"__type":"OptionSetValue:http:\/\/x","Value":100000001}"#, "100000001"),
            (r#"[{"__type":"O","Value":3},{"__type":"O","Value":1}]"#, "\"1,3\""),
            ("20000.0000", "20000"),
            ("-0.0", "0"),
            ("100", "100"),
            ("1.50e3", "1.50e3"),
            ("true", "true"),
            ("null", "null"),
            (r#""\/Date(1722582039000)\/""#, "\"2024-08-02T07:00:39Z\""),
            (r#""\/Date(1722582039999+0200)\/""#, "\"2024-08-02T07:00:39Z\""),
            (r#""\/Date(-1000-0500)\/""#, "\"1969-12-31T23:59:59Z\""),
            (r#""\/Date(soon)\/""#, r#""\/Date(soon)\/""#),
            ("[1,2]", "[1,2]"),
            ("[]", "[]"),
            (
                r#"{"__type":"EntityReference:x","Id":"b7","LogicalName":"acme_region"}"#,
                r#""b7" in "acme_region""#,
            ),
        ] {
            assert_eq!(read(json), expected, "{json}");
        }
    }
}
