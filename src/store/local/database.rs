//! The SQLite file: opened, laid out, and used from async code.
//!
//! One connection writes and one reads; a write-ahead log lets them, and other processes, work at once.
//! A lock that another process holds is waited for, for five seconds. Refused: a file of a newer version.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rusqlite::{Connection, ErrorCode, TransactionBehavior};

use crate::store::Error;

const PATIENCE: Duration = Duration::from_secs(5);
const VERSION: i64 = 1;
const LAYOUT: &str = "
    create table entity (
        kind text not null, part text not null, row text not null,
        version integer not null, properties text not null,
        primary key (kind, part, row)
    ) without rowid;
    create table latest (version integer not null);
    insert into latest values (0);
    create table message (
        id integer primary key autoincrement, queue text not null,
        visible integer not null, inserted integer not null, taken integer not null,
        body blob not null
    );
    create index message_by_time on message (queue, visible);
    pragma user_version = 1;
";

/// The file, shared by all tables and queues.
#[derive(Clone, Debug)]
pub(super) struct Database {
    writer: Arc<Mutex<Connection>>,
    reader: Arc<Mutex<Connection>>,
}

impl Database {
    /// Opens `<folder>/concord.db`, making folder and file when they are missing.
    pub(super) async fn open(folder: &Path) -> Result<Self, Error> {
        let folder = folder.to_owned();
        in_background(move || {
            std::fs::create_dir_all(&folder).map_err(|error| Error::Unavailable {
                reason: format!("{} cannot be made: {error}", folder.display()),
                retry_after: None,
            })?;
            let file = folder.join("concord.db");
            let writer = Arc::new(Mutex::new(prepare(&file).map_err(|error| refusal(&error))??));
            let reader = Arc::new(Mutex::new(connect(&file).map_err(|error| refusal(&error))?));
            Ok(Self { writer, reader })
        })
        .await
    }

    /// Runs `work` in one write transaction: all of it happens, or, when it answers `Err`, none.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let writer = self.writer.clone();
        in_background(move || {
            let mut writer = writer.lock().unwrap_or_else(PoisonError::into_inner);
            let transaction = writer
                .transaction_with_behavior(TransactionBehavior::Immediate)
                .map_err(|error| refusal(&error))?;
            let done = work(&transaction)?;
            transaction.commit().map_err(|error| refusal(&error))?;
            Ok(done)
        })
        .await
    }

    /// Runs `work` on the file as it is at one moment.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, Failure> + Send + 'static,
    ) -> Result<T, Error> {
        let reader = self.reader.clone();
        in_background(move || {
            let mut reader = reader.lock().unwrap_or_else(PoisonError::into_inner);
            let moment = reader.transaction().map_err(|error| refusal(&error))?;
            Ok(work(&moment)?)
        })
        .await
    }
}

/// What stops a piece of work: SQLite, or a condition that did not hold.
#[derive(Debug)]
pub(super) enum Failure {
    Sqlite(rusqlite::Error),
    Store(Error),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Sqlite(error) => refusal(&error),
            Failure::Store(error) => error,
        }
    }
}

/// SQLite blocks its thread; a call that is given up still ends as one that nobody waits for.
async fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|_cut| {
        let reason = "the work on the local database was cut short".to_owned();
        Err(Error::Unavailable { reason, retry_after: None })
    })
}

fn connect(file: &Path) -> rusqlite::Result<Connection> {
    let connection = Connection::open(file)?;
    connection.busy_timeout(PATIENCE)?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.set_prepared_statement_cache_capacity(32);
    Ok(connection)
}

fn prepare(file: &Path) -> rusqlite::Result<Result<Connection, Error>> {
    let mut connection = connect(file)?;
    into_write_ahead(&connection)?;
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let version =
        transaction.pragma_query_value(None, "user_version", |row| row.get::<_, i64>(0))?;
    if version > VERSION {
        let reason = format!("{} was made by a newer Concord", file.display());
        return Ok(Err(Error::Invalid { reason }));
    }
    if version < VERSION {
        transaction.execute_batch(LAYOUT)?;
    }
    transaction.commit()?;
    Ok(Ok(connection))
}

/// Changing a new file to a write-ahead log needs it alone, and SQLite does not wait for that.
fn into_write_ahead(connection: &Connection) -> rusqlite::Result<()> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match connection.pragma_update(None, "journal_mode", "wal") {
            Err(error) if is_locked(&error) && Instant::now() < deadline => {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

fn is_locked(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked))
}

fn refusal(error: &rusqlite::Error) -> Error {
    let reason = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
            "another process held the local database for more than five seconds"
        }
        Some(ErrorCode::DiskFull) => "the disk that holds the local database is full",
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => {
            "the local database cannot be opened for writing: check the folder's permissions"
        }
        Some(ErrorCode::SystemIoFailure) => "the disk that holds the local database failed",
        Some(ErrorCode::OutOfMemory) => "there is no memory left for the local database",
        Some(ErrorCode::TooBig) => return Error::TooLarge { index: None },
        Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => {
            let reason = "concord.db is damaged or not a database: restore or remove it".to_owned();
            return Error::Invalid { reason };
        }
        Some(_) | None => return Error::Invalid { reason: error.to_string() },
    };
    Error::Unavailable { reason: reason.to_owned(), retry_after: None }
}

#[cfg(test)]
mod tests {
    use rusqlite::ffi;

    use super::*;

    #[test]
    fn a_full_disk_or_a_lock_may_be_gone_in_a_moment_and_a_defect_is_not() {
        let seen = |code| refusal(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        for (code, word) in [
            (ffi::SQLITE_FULL, "full"),
            (ffi::SQLITE_BUSY, "another process"),
            (ffi::SQLITE_IOERR_FSYNC, "failed"),
            (ffi::SQLITE_READONLY, "permissions"),
        ] {
            let error = seen(code);
            assert!(
                matches!(&error, Error::Unavailable { reason, .. } if reason.contains(word)),
                "{error}"
            );
        }
        assert!(matches!(seen(ffi::SQLITE_CORRUPT), Error::Invalid { .. }));
        assert!(matches!(seen(ffi::SQLITE_ERROR), Error::Invalid { .. }));
    }
}
