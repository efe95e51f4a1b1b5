//! Entries remembered between deliveries, so that a warm instance claims without looking.
//!
//! Only quiet entries are kept. A stale one can cost a failed condition and a second look, never a
//! wrong write: applied versions only move on, so what is superseded stays superseded, and everything
//! else is decided again under the entry's version.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use super::entry::Entry;
use super::slot::Slot;
use crate::store::Etag;

/// A bounded map in two generations: when the young one is full it becomes the old one, and what was
/// old and not asked for since is dropped.
#[derive(Debug)]
pub(super) struct Cache {
    half: usize,
    generations: Mutex<Generations>,
}

type Known = HashMap<Slot, (Entry, Etag)>;

#[derive(Debug, Default)]
struct Generations {
    young: Known,
    old: Known,
}

impl Cache {
    /// A cache of at most `entries`.
    pub(super) fn new(entries: usize) -> Self {
        Self { half: entries / 2, generations: Mutex::default() }
    }

    pub(super) fn get(&self, slot: &Slot) -> Option<(Entry, Etag)> {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = generations.young.get(slot) {
            return Some(found.clone());
        }
        let found = generations.old.remove(slot)?;
        generations.keep(self.half, slot.clone(), found.clone());
        Some(found)
    }

    pub(super) fn put(&self, slot: Slot, entry: Entry, etag: Etag) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.old.remove(&slot);
        if entry.is_quiet() {
            generations.keep(self.half, slot, (entry, etag));
        } else {
            generations.young.remove(&slot);
        }
    }

    pub(super) fn forget(&self, slot: &Slot) {
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.remove(slot);
        generations.old.remove(slot);
    }
}

impl Generations {
    fn keep(&mut self, half: usize, slot: Slot, known: (Entry, Etag)) {
        if half == 0 {
            return;
        }
        if self.young.len() >= half && !self.young.contains_key(&slot) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(slot, known);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn slot(n: usize) -> Slot {
        Slot { partition: "p".into(), row: n.to_string() }
    }

    #[test]
    fn it_never_holds_more_than_it_may_and_keeps_what_is_asked_for() {
        let cache = Cache::new(10);
        for n in 0..100 {
            cache.put(slot(n), Entry::default(), Etag("e".into()));
            assert!(cache.get(&slot(0)).is_some(), "asked for all the time, gone after {n}");
        }
        let held = (0..100).filter(|n| cache.get(&slot(*n)).is_some()).count();
        assert!(held <= 10, "{held}");
    }
}
