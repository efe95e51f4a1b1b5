//! The part of a `[systems.<name>]` table that says how its events read. Nothing is checked here
//! beyond types; [`super::Decoder::new`] says everything that is wrong at once.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How the events of one system read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Whose shapes they have.
    pub kind: Shape,
    /// The kind of thing that every event is about, or where the event says it. For `cluedin` it
    /// stands in only where an event names neither its `EntityType` nor a code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<EntityOf>,
    /// Where the source's id of the thing stands. Required for `events`; `subject` for `cloudevents`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Where its version stands, a whole number that grows with every change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Where the time of sending stands: ISO 8601, or seconds, milliseconds or microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub emitted: Option<String>,
    /// Where the operation stands, and which of its values remove the thing. Without it, every event
    /// is an upsert.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<Operation>,
    /// Where the object with the properties stands; without it, the event itself is that object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub properties: Option<String>,
    /// Where the event's own id stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_id: Option<String>,
    /// Where a correlation id stands: a `traceparent`, a GUID or any text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub correlation: Option<String>,
    /// The version of the payload's schema, or where the event says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema: Option<SchemaOf>,
    /// Whether CluedIn's edges are read. Turn it off only if they come in a shape that is refused and
    /// no map needs them.
    #[serde(default = "yes")]
    pub edges: bool,
    /// How old payloads become newer ones, one version after the other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upcasts: Vec<Upcast>,
    /// How much one event may hold.
    #[serde(default)]
    pub limits: Limits,
}

/// Whose shapes events have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// What CluedIn's connectors send or write.
    #[default]
    CluedIn,
    /// CloudEvents 1.0, structured, binary or in batches.
    CloudEvents,
    /// Any JSON, by paths.
    Events,
}

/// The kind of thing an event is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum EntityOf {
    /// Always this.
    Is(String),
    /// What the event says there.
    At {
        /// The path.
        path: String,
    },
}

/// The version of a payload's schema.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum SchemaOf {
    /// Always this.
    Is(u32),
    /// What the event says there: a number, or a text or address whose last part is one
    /// (`/contracts/customer/2.json`, `v2`).
    At {
        /// The path.
        path: String,
    },
}

/// Where an event says what was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Operation {
    /// The path.
    pub path: String,
    /// The values that mean the thing is gone, compared without case.
    pub remove: Vec<String>,
    /// The values that mean it is there. When none is listed, every other value does; else a value in
    /// neither list is refused.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub upsert: Vec<String>,
}

/// How a payload of one schema version becomes one of a later version: removed, renamed, defaulted.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Upcast {
    /// Only for this kind of thing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub entity: Option<String>,
    /// The version it takes.
    pub from: u32,
    /// The version it makes.
    pub to: u32,
    /// New names by old name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub rename: BTreeMap<String, String>,
    /// Values for properties that are missing; null and "" are not missing.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub default: BTreeMap<String, serde_json::Value>,
    /// Properties that are no more.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// How much one event may hold. What holds more is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// The longest body, in bytes.
    pub bytes: usize,
    /// The most changes in one event.
    pub changes: usize,
    /// How deep objects and arrays may be nested.
    pub depth: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { bytes: 16 * 1024 * 1024, changes: 10_000, depth: 64 }
    }
}

fn yes() -> bool {
    true
}
