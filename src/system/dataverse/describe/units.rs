//! Whether rows may belong to another business unit than their owner's. The organization says so, and no
//! column does (Microsoft Learn, record ownership across business units).

use serde::Deserialize;

use super::Page;
use crate::system::TableSchema;
use crate::system::dataverse::Dataverse;
use crate::system::dataverse::classify::Failure;
use crate::system::dataverse::client::Errand;

/// The column of the owning business unit.
const UNIT: &str = "owningbusinessunit";

#[derive(Deserialize)]
struct Organization {
    #[serde(default)]
    orgdborgsettings: Option<String>,
}

impl Dataverse {
    /// The description of a table, with whether the business unit of its rows can be set.
    pub(in crate::system::dataverse) async fn read_described(
        &self,
        table: &str,
        errand: &Errand,
    ) -> Result<Option<TableSchema>, Failure> {
        let mut schema = self.read_schema(table, errand).await?;
        let unit = schema.as_mut().and_then(|schema| schema.columns.get_mut(UNIT));
        if let Some(unit) = unit
            && let Some(free) = self.units_are_free(errand).await?
        {
            (unit.creatable, unit.updatable) = (free, free);
        }
        Ok(schema)
    }

    /// None when the endpoint does not tell.
    async fn units_are_free(&self, errand: &Errand) -> Result<Option<bool>, Failure> {
        let path = "organizations?$select=orgdborgsettings";
        let page = self.metadata::<Page<Organization>>(path, errand).await?;
        let settings = page.and_then(|page| page.value.into_iter().next());
        Ok(settings.map(|one| {
            let text = one.orgdborgsettings.unwrap_or_default().to_lowercase();
            text.contains("<enableownershipacrossbusinessunits>true<")
        }))
    }
}
