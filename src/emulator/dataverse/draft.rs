//! A body for one row, read and judged: cells, binds, the state pair, and nested rows for a deep insert.
//! Unknown properties, wrong values and references to absent rows are refused; values of columns that
//! only the system sets are dropped silently, as the service does.

use serde_json::value::RawValue;
use uuid::Uuid;

use crate::emulator::dataverse::body::{self, Members};
use crate::emulator::dataverse::model::{Cell, ColumnDefinition, Definition, Kind};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::session::Session;
use crate::emulator::dataverse::validate::Judge;
use crate::emulator::dataverse::{address, bind};

/// What a body wants of a row.
#[derive(Debug, Default)]
pub struct Draft<'a> {
    /// The primary id in the body.
    pub id: Option<Uuid>,
    /// Columns with their values, in the order of the body.
    pub cells: Vec<(String, Option<Cell>)>,
    /// Rows to create before this one: the lookup column, the target's table, the body.
    pub parents: Vec<(String, String, &'a RawValue)>,
    /// Rows to create or to associate after this one: the collection-valued navigation property and
    /// the array.
    pub children: Vec<(String, &'a RawValue)>,
}

impl Draft<'_> {
    /// The value the body gives for a column.
    pub fn get(&self, column: &str) -> Option<&Option<Cell>> {
        self.cells.iter().rev().find(|(name, _)| name == column).map(|(_, cell)| cell)
    }

    /// The names of the columns in the body.
    pub fn columns(&self) -> Vec<String> {
        self.cells.iter().map(|(name, _)| name.clone()).collect()
    }
}

/// Whether a draft is for a new row or for one that exists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A new row.
    Create,
    /// A row that exists.
    Update,
}

/// Reads a body for a row of a table. Members that give a column in `dropped` are not looked at.
pub fn read<'a>(
    session: &Session<'_>,
    table: &str,
    members: &Members<'a>,
    purpose: Purpose,
    dropped: &[String],
) -> Result<Draft<'a>, Refusal> {
    let definition = &session.table(table)?.definition;
    let mut reader = Reader { session, definition, purpose, dropped, draft: Draft::default() };
    for (name, value) in members {
        reader.member(name, value)?;
    }
    Ok(reader.draft)
}

struct Reader<'r, 'a> {
    session: &'r Session<'r>,
    definition: &'r Definition,
    purpose: Purpose,
    dropped: &'r [String],
    draft: Draft<'a>,
}

