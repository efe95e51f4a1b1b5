//! Columns that the target no longer has, while maps still write them; and properties of the source that
//! no map reads.
//!
//! The target says so row by row; the map's `[drift]` decides. `halt` leaves the row open, as any fault
//! of the installation. `poison` sets the row aside. `drop` writes the row without the column: the
//! first time it is told in the log, every time it is counted, and for a while no row asks again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::Pipeline;
use crate::fault::{Fault, Kind};
use crate::row::{Action, Gone, Row};
use crate::system::{Answer, Target, Until, Write};

/// For so long a column is left out unasked; then one row tries whether it is there again.
const BELIEVED: Duration = Duration::from_mins(10);
/// How many columns of one row may turn out to be gone in one call.
const COLUMNS: usize = 10;

/// What this process knows of columns that are gone.
#[derive(Debug, Default)]
pub struct Drift {
    gone: Mutex<BTreeMap<Place, Instant>>,
    dropped: AtomicU64,
    unread: Mutex<BTreeSet<(Arc<str>, String)>>,
}

/// How many unread properties are told.
const PROPERTIES: usize = 1_000;

/// System, table and column.
type Place = (String, String, String);

impl Drift {
    /// How many values were left out of rows so far, because their columns are gone.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Tells once that no rule of a map reads a property.
    pub(super) fn unread(&self, map: &Arc<str>, property: &str) {
        let mut unread = self.unread.lock().unwrap_or_else(PoisonError::into_inner);
        let new =
            unread.len() < PROPERTIES && unread.insert((Arc::clone(map), property.to_owned()));
        if new {
            tracing::warn!(map = &**map, property, "property_unread");
        }
    }

    /// The write without the columns that were gone a short while ago.
    fn shortened(&self, mut write: Write) -> Write {
        if write.row.to.gone != Gone::Drop {
            return write;
        }
        let gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let since = |column: &str| gone.get(&place(&write.row, column)).copied();
        let Action::Upsert(columns) = &*write.row.action else { return write };
        let names = columns.values.iter().map(|(name, _)| name.to_string());
        let names: Vec<String> = names
            .filter(|name| since(name).is_some_and(|since| since.elapsed() < BELIEVED))
            .collect();
        drop(gone);
        for name in names {
            self.without(&mut write, &name);
        }
        write
    }

    /// Takes a column out of a write when the answer says that it is gone; whether it did.
    fn took(&self, write: &mut Write, answer: &Answer) -> bool {
        let Answer::Not(fault) = answer else { return false };
        if write.row.to.gone != Gone::Drop {
            return false;
        }
        let Some(column) = gone(fault, &write.row).map(str::to_owned) else { return false };
        let known = {
            let mut gone = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
            gone.insert(place(&write.row, &column), Instant::now()).is_some()
        };
        if !known {
            let to = &write.row.to;
            tracing::warn!(
                system = to.system,
                table = to.table,
                map = &*to.map,
                column,
                "column_gone"
            );
        }
        self.without(write, &column);
        true
    }

    fn without(&self, write: &mut Write, column: &str) {
        if let Action::Upsert(columns) = Arc::make_mut(&mut Arc::make_mut(&mut write.row).action) {
            columns.values.retain(|(name, _)| **name != *column);
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Pipeline {
    /// Hands writes to the target, and once more without a column that it turns out not to have, where
    /// the map says so. Answers for every row, in order.
    pub(super) async fn send(
        &self,
        target: &dyn Target,
        writes: Vec<Write>,
        until: Until,
    ) -> Vec<Answer> {
        let mut writes: Vec<Write> =
            writes.into_iter().map(|write| self.drift.shortened(write)).collect();
        let mut answers = target.write(&writes, until).await;
        for _ in 0..COLUMNS {
            let (mut places, mut again) = (Vec::new(), Vec::new());
            for (index, (write, answer)) in writes.iter_mut().zip(&answers).enumerate() {
                if self.drift.took(write, answer) {
                    places.push(index);
                    again.push(write.clone());
                }
            }
            if again.is_empty() {
                break;
            }
            for (index, answer) in places.into_iter().zip(target.write(&again, until).await) {
                if let Some(place) = answers.get_mut(index) {
                    *place = answer;
                }
            }
        }
        answers
    }
}

fn place(row: &Row, column: &str) -> Place {
    (row.to.system.clone(), row.to.table.clone(), column.to_owned())
}

/// The column of this row that a fault says is gone; its key is none of them.
pub(super) fn gone<'r>(fault: &Fault, row: &'r Row) -> Option<&'r str> {
    let field = fault.field.as_deref().filter(|_| fault.kind == Kind::SchemaGone)?;
    let Action::Upsert(columns) = &*row.action else { return None };
    let mut names = columns.values.iter().map(|(name, _)| &**name);
    names.find(|name| name.eq_ignore_ascii_case(field))
}
