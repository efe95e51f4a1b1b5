//! A parked event as rows of the table: the event beneath the row it waits for, and a pointer from the
//! row that waits.

use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::delivery::{Event, Packed};
use crate::digest;
use crate::fault::{Fault, Kind};
use crate::store::{Entity, Property};

/// An event whose row for one map waits for another row.
#[derive(Clone, Debug, PartialEq)]
pub struct Parked {
    /// What waits for what.
    pub about: About,
    /// The event, for that map alone.
    pub event: Event,
}

/// What waits for what, as it may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The source system of the event.
    pub system: Arc<str>,
    /// The map whose row waits.
    pub map: String,
    /// The row's key.
    pub key: String,
    /// The id of the row's name.
    pub child: String,
    /// The lookup column whose row is missing.
    pub column: String,
    /// The row that is missing.
    pub waits: String,
    /// The id of that row's name.
    pub parent: String,
    /// Since when it waits.
    pub since: Timestamp,
    /// When it was tried last.
    pub tried: Timestamp,
    /// How often it was tried in vain.
    pub tries: u32,
    /// Whether the missing row is one that a map writes, so that its write wakes this one.
    pub ours: bool,
}

impl Parked {
    /// The rest of the row key beneath the row it waits for: one for each event, map and try. So whoever
    /// removes what was brought again never removes what was parked again since.
    fn digest(&self) -> String {
        let about = &self.about;
        let tries = about.tries.to_be_bytes();
        let parts = [about.system.as_bytes(), about.map.as_bytes(), &*self.event.body, &tries];
        digest::hex(&digest::of(parts))
    }

    /// Where the event stands.
    pub(super) fn row(&self) -> String {
        format!("{}{}", below(&self.about.parent), self.digest())
    }

    /// Where the pointer stands.
    pub(super) fn pointer_row(&self) -> String {
        format!("{}{}", pointers(&self.about.child), self.about.parent)
    }

    /// The event's body as JSON, to be kept beside.
    pub(super) fn body(&self) -> Result<String, Fault> {
        serde_json::to_string(&Packed::of(&self.event)).map_err(unreadable)
    }

    pub(super) fn entity(&self, body: Body) -> Result<Entity, Fault> {
        let (name, text) = match body {
            Body::Here(text) => ("event", text),
            Body::Blob(path) => ("blob", path),
        };
        let about = serde_json::to_string(&self.about).map_err(unreadable)?;
        let properties = [("about", about), (name, text)];
        let properties = properties.map(|(name, text)| (name.into(), Property::Text(text)));
        Ok(Entity { row: self.row(), properties: properties.into() })
    }

    pub(super) fn pointer(&self) -> Result<Entity, Fault> {
        let about = serde_json::to_string(&self.about).map_err(unreadable)?;
        let properties = [("about", about), ("to", self.row())];
        let properties = properties.map(|(name, text)| (name.into(), Property::Text(text)));
        Ok(Entity { row: self.pointer_row(), properties: properties.into() })
    }
}

/// Where an event's body is.
pub(super) enum Body {
    Here(String),
    Blob(String),
}

/// The beginning of the row keys of all that wait for a row.
pub(super) fn below(parent: &str) -> String {
    format!("p~{parent}~")
}

/// The beginning of the row keys of the pointers of a row that waits.
pub(super) fn pointers(child: &str) -> String {
    format!("c~{child}~")
}

pub(super) fn about(entity: &Entity) -> Result<About, Fault> {
    let text = text(entity, "about").ok_or_else(|| unreadable("no property `about`"))?;
    serde_json::from_str(text).map_err(unreadable)
}

/// The row of the event that a pointer is of.
pub(super) fn pointed(entity: &Entity) -> Option<&str> {
    text(entity, "to")
}

pub(super) fn body(entity: &Entity) -> Option<Body> {
    let here = text(entity, "event").map(|text| Body::Here(text.to_owned()));
    here.or_else(|| text(entity, "blob").map(|path| Body::Blob(path.to_owned())))
}

pub(super) fn event(body: &[u8]) -> Result<Event, Fault> {
    let packed: Packed = serde_json::from_slice(body).map_err(unreadable)?;
    packed.unpack().map_err(unreadable)
}

fn text<'e>(entity: &'e Entity, name: &str) -> Option<&'e str> {
    match entity.properties.get(name) {
        Some(Property::Text(text)) => Some(text),
        Some(Property::Integer(_) | Property::Bytes(_)) | None => None,
    }
}

pub(super) fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    let message = "a parked event cannot be read or written; was it changed by hand, or by a newer \
                   version of this program?";
    Fault::new(Kind::Misconfigured, message).caused_by(error)
}
