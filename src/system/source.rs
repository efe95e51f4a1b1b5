//! The seam for systems that can be asked: rows a page at a time, counts, single rows, and what changed.
//!
//! A [`Source`] decides nothing. It hands rows over as the system itself shows them, JSON text, and the
//! system's decoder makes of each the same change that a trigger would bring. Both ends of a map may be
//! read this way: to load, to compare, and to read a row again before it is sent once more.

use std::collections::BTreeMap;
use std::fmt::Debug;

use async_trait::async_trait;
use bytes::Bytes;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::delivery::{Event, Origin};
use crate::fault::Fault;
use crate::row::Key;

/// A system that rows are read from.
///
/// Calls change nothing, may run concurrently and may be repeated. Retries what may pass until the
/// system's own limit of time; an `Err` therefore is worth another try later, unless its act is to halt.
#[async_trait]
pub trait Source: Debug + Send + Sync {
    /// The page after `after`, the first one without it. Rows come in the order of their ids, whatever
    /// that order is to the system, so that a row that is there all the time comes exactly once even
    /// while others come and go. A cursor stays good when it was stored, and for any instance.
    async fn page(&self, asked: &Asked, after: Option<&Cursor>) -> Result<Page, Fault>;

    /// How many rows a table has now, exactly: by the values of a column (a company, say), or all under
    /// the empty text.
    async fn count(&self, table: &str, by: Option<&str>) -> Result<BTreeMap<String, u64>, Fault>;

    /// Single rows, in the order asked; `None` where there is none. Whether two texts name the same key
    /// is the system's to say.
    async fn find(&self, asked: &Asked, rows: &[Named]) -> Result<Vec<Option<Record>>, Fault>;

    /// What changed since `token`; without one, every row, and the first token. Of columns, only those
    /// of the table itself are read.
    async fn changes(&self, asked: &Asked, token: Option<&Token>) -> Result<Delta, Fault>;

    /// As whom the system knows us; none when it does not say.
    async fn me(&self) -> Result<Option<Uuid>, Fault>;
}

/// What is read of a table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    /// The table's logical name.
    pub table: String,
    /// Of each row.
    pub columns: Selection,
    /// Only rows that were created or changed at this moment or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
}

/// Columns of a row, and of the rows that it refers to. Id, version, time and maker of the last change
/// always come along, and so do state and status where there are any. A column that the table does not
/// have is left out.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Selection {
    /// Logical names.
    pub columns: Vec<String>,
    /// Whether all columns are read, whatever is named.
    #[serde(default)]
    pub all: bool,
    /// What is read through lookup columns.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parents: Vec<Parent>,
}

/// Columns of a row that a lookup column refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parent {
    /// The lookup column.
    pub column: String,
    /// The table, where the column may refer to several; all of them otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub table: Option<String>,
    /// What is read of it.
    pub columns: Selection,
}

impl Selection {
    /// Every column of the row itself.
    pub fn all() -> Self {
        Self { all: true, ..Self::default() }
    }

    /// Columns by name; a dotted one is a column of the row that the first part refers to.
    pub fn of<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let mut selection = Self::default();
        for name in names {
            let path: Vec<&str> = name.split('.').collect();
            selection.add(&path, None);
        }
        selection
    }

    /// Adds the column at the end of a path of lookups; `table` is what the first of them refers to.
    pub fn add(&mut self, path: &[&str], table: Option<&str>) {
        match path {
            [] => {}
            [column] => {
                if !self.columns.iter().any(|known| known == column) {
                    self.columns.push((*column).to_owned());
                }
            }
            [lookup, rest @ ..] => {
                let same = |parent: &&mut Parent| {
                    parent.column == *lookup && parent.table.as_deref() == table
                };
                if let Some(parent) = self.parents.iter_mut().find(same) {
                    parent.columns.add(rest, None);
                    return;
                }
                let mut columns = Self::default();
                columns.add(rest, None);
                let (column, table) = ((*lookup).to_owned(), table.map(str::to_owned));
                self.parents.push(Parent { column, table, columns });
            }
        }
    }
}

/// A row by its id or by a business key.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Named {
    /// The system's own id.
    Id(Uuid),
    /// The values of an alternate key.
    Key(Key),
}

/// A row as the system shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The system's own id.
    pub id: Uuid,
    /// The row, one JSON object.
    pub body: Bytes,
}

/// The application property of an event that names the table of a [`Record`].
pub const TABLE: &str = "concord-table";

impl Record {
    /// The row as an event of its system, for the decoder and the pipeline. The moment at which it was
    /// read breaks the tie with the same version, read or sent before.
    pub fn event(&self, table: &str, read: Timestamp) -> Event {
        Event {
            body: self.body.clone(),
            origin: Origin { enqueued: Some(read), received: Some(read), ..Origin::default() },
            properties: vec![(TABLE.to_owned(), table.to_owned())],
            ..Event::default()
        }
    }
}

/// Some rows, and where to go on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Record>,
    /// The place of the next page; none at the end.
    pub next: Option<Cursor>,
}

/// A place between two pages, meaningful to its source alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Cursor(pub String);

/// A moment in the history of a table, meaningful to its source alone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Token(pub String);

/// What the history of a table tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delta {
    /// What changed.
    Changes(Changes),
    /// The history does not reach back to the token, or is not kept: the table must be read whole, and
    /// what was removed meanwhile is known to nobody.
    Expired,
}

/// Changes of a table: each row once, in its present state.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    /// Rows that were created or changed.
    pub rows: Vec<Record>,
    /// Ids of rows that are gone.
    pub removed: Vec<Uuid>,
    /// Where to go on.
    pub token: Token,
    /// Whether there is more to read at once. Only when there is not, may the token be kept as the
    /// point that was reached.
    pub more: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dotted_name_is_read_through_its_lookup_and_nothing_is_asked_twice() {
        let selection = Selection::of(["name", "hotel.number", "hotel.city.code", "name"]);
        assert_eq!(selection.columns, ["name"]);
        let [hotel] = selection.parents.as_slice() else { panic!("{selection:?}") };
        assert_eq!(
            (hotel.column.as_str(), &hotel.columns.columns[..]),
            ("hotel", &["number".to_owned()][..])
        );
        assert_eq!(hotel.columns.parents[0].columns.columns, ["code"]);
    }
}
