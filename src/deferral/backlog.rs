//! Backlogs: events that wait, durably and in order, until somebody decides about them.
//!
//! A backlog is a folder of blobs, one for each delivery, named by the moment it came and the number of
//! its events, so that it is counted without being read. Each blob is what a message of the work queue
//! may point at, so bringing a backlog again is a message for each blob.

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{ObjectStoreExt as _, path::Path};
use std::sync::Arc;
use std::time::Duration;

use super::{Deferral, Message, unavailable, unreadable};
use crate::delivery::{Event, Packed};
use crate::digest;
use crate::fault::Fault;

/// One delivery's worth of a backlog.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// The blob.
    path: Path,
    /// How many events it holds.
    pub events: u64,
}

impl Deferral {
    /// Adds events to a backlog.
    pub async fn keep(
        &self,
        backlog: &str,
        system: &Arc<str>,
        events: &[Event],
    ) -> Result<(), Fault> {
        let since = self.clock.now();
        let packed = events.iter().map(Packed::of).collect();
        let message = Message::Deferred { system: Arc::clone(system), since, events: packed };
        let body = serde_json::to_vec(&message).map_err(unreadable)?;
        let (moment, count) = (since.as_microsecond().max(0), events.len());
        let name = digest::hex(&digest::of([&*body]));
        let path = format!("{backlog}/{moment:020}-{count}-{name}.json");
        self.blobs.put(&Path::from(path), body.into()).await.map(drop).map_err(unavailable)
    }

    /// A backlog, or all below a folder of them, oldest first.
    pub async fn backlog(&self, folder: &str) -> Result<Vec<Kept>, Fault> {
        let found = self.blobs.list(Some(&Path::from(folder)));
        let found: Vec<_> = found.try_collect().await.map_err(unavailable)?;
        let kept = found.into_iter().filter_map(|meta| {
            let count = meta.location.filename()?.split('-').nth(1)?.parse().ok()?;
            Some(Kept { path: meta.location, events: count })
        });
        let mut kept: Vec<Kept> = kept.collect();
        kept.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(kept)
    }

    /// Brings a part of a backlog again; it goes when it is done.
    pub async fn replay(&self, kept: &Kept) -> Result<(), Fault> {
        let check = Message::Claimcheck { blob: kept.path.to_string() };
        let check = serde_json::to_vec(&check).map_err(unreadable)?;
        let put = self.queue.put(&check, Duration::ZERO).await;
        put.map_err(|error| error.fault("work queue"))
    }

    /// Throws a part of a backlog away.
    pub async fn discard(&self, kept: &Kept) -> Result<(), Fault> {
        match self.blobs.delete(&kept.path).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Throws many parts away, some at once.
    pub async fn discard_all(&self, kept: &[Kept]) -> Result<(), Fault> {
        let discards = kept.iter().map(|one| self.discard(one));
        let discards: Vec<_> = discards.collect();
        futures::stream::iter(discards).buffer_unordered(8).try_collect().await
    }
}

impl Kept {
    /// The name of the folder that it is in.
    pub fn folder(&self) -> String {
        let parts: Vec<_> = self.path.parts().collect();
        parts.iter().rev().nth(1).map(|part| part.as_ref().to_owned()).unwrap_or_default()
    }
}
