//! A table of the Table service.
//!
//! Rows are looked up by filters over fourteen keys each, sent at once, or one by one in a partition
//! that [turned out large](super::partitions). Writes are entity group transactions.

use std::collections::HashMap;
use std::time::Duration;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::{Method, StatusCode};
use serde::Deserialize;

use super::address::{self, encode};
use super::batch::{self, Envelope, Part, Step};
use super::client::{Answer, Client, Request};
use super::partitions::Partitions;
use crate::store::{Call, Entity, Error, Etag, Operation, Page, Stored, Table, entity, limits};

const JSON: &str = "application/json;odata=minimalmetadata";
/// How many reads of one call are under way at once.
const CONCURRENT: usize = 16;
/// A scan follows this many empty pages before it gives up: each took the service up to five seconds.
const EMPTY_PAGES: usize = 64;
const NEXT_PARTITION: &str = "x-ms-continuation-nextpartitionkey";
const NEXT_ROW: &str = "x-ms-continuation-nextrowkey";

/// One table.
#[derive(Debug)]
pub(super) struct AzureTable {
    client: Client,
    name: String,
    partitions: Partitions,
}

/// What one filter found.
struct Found {
    rows: Vec<Stored>,
    /// Where the service stopped, when it stopped before the end.
    continuation: Option<(String, Option<String>)>,
    elapsed: Duration,
}

#[derive(Deserialize)]
struct Rows {
    value: Vec<entity::Read>,
}

#[async_trait]
impl Table for AzureTable {
    async fn get_many(
        &self,
        partition: &str,
        rows: &[String],
    ) -> Result<Vec<Option<Stored>>, Error> {
        rows.iter().try_for_each(|row| limits::check_key("row", row))?;
        let wanted: Vec<&str> = rows.iter().map(String::as_str).collect();
        let found = if self.partitions.is_large(partition) {
            self.get_each(partition, &wanted).await?
        } else {
            self.find(partition, &wanted).await?
        };
        Ok(rows.iter().map(|row| found.get(row).cloned()).collect())
    }

    async fn transact(
        &self,
        partition: &str,
        operations: Vec<Operation>,
    ) -> Result<Vec<Etag>, Error> {
        limits::check(partition, &operations)?;
        let mut etags = vec![Etag::default(); operations.len()];
        // Rows to discard that turned out to be gone already: each costs one more attempt.
        let mut gone = vec![false; operations.len()];
        loop {
            let sent: Vec<(usize, &Operation)> = operations
                .iter()
                .enumerate()
                .filter(|(at, _)| gone.get(*at) != Some(&true))
                .collect();
            if sent.is_empty() {
                return Ok(etags);
            }
            let Some(missing) = self.attempt(partition, &sent, &mut etags).await? else {
                return Ok(etags);
            };
            if let Some(gone) = gone.get_mut(missing) {
                *gone = true;
            }
        }
    }

    async fn scan(
        &self,
        partition: &str,
        from: &str,
        to: &str,
        limit: usize,
    ) -> Result<Page, Error> {
        let filter = address::range_filter(partition, from, to);
        let mut request = self.query(&filter).query("$top", limit.clamp(1, 1_000).to_string());
        for _ in 0..EMPTY_PAGES {
            let found = self.run(&request).await?;
            let Some((next_partition, next_row)) = found.continuation else {
                return Ok(Page { rows: found.rows, next: None });
            };
            // A space is the least character that a key may have, so nothing fits in between.
            if let Some(last) = found.rows.last() {
                let next = Some(format!("{} ", last.entity.row));
                return Ok(Page { rows: found.rows, next });
            }
            request.query.retain(|(name, _)| !name.starts_with("Next"));
            request = request.query("NextPartitionKey", next_partition);
            if let Some(row) = next_row {
                request = request.query("NextRowKey", row);
            }
        }
        let reason = "a scan found no row for too long".to_owned();
        Err(Error::Unavailable { reason, retry_after: None })
    }
}

impl AzureTable {
    pub(super) fn new(client: Client, name: &str) -> Self {
        Self { client, name: name.to_owned(), partitions: Partitions::default() }
    }

    pub(super) fn client(&self) -> &Client {
        &self.client
    }

    /// Reads rows by filters; where one was cut short, what it did not reach is read row by row.
    async fn find(
        &self,
        partition: &str,
        wanted: &[&str],
    ) -> Result<HashMap<String, Stored>, Error> {
        let groups = address::groups(partition, wanted);
        let reads: Vec<_> = groups.iter().map(|group| self.find_group(partition, group)).collect();
        let answers: Vec<Found> = stream::iter(reads).buffered(CONCURRENT).try_collect().await?;
        let slowest = answers.iter().map(|found| found.elapsed).max().unwrap_or_default();
        let mut unreached: Vec<&str> = Vec::new();
        let mut rows = HashMap::new();
        for (group, found) in groups.iter().zip(answers) {
            if found.continuation.is_some() {
                unreached.extend(group);
            }
            rows.extend(found.rows.into_iter().map(|row| (row.entity.row.clone(), row)));
        }
        if !slowest.is_zero() {
            self.partitions.learn(partition, slowest, !unreached.is_empty());
        }
        unreached.retain(|row| !rows.contains_key(*row));
        rows.extend(self.get_each(partition, &unreached).await?);
        Ok(rows)
    }

