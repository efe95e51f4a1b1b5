//! A many-to-many relationship as a table of two lookups, which together are its key (Dataverse Web API,
//! metadata, relationships).

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::system::dataverse::Dataverse;
use crate::system::dataverse::classify::Failure;
use crate::system::dataverse::client::Errand;
use crate::system::{AlternateKey, Column, ColumnKind, Reference, TableSchema};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Relationship {
    schema_name: String,
    entity1_logical_name: String,
    entity1_intersect_attribute: String,
    entity1_navigation_property_name: String,
    entity2_logical_name: String,
    entity2_intersect_attribute: String,
    entity2_navigation_property_name: String,
}

impl Dataverse {
    /// The relationship of this schema name; none when there is none.
    pub(super) async fn read_pairs(
        &self,
        name: &str,
        errand: &Errand,
    ) -> Result<Option<TableSchema>, Failure> {
        let side = |side: u8| {
            ["LogicalName", "IntersectAttribute", "NavigationPropertyName"]
                .map(|fact| format!("Entity{side}{fact}"))
                .join(",")
        };
        let path = format!(
            "RelationshipDefinitions(SchemaName='{name}')/Microsoft.Dynamics.CRM.\
             ManyToManyRelationshipMetadata?$select=SchemaName,{},{}",
            side(1),
            side(2)
        );
        Ok(self.metadata::<Relationship>(&path, errand).await?.map(TableSchema::from))
    }
}

impl From<Relationship> for TableSchema {
    fn from(found: Relationship) -> Self {
        let end = |column: String, table: String, navigation: String| Reference {
            column,
            table,
            navigation,
        };
        let lookups = vec![
            end(
                found.entity1_intersect_attribute,
                found.entity1_logical_name,
                found.entity1_navigation_property_name,
            ),
            end(
                found.entity2_intersect_attribute,
                found.entity2_logical_name,
                found.entity2_navigation_property_name,
            ),
        ];
        let names: Vec<String> = lookups.iter().map(|end| end.column.clone()).collect();
        let column = Column {
            kind: ColumnKind::Lookup,
            required: true,
            creatable: true,
            updatable: true,
            ..Column::default()
        };
        let columns: BTreeMap<_, _> =
            names.iter().map(|name| (name.clone(), column.clone())).collect();
        let key = AlternateKey { name: found.schema_name.clone(), columns: names, active: true };
        // Pairs are written one by one in batches; there is no other message for them.
        Self {
            name: found.schema_name,
            bulk: true,
            columns,
            keys: vec![key],
            lookups,
            ..Self::default()
        }
    }
}
