//! What `concord.toml` says about all maps: the section `[defaults]`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::file::{Empty, Policy, Removed};

/// What a map means where it says nothing.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Defaults {
    /// What happens to a column whose value is null. `clear` unless it is said here.
    pub null: Policy,
    /// What happens to a column whose property is missing. `omit` unless it is said here.
    pub absent: Policy,
    /// What an empty text means. `null` unless it is said here; for other columns than text it is null
    /// always.
    pub empty: Empty,
    /// Whether white space is taken off both ends of every value.
    pub trim: bool,
    /// What becomes of rows that the source removed.
    pub removed: Option<Removed>,
}

impl Default for Defaults {
    fn default() -> Self {
        let (null, absent, empty) = (Policy::Clear, Policy::Omit, Empty::Null);
        Self { null, absent, empty, trim: false, removed: None }
    }
}
