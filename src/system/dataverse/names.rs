//! The names that addresses need: a table's set and id column, and the navigation names of its
//! lookups.
//!
//! They come from saved descriptions first, else from the environment's metadata, read once an
//! hour, all unknown tables of a batch in one call. An endpoint without metadata gets the usual
//! plural and the column's own name; that guess is logged once.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt::Write as _;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use serde::Deserialize;
use tokio::time::Instant;

use super::Dataverse;
use super::classify::{Cause, Failure, Fate};
use super::client::{Call, Errand};
use crate::fault::{Fault, Kind};
use crate::system::{AlternateKey, Reference, TableSchema};

/// How long names that were read are believed.
const FRESH: Duration = Duration::from_hours(1);

/// The names of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// The logical name.
    pub(super) name: String,
    /// The name in addresses.
    pub(super) set: String,
    /// The primary id column.
    pub(super) id: String,
    /// Whether bulk messages are said to be there; tried when nobody said.
    pub(super) bulk: bool,
    /// The alternate keys, when a saved description lists them.
    pub(super) keys: Option<Vec<AlternateKey>>,
    lookups: Lookups,
}

/// What is known of a table's lookups.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Lookups {
    /// Nobody asked yet.
    Unread,
    /// The endpoint has no metadata.
    Guessed,
    /// All of them.
    Known(Vec<Reference>),
}

impl Table {
    /// As a description has them.
    pub(super) fn saved(schema: &TableSchema) -> Self {
        Self {
            name: schema.name.clone(),
            set: schema.set.clone(),
            id: schema.id.clone(),
            bulk: schema.bulk,
            keys: (!schema.keys.is_empty()).then(|| schema.keys.clone()),
            lookups: Lookups::Known(schema.lookups.clone()),
        }
    }

    pub(super) fn guessed(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            set: plural(name),
            id: format!("{name}id"),
            bulk: true,
            keys: None,
            lookups: Lookups::Guessed,
        }
    }

    /// The name to bind a lookup with, when the column may refer to that table.
    pub(super) fn navigation<'t>(&'t self, column: &'t str, table: &str) -> Option<&'t str> {
        // An owner is a user or a team, and both are bound by one name, which is that of neither.
        if column == "ownerid" {
            return Some(column);
        }
        match &self.lookups {
            Lookups::Unread | Lookups::Guessed => Some(column),
            Lookups::Known(all) => all
                .iter()
                .find(|reference| reference.column == column && reference.table == table)
                .map(|reference| reference.navigation.as_str()),
        }
    }

    /// Everything that a column may refer to; empty when it is no lookup as far as is known.
    pub(super) fn references(&self, column: &str) -> Vec<&Reference> {
        match &self.lookups {
            Lookups::Unread | Lookups::Guessed => Vec::new(),
            Lookups::Known(all) => {
                all.iter().filter(|reference| reference.column == column).collect()
            }
        }
    }

    fn has_lookups(&self) -> bool {
        match self.lookups {
            Lookups::Unread => false,
            Lookups::Guessed | Lookups::Known(_) => true,
        }
    }
}

/// The tables of one write, by logical name.
pub(super) type Tables = BTreeMap<String, Arc<Table>>;

/// The names of all tables, shared by the process.
#[derive(Debug)]
pub(super) struct Names {
    saved: HashMap<String, Arc<Table>>,
    read: RwLock<HashMap<String, (Arc<Table>, Instant)>>,
    /// Held while metadata is read, so that two batches do not ask the same.
    gate: tokio::sync::Mutex<()>,
}

impl Names {
    pub(super) fn new(schemas: &BTreeMap<String, TableSchema>) -> Self {
        let saved =
            schemas.iter().map(|(name, schema)| (name.clone(), Table::saved(schema).into()));
        Self {
            saved: saved.collect(),
            read: RwLock::default(),
            gate: tokio::sync::Mutex::default(),
        }
    }

    fn get(&self, name: &str, lookups: bool) -> Option<Arc<Table>> {
        if let Some(table) = self.saved.get(name) {
            return Some(table.clone());
        }
        let read = self.read.read().unwrap_or_else(PoisonError::into_inner);
        let (table, since) = read.get(name)?;
        (since.elapsed() < FRESH && (!lookups || table.has_lookups())).then(|| table.clone())
    }

    fn put(&self, table: Table) {
        let mut read = self.read.write().unwrap_or_else(PoisonError::into_inner);
        read.insert(table.name.clone(), (table.into(), Instant::now()));
    }

    fn missing<'n>(&self, wanted: &BTreeSet<&'n str>, lookups: bool) -> Vec<&'n str> {
        wanted.iter().copied().filter(|name| self.get(name, lookups).is_none()).collect()
    }
}

#[derive(Deserialize)]
struct Page<T> {
    value: Vec<T>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    logical_name: String,
    entity_set_name: String,
    primary_id_attribute: String,
    #[serde(default)]
    many_to_one_relationships: Option<Vec<Relationship>>,
}

/// A lookup column and one table it may refer to, as the metadata has it.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Relationship {
    referencing_attribute: String,
    referenced_entity: String,
    referencing_entity_navigation_property_name: String,
}

impl From<Relationship> for Reference {
    fn from(found: Relationship) -> Self {
        Self {
            column: found.referencing_attribute,
            table: found.referenced_entity,
            navigation: found.referencing_entity_navigation_property_name,
        }
    }
}

