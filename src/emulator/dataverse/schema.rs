//! Definitions: the shipped schema, or one from a TOML or JSON file of the same shape. What every table
//! of the service has (owner, state, who and when, version) is added where it is missing; names and ids
//! that a file leaves out follow from those it gives.

use std::path::{Path, PathBuf};

use indexmap::IndexMap;
use serde::Deserialize;
use uuid::Uuid;

use crate::emulator::dataverse::model::{
    ColumnDefinition, Definition, Environment, Kind, LookupTarget, ManyToMany, OnDelete,
    OptionValue, Ownership, Required, Table,
};

const BUILT_IN: &str = include_str!("schema.toml");

/// A schema file.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schema {
    /// Global choices.
    #[serde(default)]
    pub choices: IndexMap<String, Vec<OptionValue>>,
    /// The tables.
    #[serde(default)]
    pub tables: Vec<Definition>,
    /// The many-to-many relationships.
    #[serde(default)]
    pub many_to_many: Vec<ManyToMany>,
}

/// A schema that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file cannot be read.
    #[error("the schema file {path} cannot be read; check its path and its rights")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no TOML of the right shape.
    #[error("the schema is not valid TOML of the shape that schema.toml shows")]
    Toml(#[source] toml::de::Error),
    /// It is no JSON of the right shape.
    #[error("the schema is not valid JSON of the shape that schema.toml shows")]
    Json(#[source] serde_json::Error),
}

impl Schema {
    /// The shipped schema.
    pub fn built_in() -> Result<Self, Error> {
        toml::from_str(BUILT_IN).map_err(Error::Toml)
    }

    /// The shipped schema with the tables of a file added or put in their place; `.json` files are
    /// JSON, all others TOML.
    pub fn with_file(path: &Path) -> Result<Self, Error> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
        let own: Self = if path.extension().is_some_and(|extension| extension == "json") {
            serde_json::from_str(&text).map_err(Error::Json)?
        } else {
            toml::from_str(&text).map_err(Error::Toml)?
        };
        let mut schema = Self::built_in()?;
        schema.choices.extend(own.choices);
        let replaced = |name: &str| own.tables.iter().any(|table| table.logical_name == name);
        schema.tables.retain(|table| !replaced(&table.logical_name));
        schema.tables.extend(own.tables);
        schema.many_to_many.extend(own.many_to_many);
        Ok(schema)
    }

    /// An environment with these tables and no rows.
    pub fn environment(self) -> Environment {
        let tables = self.tables.into_iter().map(|mut definition| {
            complete(&mut definition);
            settle_ids(&mut definition);
            (definition.logical_name.clone(), Table::new(definition))
        });
        Environment {
            tables: tables.collect(),
            choices: self.choices,
            version: 1_000_000,
            many_to_many: self.many_to_many,
            ..Environment::default()
        }
    }
}

/// Adds what every table has, and gives everything without one a schema name and a display name. A
/// definition that is complete stays as it is.
pub fn complete(definition: &mut Definition) {
    if definition.schema_name.is_empty() {
        definition.schema_name = schema_name(&definition.logical_name);
    }
    if definition.display_name.is_empty() {
        definition.display_name.clone_from(&definition.schema_name);
    }
    for column in standard_columns(definition) {
        if definition.column(&column.logical_name).is_none() {
            definition.columns.push(column);
        }
    }
    for column in &mut definition.columns {
        if column.schema_name.is_empty() {
            column.schema_name = schema_name(&column.logical_name);
        }
        if column.display_name.is_empty() {
            column.display_name.clone_from(&column.schema_name);
        }
    }
}

/// Gives everything that a schema file defines an id that is always the same.
fn settle_ids(definition: &mut Definition) {
    definition.metadata_id = stable_id(&definition.logical_name);
    for column in &mut definition.columns {
        column.metadata_id =
            stable_id(&format!("{}.{}", definition.logical_name, column.logical_name));
    }
    for key in &mut definition.keys {
        key.metadata_id = stable_id(&format!("{}:{}", definition.logical_name, key.schema_name));
    }
}

/// An id that follows from a name.
pub fn stable_id(name: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("https://dataverse.emulator/{name}").as_bytes())
}

/// `acme_number` is `acme_Number` as a schema name, `name` is `Name`.
fn schema_name(logical_name: &str) -> String {
    let (prefix, rest) = match logical_name.split_once('_') {
        Some((prefix, rest)) => (format!("{prefix}_"), rest),
        None => (String::new(), logical_name),
    };
    let mut letters = rest.chars();
    let first = letters.next().map(|first| first.to_ascii_uppercase());
    prefix + &first.into_iter().chain(letters).collect::<String>()
}

fn standard_columns(definition: &Definition) -> Vec<ColumnDefinition> {
    let mut columns = vec![primary_id(definition)];
    if definition.column(&definition.primary_name).is_none() {
        columns.push(column(&definition.primary_name, "", Kind::String));
    }
    columns.extend(companions(definition));
    columns.extend(who_and_when(&definition.logical_name));
    match definition.ownership {
        Ownership::User => columns.extend(owners(&definition.logical_name)),
        Ownership::Organization => {
            let target = ("organization", "organizationid");
            columns.push(lookup(&definition.logical_name, "OrganizationId", target));
        }
        Ownership::None => return columns,
    }
    columns.extend(state());
    columns
}

