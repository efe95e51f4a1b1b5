//! Rows and what they refer to: the subject of conditions on rows, and the names it may be asked for.
//!
//! A lookup is read as `_name_value`; a single-valued navigation property leads to one row, a
//! collection-valued one to many (Dataverse Web API, navigation properties).

use super::expression::Subject;
use super::operand::{Family, Operand};
use super::shape::Shape;
use crate::emulator::dataverse::model::{
    Cell, ColumnDefinition, Definition, Environment, LookupTarget, ManyToMany, Record, Side, Table,
};
use crate::emulator::dataverse::refusal::Refusal;

/// A row where it stands.
#[derive(Clone, Copy, Debug)]
pub struct Row<'a> {
    /// Everything, for following lookups.
    pub env: &'a Environment,
    /// Its table.
    pub table: &'a Table,
    /// The row.
    pub record: &'a Record,
}

/// A table as conditions may name it.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Everything, for following lookups.
    pub env: &'a Environment,
    /// The table.
    pub table: &'a Table,
}

/// Where a navigation property leads.
#[derive(Clone, Copy, Debug)]
pub enum Way<'a> {
    /// To the row that a lookup refers to.
    One(&'a ColumnDefinition, &'a LookupTarget),
    /// To the rows whose lookup refers here: their table and lookup.
    Many(&'a Table, &'a ColumnDefinition),
    /// To the rows paired with this one; whether this is the first side.
    Pairs(&'a ManyToMany, bool),
}

/// The name of the collection of child rows, which is also the name of the relationship.
pub fn collection(child: &Definition, column: &ColumnDefinition, target: &LookupTarget) -> String {
    if target.collection.is_empty() {
        format!("{}_{}_{}", target.table, child.logical_name, column.logical_name)
    } else {
        target.collection.clone()
    }
}

impl<'a> Rows<'a> {
    /// The column that a property name reads: `_x_value` for lookups, its own name otherwise.
    pub fn column(&self, property: &str) -> Option<&'a ColumnDefinition> {
        let definition = &self.table.definition;
        let lookup = property.strip_prefix('_').and_then(|name| name.strip_suffix("_value"));
        match lookup.and_then(|name| definition.column(name)) {
            Some(column) => Some(column).filter(|column| column.kind.is_lookup()),
            None => definition.column(property).filter(|column| !column.kind.is_lookup()),
        }
    }

    /// Where a navigation property leads, `None` when there is none of that name.
    pub fn way(&self, name: &str) -> Option<Way<'a>> {
        let definition = &self.table.definition;
        if let Some((column, target)) = definition.navigation(name) {
            return Some(Way::One(column, target));
        }
        let here = &definition.logical_name;
        let leads = |side: &Side| side.table == *here && side.navigation == name;
        if let Some(pairs) = self.env.many_to_many.iter().find(|many| leads(&many.first)) {
            return Some(Way::Pairs(pairs, true));
        }
        if let Some(pairs) = self.env.many_to_many.iter().find(|many| leads(&many.second)) {
            return Some(Way::Pairs(pairs, false));
        }
        self.env.tables.values().find_map(|child| {
            let refers = |column: &&ColumnDefinition| {
                column.targets.iter().any(|target| {
                    target.table == *here && collection(&child.definition, column, target) == name
                })
            };
            child.definition.columns.iter().find(refers).map(|column| Way::Many(child, column))
        })
    }

    /// The table that a navigation property leads to.
    pub fn beyond(&self, way: Way<'a>) -> Option<Self> {
        let table = match way {
            Way::One(_, target) => self.env.tables.get(&target.table)?,
            Way::Many(child, _) => child,
            Way::Pairs(many, first) => {
                let side = if first { &many.second } else { &many.first };
                self.env.tables.get(&side.table)?
            }
        };
        Some(Self { env: self.env, table })
    }

    fn unknown(&self, name: &str) -> Refusal {
        Refusal::no_property(name, &self.table.definition.logical_name)
    }

    fn step(&self, name: &str) -> Result<Self, Refusal> {
        let way = self.way(name).ok_or_else(|| self.unknown(name))?;
        self.beyond(way).ok_or_else(|| self.unknown(name))
    }
}

