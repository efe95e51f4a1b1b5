//! Which key a source's row has under a map, by the source's own id of it.
//!
//! A removal may bring nothing but that id (change tracking, a webhook without an image), while rows of a
//! target are known by business keys. And a row may change its key, which leaves a row behind at the
//! target. So every row of a map whose key cannot be told from the id is noted here, before it is claimed:
//! the key it has, since which of its changes, and the keys that it had before. Rows that were never noted
//! were never written by that map.
//!
//! Notes are read afresh each time, because another instance may have seen a key change, and written under
//! their version. Where many ids come together and those before were all new, they are noted without a
//! look: a wrong guess fails and costs one.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::digest;
use crate::fault::Fault;
use crate::order::Order;
use crate::row::Key;
use crate::store::{Entity, Error, Etag, Operation, Property, Stored, Table};

/// Into how many partitions the ids of one map are spread.
const BUCKETS: u8 = 4;
/// The most operations of one transaction.
const TOGETHER: usize = 100;
/// As many rows are read by one request of Table Storage: fewer are not worth a guess.
const FEW: usize = 14;
/// How many earlier keys of a row are remembered: the latest.
const REMEMBERED: usize = 8;

/// What is known of the key of one row.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// The key that it has.
    pub key: Key,
    /// The change that brought the key; not told by notes of old.
    pub since: Option<Order>,
    /// The keys that it had before, the latest last.
    pub was: Vec<Key>,
}

/// What a change of a row means for its note.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// The key is the one that is noted.
    Same,
    /// The change is older than the key that the row has by now.
    Stale,
    /// The row has another key now: the note to be.
    Moved(Note),
}

impl Note {
    /// The first note of a row.
    pub fn first(key: Key, since: Order) -> Self {
        Self { key, since: Some(since), was: Vec::new() }
    }

    /// What a change that gives the row this key comes to.
    pub fn next(&self, key: &Key, order: &Order) -> Next {
        if self.key == *key {
            return Next::Same;
        }
        if self.since.as_ref().is_some_and(|since| !order.is_newer_than(since)) {
            return Next::Stale;
        }
        let before = self.was.iter().chain([&self.key]).filter(|was| *was != key);
        let mut was: Vec<Key> = before.cloned().collect();
        was.drain(..was.len().saturating_sub(REMEMBERED));
        Next::Moved(Self { key: key.clone(), since: Some(order.clone()), was })
    }
}

/// A note as it was read.
#[derive(Clone, Debug)]
pub struct Noted {
    /// The note.
    pub note: Note,
    etag: Etag,
}

/// A note to be written: in the stead of the one that was read, or of none.
#[derive(Clone, Debug)]
pub struct Write {
    /// The row's id.
    pub id: String,
    /// What is written.
    pub note: Note,
    /// What was read.
    pub over: Option<Noted>,
}

/// The keys of sources' rows, over one table.
#[derive(Debug)]
pub struct Crosswalk {
    table: Arc<dyn Table>,
    /// Whether the ids of the last call were all new.
    new: AtomicBool,
}

impl Crosswalk {
    /// Over a table that others may use too: all partitions begin with `~ids`.
    pub fn new(table: Arc<dyn Table>) -> Self {
        Self { table, new: AtomicBool::default() }
    }

    /// The notes of rows by their ids, in order.
    pub async fn find(&self, map: &str, ids: &[String]) -> Result<Vec<Option<Noted>>, Fault> {
        let mut partitions = BTreeMap::<String, Vec<usize>>::new();
        for (index, id) in ids.iter().enumerate() {
            partitions.entry(partition(map, id)).or_default().push(index);
        }
        let mut found = vec![None; ids.len()];
        for (partition, indices) in partitions {
            let rows: Vec<String> = indices.iter().filter_map(|at| ids.get(*at).cloned()).collect();
            let stored = self.table.get_many(&partition, &rows).await;
            for (index, stored) in indices.into_iter().zip(stored.map_err(|e| e.fault(PLACE))?) {
                if let Some(place) = found.get_mut(index) {
                    *place = stored.and_then(note);
                }
            }
        }
        if !ids.is_empty() {
            self.new.store(found.iter().all(Option::is_none), Ordering::Relaxed);
        }
        Ok(found)
    }

