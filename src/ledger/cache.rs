//! Entries remembered between deliveries, so that a warm instance claims without looking.
//!
//! Only quiet entries are kept, and of each only what a decision needs: the row that is applied keeps its
//! kind and its state, not its columns. What is written back names the place where the whole row stands
//! (`stored`), so that nothing is lost by that. A stale one can cost a failed condition and a second
//! look, never a wrong write: applied versions only move on, so what is superseded stays superseded, and
//! everything else is decided again under the entry's version.

use std::hash::{BuildHasher as _, BuildHasherDefault, Hash, Hasher, RandomState};
use std::sync::{Arc, Mutex, PoisonError};

use indexmap::IndexMap;

use super::brief::Briefs;
use super::entry::{Applied, Entry, Held, Left};
use super::place::Places;
use super::{Looked, Slot};
use crate::store::Etag;

/// A bounded map in two generations: when the young one is full it becomes the old one, and what was
/// old and not asked for since is dropped.
#[derive(Debug)]
pub(super) struct Cache {
    half: usize,
    /// Two keyed hashes of 64 bits name a slot: no two slots meet by accident or by design.
    names: [RandomState; 2],
    briefs: Briefs,
    generations: Mutex<Generations>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Name([u64; 2]);

impl Hash for Name {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0[0]);
    }
}

/// A name is a hash already.
#[derive(Default)]
struct AsItIs(u64);

impl Hasher for AsItIs {
    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |sum, byte| sum.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, number: u64) {
        self.0 = number;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

/// One stretch of memory that is given back as a whole: what is remembered for long must not lie among
/// what is needed for a moment.
type Entries = IndexMap<Name, Known, BuildHasherDefault<AsItIs>>;

/// A quiet entry, in few bytes.
#[derive(Clone, Debug)]
struct Known {
    applied: Option<Applied>,
    held: Option<Box<Held>>,
    awaited: bool,
    touched: bool,
    /// No entry that nothing left takes more room for it.
    left: Option<Box<[Left]>>,
    etag: Tag,
    places: Places,
}

/// A version of an entry, in place as long as storage makes them.
#[derive(Clone, Debug)]
enum Tag {
    Short([u8; SHORT], u8),
    Long(Box<str>),
}

/// The service's own have 46 bytes.
const SHORT: usize = 54;

#[derive(Debug, Default)]
struct Generations {
    young: Entries,
    old: Entries,
}

impl Cache {
    /// A cache of at most `entries`.
    pub(super) fn new(entries: usize) -> Self {
        Self {
            half: entries / 2,
            names: [RandomState::new(), RandomState::new()],
            briefs: Briefs::default(),
            generations: Mutex::default(),
        }
    }

    pub(super) fn get(&self, slot: &Slot) -> Option<Looked> {
        let name = self.name(slot);
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        let known = if let Some(found) = generations.young.get(&name) {
            found.clone()
        } else {
            let found = generations.old.swap_remove(&name)?;
            generations.keep(self.half, name, found.clone());
            found
        };
        drop(generations);
        let Known { applied, held, awaited, touched, left, etag, places } = known;
        let (applied, left) = (applied.map(Arc::new), left.map(Vec::from).unwrap_or_default());
        let entry = Entry { applied, held, awaited, left, touched, ..Entry::default() };
        Some(Looked { entry, etag: Some(etag.into()), places })
    }

    /// Remembers an entry that was read or written, if it is quiet.
    pub(super) fn put(&self, slot: &Slot, looked: &Looked) {
        let name = self.name(slot);
        let known = looked.etag.as_ref().filter(|_| looked.entry.is_quiet()).map(|etag| Known {
            applied: looked.entry.applied.as_ref().map(|applied| self.thin(applied)),
            held: looked.entry.held.clone(),
            awaited: looked.entry.awaited,
            touched: looked.entry.touched,
            left: Some(&looked.entry.left).filter(|left| !left.is_empty()).cloned().map(Into::into),
            etag: Tag::of(etag),
            places: looked.places,
        });
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.old.swap_remove(&name);
        match known {
            Some(known) => generations.keep(self.half, name, known),
            None => _ = generations.young.swap_remove(&name),
        }
    }

    pub(super) fn forget(&self, slot: &Slot) {
        let name = self.name(slot);
        let mut generations = self.generations.lock().unwrap_or_else(PoisonError::into_inner);
        generations.young.swap_remove(&name);
        generations.old.swap_remove(&name);
    }

    fn name(&self, slot: &Slot) -> Name {
        let [one, other] = &self.names;
        Name([one.hash_one(slot), other.hash_one(slot)])
    }

    /// Reads rows without what is not remembered of them.
    pub(super) fn briefs(&self) -> &Briefs {
        &self.briefs
    }

    fn thin(&self, applied: &Applied) -> Applied {
        let mut thin = applied.clone();
        thin.version.action = applied.version.action.as_ref().map(|row| self.briefs.of(row));
        thin
    }
}

impl Tag {
    fn of(Etag(text): &Etag) -> Self {
        let mut bytes = [0; SHORT];
        match (bytes.get_mut(..text.len()), u8::try_from(text.len())) {
            (Some(place), Ok(length)) => {
                place.copy_from_slice(text.as_bytes());
                Self::Short(bytes, length)
            }
            _ => Self::Long(text.as_str().into()),
        }
    }
}

impl From<Tag> for Etag {
    fn from(tag: Tag) -> Self {
        Self(match tag {
            Tag::Short(bytes, length) => {
                let text = bytes.get(..usize::from(length)).unwrap_or_default();
                String::from_utf8_lossy(text).into_owned()
            }
            Tag::Long(text) => text.into(),
        })
    }
}

impl Generations {
    fn keep(&mut self, half: usize, name: Name, known: Known) {
        if half == 0 {
            return;
        }
        if self.young.len() >= half && !self.young.contains_key(&name) {
            let young = Entries::with_capacity_and_hasher(half, BuildHasherDefault::default());
            self.old = std::mem::replace(&mut self.young, young);
        }
        self.young.insert(name, known);
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
        let looked = Looked { etag: Some(Etag("e".into())), ..Looked::default() };
        for n in 0..100 {
            cache.put(&slot(n), &looked);
            assert!(cache.get(&slot(0)).is_some(), "asked for all the time, gone after {n}");
        }
        let held = (0..100).filter(|n| cache.get(&slot(*n)).is_some()).count();
        assert!(held <= 10, "{held}");
    }

    #[test]
    fn an_entry_that_is_remembered_is_small() {
        assert!(size_of::<Known>() <= 320, "{}", size_of::<Known>());
    }
}
