//! What a comparison keeps while it runs and afterwards, as blobs: segments, suspects, findings, marks
//! and reports. Everything but the segments is JSON.

use std::sync::Arc;

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{ObjectStore, ObjectStoreExt as _, PutMode, PutOptions, path::Path};
use serde::{Serialize, de::DeserializeOwned};

use crate::fault::{Fault, Kind};

/// Blobs below one folder.
#[derive(Clone, Debug)]
pub(super) struct Blobs(pub(super) Arc<dyn ObjectStore>);

impl Blobs {
    pub(super) async fn put(&self, path: &str, content: impl Into<Bytes>) -> Result<(), Fault> {
        let put = self.0.put(&Path::from(path), content.into().into()).await;
        put.map(drop).map_err(unavailable)
    }

    /// Whether `word` is what was put there first; the same one may ask again.
    pub(super) async fn is_first(&self, path: &str, word: &'static str) -> Result<bool, Fault> {
        let once = PutOptions::from(PutMode::Create);
        match self
            .0
            .put_opts(&Path::from(path), Bytes::from_static(word.as_bytes()).into(), once)
            .await
        {
            Ok(_) => Ok(true),
            Err(object_store::Error::AlreadyExists { .. }) => {
                Ok(self.get(path).await?.is_some_and(|found| found == word.as_bytes()))
            }
            Err(error) => Err(unavailable(error)),
        }
    }

    pub(super) async fn put_json(&self, path: &str, value: &impl Serialize) -> Result<(), Fault> {
        let json = serde_json::to_vec(value).map_err(unreadable)?;
        self.put(path, json).await
    }

    pub(super) async fn get(&self, path: &str) -> Result<Option<Bytes>, Fault> {
        match self.0.get(&Path::from(path)).await {
            Ok(found) => found.bytes().await.map(Some).map_err(unavailable),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(unavailable(error)),
        }
    }

    pub(super) async fn get_json<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<Option<T>, Fault> {
        let Some(content) = self.get(path).await? else { return Ok(None) };
        serde_json::from_slice(&content).map(Some).map_err(unreadable)
    }

    /// The names below a folder, ascending.
    pub(super) async fn list(&self, folder: &str) -> Result<Vec<String>, Fault> {
        let folder = Path::from(folder);
        let listed: Result<Vec<_>, _> = self.0.list(Some(&folder)).try_collect().await;
        let listed = listed.map_err(unavailable)?;
        let mut names: Vec<String> =
            listed.into_iter().map(|found| found.location.to_string()).collect();
        names.sort();
        Ok(names)
    }

    /// Removes everything below a folder; what is gone already is no error.
    pub(super) async fn clear(&self, folder: &str) -> Result<(), Fault> {
        for name in self.list(folder).await? {
            match self.0.delete(&Path::from(name.as_str())).await {
                Ok(()) | Err(object_store::Error::NotFound { .. }) => {}
                Err(error) => return Err(unavailable(error)),
            }
        }
        Ok(())
    }
}

pub(super) fn unavailable(error: object_store::Error) -> Fault {
    Fault::new(Kind::Storage, "the blobs of a comparison are out of reach").caused_by(error)
}

fn unreadable(error: serde_json::Error) -> Fault {
    let message = "a blob of a comparison cannot be read; was it changed by hand, or written by a \
                   newer version of this program?";
    Fault::new(Kind::Misconfigured, message).caused_by(error)
}
