//! Events become changes: the bytes of one event come in, and one [`Decoded`] for every change it
//! holds goes out, borrowed from those bytes. Pure; no I/O.
//!
//! An event may hold several changes: an array, or `{"count":n,"messages":[…]}`. What cannot be read
//! is refused by itself, with the place and never the value, and the others go on. Refused as a whole:
//! what is not UTF-8 or not JSON, and what is longer, deeper or fuller than [`Limits`] allow.

mod cloudevents;
mod cluedin;
mod config;
pub mod dataverse;
mod edges;
pub(crate) mod json;
mod mapped;
mod origin;
mod path;
mod problem;
pub(crate) mod time;
mod upcast;

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::value::RawValue;

pub use self::config::{Config, EntityOf, Limits, Operation, SchemaOf, Shape, Upcast};
pub use self::problem::Problem;

use self::json::{Object, Type};
use self::mapped::Paths;
use self::origin::Place;
use self::upcast::Upcasts;
use crate::change::{Change, Correlation, Edge, Kind};
use crate::delivery::Event;
use crate::fault::{self, Fault};

/// Reads the events of one system.
#[derive(Clone, Debug)]
pub struct Decoder {
    shape: Shape,
    edges: bool,
    paths: Paths,
    upcasts: Upcasts,
    limits: Limits,
    /// What is known of the tables, when the system is a Dataverse environment.
    tables: Option<dataverse::Tables>,
}

/// One change of an event, or why it could not be read.
#[derive(Debug)]
pub struct Decoded<'a> {
    /// What it was read from, byte for byte as sent; it can be decoded again by itself.
    pub raw: Cow<'a, [u8]>,
    /// The change.
    pub change: Result<Change<'a>, Fault>,
}

/// What a shape says about a change, before its place in the stream is added.
#[derive(Debug)]
struct Facts<'a> {
    entity: Cow<'a, str>,
    id: Cow<'a, str>,
    kind: Kind,
    version: Option<u64>,
    emitted: Option<Timestamp>,
    schema: Option<u32>,
    event_id: Option<Cow<'a, str>>,
    correlation: Option<Correlation>,
    codes: Vec<Cow<'a, str>>,
    properties: Properties<'a>,
    edges: Vec<Edge<'a>>,
}

