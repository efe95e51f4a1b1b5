//! JSON read in place: text comes in, borrowed members and elements go out, unparsed until somebody
//! asks for one. Refused: what is not JSON, a name that stands twice in one object, and more members
//! than any event has. Messages name places, never values.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use crate::fault::{Fault, Kind};
use crate::quote;

/// The most members that one object may have.
const MEMBERS: usize = 10_000;
/// Room for so many is made at first.
const USUAL: usize = 32;
/// So many names are compared without a table of them.
const FEW: usize = 100;

/// The members of one object, in the order they were sent.
pub(crate) struct Object<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Object<'a> {
    /// The member of exactly this name.
    pub(crate) fn get(&self, name: &str) -> Option<&'a RawValue> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| *value)
    }

    /// The member of this name in any casing; an exact match wins.
    pub(crate) fn get_any_case(&self, name: &str) -> Option<&'a RawValue> {
        let like = |(key, _): &&(Cow<'a, str>, &'a RawValue)| key.eq_ignore_ascii_case(name);
        self.get(name).or_else(|| self.0.iter().find(like).map(|(_, value)| *value))
    }

    /// The text of a member, as [`scalar`] reads it; blank counts as absent.
    pub(crate) fn fact(&self, name: &str) -> Option<Cow<'a, str>> {
        self.get(name).and_then(scalar).filter(|text| !text.trim().is_empty())
    }
}

/// What kind of value it is, from its first character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Object,
    Array,
    Text,
    Null,
    /// A number or a boolean.
    Plain,
}

/// The kind of a value.
pub(crate) fn type_of(raw: &RawValue) -> Type {
    match raw.get().as_bytes().first() {
        Some(b'{') => Type::Object,
        Some(b'[') => Type::Array,
        Some(b'"') => Type::Text,
        Some(b'n') => Type::Null,
        Some(_) | None => Type::Plain,
    }
}

/// A string's text; none for anything else, and for text that no Unicode string can hold.
pub(crate) fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    if let Some(plain) = plain(raw) {
        return Some(Cow::Borrowed(plain));
    }
    let inner = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    quote::unescaped(inner).or_else(|| serde_json::from_str(raw.get()).ok()).map(Cow::Owned)
}

/// The text of a string without escapes.
pub(crate) fn plain(raw: &RawValue) -> Option<&str> {
    let text = raw.get().strip_prefix('"')?.strip_suffix('"')?;
    memchr::memchr(b'\\', text.as_bytes()).is_none().then_some(text)
}

/// A string's text, or a number or boolean as it was written; none for null, objects and arrays.
pub(crate) fn scalar(raw: &RawValue) -> Option<Cow<'_, str>> {
    match type_of(raw) {
        Type::Text => text(raw),
        Type::Plain => Some(Cow::Borrowed(raw.get())),
        Type::Object | Type::Array | Type::Null => None,
    }
}

/// Reads an object; `place` says in a message where it stood.
pub(crate) fn object<'a>(text: &'a str, place: &str) -> Result<Object<'a>, Fault> {
    let object: Object<'a> = serde_json::from_str(text)
        .map_err(|error| refused(&error, place, "an object, or has too many members"))?;
    match twice(&object) {
        None => Ok(object),
        Some(name) => {
            let message = format!("{place} holds this name twice; which of the two counts?");
            Err(Fault::new(Kind::Malformed, message)
                .field(name.chars().take(100).collect::<String>()))
        }
    }
}

/// Reads an object, and in the same pass the object that its member `name` holds, if there is such a member:
/// what is beside that member, and what is in it. None when it is anything else: [`object`] says why.
pub(crate) fn nested<'a>(text: &'a str, name: &str) -> Option<(Object<'a>, Option<Object<'a>>)> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let (outer, inner) = reader.deserialize_map(Nested { name }).ok()?;
    reader.end().ok()?;
    let once = twice(&outer).or_else(|| twice(inner.as_ref()?)).is_none();
    once.then_some((outer, inner))
}