impl<'a> Reader<'_, 'a> {
    fn member(&mut self, name: &str, value: &'a RawValue) -> Result<(), Refusal> {
        if let Some(navigation) = name.strip_suffix("@odata.bind") {
            return self.bind(navigation, value);
        }
        if name.contains('@') {
            return Ok(());
        }
        // A lookup has no property of its own name: only its navigation properties.
        let column = self.definition.column(name).filter(|column| !column.kind.is_lookup());
        if let Some(column) = column {
            return self.column(column, value);
        }
        if self.definition.navigation(name).is_some() {
            return self.navigation(name, value);
        }
        if leads_to_many(self.session, &self.definition.logical_name, name) {
            return self.many(name, value);
        }
        let inner = name.strip_prefix('_').and_then(|rest| rest.strip_suffix("_value"));
        if inner.is_some_and(|inner| self.definition.column(inner).is_some()) {
            return Err(self.not_direct());
        }
        Err(self.unknown(name))
    }

    fn column(&mut self, column: &ColumnDefinition, value: &'a RawValue) -> Result<(), Refusal> {
        let name = &column.logical_name;
        if self.dropped.contains(name) {
            return Ok(());
        }
        if *name == self.definition.primary_id {
            let id = body::text(value).and_then(|text| address::id(text.trim_matches(['{', '}'])));
            let refused =
                || Refusal::bad("0x80040363", format!("'{name}' is not a valid unique id."));
            self.draft.id = Some(id.ok_or_else(refused)?);
            return Ok(());
        }
        if column.read_only || (name == "overriddencreatedon" && self.purpose == Purpose::Update) {
            return Ok(());
        }
        if column.kind == Kind::Image && self.purpose == Purpose::Create {
            self.check_primary_image(column)?;
        }
        let (env, chance) = (&*self.session.env, self.session.chance);
        let cell = Judge { env, definition: self.definition, column, chance }.cell(value)?;
        self.set(column, cell)
    }

    fn bind(&mut self, navigation: &str, value: &'a RawValue) -> Result<(), Refusal> {
        let Some((column, _)) = self.definition.navigation(navigation) else {
            if leads_to_many(self.session, &self.definition.logical_name, navigation) {
                return self.many(navigation, value);
            }
            return Err(self.undeclared(navigation));
        };
        if self.dropped.contains(&column.logical_name) {
            return Ok(());
        }
        if body::is_null(value) {
            return self.set(column, None);
        }
        let reference = body::text(value).ok_or_else(|| self.undeclared(navigation))?;
        let cell = bind::lookup(self.session, (self.definition, column, navigation), &reference)?;
        self.set(column, Some(cell))
    }

    /// A single-valued navigation property without a bind: `null` clears, an object is created first.
    fn navigation(&mut self, name: &str, value: &'a RawValue) -> Result<(), Refusal> {
        let Some((column, target)) = self.definition.navigation(name) else { return Ok(()) };
        if self.dropped.contains(&column.logical_name) {
            return Ok(());
        }
        if body::is_null(value) {
            return self.set(column, None);
        }
        if !value.get().starts_with('{') || self.purpose == Purpose::Update {
            return Err(self.not_direct());
        }
        let parent = (column.logical_name.clone(), target.table.clone(), value);
        self.draft.parents.push(parent);
        Ok(())
    }

    fn many(&mut self, name: &str, value: &'a RawValue) -> Result<(), Refusal> {
        if !value.get().starts_with('[') || self.purpose == Purpose::Update {
            return Err(self.not_direct());
        }
        self.draft.children.push((name.to_owned(), value));
        Ok(())
    }

    fn set(&mut self, column: &ColumnDefinition, cell: Option<Cell>) -> Result<(), Refusal> {
        if column.secured && self.session.env.column_security {
            let message = "The user doesn't have AttributePrivilegeUpdate and not granted shared \
                           access for a secured attribute during update operation";
            return Err(Refusal::new(403, "0x8004F507", message));
        }
        self.draft.cells.push((column.logical_name.clone(), cell));
        Ok(())
    }

    /// Only the first image column of a table is its primary image.
    fn check_primary_image(&self, column: &ColumnDefinition) -> Result<(), Refusal> {
        let primary = self.definition.columns.iter().find(|column| column.kind == Kind::Image);
        if primary.is_some_and(|primary| primary.logical_name == column.logical_name) {
            return Ok(());
        }
        let message = "Only the primary image can be set when a row is created.";
        Err(Refusal::bad("0x80040203", message))
    }

    fn unknown(&self, name: &str) -> Refusal {
        let table = &self.definition.logical_name;
        let message = format!(
            "Invalid property '{name}' was found in entity 'Microsoft.Dynamics.CRM.{table}'. ---> \
             Microsoft.OData.ODataException: Does not support untyped value in non-open type."
        );
        Refusal::bad("0x0", message)
    }

    fn undeclared(&self, name: &str) -> Refusal {
        let reason = format!(
            "An undeclared property '{name}' which only has property annotations in the payload but \
             no property value was found in the payload. In OData, only declared navigation \
             properties and declared named streams can be represented as properties without values."
        );
        body::malformed(&self.definition.entity_set, &reason)
    }

    fn not_direct(&self) -> Refusal {
        let reason = "CRM do not support direct update of Entity Reference properties, Use \
                      Navigation properties instead.";
        body::malformed(&self.definition.entity_set, reason)
    }
}

/// Whether a collection-valued navigation property of this name leaves from the table.
fn leads_to_many(session: &Session<'_>, table: &str, name: &str) -> bool {
    super::relation::find(session.env, table, name).is_some()
}
