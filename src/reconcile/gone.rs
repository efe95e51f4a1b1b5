//! What a source removed: asked of its history where only changed rows are compared, because a row that is
//! gone has no change of its own. And the keys of removed rows, which the history knows by their ids alone.
//!
//! The history is that of change tracking. A mark keeps the place at which the history stood when its
//! comparison began, as the timer had reached it, and the next comparison asks from there. Where there is
//! none, or where the history no longer reaches so far back, the report says that removals were not seen.

use uuid::Uuid;

use super::config::Removals;
use super::ground::Ground;
use super::mark::Mark;
use super::print::{Print, Stand};
use super::side::{At, Printed};
use super::{Reconciler, run};
use crate::decode::dataverse::gone;
use crate::fault::{Fault, Kind};
use crate::mapping::Map;
use crate::row::Key;
use crate::system::Source;
use crate::system::source::{Asked, Delta, Selection, Token};

impl Reconciler {
    /// Where the history of a map's source stands, as change tracking reached it.
    pub(super) async fn place(&self, map: &str) -> Result<Option<Token>, Fault> {
        let map = self.pipeline.maps.get(map).ok_or_else(|| run::unknown(map))?;
        if !self.pipeline.sources.contains_key(&map.system) {
            return Ok(None);
        }
        self.places.of(&map.system, &table(map).to_lowercase()).await
    }

    /// Which removals a comparison of what changed since the mark will see.
    pub(super) async fn removals(&self, map: &str, mark: &Mark) -> Result<Removals, Fault> {
        let known = self.pipeline.maps.get(map).ok_or_else(|| run::unknown(map))?;
        let Some(source) = self.pipeline.sources.get(&known.system) else {
            let why = "the source cannot be asked what it removed".to_owned();
            return Ok(unseen(map, why));
        };
        let Some(place) = &mark.place else {
            let why = format!(
                "no place in the history of {} was known when it was last verified; the next full \
                 comparison keeps one, once the function `changes` has run",
                table(known)
            );
            return Ok(unseen(map, why));
        };
        Ok(match source.changes(&asked(known), Some(place)).await? {
            Delta::Changes(_) => Removals::Since(place.clone()),
            Delta::Expired => {
                let why = format!(
                    "the history of {} no longer reaches back to when it was last verified; a full \
                     comparison sees them",
                    table(known)
                );
                unseen(map, why)
            }
        })
    }
}

fn unseen(map: &str, reason: String) -> Removals {
    tracing::warn!(ev = "removals_unseen", map, reason, "removals_unseen");
    Removals::Unseen(reason)
}

impl Ground {
    /// Reads one page of what the source removed.
    pub(super) async fn removed(
        &self,
        source: &dyn Source,
        from: &Token,
    ) -> Result<Printed, Fault> {
        let changes = match source.changes(&asked(&self.shape.map), Some(from)).await? {
            Delta::Changes(changes) => changes,
            Delta::Expired => {
                let message = "the source's history was cut off while it was read; compare again";
                return Err(Fault::new(Kind::Unreachable, message));
            }
        };
        let keys = self.keys_of_gone(&changes.removed).await?;
        let gone = changes.removed.iter().zip(keys).filter_map(|(id, key)| {
            let face = self.shape.ours(&key?, None);
            Some(Print::of(&face, Stand::Gone, id.as_bytes()))
        });
        let next = changes.more.then_some(At::Gone(changes.token));
        Ok(Printed { prints: gone.collect(), next })
    }

    /// The keys that rows of the source had, by their ids; none of what was never written.
    pub(super) async fn keys_of_gone(&self, ids: &[Uuid]) -> Result<Vec<Option<Key>>, Fault> {
        let map = &self.shape.map;
        let texts: Vec<String> = ids.iter().map(Uuid::to_string).collect();
        let noted = self.pipeline.twins.crosswalk.find(&map.name, &texts).await?;
        let by_id = |id: &Uuid| map.key_of(&gone(table(map), *id, self.now()));
        let keys = ids.iter().zip(noted);
        Ok(keys.map(|(id, noted)| by_id(id).or(noted.map(|noted| noted.note.key))).collect())
    }
}

/// The source's table.
fn table(map: &Map) -> &str {
    map.entity.trim_start_matches('/')
}

/// What is asked of a history whose rows are not read.
fn asked(map: &Map) -> Asked {
    Asked { table: table(map).to_owned(), columns: Selection::default(), since: None }
}