/// A name that stands twice.
fn twice<'o>(object: &'o Object<'_>) -> Option<&'o str> {
    let names = || object.0.iter().map(|(name, _)| name.as_ref());
    if object.0.len() > FEW {
        let mut seen = HashSet::with_capacity(object.0.len());
        return names().find(|name| !seen.insert(*name));
    }
    // Few names have few marks in common, so that hardly any two are compared.
    let mut seen = [0_u64; 8];
    names().enumerate().find_map(|(at, name)| {
        let mark = mark(name.as_bytes());
        let place = seen.get_mut(mark / 64)?;
        let bit = 1 << (mark % 64);
        let doubtful = *place & bit != 0;
        *place |= bit;
        (doubtful && names().take(at).any(|other| other == name)).then_some(name)
    })
}

/// A number below 512 that names rarely share: of their ends, because many begin alike.
fn mark(name: &[u8]) -> usize {
    let end = match name.last_chunk() {
        Some(end) => u64::from_le_bytes(*end),
        None => name.iter().fold(0, |end, byte| end << 8 | u64::from(*byte)),
    };
    let mixed = (end ^ name.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> (u64::BITS - 9)).unwrap_or_default()
}

/// Reads an array of at most `limit` elements.
pub(crate) fn array<'a>(
    text: &'a str,
    place: &str,
    limit: usize,
) -> Result<Vec<&'a RawValue>, Fault> {
    let mut reader = serde_json::Deserializer::from_str(text);
    let read = reader.deserialize_seq(Elements { limit }).and_then(|elements| {
        reader.end()?;
        Ok(elements)
    });
    match read.map_err(|error| refused(&error, place, "an array"))? {
        Some(elements) => Ok(elements),
        None => {
            Err(Fault::new(Kind::TooLarge, format!("{place} holds more than {limit} elements")))
        }
    }
}

/// The error of a reader without what it quotes of the text.
pub(crate) fn refused(error: &serde_json::Error, place: &str, expected: &str) -> Fault {
    let message = match error.classify() {
        Category::Eof => format!("{place} is JSON that ends too early"),
        Category::Data => format!("{place} is not {expected}"),
        Category::Syntax | Category::Io => {
            format!("{place} is not JSON, from line {} column {}", error.line(), error.column())
        }
    };
    Fault::new(Kind::Malformed, message)
}

/// Whether objects and arrays are nested deeper than `limit`. Looks at brackets outside strings only,
/// so it may be asked before anything else has read the text.
pub(crate) fn is_deeper_than(limit: usize, text: &str) -> bool {
    // Counted a stretch at a time, in bytes: many at once.
    let opening = |byte: &u8| u8::from(matches!(byte, b'{' | b'['));
    let stretches = text.as_bytes().chunks(usize::from(u8::MAX));
    let all = stretches.map(|bytes| usize::from(bytes.iter().map(opening).sum::<u8>()));
    if all.sum::<usize>() <= limit {
        return false;
    }
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'{' | b'[' if !quoted => depth += 1,
            b'}' | b']' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth > limit {
            return true;
        }
    }
    false
}

/// A string that is borrowed when it holds no escapes.
#[derive(serde::Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(Members)
    }
}

struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Object<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::with_capacity(USUAL);
        while let Some((name, value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            if members.len() == MEMBERS {
                return Err(A::Error::custom("too many members"));
            }
            members.push((name.0, value));
        }
        Ok(Object(members))
    }
}

struct Nested<'n> {
    name: &'n str,
}

impl<'de> Visitor<'de> for Nested<'_> {
    type Value = (Object<'de>, Option<Object<'de>>);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let (mut members, mut inner) = (Vec::with_capacity(USUAL), None);
        while let Some(Text(name)) = map.next_key()? {
            if name == self.name {
                if inner.replace(map.next_value()?).is_some() {
                    return Err(A::Error::custom("a name twice"));
                }
            } else if members.len() < MEMBERS {
                members.push((name, map.next_value()?));
            } else {
                return Err(A::Error::custom("too many members"));
            }
        }
        Ok((Object(members), inner))
    }
}