    /// Whether so many ids had better be taken for new ones than looked up.
    pub fn expects_new(&self, ids: usize) -> bool {
        ids > FEW && self.new.load(Ordering::Relaxed)
    }

    /// Writes notes, each id at most once. Durable when it returns; answers the ids of which the note is
    /// not as it was read: those are to be looked at again.
    pub async fn write(&self, map: &str, writes: Vec<Write>) -> Result<Vec<String>, Fault> {
        let mut partitions = BTreeMap::<String, Vec<Write>>::new();
        for write in writes {
            partitions.entry(partition(map, &write.id)).or_default().push(write);
        }
        let mut again = Vec::new();
        for (partition, writes) in partitions {
            for chunk in writes.chunks(TOGETHER) {
                let operations = chunk.iter().map(operation).collect();
                match self.table.transact(&partition, operations).await {
                    Ok(_) => {}
                    Err(Error::Conflict { .. }) => {
                        again.extend(chunk.iter().map(|write| write.id.clone()));
                    }
                    Err(error) => return Err(error.fault(PLACE)),
                }
            }
        }
        if !again.is_empty() {
            self.new.store(false, Ordering::Relaxed);
        }
        Ok(again)
    }
}

/// The name of this part of storage in messages.
const PLACE: &str = "crosswalk";

fn partition(map: &str, id: &str) -> String {
    let first = digest::of([id.as_bytes()]).first().copied().unwrap_or_default();
    format!("~ids-{map}-{}", first % BUCKETS)
}

fn operation(write: &Write) -> Operation {
    let Write { id, note, over } = write;
    let text = |value: serde_json::Result<String>| Property::Text(value.unwrap_or_default());
    let mut properties = BTreeMap::from([("key".into(), text(serde_json::to_string(&note.key)))]);
    if let Some(since) = &note.since {
        properties.insert("since".into(), text(serde_json::to_string(since)));
    }
    if !note.was.is_empty() {
        properties.insert("was".into(), text(serde_json::to_string(&note.was)));
    }
    let entity = Entity { row: id.clone(), properties };
    match over {
        Some(over) => Operation::Replace(entity, over.etag.clone()),
        None => Operation::Insert(entity),
    }
}

fn note(stored: Stored) -> Option<Noted> {
    let text = |name: &str| match stored.entity.properties.get(name) {
        Some(Property::Text(text)) => Some(text.as_str()),
        Some(Property::Integer(_) | Property::Bytes(_)) | None => None,
    };
    let key = serde_json::from_str(text("key")?).ok()?;
    let since = text("since").and_then(|text| serde_json::from_str(text).ok());
    let was = text("was").and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    Some(Noted { note: Note { key, since, was }, etag: stored.etag })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::row::Value;

    fn key(text: &str) -> Key {
        Key(vec![("k".into(), Value::Text(text.into()))])
    }

    fn order(version: u64) -> Order {
        Order::emitted_at(Timestamp::UNIX_EPOCH).with_version(version)
    }

    #[test]
    fn a_note_follows_the_newest_change_and_remembers_the_keys_before() {
        let first = Note::first(key("A"), order(3));
        assert_eq!(first.next(&key("A"), &order(1)), Next::Same);
        assert_eq!(first.next(&key("B"), &order(2)), Next::Stale);
        let Next::Moved(second) = first.next(&key("B"), &order(5)) else { panic!() };
        assert_eq!((&second.key, &second.was), (&key("B"), &vec![key("A")]));
        assert_eq!(second.next(&key("A"), &order(4)), Next::Stale);
        let Next::Moved(back) = second.next(&key("A"), &order(6)) else { panic!() };
        assert_eq!((&back.key, &back.was), (&key("A"), &vec![key("B")]));
    }
}