impl Shape for Rows<'_> {
    fn family(&self, path: &[String]) -> Result<Family, Refusal> {
        match path {
            [] => Ok(Family::Any),
            [name] => match self.column(name) {
                Some(column) => Ok(Family::of(column.kind)),
                None => self.step(name).map(|_| Family::Any),
            },
            [name, rest @ ..] => self.step(name)?.family(rest),
        }
    }

    fn element(&self, path: &[String]) -> Result<Box<dyn Shape + '_>, Refusal> {
        let mut here = *self;
        for name in path {
            here = here.step(name)?;
        }
        Ok(Box::new(here))
    }
}

impl<'a> Row<'a> {
    /// Its table.
    pub fn rows(&self) -> Rows<'a> {
        Rows { env: self.env, table: self.table }
    }

    /// The rows that a navigation property leads to; at most one when it is single-valued.
    pub fn follow(&self, way: Way<'a>) -> Vec<Row<'a>> {
        let Some(Rows { env, table }) = self.rows().beyond(way) else { return Vec::new() };
        let row = |record: &'a Record| Row { env, table, record };
        match way {
            Way::One(column, target) => self.referred(column, target).into_iter().collect(),
            Way::Many(_, column) => {
                let here = &self.table.definition.logical_name;
                let refers = |record: &&Record| {
                    matches!(record.cells.get(&column.logical_name),
                        Some(Cell::Lookup { table, id }) if table == here && *id == self.record.id)
                };
                table.rows.values().filter(refers).map(row).collect()
            }
            Way::Pairs(many, first) => {
                let other = |(one, two): &(_, _)| {
                    let (mine, other) = if first { (one, two) } else { (two, one) };
                    (*mine == self.record.id).then_some(*other)
                };
                let ids = many.pairs.iter().filter_map(other);
                ids.filter_map(|id| table.rows.get(&id)).map(row).collect()
            }
        }
    }

    /// The row that a lookup refers to. A navigation property that several tables share, such as that
    /// of owners, leads to whichever it is.
    fn referred(&self, column: &ColumnDefinition, target: &LookupTarget) -> Option<Row<'a>> {
        let cell = self.record.cells.get(&column.logical_name)?;
        let Cell::Lookup { table, id } = cell else { return None };
        let shares =
            |one: &LookupTarget| one.table == *table && one.navigation == target.navigation;
        column.targets.iter().find(|one| shares(one))?;
        let table = self.env.tables.get(table)?;
        Some(Row { env: self.env, table, record: table.rows.get(id)? })
    }

    fn step(&self, name: &str) -> Vec<Row<'a>> {
        self.rows().way(name).map(|way| self.follow(way)).unwrap_or_default()
    }
}

impl Subject for Row<'_> {
    fn value(&self, path: &[String]) -> Operand {
        match path {
            [] => Operand::Null,
            [name] => match self.rows().column(name) {
                Some(column) => {
                    Operand::of_column(&self.table.definition, self.record, &column.logical_name)
                }
                // a bare navigation property: there is a row or there is none
                None => self
                    .step(name)
                    .first()
                    .map_or(Operand::Null, |row| Operand::Guid(row.record.id)),
            },
            [name, rest @ ..] => {
                self.step(name).first().map_or(Operand::Null, |row| row.value(rest))
            }
        }
    }

    fn members(&self, path: &[String]) -> Vec<Box<dyn Subject + '_>> {
        let mut here = vec![*self];
        for name in path {
            here = here.iter().flat_map(|row| row.step(name)).collect();
        }
        here.into_iter().map(|row| Box::new(row) as Box<dyn Subject>).collect()
    }
}
