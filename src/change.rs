//! One fact in the source's own words.
//!
//! A [`Change`] borrows from the event it was read from; nothing is copied before a map asks for it.
//! Values stay JSON text, so that `1.10`, `18446744073709551616` and a missing property reach the map
//! exactly as they were sent.

use std::borrow::Cow;
use std::fmt;

use indexmap::IndexMap;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::digest;
use crate::order::Order;

/// What a source said about one of its entities.
#[derive(Clone, Debug)]
pub struct Change<'a> {
    /// The kind of thing: `/Customer`, `account`, an event type.
    pub entity: Cow<'a, str>,
    /// The source's id of the thing.
    pub id: Cow<'a, str>,
    /// Whether it is there or gone.
    pub kind: Kind,
    /// Which of two changes of one thing is newer.
    pub order: Order,
    /// The version of the payload's schema, when the source says one.
    pub schema: Option<u32>,
    /// The event's own id, when it has one.
    pub event_id: Option<Cow<'a, str>>,
    /// Follows the change to the target and into every record about it.
    pub correlation: Correlation,
    /// CluedIn entity codes, `/Customer#SAP:0000104711`.
    pub codes: Vec<Cow<'a, str>>,
    /// The properties, in the order they were sent; a name may be dotted.
    pub properties: Vec<(Cow<'a, str>, Cow<'a, RawValue>)>,
    /// References to other things.
    pub edges: Vec<Edge<'a>>,
    /// Who made it, when the source says so: what an echo is known by.
    pub author: Option<Author>,
    /// Only a part of the thing is here: it must be read again before a map may see it.
    pub partial: bool,
}

impl<'a> Change<'a> {
    /// The value of a property, by any spelling that CluedIn gives its name: as sent, without its
    /// dots, or with `_` for them; then without regard to case; last, `a.b` is looked for as `b` in an
    /// object `a`. The first property that fits is taken.
    ///
    /// Source: streams and lake, Event Hub message, fact 7, and OneLake's escaped keys.
    pub fn property(&self, name: &str) -> Option<&RawValue> {
        let members: Vec<_> =
            self.properties.iter().map(|(name, value)| (&**name, &**value)).collect();
        find(&members, name)
    }

    /// The same change with nothing borrowed.
    pub fn into_owned(self) -> Change<'static> {
        fn own(text: Cow<'_, str>) -> Cow<'static, str> {
            Cow::Owned(text.into_owned())
        }
        let property = |(name, value): (Cow<'a, str>, Cow<'a, RawValue>)| {
            (own(name), Cow::Owned(value.into_owned()))
        };
        Change {
            entity: own(self.entity),
            id: own(self.id),
            kind: self.kind,
            order: self.order,
            schema: self.schema,
            event_id: self.event_id.map(own),
            correlation: self.correlation,
            codes: self.codes.into_iter().map(own).collect(),
            properties: self.properties.into_iter().map(property).collect(),
            edges: self.edges.into_iter().map(Edge::into_owned).collect(),
            author: self.author,
            partial: self.partial,
        }
    }
}

impl Edge<'_> {
    /// The same edge with nothing borrowed.
    pub fn into_owned(self) -> Edge<'static> {
        Edge {
            kind: Cow::Owned(self.kind.into_owned()),
            from: Cow::Owned(self.from.into_owned()),
            to: Cow::Owned(self.to.into_owned()),
        }
    }
}

/// Finds a member by name: exactly, by letters and digits, by those without case, then nested.
fn find<'v>(members: &[(&str, &'v RawValue)], name: &str) -> Option<&'v RawValue> {
    let here = |fits: fn(&str, &str) -> bool| {
        members.iter().find(|(sent, _)| fits(sent, name)).map(|(_, value)| *value)
    };
    here(|sent, name| sent == name)
        .or_else(|| here(|sent, name| spelled(sent, name, |a, b| a == b)))
        .or_else(|| here(|sent, name| spelled(sent, name, same_letter)))
        .or_else(|| nested(members, name))
}

/// Whether two names have the same letters and digits. CluedIn strips what is not ASCII as well, so a
/// name sent in ASCII is compared by that alone.
fn spelled(sent: &str, name: &str, equal: fn(char, char) -> bool) -> bool {
    let ascii = sent.is_ascii();
    let counts = |c: &char| if ascii { c.is_ascii_alphanumeric() } else { c.is_alphanumeric() };
    let (mut left, mut right) = (sent.chars().filter(counts), name.chars().filter(counts));
    let mut any = false;
    loop {
        match (left.next(), right.next()) {
            (Some(a), Some(b)) if equal(a, b) => any = true,
            (None, None) => return any,
            (Some(_) | None, Some(_) | None) => return false,
        }
    }
}

fn same_letter(a: char, b: char) -> bool {
    a == b || a.to_lowercase().eq(b.to_lowercase())
}

fn nested<'v>(members: &[(&str, &'v RawValue)], name: &str) -> Option<&'v RawValue> {
    name.match_indices('.').find_map(|(dot, _)| {
        let (outer, inner) = (name.get(..dot)?, name.get(dot + 1..)?);
        let (_, value) = members.iter().find(|(sent, _)| spelled(sent, outer, same_letter))?;
        let object: IndexMap<String, &RawValue> = serde_json::from_str(value.get()).ok()?;
        let members: Vec<_> = object.iter().map(|(name, value)| (name.as_str(), *value)).collect();
        find(&members, inner)
    })
}

