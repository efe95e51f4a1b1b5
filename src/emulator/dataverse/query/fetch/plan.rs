//! What a query asks for, as written: nothing is looked up yet.

use crate::emulator::dataverse::query::aggregate::Function;
use crate::emulator::dataverse::query::cookie::{Cookie, Place};

/// A whole query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetch {
    /// The table asked, and what hangs on it.
    pub root: Node,
    /// The most rows, without paging.
    pub top: Option<usize>,
    /// Rows a page.
    pub count: Option<usize>,
    /// The page, from 1.
    pub page: Option<usize>,
    /// Where the page before ended.
    pub place: Option<Place>,
    /// Groups and totals instead of rows.
    pub aggregate: bool,
    /// No line twice.
    pub distinct: bool,
    /// The number of all rows is asked for.
    pub total: bool,
}

impl Fetch {
    /// Goes on with the page after which a cookie was handed out.
    pub fn resume(&mut self, cookie: Cookie) {
        self.page = Some(cookie.page);
        self.place = cookie.place;
    }
}

/// A table of the query.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Node {
    /// Its logical name.
    pub table: String,
    /// The name conditions and columns use for it; empty for the root.
    pub alias: String,
    /// The columns asked for; none of them stands for all at the root.
    pub attributes: Vec<Attribute>,
    /// `all-attributes`
    pub all: bool,
    /// Sort columns.
    pub orders: Vec<Order>,
    /// What must hold.
    pub filters: Vec<Filter>,
    /// Tables joined to this one.
    pub links: Vec<Link>,
}

/// A joined table: its column `from` equals the outer table's `to`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The table.
    pub node: Node,
    /// The column of the joined table.
    pub from: String,
    /// The column of the table it is joined to.
    pub to: String,
    /// Rows without a partner stay.
    pub outer: bool,
    /// Only asks for a partner; adds neither columns nor lines.
    pub exists: bool,
}

/// A column asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attribute {
    /// Its logical name.
    pub name: String,
    /// Another name in the answer.
    pub alias: Option<String>,
    /// What is computed of it.
    pub function: Option<Function>,
    /// Groups are formed by it.
    pub group: bool,
    /// The part of a date that groups are formed by.
    pub date_part: Option<String>,
}

/// A sort column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Order {
    /// Its logical name, or the alias of a column of the answer.
    pub name: String,
    /// The alias of another table of the query.
    pub table: Option<String>,
    /// Highest first.
    pub descending: bool,
}

/// What must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of them.
    And(Vec<Filter>),
    /// One of them.
    Or(Vec<Filter>),
    /// The opposite.
    Not(Box<Filter>),
    /// A condition on one column.
    Condition(Condition),
}

/// A condition on one column, literals as written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// The alias of another table of the query.
    pub table: Option<String>,
    /// The column.
    pub column: String,
    /// `eq`, `like`, `on-or-after`, …
    pub operator: String,
    /// What it is held against.
    pub values: Vec<String>,
    /// Another column, instead of values.
    pub value_of: Option<String>,
}
