//! What is wrong with a configuration, one entry per place.

use std::fmt;

use crate::decode::config::{Config, Shape};

/// One thing that is wrong with a system's configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting, as a path within the system's table.
    pub field: String,
    /// What is wrong and what to write instead.
    pub message: String,
}

impl Problem {
    pub(super) fn new(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self { field: field.into(), message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.field, self.message)
    }
}

/// Settings that do nothing for this kind of system: most likely another kind was meant.
pub(super) fn unused(config: &Config) -> Vec<Problem> {
    if config.kind != Shape::CluedIn {
        return Vec::new();
    }
    let paths = [
        ("key", config.key.is_some()),
        ("version", config.version.is_some()),
        ("emitted", config.emitted.is_some()),
        ("operation", config.operation.is_some()),
        ("properties", config.properties.is_some()),
        ("event_id", config.event_id.is_some()),
        ("correlation", config.correlation.is_some()),
    ];
    let said = paths.into_iter().filter(|(_, said)| *said);
    said.map(|(field, _)| {
        Problem::new(
            field,
            "is known for `kind = \"cluedin\"`; leave it out, or use `kind = \"events\"`",
        )
    })
    .collect()
}