impl From<Definition> for Table {
    fn from(found: Definition) -> Self {
        let lookups = found.many_to_one_relationships.map_or(Lookups::Unread, |all| {
            Lookups::Known(all.into_iter().map(Reference::from).collect())
        });
        Self {
            name: found.logical_name,
            set: found.entity_set_name,
            id: found.primary_id_attribute,
            bulk: true,
            keys: None,
            lookups,
        }
    }
}

const SELECT: &str = "$select=LogicalName,EntitySetName,PrimaryIdAttribute";
/// What is read of a lookup.
pub(super) const RELATIONSHIP: &str =
    "$select=ReferencingAttribute,ReferencedEntity,ReferencingEntityNavigationPropertyName";

impl Dataverse {
    /// The names of these tables; with `lookups`, of their lookups too.
    pub(super) async fn tables(
        &self,
        wanted: &BTreeSet<&str>,
        lookups: bool,
        errand: &Errand,
    ) -> Result<Tables, Failure> {
        if !self.names.missing(wanted, lookups).is_empty() {
            let gate = self.names.gate.lock().await;
            self.read_names(&self.names.missing(wanted, lookups), lookups, errand).await?;
            drop(gate);
        }
        let found = wanted.iter().filter_map(|name| self.names.get(name, lookups));
        Ok(found.map(|table| (table.name.clone(), table)).collect())
    }

    /// The names of one table.
    pub(super) async fn table(
        &self,
        name: &str,
        lookups: bool,
        errand: &Errand,
    ) -> Result<Arc<Table>, Failure> {
        let tables = self.tables(&BTreeSet::from([name]), lookups, errand).await?;
        tables.get(name).cloned().ok_or_else(|| unnamed(name))
    }

    async fn read_names(
        &self,
        names: &[&str],
        lookups: bool,
        errand: &Errand,
    ) -> Result<(), Failure> {
        if names.len() > 1 {
            let path = several(names, lookups);
            if let Some(page) = self.metadata::<Page<Definition>>(&path, errand).await? {
                page.value.into_iter().for_each(|found| self.names.put(found.into()));
            }
        }
        for name in names {
            if self.names.get(name, lookups).is_none() {
                let table = self.read_name(name, lookups, errand).await?;
                self.names.put(table);
            }
        }
        Ok(())
    }

    async fn read_name(
        &self,
        name: &str,
        lookups: bool,
        errand: &Errand,
    ) -> Result<Table, Failure> {
        let plain = format!("EntityDefinitions(LogicalName='{name}')?{SELECT}");
        if lookups {
            let path = format!("{plain}&$expand=ManyToOneRelationships({RELATIONSHIP})");
            if let Some(found) = self.metadata::<Definition>(&path, errand).await?
                && found.many_to_one_relationships.is_some()
            {
                return Ok(found.into());
            }
        }
        let Some(mut found) = self.metadata::<Definition>(&plain, errand).await? else {
            tracing::warn!(table = name, "no metadata: the table's set and lookups are guessed");
            return Ok(Table::guessed(name));
        };
        if lookups {
            let path = format!(
                "EntityDefinitions(LogicalName='{name}')/ManyToOneRelationships?{RELATIONSHIP}"
            );
            let page = self.metadata::<Page<Relationship>>(&path, errand).await?;
            found.many_to_one_relationships = page.map(|page| page.value);
        }
        let mut table = Table::from(found);
        if lookups && !table.has_lookups() {
            table.lookups = Lookups::Guessed;
        }
        Ok(table)
    }

    /// Reads metadata. `None` when the endpoint does not serve it or does not understand the query.
    pub(super) async fn metadata<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        errand: &Errand,
    ) -> Result<Option<T>, Failure> {
        match self.client.persist(&Call::get(path), errand).await {
            Ok(reply) => Ok(serde_json::from_slice(&reply.body).ok()),
            Err(failure) if failure.is_not_served() || failure.status == Some(400) => Ok(None),
            Err(failure) => Err(failure),
        }
    }
}

/// One query for several tables.
fn several(names: &[&str], lookups: bool) -> String {
    let mut path = format!("EntityDefinitions?{SELECT}");
    if lookups {
        _ = write!(path, "&$expand=ManyToOneRelationships({RELATIONSHIP})");
    }
    let tests: Vec<String> =
        names.iter().map(|name| format!("LogicalName%20eq%20'{name}'")).collect();
    path + "&$filter=" + &tests.join("%20or%20")
}

fn unnamed(name: &str) -> Failure {
    let message = format!("the target has no table {name}; check the map's table (concord check)");
    Failure::unanswered(Cause::Refused, Fate::Not, Fault::new(Kind::SchemaGone, message))
}

/// The set name that the service itself proposes for a table.
fn plural(name: &str) -> String {
    let ends = |ending: &[&str]| ending.iter().any(|ending| name.ends_with(ending));
    match name.strip_suffix('y') {
        Some(stem) if !ends(&["ay", "ey", "oy", "uy"]) => format!("{stem}ies"),
        _ if ends(&["s", "x", "z", "ch", "sh"]) => format!("{name}es"),
        _ => format!("{name}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guessed_set_is_the_usual_plural() {
        for (name, set) in [
            ("account", "accounts"),
            ("opportunity", "opportunities"),
            ("acme_survey", "acme_surveys"),
            ("acme_address", "acme_addresses"),
            ("acme_branch", "acme_branches"),
        ] {
            assert_eq!(plural(name), set);
        }
    }
}
