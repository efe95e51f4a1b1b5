//! What is compared for one map: its key and its columns, as the target describes them.
//!
//! In go a map and the target's table; out come what is to be read on either side, and for a row, ours
//! or theirs, a [`Face`]: the key and the canonical text of every compared column. Columns that the map
//! does not write are never looked at. A lookup is compared by the key of the row it refers to, so that
//! no id of one environment is compared with one of another.

use std::sync::Arc;

use super::canon::{Canon, joined, value};
use crate::change::Change;
use crate::mapping::Map;
use crate::mapping::rule::Plan;
use crate::row::{Action, Columns, Key, Lookup, MASK, Missing, Owner, Row, Value};
use crate::system::source::{Asked, Selection};
use crate::system::{ColumnKind, TableSchema};

/// What is compared.
#[derive(Debug)]
pub(super) struct Shape {
    pub(super) map: Arc<Map>,
    key: Vec<Compared>,
    columns: Vec<Compared>,
}

/// One compared column.
#[derive(Debug)]
struct Compared {
    name: Arc<str>,
    canon: Canon,
    part: Part,
}

/// Which part of a row it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Column,
    /// A reference: the table, and the paths of its key.
    Lookup(String, Vec<Vec<String>>),
    State,
    Status,
    Owner,
}

/// A value as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cell {
    /// Not said, so not compared.
    Unset,
    /// Empty.
    Null,
    /// This.
    Is(String),
}

impl From<Option<String>> for Cell {
    fn from(text: Option<String>) -> Self {
        text.map_or(Self::Null, Self::Is)
    }
}

/// A row as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Face {
    /// The key; none when a part of it is null.
    pub(super) key: Option<String>,
    /// The columns, in the order of the shape.
    pub(super) cells: Vec<Cell>,
}

/// A column that is not what it should be. Values of secured columns are masked.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Differs {
    /// The column.
    pub column: String,
    /// What the source's row comes to.
    pub source: Option<String>,
    /// What the target holds.
    pub target: Option<String>,
}

impl Shape {
    /// Of a map and the table it writes; without a description, values are compared by their JSON types.
    pub(super) fn of(map: &Arc<Map>, table: Option<&TableSchema>) -> Self {
        let plain = |name: &str, part: Part| Compared {
            name: name.into(),
            canon: canon(name, table),
            part,
        };
        let compared = |(name, plan): &(Arc<str>, Plan)| {
            let lookup = plan.shape.lookup.clone();
            let part = lookup.map_or(Part::Column, |(table, paths)| Part::Lookup(table, paths));
            plain(name, part)
        };
        let mut columns: Vec<Compared> = map.fields.iter().map(compared).collect();
        columns.extend([
            plain("statecode", Part::State),
            plain("statuscode", Part::Status),
            plain("ownerid", Part::Owner),
        ]);
        Self { map: Arc::clone(map), key: map.key.iter().map(compared).collect(), columns }
    }

    /// How many columns are compared.
    pub(super) fn width(&self) -> usize {
        self.columns.len()
    }

    /// What is read of the target; `keys` leaves out all but the key.
    pub(super) fn target(&self, keys: bool) -> Asked {
        let mut columns = Selection::default();
        let others = self.columns.iter().filter(|_| !keys);
        for compared in self.key.iter().chain(others) {
            match &compared.part {
                Part::Column | Part::State | Part::Status | Part::Owner => {
                    columns.add(&[&*compared.name], None);
                }
                Part::Lookup(table, paths) => {
                    // its own id tells an empty reference from one that may not be read
                    columns.add(&[&*compared.name], None);
                    for path in paths {
                        let way = path.iter().map(String::as_str);
                        let way: Vec<&str> = std::iter::once(&*compared.name).chain(way).collect();
                        columns.add(&way, Some(table));
                    }
                }
            }
        }
        Asked { table: self.map.destination.table.clone(), columns, since: None }
    }

    /// What is read of the source.
    pub(super) fn source(&self) -> Asked {
        let reads = &self.map.properties;
        let mut columns = Selection::of(reads.names());
        columns.all = reads.any();
        let table = self.map.entity.trim_start_matches('/').to_owned();
        Asked { table, columns, since: None }
    }

    /// A row as the map makes it.
    pub(super) fn ours(&self, key: &Key, columns: Option<&Columns>) -> Face {
        let find = |name: &str| {
            let found = columns.and_then(|row| row.values.iter().find(|(at, _)| **at == *name));
            found.map(|(_, value)| value)
        };
        let cells = self.columns.iter().map(|compared| match &compared.part {
            Part::Column => match find(&compared.name) {
                // a reference whose table depends on the row is not compared
                None | Some(Value::Lookup(_)) => Cell::Unset,
                Some(value) => compared.canon.text(value).into(),
            },
            Part::Lookup(..) => {
                find(&compared.name).map_or(Cell::Unset, |value| compared.canon.text(value).into())
            }
            Part::State => of_state(columns, |state| Some(state.state)),
            Part::Status => of_state(columns, |state| state.status),
            Part::Owner => match columns.and_then(|row| row.owner) {
                None => Cell::Unset,
                Some(Owner::User(id) | Owner::Team(id)) => Cell::Is(id.to_string()),
            },
        });
        let parts = key.0.iter().zip(&self.key).map(|((_, value), part)| part.canon.key(value));
        Face { key: joined(parts), cells: cells.collect() }
    }