    async fn find_group(&self, partition: &str, group: &[&str]) -> Result<Found, Error> {
        if let [row] = group {
            let rows = self.get(partition, row).await?.into_iter().collect();
            return Ok(Found { rows, continuation: None, elapsed: Duration::ZERO });
        }
        self.run(&self.query(&address::rows_filter(partition, group))).await
    }

    async fn get_each(
        &self,
        partition: &str,
        wanted: &[&str],
    ) -> Result<HashMap<String, Stored>, Error> {
        let reads: Vec<_> = wanted.iter().map(|row| self.get(partition, row)).collect();
        let found: Vec<Option<Stored>> =
            stream::iter(reads).buffer_unordered(CONCURRENT).try_collect().await?;
        Ok(found.into_iter().flatten().map(|row| (row.entity.row.clone(), row)).collect())
    }

    async fn get(&self, partition: &str, row: &str) -> Result<Option<Stored>, Error> {
        let path = address::row_path(&self.name, partition, row);
        let answer = self.client.read(&request(Call::Get, Method::GET, &path)).await?;
        match answer.refusal() {
            Some(refusal)
                if refusal.status == StatusCode::NOT_FOUND && refusal.code != "TableNotFound" =>
            {
                Ok(None)
            }
            Some(refusal) => Err(refusal.error(0)),
            None => Ok(Some(stored(parse(&answer)?)?)),
        }
    }

    fn query(&self, filter: &str) -> Request {
        let path = format!("{}()", self.name);
        request(Call::Query, Method::GET, &path).query("$filter", filter)
    }

    async fn run(&self, request: &Request) -> Result<Found, Error> {
        let answer = self.client.read(request).await?;
        if let Some(refusal) = answer.refusal() {
            return Err(refusal.error(0));
        }
        let rows = parse::<Rows>(&answer)?.value;
        let rows = rows.into_iter().map(stored).collect::<Result<_, _>>()?;
        let header = |name| answer.header(name).map(str::to_owned);
        let continuation = header(NEXT_PARTITION).map(|partition| (partition, header(NEXT_ROW)));
        Ok(Found { rows, continuation, elapsed: answer.elapsed })
    }

    /// Sends a transaction once. `Some(index)`: nothing happened, because that row, which was only to be
    /// discarded, is not there; the service fails a transaction for that.
    async fn attempt(
        &self,
        partition: &str,
        sent: &[(usize, &Operation)],
        etags: &mut [Etag],
    ) -> Result<Option<usize>, Error> {
        let request = self.transaction(partition, sent);
        let answer = self.client.send(&request).await?;
        if let Some(refusal) = answer.refusal() {
            return Err(renumbered(refusal.error(sent.len()), sent));
        }
        let parts = batch::decode(&answer.body);
        let refused = parts.iter().find_map(|part| match part {
            Part::Refused(refusal) => Some(refusal),
            Part::Done(_) => None,
        });
        if let Some(refusal) = refused {
            let error = renumbered(refusal.error(sent.len()), sent);
            if let Error::Conflict { index } = error
                && is_discard(sent, index)
            {
                return Ok(Some(index));
            }
            return Err(error);
        }
        if parts.len() != sent.len() {
            let reason = "the answer does not fit the transaction".to_owned();
            return Err(Error::Unavailable { reason, retry_after: None });
        }
        for (part, (at, _)) in parts.into_iter().zip(sent) {
            if let (Part::Done(etag), Some(slot)) = (part, etags.get_mut(*at)) {
                *slot = etag;
            }
        }
        Ok(None)
    }

    fn transaction(&self, partition: &str, sent: &[(usize, &Operation)]) -> Request {
        let root = self.client.root();
        let table = format!("{root}/{}", encode(&self.name));
        let envelope = Envelope { partition, table, boundary: self.client.chance().uuid() };
        let start = format!("{root}/{}", address::rows_start(&self.name, partition));
        let steps = sent.iter().map(|(_, operation)| Step {
            operation,
            row: address::row_at(&start, operation.row()),
        });
        let body = envelope.encode(&steps.collect::<Vec<_>>());
        request(Call::Transact, Method::POST, "$batch").body(envelope.content_type(), body)
    }
}

fn request(call: Call, method: Method, path: &str) -> Request {
    Request::new(call, method, path).header("accept", JSON).header("dataserviceversion", "3.0")
}

fn is_discard(sent: &[(usize, &Operation)], index: usize) -> bool {
    sent.iter().any(|(at, operation)| *at == index && matches!(operation, Operation::Discard(_)))
}

/// The service counts what it was sent; the caller counts what it asked for.
fn renumbered(error: Error, sent: &[(usize, &Operation)]) -> Error {
    let original = |index: usize| sent.get(index).map_or(index, |(at, _)| *at);
    match error {
        Error::Conflict { index } => Error::Conflict { index: original(index) },
        Error::TooLarge { index } => Error::TooLarge { index: index.map(original) },
        Error::Unavailable { .. } | Error::Unauthorised { .. } | Error::Invalid { .. } => error,
    }
}

fn parse<T: for<'a> Deserialize<'a>>(answer: &Answer) -> Result<T, Error> {
    serde_json::from_slice(&answer.body).map_err(|_| strange())
}

fn stored(entity::Read { row, etag, properties }: entity::Read) -> Result<Stored, Error> {
    let (row, etag) = row.zip(etag).ok_or_else(strange)?;
    Ok(Stored { entity: Entity { row, properties }, etag: Etag(etag) })
}

fn strange() -> Error {
    let reason = "the answer is not what the Table service sends".to_owned();
    Error::Unavailable { reason, retry_after: None }
}
