//! The error record of one poisoned event.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use super::Refusal;
use crate::change::Correlation;
use crate::delivery::Origin;
use crate::digest;
use crate::fault::{Fault, Kind};
use crate::store::{Entity, Property};

/// Names a record: the map (or `@system`) and a hash of the event, `customer-to-account.3f0c…`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id {
    /// The map; `@` and the system for events that no map could read.
    pub partition: String,
    /// The hash of the event's bytes.
    pub row: String,
}

/// Where a record stands in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// It waits for somebody.
    #[default]
    Open,
    /// A retry landed.
    Resolved,
    /// Somebody decided that it is not needed.
    Dismissed,
}

/// What is known of one poisoned event. Carries no value of the payload except the row's key and the
/// target's own words.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Its name.
    pub id: Id,
    /// Where it stands.
    pub status: Status,
    /// The code of the fault.
    pub code: Kind,
    /// What, where and what to do.
    pub reason: String,
    /// The column or property concerned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub field: Option<String>,
    /// The target's own code and text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The system the event came from.
    pub system: String,
    /// The map that could not use it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map: Option<String>,
    /// The row's key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Follows the event through logs and targets.
    pub correlation: Correlation,
    /// Where the event stood.
    pub origin: Origin,
    /// How often it was refused.
    pub attempts: u32,
    /// When it was first refused.
    pub first: Timestamp,
    /// When it last changed.
    pub last: Timestamp,
    /// The blob that holds the original.
    pub quarantine: String,
    /// The blob that holds the body to use instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<String>,
    /// What the operator wrote.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who is to deal with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assignee: Option<String>,
    /// Words to find it by.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub tags: BTreeSet<String>,
    /// The day by which it must be dealt with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Date>,
}

/// Which records to list. Everything that is set must hold.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    /// In this state.
    pub status: Option<Status>,
    /// With this code.
    pub code: Option<Kind>,
    /// With this row key.
    pub key: Option<String>,
    /// First refused at or after this moment.
    pub since: Option<Timestamp>,
    /// With this correlation id.
    pub correlation: Option<Correlation>,
    /// Given to this person; an empty name stands for nobody.
    pub assignee: Option<String>,
    /// With this tag.
    pub tag: Option<String>,
    /// Due on this day or before.
    pub due: Option<Date>,
}

impl Filter {
    /// Whether a record is to be listed.
    pub fn admits(&self, record: &Record) -> bool {
        self.status.is_none_or(|status| record.status == status)
            && self.code.is_none_or(|code| record.code == code)
            && self.key.as_ref().is_none_or(|key| record.key.as_ref() == Some(key))
            && self.since.is_none_or(|since| record.first >= since)
            && self.correlation.is_none_or(|correlation| record.correlation == correlation)
            && self.assignee.as_deref().is_none_or(|name| record.is_given_to(name))
            && self.tag.as_ref().is_none_or(|tag| record.tags.contains(tag))
            && self.due.is_none_or(|day| record.due.is_some_and(|due| due <= day))
    }
}

impl Id {
    /// The partition of a source's events that no map could read. No map's name begins like this, and
    /// no option of a command does.
    pub fn unread(system: &str) -> String {
        format!("@{system}")
    }

    /// The name of the record of a refusal: the same for the same event and map, however it comes, and
    /// for an edited event that of the original.
    pub fn of(refusal: &Refusal) -> Self {
        let partition = match &refusal.map {
            Some(map) => map.to_string(),
            None => Self::unread(&refusal.system),
        };
        let hash = || digest::hex(&digest::of([refusal.system.as_bytes(), &*refusal.event.body]));
        let row = refusal.event.record.as_deref().map_or_else(hash, str::to_owned);
        Self { partition, row }
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.partition, self.row)
    }
}

impl FromStr for Id {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let parts = text.rsplit_once('.').filter(|(partition, row)| {
            !partition.is_empty() && row.len() == 32 && row.bytes().all(|b| b.is_ascii_hexdigit())
        });
        match parts {
            Some((partition, row)) => Ok(Self { partition: partition.into(), row: row.into() }),
            None => {
                Err(format!("`{text}` is not a record id: take one from `concord poison list`"))
            }
        }
    }
}

impl Serialize for Id {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

impl Record {
    pub(super) fn of(id: Id, refusal: &Refusal, quarantine: &str, now: Timestamp) -> Self {
        Self {
            id,
            status: Status::Open,
            code: refusal.fault.kind,
            reason: cut(&refusal.fault.message),
            field: refusal.fault.field.as_deref().map(cut),
            detail: refusal.fault.detail.as_deref().map(cut),
            system: refusal.system.to_string(),
            map: refusal.map.as_deref().map(str::to_owned),
            key: refusal.key.as_deref().map(cut),
            correlation: refusal.correlation,
            origin: refusal.event.origin.clone(),
            attempts: 1,
            first: now,
            last: now,
            quarantine: quarantine.to_owned(),
            edited: None,
            note: None,
            assignee: None,
            tags: BTreeSet::new(),
            due: None,
        }
    }

    /// Goes on from an earlier refusal of the same event.
    pub(super) fn follow(&mut self, earlier: &Self) {
        self.attempts = earlier.attempts + 1;
        self.first = earlier.first;
        self.quarantine.clone_from(&earlier.quarantine);
        self.edited.clone_from(&earlier.edited);
        self.note.clone_from(&earlier.note);
        self.assignee.clone_from(&earlier.assignee);
        self.tags.clone_from(&earlier.tags);
        self.due = earlier.due;
    }

    fn is_given_to(&self, name: &str) -> bool {
        let given = self.assignee.as_deref().unwrap_or_default();
        if name.is_empty() { given.is_empty() } else { given.eq_ignore_ascii_case(name) }
    }

    /// The message for the poison queue.
    pub(super) fn message(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }

    pub(super) fn entity(&self) -> Result<Entity, Fault> {
        let json = serde_json::to_string(self).map_err(unreadable)?;
        let status = serde_json::to_string(&self.status).map_err(unreadable)?;
        let properties = BTreeMap::from([
            ("record".into(), Property::Text(json)),
            // Beside the record, for people and reports that query the table.
            ("status".into(), Property::Text(status.trim_matches('"').to_owned())),
            ("code".into(), Property::Text(self.code.code().to_owned())),
        ]);
        Ok(Entity { row: self.id.row.clone(), properties })
    }

    pub(super) fn read(partition: &str, entity: &Entity) -> Result<Self, Fault> {
        let Some(Property::Text(json)) = entity.properties.get("record") else {
            let message = format!("record {partition}.{} has lost its content", entity.row);
            return Err(Fault::new(Kind::Misconfigured, message));
        };
        serde_json::from_str(json).map_err(unreadable)
    }
}

/// A record must fit a row of the table and a message of the queue, whatever somebody sent; all of it
/// is in quarantine.
fn cut(text: &str) -> String {
    const LONGEST: usize = 2_000;
    text.chars().take(LONGEST).collect()
}

fn unreadable(error: serde_json::Error) -> Fault {
    let message = "an error record cannot be read or written; was it changed by hand, or by a newer \
                   version of this program?";
    Fault::new(Kind::Misconfigured, message).caused_by(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_back_as_it_is_shown_even_for_maps_with_dots() {
        let id = Id { partition: "a.b".into(), row: "0123456789abcdef0123456789abcdef".into() };
        assert_eq!(id.to_string().parse(), Ok(id));
        for wrong in ["", "a", "a.b", ".0123456789abcdef0123456789abcdef"] {
            assert!(wrong.parse::<Id>().is_err(), "{wrong}");
        }
    }
}
