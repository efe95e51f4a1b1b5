//! One entry of the audit record, and how it stands in the table.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::digest;
use crate::fault::{Fault, Kind};
use crate::operator::Person;
use crate::store::{Entity, Property, Stored};

/// What somebody did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Ran an event again.
    Retry,
    /// Put a record away.
    Dismiss,
    /// Gave an event another body.
    Edit,
    /// Gave a record to somebody.
    Assign,
    /// Gave a record a word to find it by, or took one away.
    Tag,
    /// Said until when a record must be dealt with.
    Due,
    /// Saw an event as it came, with nothing masked.
    Reveal,
    /// Stopped a map.
    Pause,
    /// Let it go on.
    Resume,
    /// Let removals that were held be carried out.
    Approve,
    /// Threw removals that were held away.
    Reject,
    /// Registered in an environment what it tells, or took that away.
    Register,
    /// Changed rows of a target from here, or posted the digest.
    Write,
}

/// What is to be recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deed {
    /// What was done.
    pub verb: Verb,
    /// To what: a record's id, a map, a plan.
    pub subject: String,
    /// Why, in the words of who did it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What more there is to know: from what to what. No payload.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
}

impl Deed {
    /// A deed without a reason.
    pub fn new(verb: Verb, subject: impl Into<String>) -> Self {
        Self { verb, subject: subject.into(), why: None, detail: None }
    }

    /// Says why.
    #[must_use]
    pub fn because(mut self, why: Option<String>) -> Self {
        self.why = why;
        self
    }

    /// Says more.
    #[must_use]
    pub fn with(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }
}

/// A deed on record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, counted from one.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// Who.
    pub who: Person,
    /// What.
    #[serde(flatten)]
    pub deed: Deed,
    /// The hash of the entry before, so that one that was changed or taken away shows.
    pub previous: String,
}

/// Characters of a reason or a detail that are kept.
const TEXT: usize = 2_000;
/// The property that holds the entry.
const ENTRY: &str = "entry";

impl Entry {
    /// Its table row: the newest comes first.
    pub(super) fn entity(&self) -> Result<Entity, Fault> {
        let mut entry = self.clone();
        let cut = |text: Option<String>| text.map(|text| text.chars().take(TEXT).collect());
        entry.deed.why = cut(entry.deed.why);
        entry.deed.detail = cut(entry.deed.detail);
        entry.deed.subject = entry.deed.subject.chars().take(TEXT).collect();
        let json = serde_json::to_string(&entry).map_err(unreadable)?;
        let properties = BTreeMap::from([(ENTRY.into(), Property::Text(json))]);
        Ok(Entity { row: row(self.number), properties })
    }
}

/// The row key of a number: the higher, the earlier in the table.
pub(super) fn row(number: u64) -> String {
    format!("{:020}", u64::MAX - number)
}

/// An entry as it was read, and the hash that the next one must carry.
pub(super) fn read(stored: &Stored) -> Result<(Entry, String), Fault> {
    let entity = &stored.entity;
    let Some(Property::Text(json)) = entity.properties.get(ENTRY) else {
        let message = format!("the audit entry {} has lost its content", entity.row);
        return Err(Fault::new(Kind::Misconfigured, message));
    };
    Ok((serde_json::from_str(json).map_err(unreadable)?, hash(entity)))
}

/// The hash of an entry's row and content.
pub(super) fn hash(entity: &Entity) -> String {
    let json = match entity.properties.get(ENTRY) {
        Some(Property::Text(json)) => json.as_str(),
        Some(Property::Integer(_) | Property::Bytes(_)) | None => "",
    };
    digest::hex(&digest::of([entity.row.as_bytes(), json.as_bytes()]))
}

fn unreadable(error: serde_json::Error) -> Fault {
    let message = "an audit entry cannot be read or written; was it changed by hand, or by a newer \
                   version of this program?";
    Fault::new(Kind::Misconfigured, message).caused_by(error)
}