fn primary_id(definition: &Definition) -> ColumnDefinition {
    let id = column(&definition.primary_id, "", Kind::Uniqueidentifier);
    ColumnDefinition { required: Required::SystemRequired, ..id }
}

/// What stands beside money, files and images.
fn companions(definition: &Definition) -> Vec<ColumnDefinition> {
    let mut columns = Vec::new();
    for own in &definition.columns {
        let name = &own.logical_name;
        match own.kind {
            Kind::Money if !name.ends_with("_base") => {
                let base = ColumnDefinition {
                    precision: Some(4),
                    ..system(&format!("{name}_base"), Kind::Money)
                };
                columns.push(base);
            }
            Kind::File => columns.push(system(&format!("{name}_name"), Kind::String)),
            Kind::Image => {
                columns.push(system(&format!("{name}id"), Kind::Uniqueidentifier));
                columns.push(system(&format!("{name}_url"), Kind::String));
                columns.push(system(&format!("{name}_timestamp"), Kind::BigInt));
            }
            Kind::String
            | Kind::Memo
            | Kind::Integer
            | Kind::BigInt
            | Kind::Decimal
            | Kind::Double
            | Kind::Money
            | Kind::Boolean
            | Kind::DateTime
            | Kind::Uniqueidentifier
            | Kind::Picklist
            | Kind::MultiSelectPicklist
            | Kind::State
            | Kind::Status
            | Kind::Lookup
            | Kind::Customer
            | Kind::Owner => {}
        }
    }
    if definition.columns.iter().any(|own| own.kind == Kind::Money) {
        let target = ("transactioncurrency", "transactioncurrencyid");
        let currency = lookup(&definition.logical_name, "TransactionCurrencyId", target);
        columns.push(ColumnDefinition { read_only: false, ..currency });
        columns.push(system("exchangerate", Kind::Decimal));
    }
    columns
}

fn who_and_when(table: &str) -> Vec<ColumnDefinition> {
    let user = |name: &str| {
        let logical = name.to_lowercase();
        let column = lookup(table, name, ("systemuser", &logical));
        let lk = format!("lk_{table}_{logical}");
        let targets = column.targets.into_iter();
        let targets = targets.map(|target| LookupTarget { collection: lk.clone(), ..target });
        ColumnDefinition { targets: targets.collect(), ..column }
    };
    let time = |name: &str| ColumnDefinition {
        schema_name: name.to_owned(),
        behavior: Some("UserLocal".to_owned()),
        ..system(&name.to_lowercase(), Kind::DateTime)
    };
    let number = |name: &str, kind: Kind| ColumnDefinition {
        schema_name: name.to_owned(),
        ..system(&name.to_lowercase(), kind)
    };
    vec![
        time("CreatedOn"),
        user("CreatedBy"),
        user("CreatedOnBehalfBy"),
        time("ModifiedOn"),
        user("ModifiedBy"),
        user("ModifiedOnBehalfBy"),
        ColumnDefinition { read_only: false, ..time("OverriddenCreatedOn") },
        ColumnDefinition { read_only: false, ..number("ImportSequenceNumber", Kind::Integer) },
        number("VersionNumber", Kind::BigInt),
    ]
}

fn owners(table: &str) -> Vec<ColumnDefinition> {
    let targets = ["systemuser", "team"].map(|target| LookupTarget {
        table: target.to_owned(),
        navigation: "ownerid".to_owned(),
        collection: String::new(),
        on_delete: OnDelete::default(),
    });
    let owner = column("ownerid", "OwnerId", Kind::Owner);
    vec![
        ColumnDefinition { targets: targets.into(), ..owner },
        lookup(table, "OwningUser", ("systemuser", "owninguser")),
        lookup(table, "OwningTeam", ("team", "owningteam")),
        lookup(table, "OwningBusinessUnit", ("businessunit", "owningbusinessunit")),
    ]
}

fn state() -> Vec<ColumnDefinition> {
    let option = |value: i32, label: &str, state: Option<i32>| OptionValue {
        value,
        label: label.to_owned(),
        state,
    };
    let states = vec![option(0, "Active", None), option(1, "Inactive", None)];
    let statuses = vec![option(1, "Active", Some(0)), option(2, "Inactive", Some(1))];
    vec![
        ColumnDefinition { options: states, ..column("statecode", "statecode", Kind::State) },
        ColumnDefinition { options: statuses, ..column("statuscode", "statuscode", Kind::Status) },
    ]
}

fn lookup(table: &str, schema_name: &str, (target, navigation): (&str, &str)) -> ColumnDefinition {
    let target = LookupTarget {
        table: target.to_owned(),
        navigation: navigation.to_owned(),
        collection: format!("{target}_{table}_{navigation}"),
        on_delete: OnDelete::default(),
    };
    let lookup = column(&schema_name.to_lowercase(), schema_name, Kind::Lookup);
    ColumnDefinition { targets: vec![target], read_only: true, ..lookup }
}

/// A column that only the system sets.
fn system(logical_name: &str, kind: Kind) -> ColumnDefinition {
    ColumnDefinition { read_only: true, ..column(logical_name, "", kind) }
}

/// A column with nothing special about it.
fn column(logical_name: &str, schema_name: &str, kind: Kind) -> ColumnDefinition {
    ColumnDefinition {
        schema_name: schema_name.to_owned(),
        display_name: String::new(),
        max_length: (kind == Kind::String).then_some(100),
        ..ColumnDefinition::of(logical_name, kind)
    }
}
