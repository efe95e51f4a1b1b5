//! Where the row of a version stands in an entry: one of two places, in one of three forms.

use std::io::{Read as _, Write as _};
use std::sync::Arc;

use bytes::Bytes;
use flate2::{Compression, read::ZlibDecoder, write::ZlibEncoder};
use object_store::{ObjectStoreExt as _, path::Path};
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::stored::unreadable;
use crate::digest;
use crate::fault::{Fault, Kind};
use crate::row::Action;
use crate::store::{Entity, Property};

/// The longest text property, in UTF-16 units (Azure Table Storage: 32 K; some are left in reserve).
const LONGEST_TEXT: usize = 30_000;
/// The longest bytes property (Azure Table Storage: 64 KiB, all properties of a row 1 MiB).
const LONGEST_BYTES: usize = 60_000;
/// Nothing that was stored is inflated beyond this.
const LONGEST_ROW: u64 = 64 * 1024 * 1024;

/// The property that holds a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Place {
    /// As JSON.
    #[serde(rename = "row_a")]
    A,
    /// Deflated.
    #[serde(rename = "row_a_z")]
    ADeflated,
    /// The name of a blob that holds it deflated.
    #[serde(rename = "row_a_blob")]
    ABlob,
    /// As JSON.
    #[serde(rename = "row_b")]
    B,
    /// Deflated.
    #[serde(rename = "row_b_z")]
    BDeflated,
    /// The name of a blob that holds it deflated.
    #[serde(rename = "row_b_blob")]
    BBlob,
}

/// Where the rows of an entry stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Places {
    pub(super) applied: Option<Place>,
    pub(super) intent: Option<Place>,
}

/// The three forms of one place.
type Forms = [Place; 3];

const A: Forms = [Place::A, Place::ADeflated, Place::ABlob];
const B: Forms = [Place::B, Place::BDeflated, Place::BBlob];

impl Place {
    /// The one that is free when this one is taken.
    pub(super) fn beside(taken: Option<Self>) -> Forms {
        if taken.is_some_and(|taken| A.contains(&taken)) { B } else { A }
    }

    /// The name of the property.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::A => "row_a",
            Self::ADeflated => "row_a_z",
            Self::ABlob => "row_a_blob",
            Self::B => "row_b",
            Self::BDeflated => "row_b_z",
            Self::BBlob => "row_b_blob",
        }
    }
}

impl Place {
    /// What stands there when no row does. A property keeps its type.
    pub(super) fn empty(self) -> Property {
        match self {
            Self::A | Self::ABlob | Self::B | Self::BBlob => Property::Text(String::new()),
            Self::ADeflated | Self::BDeflated => Property::Bytes(Bytes::new()),
        }
    }
}

impl Ledger {
    /// Writes a row in the form that it fits in, and says which. Its JSON may be at hand.
    pub(super) async fn write_row(
        &self,
        entity: &mut Entity,
        [plain, deflated, blob]: Forms,
        (row, written): (&Action, Option<String>),
    ) -> Result<Place, Fault> {
        let json = written.unwrap_or_else(|| row.json());
        let (place, property) = if json.len() <= LONGEST_TEXT {
            (plain, Property::Text(json))
        } else {
            let bytes = deflate(json.as_bytes()).map_err(unreadable)?;
            if bytes.len() <= LONGEST_BYTES {
                (deflated, Property::Bytes(bytes.into()))
            } else {
                let path = format!("rows/{}", digest::hex(&digest::of([&*bytes])));
                let written = self.blobs.put(&Path::from(path.as_str()), bytes.into()).await;
                written.map_err(unavailable)?;
                (blob, Property::Text(path))
            }
        };
        entity.properties.insert(place.name().into(), property);
        Ok(place)
    }

    /// Reads the row that stands in a place.
    pub(super) async fn read_row(
        &self,
        entity: &Entity,
        place: Option<Place>,
    ) -> Result<Option<Arc<Action>>, Fault> {
        let Some(place) = place else { return Ok(None) };
        let found = entity.properties.get(place.name());
        let bytes = match (place, found) {
            (Place::A | Place::B, Some(Property::Text(json))) => {
                return serde_json::from_str(json).map(Some).map_err(unreadable);
            }
            (Place::ADeflated | Place::BDeflated, Some(Property::Bytes(bytes))) => bytes.clone(),
            (Place::ABlob | Place::BBlob, Some(Property::Text(path))) => {
                self.fetch_blob(path).await?
            }
            (_, Some(_) | None) => return Err(unreadable("a row is not where it should stand")),
        };
        let mut json = Vec::new();
        let inflated = ZlibDecoder::new(&*bytes).take(LONGEST_ROW).read_to_end(&mut json);
        inflated.map_err(unreadable)?;
        serde_json::from_slice(&json).map(Some).map_err(unreadable)
    }

    /// What a decision needs of the row that stands in a place.
    pub(super) async fn read_brief(
        &self,
        entity: &Entity,
        place: Option<Place>,
    ) -> Result<Option<Arc<Action>>, Fault> {
        let json = match place {
            Some(place @ (Place::A | Place::B)) => entity.properties.get(place.name()),
            Some(_) | None => None,
        };
        match json {
            Some(Property::Text(json)) => {
                self.cache.briefs().read(json).map(Some).map_err(unreadable)
            }
            Some(_) | None => self.read_row(entity, place).await,
        }
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

fn unavailable(error: object_store::Error) -> Fault {
    Fault::new(Kind::Storage, "the part of a ledger entry that is kept as a blob is out of reach")
        .caused_by(error)
}
