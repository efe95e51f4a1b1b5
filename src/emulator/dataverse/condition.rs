//! `If-Match` and `If-None-Match`. The literal `null`, which clients send against caches, is no
//! condition.

use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::model::{Record, Table};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render;

/// What a request demands of the row it addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    /// Nothing.
    None,
    /// `If-Match: *`: it exists.
    Exists,
    /// `If-None-Match: *`: it does not exist.
    Absent,
    /// `If-Match: W/"n"`: it exists in this version.
    Version(String),
    /// `If-None-Match: W/"n"`: it is not in this version any more (reads only).
    Newer(String),
}

impl Condition {
    /// Reads the headers of a request.
    pub fn of(call: &Call) -> Self {
        match (call.header("if-match"), call.header("if-none-match")) {
            (Some("*"), _) => Self::Exists,
            (Some(tag), _) if tag != "null" && !tag.is_empty() => Self::Version(tag.to_owned()),
            (_, Some("*")) => Self::Absent,
            (_, Some(tag)) if tag != "null" && !tag.is_empty() => Self::Newer(tag.to_owned()),
            _ => Self::None,
        }
    }

    /// Checks a row that exists before it is written.
    pub fn check(&self, table: &Table, record: &Record) -> Result<(), Refusal> {
        match self {
            Self::None | Self::Exists | Self::Newer(_) => Ok(()),
            Self::Absent => {
                let message = "A record with matching key values already exists.";
                Err(Refusal::new(412, "0x80040237", message))
            }
            Self::Version(_) if !table.definition.optimistic_concurrency => {
                Err(Refusal::bad("0x8006088D", not_enabled(&table.definition.logical_name)))
            }
            Self::Version(tag) if *tag == render::etag(record.version) => Ok(()),
            Self::Version(_) => {
                let message = "The version of the existing record doesn't match the RowVersion \
                               property provided.";
                Err(Refusal::new(412, "0x80060882", message))
            }
        }
    }

    /// Whether an absent row may be created.
    pub fn allows_create(&self) -> bool {
        match self {
            Self::None | Self::Absent | Self::Newer(_) => true,
            Self::Exists | Self::Version(_) => false,
        }
    }
}

fn not_enabled(table: &str) -> String {
    format!(
        "Optimistic concurrency isn't enabled for entity type {table}. The IfVersionMatches value of \
         ConcurrencyBehavior can only be used if optimistic concurrency is enabled."
    )
}
