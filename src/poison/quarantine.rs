//! The originals of poisoned events, byte for byte, one blob per call.
//!
//! A blob is one line of JSON per event: `{"id": …, "event": …}`. Its name is computed from what is in
//! it, so that a repeated call finds it there. Nothing is ever written over.

use bytes::Bytes;
use jiff::Timestamp;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, path::Path};
use serde::{Deserialize, Serialize};

use super::{Id, Record, Refusal};
use crate::delivery::{Event, Packed};
use crate::digest;
use crate::fault::{Fault, Kind};

/// An event as it came.
#[derive(Clone, Debug, PartialEq)]
pub struct Original {
    /// The event.
    pub event: Event,
    /// The system it came from.
    pub system: String,
}

#[derive(Serialize, Deserialize)]
struct Line {
    id: Id,
    system: String,
    event: Packed,
}

pub(super) async fn write(
    blobs: &dyn ObjectStore,
    refusals: &[Refusal],
    now: Timestamp,
) -> Result<String, Fault> {
    let mut content = Vec::new();
    let mut systems = refusals.iter().map(|refusal| &*refusal.system);
    let system = systems.next().unwrap_or_default();
    for refusal in refusals {
        let id = Id::of(refusal);
        let line =
            Line { id, system: refusal.system.to_string(), event: Packed::of(&refusal.event) };
        serde_json::to_writer(&mut content, &line).map_err(unwritable)?;
        content.push(b'\n');
    }
    let day = now.strftime("%Y/%m/%d");
    let name = digest::hex(&digest::of([&*content]));
    let path = format!("quarantine/{system}/{day}/{name}.ndjson");
    put(blobs, path, content).await
}

pub(super) async fn write_edited(
    blobs: &dyn ObjectStore,
    record: &Record,
    original: &Original,
    body: &[u8],
) -> Result<String, Fault> {
    let event = Event { body: Bytes::copy_from_slice(body), ..original.event.clone() };
    let line =
        Line { id: record.id.clone(), system: original.system.clone(), event: Packed::of(&event) };
    let content = serde_json::to_vec(&line).map_err(unwritable)?;
    let name = digest::hex(&digest::of([&*content]));
    let path = format!("quarantine/edited/{}.{name}.ndjson", record.id.row);
    put(blobs, path, content).await
}

/// Writes once: what is there already, under a name computed from its content, is the same.
async fn put(blobs: &dyn ObjectStore, path: String, content: Vec<u8>) -> Result<String, Fault> {
    let once = PutOptions::from(PutMode::Create);
    match blobs.put_opts(&Path::from(path.as_str()), content.into(), once).await {
        Ok(_) | Err(object_store::Error::AlreadyExists { .. }) => Ok(path),
        Err(error) => Err(unwritable(error)),
    }
}

pub(super) async fn read(blobs: &dyn ObjectStore, record: &Record) -> Result<Original, Fault> {
    let path = record.edited.as_ref().unwrap_or(&record.quarantine);
    let found = blobs.get(&Path::from(path.as_str())).await.map_err(unreadable)?;
    let content = found.bytes().await.map_err(unreadable)?;
    for line in content.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let line: Line = serde_json::from_slice(line).map_err(unreadable)?;
        if line.id == record.id {
            let event = line.event.unpack().map_err(unreadable)?;
            return Ok(Original { event, system: line.system });
        }
    }
    let message = format!("blob {path} does not hold {}; was it changed by hand?", record.id);
    Err(Fault::new(Kind::Misconfigured, message))
}

fn unwritable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::new(Kind::Storage, "quarantine cannot be written").caused_by(error)
}

fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    Fault::new(Kind::Storage, "quarantine cannot be read").caused_by(error)
}
