//! Reading and seeding the emulated environments as anybody would: over their Web API.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::expected::{Columns, Consumer, Countries};

/// An environment's Web API.
#[derive(Clone, Debug)]
pub(super) struct Web {
    address: String,
    client: reqwest::Client,
}

#[derive(Deserialize)]
struct Page {
    value: Vec<Map<String, Value>>,
    #[serde(rename = "@odata.nextLink")]
    next: Option<String>,
}

impl Web {
    /// The Web API at `http://127.0.0.1:7101`.
    pub(super) fn at(address: String) -> Self {
        let client = reqwest::Client::builder().no_proxy().build().unwrap_or_default();
        Self { address, client }
    }

    /// All rows of a table, the columns named.
    pub(super) async fn rows(
        &self,
        set: &str,
        columns: &[&str],
    ) -> Result<Vec<Map<String, Value>>, reqwest::Error> {
        let select = columns.join(",");
        let mut next = Some(format!("{}?$select={select}", self.path(set)));
        let mut rows = Vec::new();
        while let Some(address) = next {
            let answer = self.client.get(address).header("Prefer", "odata.maxpagesize=5000").send();
            let page: Page = answer.await?.error_for_status()?.json().await?;
            rows.extend(page.value);
            next = page.next;
        }
        Ok(rows)
    }

    /// Makes a row.
    pub(super) async fn create(&self, set: &str, row: &Value) -> Result<(), reqwest::Error> {
        let made = self.client.post(self.path(set)).json(row).send();
        made.await?.error_for_status().map(drop)
    }

    /// Changes columns of the row with this alternate key; refused when there is no such row.
    pub(super) async fn change(
        &self,
        set: &str,
        key: (&str, &str),
        columns: &Value,
    ) -> Result<(), reqwest::Error> {
        let changed = self.client.patch(self.row(set, key)).header("If-Match", "*").json(columns);
        changed.send().await?.error_for_status().map(drop)
    }

    /// Deletes the row with this alternate key.
    pub(super) async fn delete(&self, set: &str, key: (&str, &str)) -> Result<(), reqwest::Error> {
        self.client.delete(self.row(set, key)).send().await?.error_for_status().map(drop)
    }

    fn path(&self, set: &str) -> String {
        format!("{}/api/data/v9.2/{set}", self.address)
    }

    fn row(&self, set: &str, (column, value): (&str, &str)) -> String {
        format!("{}({column}='{value}')", self.path(set))
    }

    /// Puts the countries there that delivery points refer to.
    pub(super) async fn seed(&self, countries: &Countries) -> Result<(), reqwest::Error> {
        let targets = countries.iter().map(|(iso3, number)| {
            json!({
                "@odata.type": "Microsoft.Dynamics.CRM.acme_country",
                "acme_name": iso3,
                "acme_iso3": iso3,
                "acme_number": number,
            })
        });
        let body = json!({ "Targets": targets.collect::<Vec<_>>() });
        let address = self.path("acme_countries/Microsoft.Dynamics.CRM.CreateMultiple");
        self.client.post(address).json(&body).send().await?.error_for_status().map(drop)
    }

    /// What a consumer of the shipped maps holds, by key; a country is shown by its number.
    pub(super) async fn held(
        &self,
        consumer: Consumer,
    ) -> Result<BTreeMap<String, Columns>, reqwest::Error> {
        let mut columns = consumer.columns().to_vec();
        columns.push(consumer.key());
        let mut rows = self.rows(consumer.set(), &columns).await?;
        if consumer == Consumer::Logistics {
            let countries = self.rows("acme_countries", &["acme_number"]).await?;
            let numbers: BTreeMap<&str, &Value> = countries
                .iter()
                .filter_map(|row| {
                    Some((row.get("acme_countryid")?.as_str()?, row.get("acme_number")?))
                })
                .collect();
            for row in &mut rows {
                if let Some(id) = row.get_mut("_acme_countryid_value") {
                    let number = id.as_str().and_then(|id| numbers.get(id).copied());
                    *id = number.cloned().unwrap_or_default();
                }
            }
        }
        let keyed = rows.into_iter().filter_map(|mut row| {
            let key = row.remove(consumer.key())?.as_str()?.to_owned();
            Some((key, row.into_iter().collect()))
        });
        Ok(keyed.collect())
    }
}
