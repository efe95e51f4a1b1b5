//! The rows of the emulated environment: typed cells by column.

use std::collections::BTreeMap;

use jiff::{Timestamp, civil::Date};
use rust_decimal::Decimal;
use uuid::Uuid;

/// One row.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// Its primary id.
    pub id: Uuid,
    /// Its version: `@odata.etag` is `W/"<version>"`.
    pub version: i64,
    /// Its cells by logical name; a column without a cell is null.
    pub cells: BTreeMap<String, Cell>,
}

/// The value of one column of one row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// Text and memo.
    Text(String),
    /// Whole numbers, choices, states.
    Integer(i64),
    /// Decimal and money, digits kept.
    Decimal(Decimal),
    /// Floating point.
    Double(f64),
    /// Yes or no.
    Boolean(bool),
    /// A moment, whole seconds.
    Time(Timestamp),
    /// A date alone.
    Date(Date),
    /// An id that is no lookup.
    Guid(Uuid),
    /// Chosen numbers, ascending.
    Choices(Vec<i32>),
    /// A reference.
    Lookup {
        /// The table referred to.
        table: String,
        /// The row referred to.
        id: Uuid,
    },
    /// The bytes of a file or image column.
    Bytes {
        /// The id shown on read.
        id: Uuid,
        /// The file's name.
        name: String,
        /// Its content.
        content: bytes::Bytes,
    },
}