    /// A row as the target shows it.
    pub(super) fn theirs(&self, row: &Change<'_>) -> Face {
        let cells = self.columns.iter().map(|compared| compared.theirs(row));
        let parts = self.key.iter().map(|part| match part.theirs(row) {
            Cell::Is(text) => Some(text.trim_end().to_lowercase()),
            Cell::Unset | Cell::Null => None,
        });
        Face { key: joined(parts), cells: cells.collect() }
    }

    /// The key of a row of the target, as the map would make it.
    pub(super) fn key(&self, row: &Change<'_>) -> Option<Key> {
        let parts = self.key.iter().map(|part| {
            let value = match &part.part {
                Part::Column | Part::State | Part::Status | Part::Owner => {
                    typed(part.canon.kind, value(raw(row, &part.name)?))
                }
                Part::Lookup(table, paths) => {
                    let by = paths.iter().map(|path| {
                        let value = value(raw(row, &format!("{}.{}", part.name, path.join(".")))?);
                        Some((path.iter().map(|hop| hop.as_str().into()).collect(), value))
                    });
                    let by = by.collect::<Option<_>>()?;
                    let table = table.as_str().into();
                    Value::Lookup(Lookup { table, by, missing: Missing::default() })
                }
            };
            (value != Value::Null).then(|| (Arc::clone(&part.name), value))
        });
        parts.collect::<Option<_>>().map(Key)
    }

    /// The columns in which a row of ours is not what the target holds.
    pub(super) fn differs(&self, ours: &Face, theirs: &Face) -> Vec<Differs> {
        let all = self.columns.iter().zip(ours.cells.iter().zip(&theirs.cells));
        let wrong = all.filter(|(_, (ours, theirs))| {
            **ours != Cell::Unset && **theirs != Cell::Unset && ours != theirs
        });
        let secured = &self.map.destination.secured;
        let shown = |compared: &Compared, cell: &Cell| match cell {
            Cell::Unset | Cell::Null => None,
            Cell::Is(_) if secured.iter().any(|name| **name == *compared.name) => {
                Some(MASK.to_owned())
            }
            Cell::Is(text) => Some(text.replace('\u{1f}', ", ")),
        };
        let differs = wrong.map(|(compared, (ours, theirs))| Differs {
            column: compared.name.to_string(),
            source: shown(compared, ours),
            target: shown(compared, theirs),
        });
        differs.collect()
    }

    /// The columns that a new row gets.
    pub(super) fn all(&self, ours: &Face) -> Vec<Differs> {
        let nothing = Face { key: None, cells: vec![Cell::Null; self.width()] };
        self.differs(ours, &nothing)
    }
}

/// The reference that a row of ours makes in a column, for asking whether its row is there.
pub(super) fn reference<'r>(row: &'r Row, column: &str) -> Option<&'r Lookup> {
    let Action::Upsert(columns) = &*row.action else { return None };
    let (_, value) = columns.values.iter().find(|(name, _)| **name == *column)?;
    if let Value::Lookup(lookup) = value { Some(lookup) } else { None }
}

impl Compared {
    fn theirs(&self, row: &Change<'_>) -> Cell {
        match &self.part {
            Part::Column | Part::State | Part::Status | Part::Owner => match raw(row, &self.name) {
                Some(raw) => self.canon.json(raw).into(),
                None => Cell::Unset,
            },
            Part::Lookup(_, paths) => {
                let parts = paths.iter().map(|path| {
                    let raw = raw(row, &format!("{}.{}", self.name, path.join(".")))?;
                    Canon::default().key(&value(raw))
                });
                match (joined(parts), raw(row, &self.name)) {
                    (Some(key), _) => Cell::Is(key),
                    (None, Some(id)) if id.get() == "null" => Cell::Null,
                    // it refers to a row without such a key, or of another table
                    (None, Some(id)) => Cell::Is(id.get().trim_matches('"').to_owned()),
                    (None, None) => Cell::Unset,
                }
            }
        }
    }
}

fn of_state(columns: Option<&Columns>, read: impl Fn(crate::row::State) -> Option<i32>) -> Cell {
    let state = columns.and_then(|columns| columns.state).and_then(read);
    state.map_or(Cell::Unset, |number| Cell::Is(number.to_string()))
}

fn canon(column: &str, table: Option<&TableSchema>) -> Canon {
    let column = table.and_then(|table| table.columns.get(column));
    Canon {
        kind: column.map(|column| column.kind),
        precision: column.and_then(|column| column.precision),
    }
}

/// A property by exactly this name.
fn raw<'c>(row: &'c Change<'_>, name: &str) -> Option<&'c serde_json::value::RawValue> {
    row.properties.iter().find(|(at, _)| **at == *name).map(|(_, raw)| &**raw)
}

/// A key's value in the type that a map gives it, so that the ledger knows it by the same text.
fn typed(kind: Option<ColumnKind>, value: Value) -> Value {
    let parsed = match (kind, &value) {
        (Some(ColumnKind::Date), Value::Text(text)) => text.parse().ok().map(Value::Date),
        (Some(ColumnKind::Time), Value::Text(text)) => text.parse().ok().map(Value::Time),
        (Some(ColumnKind::Guid | ColumnKind::Lookup), Value::Text(text)) => {
            text.parse().ok().map(Value::Guid)
        }
        _ => None,
    };
    parsed.unwrap_or(value)
}
