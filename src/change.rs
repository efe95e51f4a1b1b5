//! One fact in the source's own words.
//!
//! A [`Change`] borrows from the event it was read from; nothing is copied before a map asks for it.
//! Values stay JSON text, so that `1.10`, `18446744073709551616` and a missing property reach the map
//! exactly as they were sent.

use std::borrow::Cow;
use std::fmt;

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

    #[test]
    fn a_derived_correlation_depends_on_every_part_and_its_bounds() {
        let of = |parts: &[&str]| Correlation::derived(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["hub", "3", "41"]), of(&["hub", "3", "41"]));
        assert_ne!(of(&["hub", "3", "41"]), of(&["hub", "34", "1"]));
    }
}
