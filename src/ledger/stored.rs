//! An entry as a row of the table, in readable JSON, written part by part.
//!
//! What is applied and what is intended are small heads; the rows that they are about stand beside them
//! in two places, and a head says in which. So a claim writes one row, settling it writes none, and
//! neither needs to know the rows that were written before. A row too long for a table property is
//! deflated; one too long even then goes to a blob named by its content, so that writing it twice is
//! harmless. A part that is over is left empty, because a table cannot drop one property of a row.

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::entry::{Applied, Entry, Intent, Left, Loose, Version};
use super::place::{Place, Places};
use super::{Depth, Ledger, Looked, Slot, head};
use crate::change::Correlation;
use crate::fault::{Fault, Kind};
use crate::order::Order;
use crate::row::{Action, Key, RowHash};
use crate::store::{Entity, Property};

/// What is read back of one that is applied.
#[derive(Deserialize)]
struct Past {
    order: Order,
    hash: RowHash,
    map: u32,
    correlation: Correlation,
    #[serde(default)]
    of: Option<uuid::Uuid>,
    #[serde(default)]
    at: Option<Place>,
    #[serde(default)]
    id: Option<uuid::Uuid>,
    settled: jiff::Timestamp,
}

/// What is read back of one that is intended.
#[derive(Deserialize)]
struct Coming {
    order: Order,
    hash: RowHash,
    map: u32,
    correlation: Correlation,
    #[serde(default)]
    of: Option<uuid::Uuid>,
    #[serde(default)]
    at: Option<Place>,
    claim: super::Claim,
    lease: jiff::Timestamp,
}

impl Ledger {
    /// What is to be written so that `before` becomes `next`: all of it when nothing is stored yet, else
    /// the parts that differ. The row that is intended may be at hand as `json`. Answers where the rows
    /// then stand, too.
    pub(super) async fn encode(
        &self,
        (slot, key): (&Slot, &Key),
        before: &Looked,
        (next, json): (&Entry, Option<String>),
    ) -> Result<(Entity, Places), Fault> {
        let mut entity = Entity { row: slot.row.clone(), ..Entity::default() };
        if before.etag.is_none() {
            entity.properties.insert("key".into(), Property::Text(key.json()));
        }
        let places = self.write_rows(&mut entity, before, (next, json)).await?;
        let was = &before.entry;
        if next.applied != was.applied || places.applied != before.places.applied {
            let head = next.applied.as_ref().map(|applied| head::applied(applied, places.applied));
            put_json(&mut entity, "applied", head.unwrap_or_default());
        }
        if next.intent != was.intent || places.intent != before.places.intent {
            let head = next.intent.as_ref().map(|intent| head::intent(intent, places.intent));
            put_json(&mut entity, "intent", head.unwrap_or_default());
        }
        if next.loose != was.loose {
            put(&mut entity, "loose", (!next.loose.is_empty()).then_some(&next.loose))?;
        }
        if next.held != was.held {
            put(&mut entity, "held", next.held.as_ref())?;
        }
        if next.awaited != was.awaited {
            put(&mut entity, "awaited", next.awaited.then_some(&true))?;
        }
        if next.touched != was.touched {
            put(&mut entity, "touched", next.touched.then_some(&true))?;
        }
        if next.left != was.left {
            put(&mut entity, "left", (!next.left.is_empty()).then_some(&next.left))?;
        }
        Ok((entity, places))
    }

    /// Writes the rows that stand nowhere yet, and clears the places that nobody needs any more.
    async fn write_rows(
        &self,
        entity: &mut Entity,
        before: &Looked,
        (next, json): (&Entry, Option<String>),
    ) -> Result<Places, Fault> {
        let applied = next.applied.as_ref().and_then(|applied| applied.version.action.as_ref());
        let intent = next.intent.as_ref().and_then(|intent| intent.version.action.as_ref());
        let mut places =
            Places { applied: before.place_of(applied), intent: before.place_of(intent) };
        if let Some(row) = applied.filter(|_| places.applied.is_none()) {
            let forms = Place::beside(places.intent);
            places.applied = Some(self.write_row(entity, forms, (row, None)).await?);
        }
        if let Some(row) = intent.filter(|_| places.intent.is_none()) {
            let forms = Place::beside(places.applied);
            places.intent = Some(self.write_row(entity, forms, (row, json)).await?);
        }
        let needed = [places.applied, places.intent];
        for place in [before.places.applied, before.places.intent].into_iter().flatten() {
            if !needed.contains(&Some(place)) {
                entity.properties.insert(place.name().into(), place.empty());
            }
        }
        Ok(places)
    }

