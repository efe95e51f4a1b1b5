//! The things that metadata consists of, and where one leads to others. What each looks like as JSON is
//! written in the file of its kind.

use serde_json::{Map, Value};
use uuid::Uuid;

use super::{choice, column, key, relationship, table};
use crate::emulator::dataverse::model::{
    ColumnDefinition, Environment, KeyDefinition, Kind, LookupTarget, ManyToMany, OptionValue,
    Table,
};
use crate::emulator::dataverse::query::related::collection;

/// The members of a JSON object.
pub type Members = Map<String, Value>;

/// One definition.
#[derive(Clone, Copy, Debug)]
pub enum Element<'a> {
    /// `EntityMetadata`
    Table(&'a Table),
    /// `AttributeMetadata` and its derived types.
    Column(&'a Table, &'a ColumnDefinition),
    /// `EntityKeyMetadata`
    Key(&'a Table, &'a KeyDefinition),
    /// `OneToManyRelationshipMetadata`
    Lookup(Lookup<'a>),
    /// `ManyToManyRelationshipMetadata`
    Pairs(&'a ManyToMany),
    /// `OptionSetMetadata` and `BooleanOptionSetMetadata`
    Choice(Choice<'a>),
}

/// A lookup and one table it refers to.
#[derive(Clone, Copy, Debug)]
pub struct Lookup<'a> {
    /// The table that has the lookup.
    pub child: &'a Table,
    /// The lookup.
    pub column: &'a ColumnDefinition,
    /// The table referred to.
    pub target: &'a LookupTarget,
}

/// A set of choices.
#[derive(Clone, Copy, Debug)]
pub struct Choice<'a> {
    /// Its name: of its own for a global one, of table and column otherwise.
    pub name: &'a str,
    /// The table and column that own it.
    pub owner: Option<(&'a Table, &'a ColumnDefinition)>,
    /// The choices.
    pub options: &'a [OptionValue],
}

/// Where a navigation property of a definition leads.
#[derive(Debug)]
pub enum Beyond<'a> {
    /// To one, or to none.
    One(Option<Element<'a>>),
    /// To many.
    Many(Vec<Element<'a>>),
}

impl Lookup<'_> {
    /// The relationship's name, which is that of the collection of children too.
    pub fn name(&self) -> String {
        collection(&self.child.definition, self.column, self.target)
    }

    /// The stable id of the relationship.
    pub fn id(&self) -> Uuid {
        let text = format!("{}/{}", self.column.metadata_id, self.target.table);
        Uuid::new_v5(&Uuid::NAMESPACE_OID, text.as_bytes())
    }
}

impl Choice<'_> {
    /// The stable id of the set.
    pub fn id(&self) -> Uuid {
        match self.owner {
            Some((_, column)) => Uuid::new_v5(&column.metadata_id, b"options"),
            None => Uuid::new_v5(&Uuid::NAMESPACE_OID, self.name.as_bytes()),
        }
    }
}

