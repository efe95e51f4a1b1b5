//! What the host handed over: the events of one call, where they stood, and how often they were tried.

use std::sync::Arc;
use std::time::Duration;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use jiff::Timestamp;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The events of one call, all of one source.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// The system of `concord.toml` that the events come from.
    pub system: Arc<str>,
    /// The function that received them.
    pub function: Arc<str>,
    /// The host's invocation id; goes into every log line.
    pub invocation: String,
    /// The W3C `traceparent` of the call, when the host sent one.
    pub traceparent: Option<String>,
    /// Whether the host will bring the same delivery again if it fails.
    pub attempt: Attempt,
    /// How much time there is until it must be answered.
    pub within: Duration,
    /// The events, in the order they were handed over.
    pub events: Vec<Event>,
}

/// How often a delivery was tried and whether it comes again.
///
/// Source: Functions custom handler, `RetryContext`. Without a retry policy the host moves on after
/// any answer, so a delivery without one is on its last attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Failed attempts before this one.
    pub count: u32,
    /// True when a failure now would lose the delivery.
    pub last: bool,
}

/// One message of a delivery, as it came.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// The body, byte for byte.
    pub body: Bytes,
    /// Where it stood.
    pub origin: Origin,
    /// Application properties that matter: CloudEvents attributes and trace context.
    pub properties: Vec<(String, String)>,
    /// Only these maps are to handle it; empty means all. Set for events that come back for a part
    /// of their maps only.
    pub only: Vec<String>,
    /// How often this event was deferred before.
    pub deferred: u32,
    /// The quarantined event that this one was edited from: the second part of its record's id, under
    /// which it goes on should it be refused again.
    pub record: Option<Arc<str>>,
    /// What its row waited for so far, when it waited for a row that it refers to.
    pub wait: Option<Wait>,
}

/// How an event waited for a row that its own row refers to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wait {
    /// Since when.
    pub since: Timestamp,
    /// How often it was tried in vain.
    pub tries: u32,
    /// Lookup columns that close a circle: the row is written without them first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

/// Where an event stood in its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Origin {
    /// Namespace and hub, queue or topic: `ns1.servicebus.windows.net/hub1`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<Arc<str>>,
    /// The partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub partition: Option<Arc<str>>,
    /// The number in the partition.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sequence: Option<i64>,
    /// When the broker took it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub enqueued: Option<Timestamp>,
    /// When Concord first saw it: the emit time of events that carry none at all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub received: Option<Timestamp>,
}

impl Event {
    /// The value of an application property; names are compared without case.
    pub fn property(&self, name: &str) -> Option<&str> {
        let found = self.properties.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

/// A body that is text, shared with its event: it may be long.
#[derive(Clone, Debug, PartialEq)]
struct Text(Bytes);

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(std::str::from_utf8(&self.0).map_err(S::Error::custom)?)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|text| Self(text.into()))
    }
}

/// An event as it is kept: text where the body is text, base64 where it is not.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Packed {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body: Option<Text>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    body_base64: Option<String>,
    origin: Origin,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    properties: Vec<(String, String)>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    only: Vec<String>,
    #[serde(default)]
    deferred: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    record: Option<Arc<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wait: Option<Wait>,
}

impl Packed {
    /// Packs an event.
    pub fn of(event: &Event) -> Self {
        let text = std::str::from_utf8(&event.body).is_ok();
        let text = text.then(|| Text(event.body.clone()));
        let bytes = text.is_none().then(|| BASE64_STANDARD.encode(&event.body));
        Self {
            body: text,
            body_base64: bytes,
            origin: event.origin.clone(),
            properties: event.properties.clone(),
            only: event.only.clone(),
            deferred: event.deferred,
            record: event.record.clone(),
            wait: event.wait.clone(),
        }
    }

    /// The event, byte for byte.
    pub fn unpack(self) -> Result<Event, base64::DecodeError> {
        let body = match (self.body, self.body_base64) {
            (Some(Text(text)), _) => text,
            (None, Some(bytes)) => BASE64_STANDARD.decode(bytes)?.into(),
            (None, None) => Bytes::new(),
        };
        let Self { origin, properties, only, deferred, record, wait, .. } = self;
        Ok(Event { body, origin, properties, only, deferred, record, wait })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_event_comes_back_byte_for_byte() {
        for body in [&b"{\"a\":1}"[..], b"", b"\xff\xfe\x00", "\u{feff}æ".as_bytes()] {
            let event = Event {
                body: Bytes::copy_from_slice(body),
                deferred: 2,
                record: Some("3f".into()),
                wait: Some(Wait { tries: 2, ..Wait::default() }),
                ..Event::default()
            };
            let json = serde_json::to_string(&Packed::of(&event)).unwrap();
            let back = serde_json::from_str::<Packed>(&json).unwrap().unpack().unwrap();
            assert_eq!(back, event);
        }
    }
}
