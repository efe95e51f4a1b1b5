//! Messages for endpoints that are queues, topics or event hubs: kept by the endpoint's name until
//! somebody takes them, the oldest ones dropped beyond a limit.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;

use super::Job;

/// The most messages that wait for one endpoint.
const MOST: usize = 100_000;

/// A message as a broker would hand it over.
#[derive(Clone, Debug, Serialize)]
pub struct Message {
    /// The context.
    pub body: String,
    /// The application properties.
    pub properties: BTreeMap<String, String>,
}

/// The messages of all endpoints.
#[derive(Clone, Debug, Default)]
pub struct Buses(BTreeMap<String, VecDeque<Message>>);

impl Buses {
    /// Puts a job's context where its endpoint is read (Dataverse Web API, Service Bus and Event Hubs).
    pub fn put(&mut self, job: &Job) {
        let claim = |name: &str| format!("http://schemas.microsoft.com/xrm/2011/Claims/{name}");
        let mut properties = BTreeMap::from([
            (claim("EntityLogicalName"), job.table.clone()),
            (claim("RequestName"), job.message.to_owned()),
        ]);
        if job.cut {
            properties.insert("MessageMaxSizeExceeded".to_owned(), "true".to_owned());
        }
        let body = String::from_utf8_lossy(&job.body).into_owned();
        let messages = self.0.entry(job.endpoint.name.clone()).or_default();
        messages.push_back(Message { body, properties });
        if messages.len() > MOST {
            messages.pop_front();
        }
    }

    /// Takes the messages of one endpoint, oldest first.
    pub fn take(&mut self, endpoint: &str, most: usize) -> Vec<Message> {
        let Some(messages) = self.0.get_mut(endpoint) else { return Vec::new() };
        let end = messages.len().min(most);
        messages.drain(..end).collect()
    }
}