struct Elements {
    limit: usize,
}

impl<'de> Visitor<'de> for Elements {
    /// None when there are too many.
    type Value = Option<Vec<&'de RawValue>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while let Some(element) = seq.next_element::<&'de RawValue>()? {
            // The rest is read all the same: a reader must reach the end of what it began.
            if elements.len() <= self.limit {
                elements.push(element);
            }
        }
        Ok((elements.len() <= self.limit).then_some(elements))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_refused_by_name() {
        let fault = object(r#"{"a":1,"b":2,"\u0061":3}"#, "the event").err().unwrap();
        assert_eq!(fault.field.as_deref(), Some("a"));
    }

    #[test]
    fn messages_say_where_and_quote_nothing() {
        for text in [r#""secret""#, r#"{"secret""#, r#"{"a":secret}"#, r#"{"a":1} secret"#, "[1]"] {
            let fault = object(text, "the event").err().unwrap();
            assert_eq!(fault.kind, Kind::Malformed, "{text}");
            assert!(!fault.to_string().contains("secret"), "{fault}");
        }
    }

    #[test]
    fn numbers_and_surrogates_that_rust_cannot_hold_pass_as_text() {
        let text = r#"{"n":1e999999,"m":123456789012345678901234567890,"s":"\ud800"}"#;
        let object = object(text, "the event").unwrap();
        assert_eq!(object.fact("n").unwrap(), "1e999999");
        assert_eq!(object.fact("m").unwrap(), "123456789012345678901234567890");
        assert_eq!(object.get("s").unwrap().get(), r#""\ud800""#);
        assert_eq!(object.fact("s"), None);
    }

    #[test]
    fn an_object_in_an_object_is_read_with_it_or_not_at_all() {
        let (outer, inner) = nested(r#"{"a":1,"in":{"b":[2]},"c":3}"#, "in").unwrap();
        let names = |object: &Object<'_>| {
            object.0.iter().map(|(name, raw)| format!("{name}={raw}")).collect::<Vec<_>>()
        };
        assert_eq!(
            (names(&outer), names(&inner.unwrap())),
            (vec!["a=1".into(), "c=3".into()], vec!["b=[2]".into()])
        );
        let (flat, none) = nested(r#"{"a":1}"#, "in").unwrap();
        assert!(names(&flat) == ["a=1"] && none.is_none());
        for other in [
            "[]",
            r#"{"a":1,"a":2}"#,
            r#"{"in":1}"#,
            r#"{"in":null}"#,
            r#"{"in":{},"in":{}}"#,
            r#"{"in":{},"a":1,"a":2}"#,
            r#"{"in":{"a":1,"a":2}}"#,
            r#"{"in":{}} 1"#,
            r#"{"in":{}"#,
        ] {
            assert!(nested(other, "in").is_none(), "{other}");
        }
    }

    #[test]
    fn arrays_end_at_their_limit() {
        assert_eq!(array("[1,2]", "it", 2).unwrap().len(), 2);
        assert_eq!(array("[1,2,3]", "it", 2).unwrap_err().kind, Kind::TooLarge);
        assert_eq!(array("[1,2", "it", 2).unwrap_err().kind, Kind::Malformed);
        assert_eq!(array("[1] 2", "it", 2).unwrap_err().kind, Kind::Malformed);
    }

    #[test]
    fn depth_is_counted_outside_strings() {
        assert!(!is_deeper_than(2, r#"{"a":["[[[\"[[["]}"#));
        assert!(is_deeper_than(2, "[[[]]]"));
        assert!(is_deeper_than(64, &"[".repeat(1_000_000)));
    }
}