impl<'a> Element<'a> {
    /// The type's own name, such as `StringAttributeMetadata`.
    pub fn type_name(&self) -> &'static str {
        match self {
            Self::Table(_) => "EntityMetadata",
            Self::Column(_, column) => column::type_name(column.kind),
            Self::Key(..) => "EntityKeyMetadata",
            Self::Lookup(_) => "OneToManyRelationshipMetadata",
            Self::Pairs(_) => "ManyToManyRelationshipMetadata",
            Self::Choice(choice) => choice::type_name(choice),
        }
    }

    /// Its id.
    pub fn id(&self) -> Uuid {
        match self {
            Self::Table(table) => table.definition.metadata_id,
            Self::Column(_, column) => column.metadata_id,
            Self::Key(_, key) => key.metadata_id,
            Self::Lookup(lookup) => lookup.id(),
            Self::Pairs(many) => many.metadata_id,
            Self::Choice(choice) => choice.id(),
        }
    }

    /// The name that addresses it besides its id: property and value.
    pub fn name(&self) -> (&'static str, String) {
        match self {
            Self::Table(table) => ("LogicalName", table.definition.logical_name.clone()),
            Self::Column(_, column) => ("LogicalName", column.logical_name.clone()),
            Self::Key(_, key) => ("LogicalName", key.schema_name.to_lowercase()),
            Self::Lookup(lookup) => ("SchemaName", lookup.name()),
            Self::Pairs(many) => ("SchemaName", many.schema_name.clone()),
            Self::Choice(choice) => ("Name", choice.name.to_owned()),
        }
    }

    /// Its properties.
    pub fn members(&self, env: &Environment) -> Members {
        match self {
            Self::Table(table) => table::members(env, table),
            Self::Column(table, column) => column::members(env, table, column),
            Self::Key(table, key) => key::members(table, key),
            Self::Lookup(lookup) => relationship::members(env, lookup),
            Self::Pairs(many) => relationship::members_of_pairs(many),
            Self::Choice(choice) => choice::members(choice),
        }
    }

    /// What a navigation property leads to; `None` when there is none of that name.
    pub fn beyond(&self, env: &'a Environment, name: &str) -> Option<Beyond<'a>> {
        match (self, name) {
            (Self::Table(table), "Attributes") => Some(Beyond::Many(columns(table))),
            (Self::Table(table), "Keys") => {
                let keys = table.definition.keys.iter();
                Some(Beyond::Many(keys.map(|key| Element::Key(table, key)).collect()))
            }
            (Self::Table(table), "ManyToOneRelationships") => Some(Beyond::Many(lookups_of(table))),
            (Self::Table(table), "OneToManyRelationships") => {
                let here = &table.definition.logical_name;
                let refers = |one: &Element<'_>| matches!(one, Element::Lookup(lookup) if lookup.target.table == *here);
                Some(Beyond::Many(lookups(env).into_iter().filter(refers).collect()))
            }
            (Self::Table(table), "ManyToManyRelationships") => {
                let here = &table.definition.logical_name;
                let sides =
                    |many: &&ManyToMany| many.first.table == *here || many.second.table == *here;
                Some(Beyond::Many(
                    env.many_to_many.iter().filter(sides).map(Element::Pairs).collect(),
                ))
            }
            (Self::Column(table, column), "OptionSet") if has_options(column.kind) => {
                let options = env.options(column);
                let name = column.global_choice.as_deref().unwrap_or(&column.logical_name);
                let owner = column.global_choice.is_none().then_some((*table, *column));
                Some(Beyond::One(Some(Element::Choice(Choice { name, owner, options }))))
            }
            (Self::Column(_, column), "GlobalOptionSet") if has_options(column.kind) => {
                let global = column.global_choice.as_deref().map(|name| {
                    Element::Choice(Choice { name, owner: None, options: env.options(column) })
                });
                Some(Beyond::One(global))
            }
            _ => None,
        }
    }
}

fn has_options(kind: Kind) -> bool {
    kind.is_choice() || kind == Kind::Boolean
}

/// All tables.
pub fn tables(env: &Environment) -> Vec<Element<'_>> {
    env.tables.values().map(Element::Table).collect()
}

/// All columns of a table.
pub fn columns(table: &Table) -> Vec<Element<'_>> {
    table.definition.columns.iter().map(|column| Element::Column(table, column)).collect()
}

/// All relationships, lookups first.
pub fn relationships(env: &Environment) -> Vec<Element<'_>> {
    let pairs = env.many_to_many.iter().map(Element::Pairs);
    lookups(env).into_iter().chain(pairs).collect()
}

/// All global choices.
pub fn choices(env: &Environment) -> Vec<Element<'_>> {
    let mut found = Vec::new();
    for (name, options) in &env.choices {
        found.push(Element::Choice(Choice { name, owner: None, options }));
    }
    found
}

fn lookups(env: &Environment) -> Vec<Element<'_>> {
    env.tables.values().flat_map(lookups_of).collect()
}

fn lookups_of(child: &Table) -> Vec<Element<'_>> {
    let columns = child.definition.columns.iter();
    let targets =
        columns.flat_map(|column| column.targets.iter().map(move |target| (column, target)));
    targets.map(|(column, target)| Element::Lookup(Lookup { child, column, target })).collect()
}
