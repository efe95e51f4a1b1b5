//! A plan with its tables and columns found. Unknown ones are refused with the query engine's codes
//! (`0x80041102`, `0x80041103`).

use jiff::Timestamp;

use super::condition::Compiling;
use super::plan::{Condition, Fetch, Filter, Link, Node};
use crate::emulator::dataverse::model::{
    Cell, ColumnDefinition, Definition, Environment, Kind, ManyToMany, Ownership, Record, Table,
};
use crate::emulator::dataverse::query::expression::Expression;
use crate::emulator::dataverse::refusal::Refusal;

/// A table of the query, found.
#[derive(Debug)]
pub(super) struct Joined<'a> {
    pub(super) table: &'a Table,
    pub(super) node: &'a Node,
    /// How it is joined to which of the tables before; the root is not.
    pub(super) to: Option<(&'a Link, usize)>,
    /// What must hold before it joins: for an outer link, rows of which it is false are no partners.
    pub(super) filter: Option<Expression>,
}

/// All tables of a query, the root first, each after the one it is joined to.
#[derive(Debug)]
pub(super) struct Bound<'a> {
    pub(super) nodes: Vec<Joined<'a>>,
    /// The root's conditions; they may name the others.
    pub(super) filter: Option<Expression>,
}

/// The tables that hold the pairs of many-to-many relationships, as a query sees them.
pub(super) fn intersects(env: &Environment) -> Vec<Table> {
    env.many_to_many.iter().map(|many| intersect(env, many)).collect()
}

impl<'a> Bound<'a> {
    /// Finds everything the plan names.
    pub(super) fn new(
        env: &'a Environment,
        extra: &'a [Table],
        fetch: &'a Fetch,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        let mut bound = Self { nodes: Vec::new(), filter: None };
        bound.add(env, extra, &fetch.root, None)?;
        for at in 0..bound.nodes.len() {
            let Some(joined) = bound.nodes.get(at) else { continue };
            let filter = bound.compile(joined, now)?;
            match bound.nodes.get_mut(at) {
                Some(joined) if at > 0 => joined.filter = filter,
                _ => bound.filter = filter,
            }
        }
        Ok(bound)
    }

    fn add(
        &mut self,
        env: &'a Environment,
        extra: &'a [Table],
        node: &'a Node,
        to: Option<(&'a Link, usize)>,
    ) -> Result<(), Refusal> {
        let held = || extra.iter().find(|table| table.definition.logical_name == node.table);
        let table =
            env.tables.get(&node.table).or_else(held).ok_or_else(|| no_table(&node.table))?;
        if let Some((link, outer)) = to {
            column(&table.definition, &link.from)?;
            if let Some(outer) = self.nodes.get(outer) {
                column(&outer.table.definition, &link.to)?;
            }
        }
        let here = self.nodes.len();
        self.nodes.push(Joined { table, node, to, filter: None });
        for link in &node.links {
            self.add(env, extra, &link.node, Some((link, here)))?;
        }
        Ok(())
    }

    fn compile(&self, joined: &Joined<'a>, now: Timestamp) -> Result<Option<Expression>, Refusal> {
        let parts = joined.node.filters.iter().map(|filter| self.filter(joined, filter, now));
        let parts: Vec<Expression> = parts.collect::<Result<_, _>>()?;
        Ok((!parts.is_empty()).then_some(Expression::And(parts)))
    }

    fn filter(
        &self,
        joined: &Joined<'a>,
        filter: &Filter,
        now: Timestamp,
    ) -> Result<Expression, Refusal> {
        let all = |parts: &[Filter]| {
            parts.iter().map(|part| self.filter(joined, part, now)).collect::<Result<Vec<_>, _>>()
        };
        Ok(match filter {
            Filter::And(parts) => Expression::And(all(parts)?),
            // an empty filter asks nothing
            Filter::Or(parts) if parts.is_empty() => Expression::And(Vec::new()),
            Filter::Or(parts) => Expression::Or(all(parts)?),
            Filter::Not(part) => self.filter(joined, part, now)?.negated(),
            Filter::Condition(condition) => self.condition(joined, condition, now)?,
        })
    }

    fn condition(
        &self,
        joined: &Joined<'a>,
        condition: &Condition,
        now: Timestamp,
    ) -> Result<Expression, Refusal> {
        let (alias, definition) = match &condition.table {
            Some(name) => {
                let other = self.named(name).ok_or_else(|| no_table(name))?;
                (&other.node.alias, &other.table.definition)
            }
            None => (&joined.node.alias, &joined.table.definition),
        };
        let kind = column(definition, &condition.column)?.kind;
        let path = vec![alias.clone(), condition.column.clone()];
        let compiling = Compiling { condition, path, kind, now };
        match &condition.value_of {
            Some(text) => {
                let (alias, name) = text.split_once('.').unwrap_or((alias, text));
                let other = self.named(alias).ok_or_else(|| no_table(alias))?;
                column(&other.table.definition, name)?;
                compiling.column(vec![alias.to_owned(), name.to_owned()])
            }
            None => compiling.literal(),
        }
    }

    /// The table of an alias, or of a table's own name.
    pub(super) fn named(&self, name: &str) -> Option<&Joined<'a>> {
        let by_alias = self.nodes.iter().find(|joined| joined.node.alias == name);
        by_alias.or_else(|| self.nodes.iter().find(|joined| joined.node.table == name))
    }
}

/// A column by logical name.
pub(super) fn column<'a>(
    definition: &'a Definition,
    name: &str,
) -> Result<&'a ColumnDefinition, Refusal> {
    definition.column(name).ok_or_else(|| {
        let message = format!(
            "'{}' entity doesn't contain attribute with Name = '{name}' and NameMapping = 'Logical'.",
            definition.schema_name
        );
        Refusal::bad("0x80041103", message)
    })
}

fn no_table(name: &str) -> Refusal {
    let message = format!(
        "The entity with a name = '{name}' with namemapping = 'Logical' was not found in the \
         MetadataCache."
    );
    Refusal::bad("0x80041102", message)
}

fn intersect(env: &Environment, many: &ManyToMany) -> Table {
    let id = |table: &str| env.tables.get(table).map(|table| table.definition.primary_id.clone());
    let first = id(&many.first.table).unwrap_or_else(|| format!("{}id", many.first.table));
    let second = id(&many.second.table).unwrap_or_else(|| format!("{}id", many.second.table));
    let (first, second) = if first == second {
        (format!("{first}one"), format!("{second}two"))
    } else {
        (first, second)
    };
    let primary = format!("{}id", many.intersect);
    let columns =
        [&primary, &first, &second].map(|name| ColumnDefinition::of(name, Kind::Uniqueidentifier));
    let mut table = Table::new(Definition {
        logical_name: many.intersect.clone(),
        schema_name: many.schema_name.clone(),
        entity_set: format!("{}set", many.intersect),
        display_name: many.schema_name.clone(),
        primary_name: primary.clone(),
        primary_id: primary,
        ownership: Ownership::None,
        change_tracking: false,
        bulk: false,
        optimistic_concurrency: false,
        columns: columns.into(),
        keys: Vec::new(),
        metadata_id: many.metadata_id,
    });
    for (one, two) in &many.pairs {
        let id = uuid::Uuid::new_v5(one, two.as_bytes());
        let cells = [(first.clone(), Cell::Guid(*one)), (second.clone(), Cell::Guid(*two))];
        table.rows.insert(id, Record { id, version: 0, cells: cells.into() });
    }
    table
}
