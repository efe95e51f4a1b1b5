//! Room for calls: each takes as much as its body is long and gives it back with its answer; what does
//! not fit beside the calls under way waits, because a call takes several times its body, parsed, mapped
//! and written again. A body that comes in pieces is read before it waits.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bodies under way at once, in KiB. A longer body is a call's own affair and goes alone.
const ROOM: u32 = 8 * 1024;

/// What is left.
#[derive(Debug)]
pub(super) struct Room(Semaphore);

/// What a call has taken.
pub(super) type Place<'r> = Option<SemaphorePermit<'r>>;

impl Default for Room {
    fn default() -> Self {
        Self(Semaphore::new(ROOM as usize))
    }
}

impl Room {
    /// Waits until there is room for a body of so many bytes.
    pub(super) async fn take(&self, bytes: usize) -> Place<'_> {
        let kibibytes = u32::try_from(bytes.div_ceil(1024)).unwrap_or(ROOM);
        // It is never closed, so there is always a place.
        self.0.acquire_many(kibibytes.clamp(1, ROOM)).await.ok()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_does_not_fit_waits_and_what_never_fits_goes_alone() {
        let room = Room::default();
        let half = room.take(4 * 1024 * 1024).await;
        let other = room.take(4 * 1024 * 1024).await;
        assert!(room.take(1).now_or_never().is_none());
        drop(half);
        assert!(room.take(1_000_000_000).now_or_never().is_none());
        drop(other);
        let all = room.take(1_000_000_000).await;
        assert!(room.take(0).now_or_never().is_none());
        drop(all);
        assert!(room.take(0).now_or_never().is_some());
    }
}
