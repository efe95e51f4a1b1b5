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
    /// A name leads to nothing.
    #[error("the schema names {name} in table {table}, but does not define it")]
    Undefined {
        /// The table whose definition holds the name.
        table: String,
        /// The column, table or choice that is missing.
        name: String,
    },
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
        schema.tables.iter_mut().for_each(complete);
        schema.check()?;
        Ok(schema)
    }

    /// Refuses names that lead to nothing: key columns, lookup targets, global choices.
    fn check(&self) -> Result<(), Error> {
        let has_table = |name: &str| self.tables.iter().any(|table| table.logical_name == name);
        for table in &self.tables {
            let targets = table.columns.iter().flat_map(|column| &column.targets);
            let targets = targets.map(|target| &target.table).filter(|name| !has_table(name));
            let keys = table.keys.iter().flat_map(|key| &key.columns);
            let keys = keys.filter(|name| table.column(name).is_none());
            let choices = table.columns.iter().filter_map(|column| column.global_choice.as_ref());
            let choices = choices.filter(|name| !self.choices.contains_key(*name));
            if let Some(name) = targets.chain(keys).chain(choices).next() {
                let (table, name) = (table.logical_name.clone(), name.clone());
                return Err(Error::Undefined { table, name });
            }
        }
        for relation in &self.many_to_many {
            let sides = [&relation.first, &relation.second];
            if let Some(side) = sides.into_iter().find(|side| !has_table(&side.table)) {
                let (table, name) = (relation.schema_name.clone(), side.table.clone());
                return Err(Error::Undefined { table, name });
            }
        }
        Ok(())
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

#[cfg(test)]
mod tests {
    use super::*;

    fn file(name: &str, text: &str) -> Result<Environment, Error> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        Schema::with_file(&path).map(Schema::environment)
    }

    #[test]
    fn the_shipped_schema_is_whole_and_every_navigation_property_stands_once() {
        let schema = Schema::built_in().unwrap();
        schema.check().unwrap();
        let env = schema.environment();
        for table in env.tables.values() {
            let mut seen = std::collections::HashSet::new();
            for column in &table.definition.columns {
                assert!(seen.insert(&column.logical_name), "{}", column.logical_name);
                for target in column.targets.iter().filter(|_| column.kind != Kind::Owner) {
                    assert!(
                        seen.insert(&target.navigation) || target.navigation == column.logical_name
                    );
                }
            }
        }
        let account = &env.tables["account"].definition;
        assert_eq!(account.column("revenue_base").map(|column| column.kind), Some(Kind::Money));
        assert!(account.navigation("transactioncurrencyid").is_some());
        assert!(account.column("ownerid").is_some() && account.column("statuscode").is_some());
    }

    #[test]
    fn ids_are_the_same_in_every_run() {
        let id = |env: Environment| env.tables["account"].definition.columns[3].metadata_id;
        let environment = || Schema::built_in().unwrap().environment();
        assert_eq!(id(environment()), id(environment()));
    }

    #[test]
    fn a_file_adds_tables_and_replaces_those_of_the_same_name() {
        let json = r#"{"tables": [
            {"logical_name": "new_thing", "entity_set": "new_things", "primary_id": "new_thingid",
             "primary_name": "new_name", "columns": []},
            {"logical_name": "account", "entity_set": "accounts", "primary_id": "accountid",
             "primary_name": "name", "columns": [{"logical_name": "name", "kind": "String"}]}]}"#;
        let env = file("own.json", json).unwrap();
        assert!(env.tables["new_thing"].definition.column("new_name").is_some());
        assert!(env.tables["account"].definition.column("telephone1").is_none());
        assert!(env.tables.contains_key("contact"));
    }

    #[test]
    fn a_name_that_leads_to_nothing_is_told() {
        let text = "[[tables]]\nlogical_name='a'\nentity_set='as'\nprimary_id='aid'\n\
                    primary_name='n'\ncolumns=[]\nkeys=[{schema_name='k',columns=['gone']}]";
        let error = file("own.toml", text).unwrap_err();
        assert!(matches!(error, Error::Undefined { name, .. } if name == "gone"));
        assert!(matches!(file("own.toml", "tables = 5").unwrap_err(), Error::Toml(_)));
    }
}
