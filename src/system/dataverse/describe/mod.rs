//! A table as its metadata describes it.
//!
//! In goes a logical name; out come columns with their types, lengths, precisions and choices, the
//! keys, the lookups, and whether bulk messages are there. What an endpoint does not serve stays
//! empty; a table it does not have is `None`. A many-to-many relationship is described as a table of two
//! lookups, which are its key.

mod columns;
mod pairs;
mod units;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::Mutex;
use tokio::time::Instant;

use self::columns::{Attribute, Details};
use super::Dataverse;
use super::classify::Failure;
use super::client::Errand;
use super::names::{RELATIONSHIP, Relationship};
use crate::system::{AlternateKey, Reference, TableSchema};

/// How long a description that was read for typing values is believed.
const FRESH: Duration = Duration::from_hours(1);

/// Descriptions: saved ones, and those read a short while ago.
#[derive(Debug)]
pub(super) struct Schemas {
    saved: HashMap<String, Arc<TableSchema>>,
    read: Mutex<HashMap<String, Read>>,
}

/// A description, or that there is none, and when that was found out.
type Read = (Option<Arc<TableSchema>>, Instant);

impl Schemas {
    pub(super) fn new(saved: BTreeMap<String, TableSchema>) -> Self {
        let saved = saved.into_iter().map(|(name, schema)| (name, Arc::new(schema)));
        Self { saved: saved.collect(), read: Mutex::default() }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Definition {
    logical_name: String,
    entity_set_name: String,
    primary_id_attribute: String,
    #[serde(default)]
    change_tracking_enabled: Option<bool>,
    #[serde(default)]
    is_intersect: Option<bool>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct KeyDefinition {
    #[serde(default)]
    schema_name: String,
    #[serde(default)]
    logical_name: String,
    key_attributes: Vec<String>,
    #[serde(default)]
    entity_key_index_status: Option<String>,
}

impl From<KeyDefinition> for AlternateKey {
    fn from(found: KeyDefinition) -> Self {
        let name =
            if found.logical_name.is_empty() { found.schema_name } else { found.logical_name };
        let active = found.entity_key_index_status.is_none_or(|status| status == "Active");
        Self { name, columns: found.key_attributes, active }
    }
}

/// What a metadata query lists.
#[derive(Deserialize)]
pub(super) struct Page<T> {
    pub(super) value: Vec<T>,
}

impl Dataverse {
    /// The description that values of a table are typed by: saved, or read within the hour.
    pub(super) async fn schema(
        &self,
        table: &str,
        errand: &Errand,
    ) -> Result<Option<Arc<TableSchema>>, Failure> {
        if let Some(saved) = self.schemas.saved.get(table) {
            return Ok(Some(saved.clone()));
        }
        let mut read = self.schemas.read.lock().await;
        if let Some((schema, since)) = read.get(table)
            && since.elapsed() < FRESH
        {
            return Ok(schema.clone());
        }
        let schema = self.read_schema(table, errand).await?.map(Arc::new);
        read.insert(table.to_owned(), (schema.clone(), Instant::now()));
        Ok(schema)
    }

    /// Reads the description now.
    pub(super) async fn read_schema(
        &self,
        table: &str,
        errand: &Errand,
    ) -> Result<Option<TableSchema>, Failure> {
        let root = format!("EntityDefinitions(LogicalName='{table}')");
        let select = "LogicalName,EntitySetName,PrimaryIdAttribute,ChangeTrackingEnabled,\
                      IsIntersect";
        let path = format!("{root}?$select={select}");
        let found = self.metadata::<Definition>(&path, errand).await?;
        let Some(found) = found.filter(|found| found.is_intersect != Some(true)) else {
            return self.read_pairs(table, errand).await;
        };
        let (keys, lookups) = (format!("{root}/Keys"), format!("{root}/ManyToOneRelationships"));
        let lookups = format!("{lookups}?{RELATIONSHIP}");
        let (details, keys, lookups, bulk) = futures::join!(
            Box::pin(self.details(&root, errand)),
            self.list::<KeyDefinition>(&keys, errand),
            self.list::<Relationship>(&lookups, errand),
            self.has_bulk(table, errand),
        );
        let (attributes, details) = details?;
        let columns = attributes.into_iter().map(|attribute: Attribute| details.column(attribute));
        Ok(Some(TableSchema {
            name: found.logical_name,
            set: found.entity_set_name,
            id: found.primary_id_attribute,
            bulk: bulk?,
            tracked: found.change_tracking_enabled.unwrap_or_default(),
            columns: columns.collect(),
            keys: keys?.into_iter().map(AlternateKey::from).collect(),
            lookups: lookups?.into_iter().map(Reference::from).collect(),
        }))
    }

    async fn details(
        &self,
        root: &str,
        errand: &Errand,
    ) -> Result<(Vec<Attribute>, Details), Failure> {
        let path = format!("{root}/Attributes?{}", columns::ATTRIBUTE);
        let attributes = self.list(&path, errand).await?;
        Ok((attributes, self.read_details(root, errand).await?))
    }

    /// All that a metadata query lists; nothing when the endpoint does not serve it.
    async fn list<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        errand: &Errand,
    ) -> Result<Vec<T>, Failure> {
        let page = self.metadata::<Page<T>>(path, errand).await?;
        Ok(page.map(|page| page.value).unwrap_or_default())
    }

    /// A table that has both CreateMultiple and UpdateMultiple has UpsertMultiple (Dataverse Web
    /// API, bulk, availability). An endpoint that cannot be asked is believed to have it: the write
    /// finds out.
    async fn has_bulk(&self, table: &str, errand: &Errand) -> Result<bool, Failure> {
        for message in ["CreateMultiple", "UpdateMultiple"] {
            let path = format!(
                "sdkmessagefilters?$select=sdkmessagefilterid&$filter=sdkmessageid/name%20eq%20\
                 '{message}'%20and%20primaryobjecttypecode%20eq%20'{table}'"
            );
            let page = self.metadata::<Page<serde::de::IgnoredAny>>(&path, errand).await?;
            if page.is_some_and(|page| page.value.is_empty()) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
