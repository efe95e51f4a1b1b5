//! An entry as a row of the table: one readable JSON property for each of its parts.
//!
//! A part too long for a table property is deflated; one too long even then goes to a blob named by
//! its content, so that writing it twice is harmless.

use std::io::{Read as _, Write as _};

use bytes::Bytes;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use object_store::{ObjectStoreExt as _, path::Path};
use serde::{Serialize, de::DeserializeOwned};

use super::entry::{Entry, Loose};
use super::{Ledger, Slot};
use crate::digest;
use crate::fault::{Fault, Kind};
use crate::row::Key;
use crate::store::{Entity, Property};

/// The longest text property, in UTF-16 units (Azure Table Storage: 32 K; some are left in reserve).
const LONGEST_TEXT: usize = 30_000;
/// The longest bytes property (Azure Table Storage: 64 KiB, all properties of a row 1 MiB).
const LONGEST_BYTES: usize = 60_000;
/// Nothing that was stored is inflated beyond this.
const LONGEST_PART: u64 = 64 * 1024 * 1024;

impl Ledger {
    pub(super) async fn encode(
        &self,
        slot: &Slot,
        key: &Key,
        entry: &Entry,
    ) -> Result<Entity, Fault> {
        let mut entity = Entity { row: slot.row.clone(), ..Entity::default() };
        self.pack(&mut entity, "key", Some(key)).await?;
        self.pack(&mut entity, "applied", entry.applied.as_ref()).await?;
        self.pack(&mut entity, "intent", entry.intent.as_ref()).await?;
        let loose = (!entry.loose.is_empty()).then_some(&entry.loose);
        self.pack(&mut entity, "loose", loose).await?;
        self.pack(&mut entity, "held", entry.held.as_ref()).await?;
        Ok(entity)
    }

    pub(super) async fn decode(&self, entity: &Entity) -> Result<Entry, Fault> {
        Ok(Entry {
            applied: self.unpack(entity, "applied").await?,
            intent: self.unpack(entity, "intent").await?,
            loose: self.unpack::<Vec<Loose>>(entity, "loose").await?.unwrap_or_default(),
            held: self.unpack(entity, "held").await?,
        })
    }

    pub(super) async fn decode_key(&self, entity: &Entity) -> Result<Option<Key>, Fault> {
        self.unpack(entity, "key").await
    }

    async fn pack<T: Serialize>(
        &self,
        entity: &mut Entity,
        name: &str,
        part: Option<&T>,
    ) -> Result<(), Fault> {
        let Some(part) = part else { return Ok(()) };
        let json = serde_json::to_string(part).map_err(unreadable)?;
        if json.len() <= LONGEST_TEXT {
            entity.properties.insert(name.to_owned(), Property::Text(json));
            return Ok(());
        }
        let deflated = deflate(json.as_bytes()).map_err(unreadable)?;
        if deflated.len() <= LONGEST_BYTES {
            entity.properties.insert(format!("{name}_z"), Property::Bytes(deflated.into()));
            return Ok(());
        }
        let path = format!("rows/{}", digest::hex(&digest::of([&*deflated])));
        let written = self.blobs.put(&Path::from(path.as_str()), deflated.into()).await;
        written.map_err(unavailable)?;
        entity.properties.insert(format!("{name}_blob"), Property::Text(path));
        Ok(())
    }

    async fn unpack<T: DeserializeOwned>(
        &self,
        entity: &Entity,
        name: &str,
    ) -> Result<Option<T>, Fault> {
        if let Some(Property::Text(json)) = entity.properties.get(name) {
            return serde_json::from_str(json).map(Some).map_err(unreadable);
        }
        let deflated = match entity.properties.get(&format!("{name}_z")) {
            Some(Property::Bytes(bytes)) => bytes.clone(),
            Some(Property::Text(_) | Property::Integer(_)) | None => {
                let blob = entity.properties.get(&format!("{name}_blob"));
                let Some(Property::Text(path)) = blob else { return Ok(None) };
                self.fetch_blob(path).await?
            }
        };
        let mut json = Vec::new();
        let inflated = ZlibDecoder::new(&*deflated).take(LONGEST_PART).read_to_end(&mut json);
        inflated.map_err(unreadable)?;
        serde_json::from_slice(&json).map(Some).map_err(unreadable)
    }

    async fn fetch_blob(&self, path: &str) -> Result<Bytes, Fault> {
        let found = self.blobs.get(&Path::from(path)).await.map_err(unavailable)?;
        found.bytes().await.map_err(unavailable)
    }
}

fn deflate(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes)?;
    encoder.finish()
}

fn unreadable(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Fault {
    let message = "a ledger entry cannot be read or written; was it changed by hand, or by a newer \
                   version of this program?";
    Fault::new(Kind::Misconfigured, message).caused_by(error)
}

fn unavailable(error: object_store::Error) -> Fault {
    Fault::new(Kind::Storage, "the part of a ledger entry that is kept as a blob is out of reach")
        .caused_by(error)
}
