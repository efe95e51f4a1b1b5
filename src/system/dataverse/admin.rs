//! Rows of system tables, for registering what the service is to tell us: lists, writes by id, deletions.
//! Unlike rows of maps they are plain JSON in the service's own words.

use reqwest::Method;
use serde::Deserialize;
use serde_json::{Map, Value};
use uuid::Uuid;

use super::Dataverse;
use super::client::Call;
use crate::fault::{Fault, Kind};

#[derive(Deserialize)]
struct Listed {
    value: Vec<Map<String, Value>>,
}

impl Dataverse {
    /// The address of the environment's Web API.
    pub fn address(&self) -> &str {
        self.client.root()
    }

    /// The rows of a query, `serviceendpoints?$filter=…`: its first page.
    pub async fn rows(&self, query: &str) -> Result<Vec<Map<String, Value>>, Fault> {
        let errand = self.errand(self.longest);
        let reply = self.client.persist(&Call::get(query), &errand).await;
        let reply = reply.map_err(|failure| failure.fault)?;
        let listed: Listed = serde_json::from_slice(&reply.body).map_err(|error| {
            let message = "the environment's answer is no list of rows; check its url";
            Fault::new(Kind::Misconfigured, message).caused_by(error)
        })?;
        Ok(listed.value)
    }

    /// Writes a row by its id, whether or not it is there. May be repeated.
    pub async fn put(&self, set: &str, id: Uuid, row: &Value) -> Result<(), Fault> {
        let body = serde_json::to_vec(row).unwrap_or_default();
        let call = Call { method: Method::PATCH, ..Call::post(format!("{set}({id})"), body) };
        let errand = self.errand(self.longest);
        let reply = self.client.persist(&call, &errand).await;
        reply.map(drop).map_err(|failure| failure.fault)
    }

    /// Deletes a row by its id.
    pub async fn discard(&self, set: &str, id: Uuid) -> Result<(), Fault> {
        let call = Call { method: Method::DELETE, ..Call::get(format!("{set}({id})")) };
        let errand = self.errand(self.longest);
        match self.client.persist(&call, &errand).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.status == Some(404) => Ok(()),
            Err(failure) => Err(failure.fault),
        }
    }
}
