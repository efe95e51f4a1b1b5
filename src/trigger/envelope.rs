//! The host's envelope: the body of one `POST /<function>` comes in; its events, its attempt and its
//! timer or queue facts go out. Values are JSON inside JSON strings, sometimes; bodies are text, base64
//! or plain JSON; metadata may be missing or not fit. Refused: what is no envelope at all. Metadata that
//! does not fit, or that a sender could have written, is not trusted and counts as absent.
//!
//! Source: Functions custom handler, invocation request.

use std::fmt;

use bytes::Bytes;
use jiff::Timestamp;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::decode::json::{self, Type};
use crate::decode::time::moment;
use crate::delivery::{Attempt, Event};
use crate::fault::{Fault, Kind};
use crate::trigger::bodies;
use crate::trigger::metadata::Metadata;
use crate::trigger::quoted::Reader;

/// The most events of one call. The host's own batches hold a few thousand at most.
const EVENTS: usize = 100_000;

/// One call of the host, taken apart.
#[derive(Debug)]
pub struct Envelope {
    inputs: Vec<(String, Input)>,
    metadata: Metadata,
}

/// The value of one binding.
#[derive(Debug)]
struct Input {
    bodies: Vec<Bytes>,
    many: bool,
}

/// What a timer says about its run.
///
/// Source: Functions custom handler, timerTrigger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timer {
    /// A run was missed while nothing was up.
    pub past_due: bool,
    /// When it ran last; none when it never did, or when the host does not monitor the schedule.
    pub last: Option<Timestamp>,
}

/// What a storage queue says about its message; none of it where the sender could have written it.
///
/// Source: Functions custom handler, queueTrigger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Queued {
    /// The message's id.
    pub id: Option<String>,
    /// How often it was handed out, this time included.
    pub dequeued: Option<u32>,
}

impl Envelope {
    /// Takes the body of a call apart, whichever function it is for, and lets go of it as soon as may be:
    /// it can be long, and so can be what is in it.
    pub fn parse(body: Bytes) -> Result<Self, Fault> {
        let text = simdutf8::basic::from_utf8(&body)
            .map_err(|_| Fault::new(Kind::Malformed, "the host's envelope is not UTF-8"))?;
        if let Some((name, bodies, metadata)) = batch(text) {
            let inputs = vec![(name.to_owned(), Input::of_texts(bodies))];
            return Ok(Self { inputs, metadata: Metadata::of(Some(metadata))? });
        }
        match serde_json::from_str::<Quoted<'_>>(text) {
            Ok(Quoted { data, metadata }) => {
                let metadata = Metadata::of(metadata)?;
                drop(body);
                Self::quoted(data, metadata)
            }
            Err(_) => Self::any(&body, text),
        }
    }

    /// An envelope whose values are all quoted, read in one pass.
    fn quoted(data: Bindings, mut metadata: Metadata) -> Result<Self, Fault> {
        let mut inputs = Vec::with_capacity(data.0.len());
        for (name, Octets(octets)) in data.0 {
            let input = Input::wrapped(&Bytes::from(octets))?;
            if let Some(single) = input.single() {
                metadata.distrust(single);
            }
            inputs.push((name, input));
        }
        Ok(Self { inputs, metadata })
    }

    /// Any other envelope, value by value.
    fn any(body: &Bytes, text: &str) -> Result<Self, Fault> {
        let envelope = json::object(text, "the host's envelope")?;
        let data = envelope.get("Data").filter(|raw| json::type_of(raw) != Type::Null);
        let data = data.ok_or_else(|| {
            Fault::new(Kind::Malformed, "the host's envelope holds no data").field("Data")
        })?;
        let mut metadata = Metadata::of(envelope.get("Metadata"))?;
        let mut inputs = Vec::new();
        for (name, raw) in json::object(data.get(), "`Data`")?.0 {
            let input = Input::read(body, raw)?;
            if let Some(single) = input.single() {
                metadata.distrust(single);
            }
            inputs.push((name.into_owned(), input));
        }
        Ok(Self { inputs, metadata })
    }

    /// How often the host tried, and whether it tries again. Without a retry policy it does not.
    pub fn attempt(&self) -> Attempt {
        self.metadata.attempt()
    }

    /// The events of a binding, or of the only one, in the order they were handed over. `received` is
    /// the present moment.
    pub fn events(&self, binding: Option<&str>, received: Timestamp) -> Vec<Event> {
        let fits = |name: &str| binding.is_none_or(|wanted| wanted == name);
        let Some((_, input)) = self.inputs.iter().find(|(name, _)| fits(name)) else {
            return Vec::new();
        };
        let places = self.metadata.places(input.bodies.len(), input.many);
        let bodies = input.bodies.iter().cloned();
        let event = |(body, place): (Bytes, Event)| {
            let mut event = Event { body, ..place };
            event.origin.received = Some(received);
            event
        };
        bodies.zip(places).map(event).collect()
    }

    /// What the timer says, when a timer made the call.
    pub fn timer(&self) -> Option<Timer> {
        self.inputs.iter().filter_map(|(_, input)| input.bodies.first()).find_map(|body| {
            let said: TimerInfo = serde_json::from_slice(body).ok()?;
            let last = said.status.and_then(|status| status.last);
            let last =
                last.as_deref().and_then(moment).filter(|last| *last > Timestamp::UNIX_EPOCH);
            Some(Timer { past_due: said.past_due, last })
        })
    }

    /// What the storage queue says about its message.
    pub fn queued(&self) -> Queued {
        Queued { id: self.metadata.text("Id"), dequeued: self.metadata.number("DequeueCount") }
    }
}

