//! The audit record: who did what to which record, map or plan, when and why.
//!
//! In come deeds, before they are carried out; what cannot be recorded is not done. Out come entries,
//! newest first. Rows are only ever added, each carries the hash of the one before it, and their numbers
//! leave no gap: one that was changed or taken away by somebody with rights on the table shows when the
//! chain is checked. They stand in the table of error records, in a partition of their own.

mod entry;

use std::sync::Arc;

pub use self::entry::{Deed, Entry, Verb};
use crate::clock::SharedClock;
use crate::fault::{Fault, Kind};
use crate::operator::Person;
use crate::store::{Entity, Error, Operation, Page, Table};

/// Records what people do.
#[derive(Clone, Debug)]
pub struct Audit {
    table: Arc<dyn Table>,
    clock: SharedClock,
}

/// Which entries to list. Everything that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// By this person: a part of the name, or the whole id.
    pub who: Option<String>,
    /// Of this kind.
    pub verb: Option<Verb>,
    /// To what begins like this.
    pub subject: Option<String>,
    /// At or after this moment.
    pub since: Option<jiff::Timestamp>,
}

/// What a walk over the whole record found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Chain {
    /// So many entries, and each follows from the one before.
    Whole(u64),
    /// The entry of this number does not follow from the one before.
    Broken(u64),
}

/// No map's name begins like this.
const PARTITION: &str = "~audit";
const PLACE: &str = "audit record";
/// How often an entry is put after another one that came first.
const ROUNDS: u32 = 20;
/// Entries of one transaction.
const CHUNK: usize = 50;
/// Rows of one page.
const PAGE: usize = 500;
/// After every row key of an entry.
const END: &str = "~";

impl Audit {
    /// Over the table of error records.
    pub fn new(table: Arc<dyn Table>, clock: SharedClock) -> Self {
        Self { table, clock }
    }

    /// Puts deeds on record, in order. When this answers `Ok`, they are durable; what was to be done may
    /// be done then.
    pub async fn record(&self, who: &Person, deeds: &[Deed]) -> Result<(), Fault> {
        for chunk in deeds.chunks(CHUNK) {
            self.chunk(who, chunk).await?;
        }
        Ok(())
    }

    async fn chunk(&self, who: &Person, deeds: &[Deed]) -> Result<(), Fault> {
        for _ in 0..ROUNDS {
            let rows = self.following(who, deeds).await?;
            let rows = rows.into_iter().map(Operation::Insert).collect();
            match self.table.transact(PARTITION, rows).await {
                // Somebody else's entry took the number.
                Err(Error::Conflict { .. }) => {}
                done => return done.map(drop).map_err(|error| error.fault(PLACE)),
            }
        }
        Err(Fault::new(Kind::Busy, "the audit record is written by too many at once; try again"))
    }

    /// The rows of deeds that follow the newest entry.
    async fn following(&self, who: &Person, deeds: &[Deed]) -> Result<Vec<Entity>, Fault> {
        let newest = self.page("", 1).await?.rows;
        let newest = newest.first().map(entry::read).transpose()?;
        let (mut number, mut previous) =
            newest.map_or((0, String::new()), |(entry, hash)| (entry.number, hash));
        let mut rows = Vec::with_capacity(deeds.len());
        for deed in deeds {
            number += 1;
            let (at, who) = (self.clock.now(), who.clone());
            let entry = Entry { number, at, who, deed: deed.clone(), previous };
            let row = entry.entity()?;
            previous = entry::hash(&row);
            rows.push(row);
        }
        Ok(rows)
    }

    /// The newest entries that a filter admits, at most `most`.
    pub async fn list(&self, filter: &Filter, most: usize) -> Result<Vec<Entry>, Fault> {
        let (mut found, mut from) = (Vec::new(), String::new());
        loop {
            let page = self.page(&from, PAGE).await?;
            for stored in &page.rows {
                let (entry, _) = entry::read(stored)?;
                if filter.since.is_some_and(|since| entry.at < since) || found.len() >= most {
                    return Ok(found);
                }
                if filter.admits(&entry) {
                    found.push(entry);
                }
            }
            match page.next {
                Some(next) => from = next,
                None => return Ok(found),
            }
        }
    }

    /// Walks over every entry.
    pub async fn check(&self) -> Result<Chain, Fault> {
        let (mut count, mut from) = (0, String::new());
        let mut after: Option<Entry> = None;
        loop {
            let page = self.page(&from, PAGE).await?;
            for stored in &page.rows {
                let (entry, hash) = entry::read(stored)?;
                if let Some(after) = &after
                    && (after.previous != hash || after.number != entry.number + 1)
                {
                    return Ok(Chain::Broken(after.number));
                }
                if entry::row(entry.number) != stored.entity.row {
                    return Ok(Chain::Broken(entry.number));
                }
                after = Some(entry);
                count += 1;
            }
            match page.next {
                Some(next) => from = next,
                None => break,
            }
        }
        match after {
            Some(oldest) if oldest.number != 1 || !oldest.previous.is_empty() => {
                Ok(Chain::Broken(oldest.number))
            }
            Some(_) | None => Ok(Chain::Whole(count)),
        }
    }

    async fn page(&self, from: &str, limit: usize) -> Result<Page, Fault> {
        let page = self.table.scan(PARTITION, from, END, limit).await;
        page.map_err(|error| error.fault(PLACE))
    }
}

impl Filter {
    fn admits(&self, entry: &Entry) -> bool {
        let who = |who: &String| entry.who.id == *who || entry.who.name.contains(who.as_str());
        self.who.as_ref().is_none_or(who)
            && self.verb.is_none_or(|verb| entry.deed.verb == verb)
            && self.subject.as_ref().is_none_or(|begin| entry.deed.subject.starts_with(begin))
    }
}

#[cfg(test)]
mod tests;
