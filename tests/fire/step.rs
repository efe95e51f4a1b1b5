//! The steps of a handler, as they are seen from outside: by the requests that it makes.

use axum::http::{Method, Uri};

use crate::azurite::Service;

/// Where a way leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Storage(Service),
    Target,
}

/// A step of a handler, as it is seen from outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// Entries of the ledger are read.
    Look,
    /// Entries are written that hold an intent.
    Claim,
    /// Rows go to the target.
    Write,
    /// Entries are written that hold none.
    Settle,
    /// The original bytes of what was refused are kept.
    Quarantine,
    /// Its error record is written.
    Record,
    /// Its message is put on the poison queue.
    Alarm,
    /// What waits is put on the work queue.
    Defer,
}

/// On which side of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// It arrived, and is never carried out.
    Before,
    /// It was carried out, and its answer never comes.
    After,
}

impl Step {
    /// The step that a request takes.
    pub(crate) fn of(place: Place, method: &Method, uri: &Uri, body: &[u8]) -> Option<Self> {
        let holds = |word: &str| {
            let in_body = body.windows(word.len()).any(|part| part == word.as_bytes());
            in_body || uri.path().contains(word)
        };
        let reads = method == Method::GET;
        match place {
            Place::Target => (!reads).then_some(Self::Write),
            Place::Storage(Service::Blob) => {
                (method == Method::PUT && holds("quarantine/")).then_some(Self::Quarantine)
            }
            Place::Storage(Service::Queue) => {
                let puts = method == Method::POST && uri.path().ends_with("/messages");
                let step = if holds("poison") { Self::Alarm } else { Self::Defer };
                puts.then_some(step)
            }
            Place::Storage(Service::Table) if holds("ConcordPoison") => {
                (!reads).then_some(Self::Record)
            }
            Place::Storage(Service::Table) if holds("ConcordLedger") => Some(match reads {
                true => Self::Look,
                // One that is over is left empty.
                false if holds(r#""intent":"{"#) => Self::Claim,
                false => Self::Settle,
            }),
            Place::Storage(Service::Table) => None,
        }
    }
}