/// The usual envelope of a batch: its binding, the bodies, and the metadata.
fn batch(text: &str) -> Option<(&str, Vec<Bytes>, &RawValue)> {
    let mut reader = Reader::new(text.as_bytes());
    reader.mark(b'{')?;
    reader.name().filter(|name| *name == "Data")?;
    reader.mark(b'{')?;
    let name = reader.name()?;
    let bodies = reader.batch(EVENTS)?;
    reader.mark(b'}')?;
    reader.mark(b',')?;
    reader.name().filter(|name| *name == "Metadata")?;
    let rest = text.get(reader.at()..)?;
    let mut values = serde_json::Deserializer::from_str(rest).into_iter::<&RawValue>();
    let metadata = values.next()?.ok()?;
    let end = rest.get(values.byte_offset()..)?;
    (end.trim() == "}").then_some((name, bodies, metadata))
}

#[derive(Deserialize)]
struct TimerInfo {
    #[serde(rename = "IsPastDue")]
    past_due: bool,
    #[serde(rename = "ScheduleStatus", default)]
    status: Option<ScheduleStatus>,
}

#[derive(Deserialize)]
struct ScheduleStatus {
    #[serde(rename = "Last", default)]
    last: Option<String>,
}

impl Input {
    fn read(body: &Bytes, raw: &RawValue) -> Result<Self, Fault> {
        match json::type_of(raw) {
            Type::Text => Self::wrapped(&unquoted(body, raw)?),
            Type::Array => Self::many(body, raw.get()),
            Type::Null => Ok(Self { bodies: Vec::new(), many: true }),
            Type::Object | Type::Plain => Ok(Self::one(body.slice_ref(raw.get().as_bytes()))),
        }
    }

