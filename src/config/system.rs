//! A system of `concord.toml`: a source, read by the decoder, or a target, written to.
//!
//! The key `kind` says which. So that every key of a system is checked against its own kind, with its
//! place, the parsed tree is brought into the shape `{ dataverse = { kind = "dataverse", … } }` first.

use schemars::JsonSchema;
use serde::Deserialize;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Dataverse;
use crate::decode;

/// A source, in the words of the decoder.
pub type SourceSystem = decode::Config;

/// One system. The words of `kind` are the names of the variants.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(untagged)]
pub enum System {
    /// Its events are decoded.
    #[serde(rename = "cluedin", alias = "cloudevents", alias = "events")]
    Source(Box<SourceSystem>),
    /// Rows are written to it.
    Dataverse(Box<Dataverse>),
}

/// Puts each system under the word of its kind.
pub(super) fn by_kind(root: &mut DeTable<'_>) {
    let Some(systems) = root.get_mut("systems") else { return };
    let DeValue::Table(systems) = systems.get_mut() else { return };
    for (_, system) in systems.iter_mut() {
        let DeValue::Table(table) = system.get_ref() else { continue };
        let kind = table.get("kind");
        let place = kind.map_or_else(|| system.span(), Spanned::span);
        let word = kind.and_then(|kind| kind.get_ref().as_str()).unwrap_or_default().to_owned();
        let mut outer = DeTable::new();
        outer.insert(Spanned::new(place.clone(), word.into()), system.clone());
        *system = Spanned::new(place, DeValue::Table(outer));
    }
}
