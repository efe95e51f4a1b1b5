//! Dataverse as a source: its rows and the contexts of its events become changes in one normal form,
//! so that one map reads both.
//!
//! In comes a `RemoteExecutionContext` (webhook, Service Bus, Event Hubs), a row as the Web API returns
//! it, or a change as [`body`] wrote it. Out go changes: the entity is the table's logical name, the id
//! the row's GUID, and each property stands under its column's logical name (`value`). A reference
//! `x` is the GUID of its row, and `x_entitytype` names its table. A change is `partial` when the event
//! does not hold all columns of the row. Refused: a context that names no row, and messages that say
//! nothing about one. Facts: Dataverse Web API, webhooks.

mod context;
mod message;
mod reading;
#[cfg(test)]
mod tests;
mod value;

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::origin::Place;
use super::{Decoded, Limits, json, readable};
use serde_json::value::RawValue;

use crate::change::{Change, Kind};
use crate::delivery::Event;
use crate::digest;
use crate::fault::Fault;

pub use self::reading::{Reading, body, gone};

/// The application property that names the table of an event whose body is a row as the Web API shows
/// it; the event was received when the row was read.
pub const TABLE: &str = "concord-table";

/// What is to be known of the tables that are read, by logical name.
#[derive(Clone, Debug, Default)]
pub struct Tables(pub BTreeMap<String, Table>);

/// What is to be known of one table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Table {
    /// The columns that maps read, without hops over lookups; sorted.
    pub columns: BTreeSet<String>,
    /// What maps read of rows that this one refers to: `acme_hotelid.acme_code`.
    pub hops: BTreeSet<String>,
    /// Whether a map reads what nobody can tell, so that every column counts.
    pub all: bool,
    /// Whether rows are always read again, whatever an event holds.
    pub fetch: bool,
    /// Columns that hold a date without a time; a context does not tell them from moments.
    pub dates: BTreeSet<String>,
    /// Whether it is a many-to-many relationship: its pairs come by events alone.
    pub pairs: bool,
}

impl Table {
    /// The name of the images that hold exactly these columns. An image of another name may lack some,
    /// so it does not make a row whole: a map that grew is noticed before its steps are registered anew.
    pub fn alias(&self) -> String {
        let names = self.columns.iter().flat_map(|name| [name.as_bytes(), b","]);
        let digest = digest::hex(&digest::of(names));
        format!("concord{}", digest.get(..8).unwrap_or_default())
    }
}

/// Reads every change that an event holds.
pub(super) fn decode<'a>(event: &'a Event, tables: &Tables, limits: Limits) -> Vec<Decoded<'a>> {
    let place = Place { event, index: 0 };
    let mut changes = match changes(event, tables, limits, place) {
        Ok(mut changes) => {
            for change in &mut changes {
                if let Some(table) = tables.0.get(&*change.entity) {
                    see_through(change, table);
                }
            }
            changes
        }
        Err(fault) => {
            return vec![Decoded { raw: Cow::Borrowed(&event.body), change: Err(fault) }];
        }
    };
    if changes.len() == 1 {
        let whole = |change| Decoded { raw: Cow::Borrowed(&*event.body), change: Ok(change) };
        return changes.pop().map(whole).into_iter().collect();
    }
    // Each of several changes can be decoded again by itself.
    let parts = changes
        .into_iter()
        .map(|change| Decoded { raw: Cow::Owned(body(&change).to_vec()), change: Ok(change) });
    parts.collect()
}

/// What is read of a row that this one refers to is null when it refers to none, and missing as long as
/// that row was not read along.
fn see_through(change: &mut Change<'_>, table: &Table) {
    if change.kind == Kind::Remove {
        return;
    }
    for hop in &table.hops {
        let here = |name: &str| change.properties.iter().find(|(known, _)| known == name);
        let (lookup, None) = (hop.split('.').next().unwrap_or(hop), here(hop)) else { continue };
        match here(lookup).map(|(_, value)| json::type_of(value)) {
            Some(json::Type::Null) => {
                let null = Cow::Borrowed(RawValue::NULL);
                change.properties.push((Cow::Owned(hop.clone()), null));
            }
            Some(_) | None => change.partial = true,
        }
    }
}

fn changes<'a>(
    event: &'a Event,
    tables: &Tables,
    limits: Limits,
    place: Place<'_>,
) -> Result<Vec<Change<'a>>, Fault> {
    let text = readable(&event.body, limits)?;
    if let Some(table) = event.property(TABLE) {
        return Ok(vec![reading::row(text, table, place)?]);
    }
    let object = json::object(text, "the event")?;
    if reading::is_one(&object) {
        return Ok(vec![reading::read(&object)?]);
    }
    let context = context::Context::read(&object, limits)?;
    message::changes(&context, tables, place)
}