    /// The entry as it is stored.
    pub(super) async fn decode(
        &self,
        entity: &Entity,
        depth: Depth,
    ) -> Result<(Entry, Places), Fault> {
        let mut entry = Entry {
            loose: get::<Vec<Loose>>(entity, "loose")?.unwrap_or_default(),
            held: get(entity, "held")?,
            awaited: get(entity, "awaited")?.unwrap_or_default(),
            touched: get(entity, "touched")?.unwrap_or_default(),
            left: get::<Vec<Left>>(entity, "left")?.unwrap_or_default(),
            ..Entry::default()
        };
        let (past, coming) = (get::<Past>(entity, "applied")?, get::<Coming>(entity, "intent")?);
        let mut places = Places::default();
        if let Some(Past { order, hash, map, correlation, of: thing, at: place, id, settled }) =
            past
        {
            let brief = depth == Depth::Brief && coming.is_none() && entry.loose.is_empty();
            let action = if brief {
                self.read_brief(entity, place).await?
            } else {
                self.read_row(entity, place).await?
            };
            let version = Version { order, hash, action, map_version: map, correlation, thing };
            entry.applied = Some(Arc::new(Applied { version, target_id: id, at: settled }));
            places.applied = place;
        }
        if let Some(coming) = coming {
            let Coming { order, hash, map, correlation, of: thing, at: place, claim, lease } =
                coming;
            // Both may be about one row.
            let applied = entry.applied.as_ref().filter(|_| place == places.applied);
            let action = match applied.and_then(|one| one.version.action.as_ref()) {
                Some(row) => Some(Arc::clone(row)),
                None => self.read_row(entity, place).await?,
            };
            let version = Version { order, hash, action, map_version: map, correlation, thing };
            entry.intent = Some(Arc::new(Intent { version, claim, lease }));
            places.intent = place;
        }
        Ok((entry, places))
    }

    /// The key that an entry is of.
    pub(super) fn decode_key(entity: &Entity) -> Result<Option<Key>, Fault> {
        get(entity, "key")
    }
}

/// Writes a part, or leaves it empty.
fn put<T: Serialize>(
    entity: &mut Entity,
    name: &'static str,
    part: Option<&T>,
) -> Result<(), Fault> {
    let json = part.map(serde_json::to_string).transpose().map_err(unreadable)?;
    put_json(entity, name, json.unwrap_or_default());
    Ok(())
}

fn put_json(entity: &mut Entity, name: &'static str, json: String) {
    entity.properties.insert(name.into(), Property::Text(json));
}

fn get<T: DeserializeOwned>(entity: &Entity, name: &str) -> Result<Option<T>, Fault> {
    match entity.properties.get(name) {
        Some(Property::Text(json)) if !json.is_empty() => {
            serde_json::from_str(json).map(Some).map_err(unreadable)
        }
        Some(Property::Text(_) | Property::Integer(_) | Property::Bytes(_)) | None => Ok(None),
    }
}

/// What is said of an entry that makes no sense.
pub(super) fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    let message = "a ledger entry cannot be read or written; was it changed by hand, or by a newer \
                   version of this program?";
    Fault::new(Kind::Misconfigured, message).caused_by(error)
}

impl Looked {
    /// Where a row stands that was looked at: the very one, not one that looks alike, because what is
    /// remembered of a row is not all of it.
    fn place_of(&self, row: Option<&Arc<Action>>) -> Option<Place> {
        let Entry { applied, intent, .. } = &self.entry;
        let applied = applied.as_ref().and_then(|applied| applied.version.action.as_ref());
        let intent = intent.as_ref().and_then(|intent| intent.version.action.as_ref());
        let is = |known: Option<&Arc<Action>>| {
            known.zip(row).is_some_and(|(known, row)| Arc::ptr_eq(known, row))
        };
        let intent = self.places.intent.filter(|_| is(intent));
        self.places.applied.filter(|_| is(applied)).or(intent)
    }
}

#[cfg(test)]
mod tests;
