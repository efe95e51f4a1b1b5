//! What the emulator served, for tests and for its operator: requests by verb and kind, operations
//! including those inside batches, rows written, answers by status, injected faults.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::multiple::NAMESPACE;
use crate::emulator::dataverse::session::{Done, Message};

/// The counters since the start or the last reset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// HTTP requests by verb and kind: `POST UpsertMultiple`, `GET row`, `POST $batch`.
    pub requests: BTreeMap<String, u64>,
    /// The same with batches opened: each part counts, the batch itself does not.
    pub operations: BTreeMap<String, u64>,
    /// Those of them that were to change or delete a row that was not there.
    pub absent: u64,
    /// Answers by HTTP status.
    pub statuses: BTreeMap<u16, u64>,
    /// Rows written.
    pub rows: Written,
    /// Rows written by table.
    pub tables: BTreeMap<String, Written>,
    /// Injected faults by name.
    pub faults: BTreeMap<String, u64>,
    /// Requests refused by service-protection limits.
    pub throttled: u64,
}

/// How many rows were written in which way. A write that was taken back does not count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Written {
    /// By create.
    pub created: u64,
    /// By update, with or without a difference.
    pub updated: u64,
    /// By delete.
    pub deleted: u64,
}

impl Written {
    fn note(&mut self, message: Message) {
        match message {
            Message::Create => self.created += 1,
            Message::Update => self.updated += 1,
            Message::Delete => self.deleted += 1,
            Message::Associate | Message::Disassociate | Message::Merge => {}
        }
    }
}

impl Counters {
    /// Counts a request that arrived.
    pub fn arrived(&mut self, call: &Call) {
        *self.requests.entry(kind(call)).or_default() += 1;
    }

    /// Counts an answer.
    pub fn answered(&mut self, status: u16) {
        *self.statuses.entry(status).or_default() += 1;
    }

    /// Counts an injected fault.
    pub fn injected(&mut self, name: &str) {
        *self.faults.entry(name.to_owned()).or_default() += 1;
    }

    /// Counts what one request did.
    pub fn done(&mut self, Done { changes, answered, absent, .. }: Done) {
        self.absent += absent;
        for change in changes {
            self.rows.note(change.message);
            match self.tables.get_mut(&change.table) {
                Some(written) => written.note(change.message),
                None => {
                    self.tables.entry(change.table).or_default().note(change.message);
                }
            }
        }
        for (kind, count) in answered {
            *self.operations.entry(kind).or_default() += count;
        }
    }
}

/// The verb and kind of a request.
pub fn kind(call: &Call) -> String {
    let names: Vec<&str> = call.path.iter().map(|segment| segment.name.as_str()).collect();
    let with_key = call.path.first().is_some_and(|segment| segment.arguments.is_some());
    let last = names.last().copied().unwrap_or_default();
    let first = names.first().copied().unwrap_or_default();
    let kind = match names.len() {
        0 => "service document",
        _ if first == "$batch" => "$batch",
        _ if first == "$metadata" || first.ends_with("Definitions") => "metadata",
        _ if last.starts_with('$') => last,
        1 if first.starts_with(|letter: char| letter.is_ascii_uppercase()) => first,
        1 if with_key => "row",
        1 if call.option("$deltatoken").is_some() => "delta",
        1 => "collection",
        _ if !with_key || last.starts_with(NAMESPACE) => {
            last.strip_prefix(NAMESPACE).unwrap_or(last)
        }
        _ => "member",
    };
    format!("{} {kind}", call.method)
}
