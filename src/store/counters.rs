//! How many storage requests were made: a run reports them, because each one costs time and money.

use std::sync::atomic::{AtomicU64, Ordering};

/// One kind of request to storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// One row of a table was read by its key.
    Get,
    /// Rows of a table were read by a filter.
    Query,
    /// A transaction was sent.
    Transact,
    /// A message was put.
    Put,
    /// Messages were taken.
    Take,
    /// A message was removed.
    Remove,
    /// A queue's depth was asked for.
    Depth,
    /// A blob was read or blobs were listed.
    BlobRead,
    /// A blob was written, copied or deleted.
    BlobWrite,
    /// A table, queue or container was looked for or created.
    Prepare,
}

/// Requests since start. Every attempt counts, also one that failed; the local store counts what the
/// same call costs on Azure, so that a local run tells the truth about it.
#[derive(Debug, Default)]
pub struct Counters {
    get: AtomicU64,
    query: AtomicU64,
    transact: AtomicU64,
    put: AtomicU64,
    take: AtomicU64,
    remove: AtomicU64,
    depth: AtomicU64,
    blob_read: AtomicU64,
    blob_write: AtomicU64,
    prepare: AtomicU64,
}

impl Call {
    /// Every kind, for reports.
    pub const ALL: [Self; 10] = [
        Self::Get,
        Self::Query,
        Self::Transact,
        Self::Put,
        Self::Take,
        Self::Remove,
        Self::Depth,
        Self::BlobRead,
        Self::BlobWrite,
        Self::Prepare,
    ];
}

impl Counters {
    /// Counts one request.
    pub fn count(&self, call: Call) {
        self.add(call, 1);
    }

    /// Counts several requests of one kind.
    pub fn add(&self, call: Call, requests: u64) {
        self.of_kind(call).fetch_add(requests, Ordering::Relaxed);
    }

    /// How many requests of this kind were made.
    pub fn of(&self, call: Call) -> u64 {
        self.of_kind(call).load(Ordering::Relaxed)
    }

    /// How many requests were made in all.
    pub fn total(&self) -> u64 {
        Call::ALL.into_iter().map(|call| self.of(call)).sum()
    }

    fn of_kind(&self, call: Call) -> &AtomicU64 {
        match call {
            Call::Get => &self.get,
            Call::Query => &self.query,
            Call::Transact => &self.transact,
            Call::Put => &self.put,
            Call::Take => &self.take,
            Call::Remove => &self.remove,
            Call::Depth => &self.depth,
            Call::BlobRead => &self.blob_read,
            Call::BlobWrite => &self.blob_write,
            Call::Prepare => &self.prepare,
        }
    }
}