    /// A value inside a string: JSON again, or base64, or bare text.
    fn wrapped(inner: &Bytes) -> Result<Self, Fault> {
        let Ok(text) = std::str::from_utf8(inner) else {
            // One odd character must not cost a whole batch: it is replaced.
            let mended = String::from_utf8_lossy(inner).into_owned();
            return Self::wrapped(&Bytes::from(mended));
        };
        let Ok(raw) = serde_json::from_str::<&RawValue>(text) else {
            return Ok(Self::one(bodies::binary(inner).unwrap_or_else(|| inner.clone())));
        };
        match json::type_of(raw) {
            Type::Array => Self::many(inner, raw.get()),
            Type::Text => Ok(Self::one(unquoted(inner, raw)?)),
            Type::Null => Ok(Self { bodies: Vec::new(), many: true }),
            Type::Object | Type::Plain => Ok(Self::one(inner.clone())),
        }
    }

    /// An array: of texts, of base64, or of what the host parsed itself.
    fn many(whole: &Bytes, text: &str) -> Result<Self, Fault> {
        let elements = json::array(text, "the host's batch", EVENTS)?;
        let all_texts = elements.iter().all(|raw| json::type_of(raw) == Type::Text);
        let body = |raw: &RawValue| match json::type_of(raw) {
            Type::Text => unquoted(whole, raw),
            Type::Object | Type::Array | Type::Null | Type::Plain => {
                Ok(whole.slice_ref(raw.get().as_bytes()))
            }
        };
        let bodies = elements.into_iter().map(body).collect::<Result<Vec<Bytes>, Fault>>()?;
        Ok(if all_texts { Self::of_texts(bodies) } else { Self { bodies, many: true } })
    }

    fn of_texts(texts: Vec<Bytes>) -> Self {
        Self { bodies: bodies::all_binary(&texts).unwrap_or(texts), many: true }
    }

    fn one(body: Bytes) -> Self {
        Self { bodies: vec![body], many: false }
    }

    fn single(&self) -> Option<&Bytes> {
        if self.many { None } else { self.bodies.first() }
    }
}

/// The text of a JSON string, as a part of `whole` when it holds no escapes. Bytes, because a lone
/// surrogate, which no Rust string can hold, must harm its own event only.
fn unquoted(whole: &Bytes, raw: &RawValue) -> Result<Bytes, Fault> {
    let text = raw.get();
    match text.get(1..text.len().saturating_sub(1)) {
        Some(plain) if !plain.contains('\\') => Ok(whole.slice_ref(plain.as_bytes())),
        Some(_) | None => {
            let octets: Octets = serde_json::from_str(text)
                .map_err(|error| json::refused(&error, "a value of the host", "text"))?;
            Ok(Bytes::from(octets.0))
        }
    }
}

/// The usual envelope: every value of `Data` is JSON, base64 or text inside a string.
#[derive(Deserialize)]
struct Quoted<'a> {
    #[serde(rename = "Data")]
    data: Bindings,
    #[serde(borrow, rename = "Metadata", default)]
    metadata: Option<&'a RawValue>,
}

/// The bindings by name; refused when a name stands twice.
struct Bindings(Vec<(String, Octets)>);

impl<'de> Deserialize<'de> for Bindings {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Named;

        impl<'de> Visitor<'de> for Named {
            type Value = Bindings;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("values in strings")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Bindings, A::Error> {
                let mut all = Vec::<(String, Octets)>::new();
                while let Some((name, value)) = map.next_entry::<String, Octets>()? {
                    if all.iter().any(|(other, _)| *other == name) {
                        return Err(A::Error::custom("a name twice"));
                    }
                    all.push((name, value));
                }
                Ok(Bindings(all))
            }
        }

        deserializer.deserialize_map(Named)
    }
}

struct Octets(Vec<u8>);

impl<'de> Deserialize<'de> for Octets {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Taken;

        impl Visitor<'_> for Taken {
            type Value = Octets;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("text")
            }

            fn visit_bytes<E: serde::de::Error>(self, bytes: &[u8]) -> Result<Octets, E> {
                Ok(Octets(bytes.to_vec()))
            }
        }

        deserializer.deserialize_bytes(Taken)
    }
}

#[cfg(test)]
mod tests;
