//! Storage in a folder: tables and queues in one SQLite file, blobs as files beside it.
//!
//! In: a folder, made when it is missing. Several processes may use it at once (the handler, the
//! operator's command line, the host stand-in), which is why it is SQLite and not a store that locks
//! its file. What was answered with `Ok` is on the disk.

mod database;
mod queue;
mod table;

use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;

use self::database::Database;
use self::queue::LocalQueue;
use self::table::LocalTable;
use super::counted::Counted;
use super::{Counters, Error, Names, Queue, Stores, Table};
use crate::clock::SharedClock;

/// Opens the folder.
pub(super) async fn open(
    folder: &Path,
    names: &Names,
    clock: SharedClock,
) -> Result<Stores, Error> {
    let counters = Arc::new(Counters::default());
    let database = Database::open(folder).await?;
    let table = |name: &str| -> Arc<dyn Table> {
        Arc::new(LocalTable::new(database.clone(), name, counters.clone()))
    };
    let queue = |name: &str| -> Arc<dyn Queue> {
        Arc::new(LocalQueue::new(database.clone(), name, clock.clone(), counters.clone()))
    };
    let files = |name: &str| -> Result<Arc<dyn ObjectStore>, Error> {
        Ok(Arc::new(Counted::new(blobs(&folder.join(name))?, counters.clone())))
    };
    Ok(Stores {
        ledger: table(&names.ledger),
        poison: table(&names.poison),
        work: queue(&names.work),
        poisoned: queue(&names.poisoned),
        blobs: files("blobs")?,
        quarantine: files("quarantine")?,
        counters,
    })
}

fn blobs(folder: &Path) -> Result<LocalFileSystem, Error> {
    let unavailable = |reason: String| Error::Unavailable { reason, retry_after: None };
    std::fs::create_dir_all(folder)
        .map_err(|error| unavailable(format!("{} cannot be made: {error}", folder.display())))?;
    LocalFileSystem::new_with_prefix(folder)
        .map(|files| files.with_fsync(true))
        .map_err(|error| unavailable(error.to_string()))
}

#[cfg(test)]
mod tests;
