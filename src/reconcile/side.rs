//! One side of a comparison, read a page at a time and turned into prints.
//!
//! The source's rows go through the same map as its events; where the source cannot be asked, the
//! ledger stands for it with what it remembers to have written.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::print::{Print, Stand};
use super::shape::{Face, Shape};
use crate::change::Change;
use crate::decode::dataverse::Reading;
use crate::fault::{Fault, Kind};
use crate::ledger::{Entry, Ledger, Place};
use crate::mapping::Map;
use crate::row::{Action, Columns, Key, Removal, Row};
use crate::system::Source;
use crate::system::source::{Asked, Cursor, Page, Record, Token};

/// One of the two sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Side {
    /// The source, or the ledger in its stead.
    Source,
    /// The target.
    Target,
}

impl Side {
    /// The word in names of blobs.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Source => "source",
            Self::Target => "target",
        }
    }

    pub(super) fn other(self) -> Self {
        match self {
            Self::Source => Self::Target,
            Self::Target => Self::Source,
        }
    }
}

/// Where a side is read on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum At {
    System(Cursor),
    Ledger(Place),
    /// In the source's history, behind its rows: what it removed.
    Gone(Token),
}

/// How many rows of a side stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tally {
    /// Rows that were read.
    pub rows: u64,
    /// Rows that are, or should be, at the target.
    pub there: u64,
    /// Rows that the map leaves out or removes.
    pub filtered: u64,
    /// Rows that the map cannot read.
    pub refused: u64,
}

impl Tally {
    pub(super) fn add(&mut self, stand: Stand) {
        self.rows += 1;
        match stand {
            Stand::There => self.there += 1,
            Stand::LeftOut | Stand::Gone => self.filtered += 1,
            Stand::Refused => self.refused += 1,
        }
    }

    pub(super) fn join(&mut self, other: Self) {
        self.rows += other.rows;
        self.there += other.there;
        self.filtered += other.filtered;
        self.refused += other.refused;
    }
}

/// Where the rows of a map come from.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// The source can be asked; its table, and the name of its id column.
    System(Arc<dyn Source>, Asked),
    /// It cannot: the ledger says what was written.
    Ledger,
}

/// What a map makes of a row of the source.
#[derive(Debug)]
pub(super) enum Made {
    Row(Box<Row>),
    LeftOut,
    Refused(Fault),
}

/// Maps a row of the source.
pub(super) fn made(map: &Map, change: &Change<'_>) -> Made {
    match map.row(change) {
        Ok(Some(row)) => Made::Row(Box::new(row)),
        Ok(None) => Made::LeftOut,
        Err(fault) => Made::Refused(fault),
    }
}

/// The print of a source's row.
pub(super) fn print_of_source(shape: &Shape, change: &Change<'_>, id: &[u8]) -> Print {
    let keyed = |key: Option<Key>, stand: Stand| {
        let face = key.map_or_else(|| nobody(shape), |key| shape.ours(&key, None));
        Print::of(&face, stand, id)
    };
    match made(&shape.map, change) {
        Made::Row(row) => match &*row.action {
            Action::Upsert(columns) => {
                Print::of(&shape.ours(&row.key, Some(columns)), Stand::There, id)
            }
            Action::Remove(_) | Action::Hold { .. } => keyed(Some(row.key), Stand::Gone),
        },
        Made::LeftOut => keyed(shape.map.key_of(change), Stand::LeftOut),
        Made::Refused(_) => keyed(shape.map.key_of(change), Stand::Refused),
    }
}

fn nobody(shape: &Shape) -> Face {
    Face { key: None, cells: vec![super::shape::Cell::Unset; shape.width()] }
}

/// The print of an entry of the ledger; none of one that says nothing about the target.
pub(super) fn print_of_entry(shape: &Shape, key: &Key, entry: &Entry) -> Option<Print> {
    let id = key.to_string();
    match remembered(entry)? {
        Remembered::Row(columns) => {
            let face = shape.ours(key, Some(columns));
            Some(Print::of(&face, Stand::There, id.as_bytes()))
        }
        Remembered::Unknown => Some(Print::of(&shape.ours(key, None), Stand::There, id.as_bytes())),
        // what was deactivated stays there
        Remembered::Inactive => {
            Some(Print::of(&shape.ours(key, None), Stand::LeftOut, id.as_bytes()))
        }
    }
}

/// What the ledger remembers of a row that should be at the target.
pub(super) enum Remembered<'e> {
    Row(&'e Columns),
    /// It is there, and its values are not kept.
    Unknown,
    Inactive,
}

/// What an entry says the target holds.
pub(super) fn remembered(entry: &Entry) -> Option<Remembered<'_>> {
    let applied = entry.applied.as_ref().filter(|applied| !applied.version.wrote_nothing())?;
    match applied.version.action.as_deref() {
        Some(Action::Upsert(columns)) => Some(Remembered::Row(columns)),
        Some(Action::Remove(Removal::Deactivate(_))) => Some(Remembered::Inactive),
        Some(Action::Remove(Removal::Delete) | Action::Hold { .. }) => None,
        None => Some(Remembered::Unknown),
    }
}

/// A row of either system as a change; `at` is when it was read.
pub(super) fn change<'r>(
    record: &'r Record,
    table: &'r str,
    at: jiff::Timestamp,
) -> Result<Change<'r>, Fault> {
    let text = std::str::from_utf8(&record.body).map_err(|error| {
        Fault::new(Kind::Malformed, "a row that was read is not UTF-8").caused_by(error)
    })?;
    Reading { table, id: record.id, at }.change(text)
}

/// Prints of one page, and where to go on.
#[derive(Debug, Default)]
pub(super) struct Printed {
    pub(super) prints: Vec<Print>,
    pub(super) next: Option<At>,
}

/// Reads a page of the ledger in the source's stead.
pub(super) async fn of_ledger(
    (ledger, shape): (&Ledger, &Shape),
    after: Option<&Place>,
) -> Result<Printed, Fault> {
    let page = ledger.page(&shape.map.name, after).await?;
    let prints = page.entries.iter().filter_map(|(key, entry)| print_of_entry(shape, key, entry));
    Ok(Printed { prints: prints.collect(), next: page.next.map(At::Ledger) })
}

/// Makes a print of each row of a page of a system.
pub(super) fn of_system(
    page: Page,
    table: &str,
    print: impl Fn(&Change<'_>, &[u8]) -> Print,
    now: jiff::Timestamp,
) -> Result<Printed, Fault> {
    let mut prints = Vec::with_capacity(page.rows.len());
    for record in &page.rows {
        let change = change(record, table, now)?;
        prints.push(print(&change, record.id.as_bytes()));
    }
    Ok(Printed { prints, next: page.next.map(At::System) })
}

/// Counts by company or whatever else divides a table.
pub(super) type Counts = BTreeMap<String, u64>;