/// Whether the thing is there or gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Created or changed: the properties are its whole state.
    Upsert,
    /// Deleted, merged away or no longer in the stream.
    Remove,
}

/// Who made a change.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Author {
    /// The user in whose session it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<uuid::Uuid>,
    /// The tag that the maker put on the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
}

/// A reference from one thing to another, by their codes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge<'a> {
    /// The kind of reference, `/WorksFor`.
    pub kind: Cow<'a, str>,
    /// The code at its start.
    pub from: Cow<'a, str>,
    /// The code at its end.
    pub to: Cow<'a, str>,
}

/// One W3C trace id, written as a GUID where a target wants one.
///
/// Taken from the event's own trace context, else computed from where the event stood, so that a
/// redelivered event keeps it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Correlation(pub uuid::Uuid);

impl Correlation {
    /// The trace id of a `traceparent` (`00-<32 hex>-<16 hex>-<2 hex>`); none when it is malformed.
    pub fn from_traceparent(text: &str) -> Option<Self> {
        let trace = text.split('-').nth(1).filter(|trace| trace.len() == 32)?;
        uuid::Uuid::try_parse(trace).ok().filter(|id| !id.is_nil()).map(Self)
    }

    /// The same id for the same parts, whenever and wherever it is computed.
    pub fn derived<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        Self(uuid::Uuid::from_bytes(digest::of(parts)))
    }

    /// A `traceparent` for the calls made on behalf of this change.
    pub fn traceparent(self, span: u64) -> String {
        format!("00-{}-{:016x}-01", self.0.simple(), span.max(1))
    }
}

impl fmt::Display for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Correlation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_trace_id_is_read_from_a_traceparent_and_written_back() {
        let text = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let read = Correlation::from_traceparent(text).unwrap();
        assert_eq!(read.to_string(), "0af76519-16cd-43dd-8448-eb211c80319c");
        assert_eq!(read.traceparent(0xb7ad_6b71_6920_3331), text);
        for wrong in ["", "00-0af7-1-01", "00-00000000000000000000000000000000-b7ad6b7169203331-01"]
        {
            assert_eq!(Correlation::from_traceparent(wrong), None, "{wrong}");
        }
    }

    fn change(properties: &[(&'static str, &'static str)]) -> Change<'static> {
        let raw = |text: &'static str| Cow::Borrowed(serde_json::from_str(text).unwrap());
        Change {
            entity: "/Customer".into(),
            id: "1".into(),
            kind: Kind::Upsert,
            order: Order::emitted_at(jiff::Timestamp::UNIX_EPOCH),
            schema: None,
            event_id: None,
            correlation: Correlation::default(),
            codes: Vec::new(),
            properties: properties.iter().map(|(name, text)| ((*name).into(), raw(text))).collect(),
            edges: Vec::new(),
            author: None,
            partial: false,
        }
    }

    #[test]
    fn a_property_is_found_by_every_spelling_of_its_name() {
        for sent in ["erp.accountNo", "erpaccountNo", "erp_accountNo", "ERPACCOUNTNO"] {
            let found = change(&[("other", "0"), (sent, "1")]);
            assert_eq!(found.property("erp.accountNo").map(RawValue::get), Some("1"), "{sent}");
        }
    }

    #[test]
    fn the_closest_spelling_wins() {
        let all =
            change(&[("A_B", "1"), ("ab", "2"), ("a.b", "3"), ("a", r#"{"b":4,"c.d":{"e":5}}"#)]);
        assert_eq!(all.property("a.b").map(RawValue::get), Some("3"));
        assert_eq!(all.property("a-b").map(RawValue::get), Some("2"));
        assert_eq!(all.property("A-B").map(RawValue::get), Some("1"));
        assert_eq!(all.property("a.cd.e").map(RawValue::get), Some("5"));
        assert!(all.property("a.x").is_none());
    }

    #[test]
    fn names_without_a_letter_in_common_never_meet() {
        let foreign = change(&[("\u{540d}", "1"), ("--", "2"), ("gre", "3")]);
        assert!(foreign.property("\u{4f4f}").is_none());
        assert!(foreign.property("..").is_none());
        assert_eq!(foreign.property("Gr\u{f6}\u{df}e").map(RawValue::get), Some("3"));
    }

    #[test]
    fn missing_null_and_empty_stay_three_things() {
        let sent = change(&[("a", "null"), ("b", "\"\"")]);
        let read = |name| sent.property(name).map(RawValue::get);
        assert_eq!((read("a"), read("b"), read("c")), (Some("null"), Some("\"\""), None));
    }

    #[test]
    fn a_derived_correlation_depends_on_every_part_and_its_bounds() {
        let of = |parts: &[&str]| Correlation::derived(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["hub", "3", "41"]), of(&["hub", "3", "41"]));
        assert_ne!(of(&["hub", "3", "41"]), of(&["hub", "34", "1"]));
    }
}
