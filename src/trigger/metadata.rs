//! What the host says beside the events: the known members of `Metadata` come in, each unwrapped from
//! its string; attempt, places in the stream and properties go out. Arrays that do not fit the events
//! are not trusted, nor is a member that the body of a single message could have overwritten.
//!
//! Source: Functions custom handler, how one value is encoded, and each trigger's section.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::decode::json::{self, Object, Type};
use crate::decode::time::moment;
use crate::delivery::{Attempt, Event, Origin};
use crate::fault::Fault;

/// The members that are read; SDK objects and everything else are left alone.
const KNOWN: [&str; 12] = [
    "RetryContext",
    "TriggerPartitionContext",
    "PartitionContext",
    "SequenceNumber",
    "EnqueuedTimeUtc",
    "InsertionTime",
    "Properties",
    "SystemProperties",
    "ApplicationProperties",
    "PartitionKey",
    "DequeueCount",
    "Id",
];

/// The most events that an array may be about.
const EVENTS: usize = 100_000;

/// The known members, by name, as JSON text.
#[derive(Debug, Default)]
pub(super) struct Metadata(BTreeMap<String, String>);

impl Metadata {
    /// What an envelope says; nothing when it says it in no object.
    pub(super) fn of(raw: Option<&RawValue>) -> Result<Self, Fault> {
        match raw.filter(|raw| json::type_of(raw) == Type::Object) {
            Some(raw) => Ok(Self::read(&json::object(raw.get(), "`Metadata`")?)),
            None => Ok(Self::default()),
        }
    }

    /// Takes what is known, under its own name or that name with `Array`.
    fn read(object: &Object<'_>) -> Self {
        let known = |name: &str| KNOWN.contains(&name.strip_suffix("Array").unwrap_or(name));
        let members = object.0.iter().filter(|(name, _)| known(name));
        Self(members.map(|(name, raw)| (name.to_string(), unwrapped(raw))).collect())
    }

    /// Forgets what the body of a single message could have overwritten: the host adds the members of
    /// a JSON object to the metadata, without regard to case.
    pub(super) fn distrust(&mut self, body: &Bytes) {
        let Ok(text) = std::str::from_utf8(body) else { return };
        if !text.trim_start_matches('\u{feff}').trim_start().starts_with('{') {
            return;
        }
        match json::object(text, "") {
            Ok(object) => {
                let written =
                    |name: &str| object.0.iter().any(|(key, _)| key.eq_ignore_ascii_case(name));
                self.0.retain(|name, _| !written(name));
            }
            Err(_) => self.0.clear(),
        }
    }

    /// How often the host tried. A count of -1 means that it never gives up.
    pub(super) fn attempt(&self) -> Attempt {
        let last = Attempt { count: 0, last: true };
        let Some(retry) = self.get::<Retry>("RetryContext") else { return last };
        let endless = retry.most < 0;
        let count = u32::try_from(retry.count).unwrap_or_default();
        Attempt { count, last: !endless && retry.count >= retry.most }
    }

    /// Where each of `count` events stood, without its body.
    pub(super) fn places(&self, count: usize, many: bool) -> Vec<Event> {
        let context = self
            .get::<PartitionContext>("TriggerPartitionContext")
            .or_else(|| self.get("PartitionContext"))
            .unwrap_or_default();
        let (stream, partition) = (context.stream(), context.partition.map(Arc::from));
        let column = |name: &str| self.column(name, count, many);
        let (numbers, keys) = (column("SequenceNumber"), column("PartitionKey"));
        let (times, inserted) = (column("EnqueuedTimeUtc"), column("InsertionTime"));
        let all = ["Properties", "ApplicationProperties", "SystemProperties"].map(column);
        let place = |index: usize| {
            let properties = all.iter().filter_map(|column| at(column, index));
            let key = at(&keys, index).and_then(json::scalar);
            Event {
                origin: Origin {
                    stream: stream.clone(),
                    partition: partition.clone(),
                    sequence: at(&numbers, index).and_then(|raw| json::scalar(raw)?.parse().ok()),
                    enqueued: at(&times, index).or_else(|| at(&inserted, index)).and_then(time),
                    received: None,
                },
                properties: properties
                    .flat_map(carried)
                    .chain(key.map(|key| ("partitionkey".to_owned(), key.into_owned())))
                    .collect(),
                ..Event::default()
            }
        };
        (0..count).map(place).collect()
    }

    /// A member that is text.
    pub(super) fn text(&self, name: &str) -> Option<String> {
        json::scalar(self.get(name)?).map(Cow::into_owned)
    }

    /// A member that is a small whole number.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        self.text(name)?.parse().ok()
    }

    fn get<'s, T: Deserialize<'s>>(&'s self, name: &str) -> Option<T> {
        serde_json::from_str(self.0.get(name)?).ok()
    }

    /// One value for each event, or none at all when there are not as many as events.
    fn column(&self, name: &str, count: usize, many: bool) -> Vec<&RawValue> {
        if !many {
            return self.get(name).into_iter().collect();
        }
        let text = self.0.get(&format!("{name}Array"));
        let array = text.and_then(|text| json::array(text, "", EVENTS).ok());
        array.filter(|array| array.len() == count).unwrap_or_default()
    }
}

fn at<'m>(column: &[&'m RawValue], index: usize) -> Option<&'m RawValue> {
    column.get(index).copied()
}

#[derive(Deserialize)]
struct Retry {
    #[serde(rename = "RetryCount")]
    count: i64,
    #[serde(rename = "MaxRetryCount")]
    most: i64,
}

#[derive(Deserialize, Default)]
struct PartitionContext {
    #[serde(rename = "FullyQualifiedNamespace")]
    namespace: Option<String>,
    #[serde(rename = "EventHubName")]
    hub: Option<String>,
    #[serde(rename = "PartitionId")]
    partition: Option<String>,
}

impl PartitionContext {
    fn stream(&self) -> Option<Arc<str>> {
        Some(format!("{}/{}", self.namespace.as_ref()?, self.hub.as_ref()?).into())
    }
}

/// A value out of the string that the host may have put it in.
fn unwrapped(raw: &RawValue) -> String {
    let inner = json::text(raw).filter(|text| serde_json::from_str::<&RawValue>(text).is_ok());
    inner.map_or_else(|| raw.get().to_owned(), |text| text.trim().to_owned())
}

fn time(raw: &RawValue) -> Option<Timestamp> {
    moment(&json::scalar(raw)?)
}

/// The properties of one event that matter: CloudEvents attributes, trace context, content type.
fn carried(raw: &RawValue) -> Vec<(String, String)> {
    if raw.get() == "{}" {
        return Vec::new();
    }
    let Ok(object) = json::object(raw.get(), "") else { return Vec::new() };
    let members = object.0.iter().filter(|(name, _)| matters(name));
    let value = |raw: &RawValue| match json::type_of(raw) {
        Type::Object | Type::Array => Some(raw.get().to_owned()),
        Type::Text | Type::Plain | Type::Null => json::scalar(raw).map(Cow::into_owned),
    };
    members.filter_map(|(name, raw)| Some((name.to_string(), value(raw)?))).collect()
}

fn matters(name: &str) -> bool {
    if !name.starts_with(['t', 'd', 'c', 'T', 'D', 'C']) {
        return false;
    }
    let lower = name.to_ascii_lowercase();
    let whole = ["traceparent", "tracestate", "diagnostic-id", "content-type", "contenttype"];
    let starts = ["cloudevents:", "cloudevents_", "ce-"];
    whole.contains(&lower.as_str()) || starts.iter().any(|start| lower.starts_with(start))
}
