//! One row as a caller wants it: the selected columns and the expanded rows around it, nested as deep as
//! the options say. The names are checked once, before any row is touched.

use super::expression::Expression;
use super::options::{Expand, Options};
use super::related::{Row, Rows, Way};
use super::shape::{self, Shape};
use crate::emulator::dataverse::model::{ColumnDefinition, Environment, Record, Table};
use crate::emulator::dataverse::prefer::Prefer;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render::{Object, View, array, property};

/// How rows of one table are to be shown: options whose names are known to exist.
#[derive(Clone, Debug)]
pub struct Shown<'a> {
    view: View<'a>,
    columns: Vec<&'a ColumnDefinition>,
    selected: bool,
    expands: Vec<Expanded<'a>>,
}

#[derive(Clone, Debug)]
struct Expanded<'a> {
    name: &'a str,
    way: Way<'a>,
    options: &'a Options,
    references: bool,
    beyond: Shown<'a>,
}

impl<'a> Shown<'a> {
    /// Checks `$select` and `$expand` against a table.
    pub fn new(view: View<'a>, options: &'a Options) -> Result<Self, Refusal> {
        let rows = Rows { env: view.env, table: view.table };
        let selected = !options.select.is_empty();
        let columns = if selected { selection(rows, &options.select)? } else { view.all() };
        let expand = |expand| Expanded::new(view, expand);
        let expands = options.expand.iter().map(expand).collect::<Result<_, _>>()?;
        Ok(Self { view, columns, selected, expands })
    }

    /// Writes a row's members.
    pub fn write(&self, object: &mut Object, record: &'a Record) {
        self.view.write(object, record, &self.columns);
        let row = Row { env: self.view.env, table: self.view.table, record };
        for expanded in &self.expands {
            object.raw(expanded.name, &expanded.json(row));
        }
    }

    /// The same for a row of another table behind a shared navigation property: of the columns those
    /// that it has.
    fn of(&self, table: &'a Table) -> Self {
        let mut shown = self.clone();
        if table.definition.logical_name != self.view.table.definition.logical_name {
            shown.view = View { table, ..self.view };
            let names = self.columns.iter().map(|column| column.logical_name.as_str());
            shown.columns = names.filter_map(|name| table.definition.column(name)).collect();
        }
        shown
    }

    /// The row as a JSON object.
    pub fn json(&self, record: &'a Record) -> String {
        let mut object = Object::new();
        self.write(&mut object, record);
        object.finish()
    }

    /// What stands in `@odata.context` after the entity set: `(name,accountid,owner(fullname))`, or
    /// nothing for all columns.
    pub fn context(&self) -> String {
        let columns = self.columns.iter().filter(|_| self.selected).map(|column| property(column));
        let expands = self.expands.iter().map(|expanded| {
            let inner = expanded.beyond.context();
            let inner = if inner.is_empty() { "()".to_owned() } else { inner };
            format!("{}{inner}", expanded.name)
        });
        let parts: Vec<String> = columns.chain(expands).collect();
        if parts.is_empty() { String::new() } else { format!("({})", parts.join(",")) }
    }
}

impl<'a> Expanded<'a> {
    fn new(view: View<'a>, expand: &'a Expand) -> Result<Self, Refusal> {
        let View { env, table, prefer } = view;
        let rows = Rows { env, table };
        let unknown = || Refusal::no_property(&expand.navigation, &table.definition.logical_name);
        let way = rows.way(&expand.navigation).ok_or_else(unknown)?;
        let beyond = rows.beyond(way).ok_or_else(unknown)?;
        check(beyond, &expand.options)?;
        let beyond = Shown::new(View { env, table: beyond.table, prefer }, &expand.options)?;
        Ok(Self {
            name: &expand.navigation,
            way,
            options: &expand.options,
            references: expand.references,
            beyond,
        })
    }

    fn json(&self, row: Row<'a>) -> String {
        let found = row.follow(self.way);
        let show = |row: &Row<'a>| {
            if self.references {
                let mut object = Object::new();
                let definition = &row.table.definition;
                object.text("@odata.id", &format!("{}({})", definition.entity_set, row.record.id));
                object.finish()
            } else {
                self.beyond.of(row.table).json(row.record)
            }
        };
        match self.way {
            Way::One(..) => found.first().map_or_else(|| "null".to_owned(), show),
            Way::Many(..) | Way::Pairs(..) => {
                let chosen = choose(found, self.options);
                array(chosen.iter().take(self.options.top.unwrap_or(usize::MAX)).map(show))
            }
        }
    }
}

/// Filters and sorts rows by the options.
fn choose<'a>(rows: Vec<Row<'a>>, options: &Options) -> Vec<Row<'a>> {
    use super::expression::Subject;
    let mut rows = filtered(rows, options.filter.as_ref());
    rows.sort_by(|left, right| {
        let by = options.order.iter().map(|sort| {
            let order = left.value(&sort.path).sort(&right.value(&sort.path));
            if sort.descending { order.reverse() } else { order }
        });
        by.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
    rows
}

/// The rows of which a condition is true.
pub fn filtered<'a>(rows: Vec<Row<'a>>, filter: Option<&Expression>) -> Vec<Row<'a>> {
    let Some(filter) = filter else { return rows };
    rows.into_iter().filter(|row| filter.holds(row)).collect()
}

/// Checks `$filter` and `$orderby` against a table.
pub fn check(rows: Rows<'_>, options: &Options) -> Result<(), Refusal> {
    if let Some(filter) = &options.filter {
        shape::check(filter, &rows)?;
    }
    options.order.iter().try_for_each(|sort| rows.family(&sort.path).map(|_| ()))
}

/// The columns that `$select` names. A lookup may be named by its navigation property too.
pub fn selection<'a>(
    rows: Rows<'a>,
    names: &[String],
) -> Result<Vec<&'a ColumnDefinition>, Refusal> {
    let mut columns: Vec<&ColumnDefinition> = Vec::new();
    for name in names {
        let by_navigation = || rows.table.definition.navigation(name).map(|(column, _)| column);
        let column = rows
            .column(name)
            .or_else(by_navigation)
            .ok_or_else(|| Refusal::no_property(name, &rows.table.definition.logical_name))?;
        if !columns.iter().any(|known| known.logical_name == column.logical_name) {
            columns.push(column);
        }
    }
    Ok(columns)
}

/// All rows of a table.
pub fn all<'a>(env: &'a Environment, table: &'a Table) -> Vec<Row<'a>> {
    table.rows.values().map(|record| Row { env, table, record }).collect()
}

/// What every answer of rows is made with.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The environment, the table and the preferences.
    pub view: View<'a>,
    /// `https://host/api/data/v9.2`, without a slash at the end.
    pub base: &'a str,
    /// The query options as sent, decoded, for the link to the next page.
    pub query: &'a [(String, String)],
}

impl Asked<'_> {
    /// The caller's preferences.
    pub fn prefer(&self) -> &Prefer {
        self.view.prefer
    }
}