impl Decoder {
    /// Compiles a configuration, or says everything that is wrong with it.
    pub fn new(config: &Config) -> Result<Self, Vec<Problem>> {
        let mut problems = problem::unused(config);
        let paths = Paths::new(config, &mut problems);
        let upcasts = Upcasts::new(&config.upcasts, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let (shape, edges, limits) = (config.kind, config.edges, config.limits);
        Ok(Self { shape, edges, paths, upcasts, limits, tables: None })
    }

    /// Reads what a Dataverse environment sends, and rows that were read from it.
    pub fn dataverse(tables: dataverse::Tables) -> Self {
        Self {
            shape: Shape::Events,
            edges: false,
            paths: Paths::default(),
            upcasts: Upcasts::new(&[], &mut Vec::new()),
            limits: Limits::default(),
            tables: Some(tables),
        }
    }

    /// What is known of the tables of a Dataverse environment; none for any other source.
    pub fn tables(&self) -> Option<&dataverse::Tables> {
        self.tables.as_ref()
    }

    /// Reads every change of an event, in the order they stand in it.
    pub fn decode<'a>(&self, event: &'a Event) -> Vec<Decoded<'a>> {
        if let Some(tables) = &self.tables {
            return dataverse::decode(event, tables, self.limits);
        }
        if self.shape == Shape::CloudEvents && cloudevents::is_binary(event) {
            let change = cloudevents::structured(event, self.limits)
                .and_then(|text| self.owned(&text, &event.body, Place { event, index: 0 }));
            return vec![Decoded { raw: Cow::Borrowed(&event.body), change }];
        }
        match self.members(event) {
            Ok(members) => members
                .into_iter()
                .zip(0..)
                .map(|((raw, object), index)| {
                    let change = object.and_then(|object| match object {
                        Member::Here(parsed) => self.change(&parsed, raw, Place { event, index }),
                        Member::Quoted(text) => self.owned(&text, raw, Place { event, index }),
                    });
                    Decoded { raw: Cow::Borrowed(raw), change }
                })
                .collect(),
            Err(fault) => vec![Decoded { raw: Cow::Borrowed(&event.body), change: Err(fault) }],
        }
    }

    /// Takes an event apart: every member with its own text. Fails when the event is no JSON at all.
    fn members<'a>(&self, event: &'a Event) -> Result<Vec<Parts<'a>>, Fault> {
        let text = readable(&event.body, self.limits)?;
        if text.starts_with('[') {
            let members = json::array(text, "the event", self.limits.changes)?;
            return Ok(members.into_iter().map(|raw| self.member(raw)).collect());
        }
        if text.starts_with('"') {
            let quoted: &RawValue = serde_json::from_str(text)
                .map_err(|error| json::refused(&error, "the event", "an object"))?;
            return Ok(vec![self.member(quoted)]);
        }
        let parsed = self.parsed(text, "the event")?;
        match combined(&parsed.object) {
            Some(messages) => {
                let members = json::array(messages.get(), "`messages`", self.limits.changes)?;
                Ok(members.into_iter().map(|raw| self.member(raw)).collect())
            }
            None => Ok(vec![(&event.body[..], Ok(Member::Here(parsed)))]),
        }
    }

    fn member<'a>(&self, raw: &'a RawValue) -> Parts<'a> {
        let member = match json::type_of(raw) {
            Type::Text => match json::text(raw) {
                Some(text) => readable(text.as_bytes(), self.limits)
                    .map(|inner| Member::Quoted(inner.to_owned())),
                None => Err(not_an_object()),
            },
            Type::Object => self.parsed(raw.get(), "the change").map(Member::Here),
            Type::Array | Type::Null | Type::Plain => Err(not_an_object()),
        };
        (raw.get().as_bytes(), member)
    }

    /// Reads a change from text that does not live as long as the event.
    fn owned(&self, text: &str, raw: &[u8], place: Place<'_>) -> Result<Change<'static>, Fault> {
        Ok(self.change(&self.parsed(text, "the change")?, raw, place)?.into_owned())
    }

    /// Takes the text of one change apart.
    fn parsed<'a>(&self, text: &'a str, place: &str) -> Result<Parsed<'a>, Fault> {
        let split = match self.shape {
            Shape::CluedIn => cluedin::split(text, &self.paths),
            Shape::CloudEvents | Shape::Events => None,
        };
        match split {
            Some((object, data)) => Ok(Parsed { object, data }),
            None => Ok(Parsed { object: json::object(text, place)?, data: None }),
        }
    }

    fn change<'a>(
        &self,
        Parsed { object, data }: &Parsed<'a>,
        raw: &[u8],
        place: Place<'_>,
    ) -> Result<Change<'a>, Fault> {
        if self.shape == Shape::CloudEvents
            && let Some(text) = cloudevents::unpacked(object, self.limits)
        {
            return self.owned(&text?, raw, place);
        }
        let mut facts = match self.shape {
            Shape::CluedIn => cluedin::facts(object, data.as_ref(), &self.paths, self.edges)?,
            Shape::CloudEvents => cloudevents::facts(object, &self.paths)?,
            Shape::Events => {
                mapped::facts(object, &self.paths, mapped::kind(object, &self.paths)?)?
            }
        };
        self.upcasts.apply(&mut facts)?;
        Ok(Change {
            order: place.order(facts.version, facts.emitted)?,
            correlation: facts.correlation.unwrap_or_else(|| place.correlation(raw)),
            entity: facts.entity,
            id: facts.id,
            kind: facts.kind,
            schema: facts.schema,
            event_id: facts.event_id,
            codes: facts.codes,
            properties: facts.properties,
            edges: facts.edges,
            author: None,
            partial: false,
        })
    }
}

/// Properties as a change has them: names and values as sent.
type Properties<'a> = Vec<(Cow<'a, str>, Cow<'a, RawValue>)>;

/// A member's own bytes, and the member.
type Parts<'a> = (&'a [u8], Result<Member<'a>, Fault>);

/// A member of an event: in place, or JSON inside a JSON string.
enum Member<'a> {
    Here(Parsed<'a>),
    Quoted(String),
}

/// A change taken apart: its members, and those of the object that holds its properties, where that is
/// read already and not among them.
struct Parsed<'a> {
    object: Object<'a>,
    data: Option<Object<'a>>,
}

/// The text of a body, within bounds and without a byte order mark.
fn readable(body: &[u8], limits: Limits) -> Result<&str, Fault> {
    if body.len() > limits.bytes {
        let message = format!("the event has {} bytes; {} are allowed", body.len(), limits.bytes);
        return Err(Fault::new(fault::Kind::TooLarge, message));
    }
    let text = simdutf8::compat::from_utf8(body).map_err(|error| {
        let message = format!("the event is not UTF-8, from byte {}", error.valid_up_to());
        malformed(message)
    })?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() {
        return Err(malformed("the event is empty"));
    }
    if json::is_deeper_than(limits.depth, text) {
        return Err(malformed(format!("the event is nested deeper than {} levels", limits.depth)));
    }
    Ok(text)
}

/// The messages of a combined event: exactly a `count` and the `messages` themselves.
fn combined<'a>(object: &Object<'a>) -> Option<&'a RawValue> {
    let messages = object.get("messages").filter(|raw| json::type_of(raw) == Type::Array)?;
    (object.get("count").is_some() && object.0.len() == 2).then_some(messages)
}

fn not_an_object() -> Fault {
    malformed("a change in the event's array is not an object")
}

fn malformed(message: impl Into<Cow<'static, str>>) -> Fault {
    Fault::new(fault::Kind::Malformed, message)
}

#[cfg(test)]
mod tests;
