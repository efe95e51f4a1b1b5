//! Microsoft Dataverse as a target, and as a source (`source`, `changes`).
//!
//! In go rows of one table; out comes an answer for each. A write is planned (`plan`), sent in
//! bulk (`bulk`), named row by row where the service refuses (`batch`, `mend`), and given its
//! state (`state`). `classify` is the one place that says what an answer means, `client` the
//! one that makes calls, `pace` the one that says how many. Facts: Dataverse Web API.

mod admin;
mod allowance;
mod batch;
mod body;
mod bulk;
mod changes;
mod chunks;
mod classify;
mod client;
mod config;
mod describe;
mod examine;
mod fetch;
mod keys;
mod lookups;
mod mend;
mod names;
mod pace;
mod pairs;
mod plan;
mod select;
mod source;
mod state;
#[cfg(test)]
mod tests;

use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use self::classify::{Failure, Fate};
use self::client::{Call, Client, Errand};
use self::plan::{Item, Settled};
use super::{Answer, Fetched, Lane, Limits, TableSchema, Target, Until, Write};
use crate::chance::Chance;
use crate::change::Correlation;
use crate::clock::SharedClock;
use crate::fault::Fault;
use crate::row::{Action, Key, Row};

pub use self::config::{Config, is_local};
pub use self::examine::{Examined, Privileges, User};

/// Reads the answer to a batch, for fuzzers.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_batch_answer(kind: &str, body: &bytes::Bytes) {
    batch::read_answer(kind, body);
}

/// How long a check that calls the service itself may take.
const CHECK: Duration = Duration::from_secs(10);

/// Gives tokens for one environment. Called before every call, so it must keep them.
#[async_trait]
pub trait Bearer: Debug + Send + Sync {
    /// A token that is good now. Fails as `credential` when none can be had, as `unreachable` when
    /// who gives them does not answer.
    async fn bearer(&self) -> Result<String, Fault>;

    /// The environment refused this token: the next one must be another.
    fn forget(&self, token: &str);
}

/// One Dataverse environment.
#[derive(Debug)]
pub struct Dataverse {
    client: Client,
    names: names::Names,
    chunks: chunks::Chunks,
    memory: lookups::Memory,
    schemas: describe::Schemas,
    state_steps: AtomicU64,
    chance: Chance,
    parallel: usize,
    longest: Duration,
    tagged: bool,
}

impl Dataverse {
    /// Prepares an environment; makes no call. Fails as `misconfigured` when the address cannot
    /// work. Without tokens only an address of this machine is allowed.
    pub fn new(
        config: Config,
        tokens: Option<Arc<dyn Bearer>>,
        clock: SharedClock,
        chance: Chance,
    ) -> Result<Self, Fault> {
        Ok(Self {
            client: Client::new(&config, tokens, clock, chance.clone())?,
            names: names::Names::new(&config.schemas),
            chunks: chunks::Chunks::new(config.chunk),
            memory: lookups::Memory::default(),
            chance,
            parallel: config.parallel.max(1),
            longest: config.longest,
            tagged: config.tag,
            schemas: describe::Schemas::new(config.schemas),
            state_steps: AtomicU64::new(0),
        })
    }

    /// How many HTTP calls were made so far.
    pub fn calls(&self) -> u64 {
        self.client.calls()
    }

    /// How many rows were written a second time so far, to give them their state.
    pub fn state_steps(&self) -> u64 {
        self.state_steps.load(Ordering::Relaxed)
    }

    /// An errand of our own, with an id of its own.
    fn errand(&self, within: Duration) -> Errand {
        let correlation = Correlation(self.chance.uuid());
        Errand { correlation, deadline: Instant::now() + within, lane: Lane::Live }
    }

    /// The query option that carries the correlation into plug-ins and webhooks.
    fn tag(&self, errand: &Errand) -> String {
        if self.tagged { format!("?tag=concord:{}", errand.correlation) } else { String::new() }
    }

    /// The whole way of some writes of one table; rows left out are answered by the caller.
    async fn apply(&self, writes: &[(usize, &Write)], errand: Errand) -> Vec<(usize, Answer)> {
        if writes.first().is_some_and(|(_, first)| first.row.to.pairs) {
            return Box::pin(self.tie(writes, errand)).await;
        }
        let (site, items, settled) = match self.plan(writes, errand).await {
            Ok(planned) => planned,
            Err(failure) => {
                let all = writes.iter().map(|(index, _)| (*index, unplanned(failure.clone())));
                return all.collect();
            }
        };
        let (upserts, removals): (Vec<Item<'_>>, Vec<Item<'_>>) =
            items.into_iter().partition(|item| item.columns().is_some());
        let upserted = async {
            let mut upserted = self.upsert(upserts, &site).await;
            self.set_states(&mut upserted, &site).await;
            upserted
        };
        let (upserted, removed) =
            futures::join!(Box::pin(upserted), Box::pin(self.remove(removals, &site)));
        let upserted = upserted.into_iter().map(|(item, result)| answer(&item, result));
        let written = |()| Answer::Written { target_id: None };
        let removed = removed.into_iter().map(|(item, result)| answer(&item, result.map(written)));
        settled.into_iter().map(unsent).chain(upserted).chain(removed).collect()
    }
}

#[async_trait]
impl Target for Dataverse {
    fn limits(&self) -> Limits {
        Limits { longest: self.longest }
    }

    /// Free while all is well: a token from the cache. After a call that found nobody there or was
    /// turned away, asks the service who we are.
    async fn ready(&self) -> Result<(), Fault> {
        self.client.token().await.map_err(|failure| failure.fault)?;
        if !self.client.is_troubled() {
            return Ok(());
        }
        match self.client.once(&Call::get("WhoAmI"), &self.errand(CHECK)).await {
            Ok(_) => Ok(()),
            Err(failure) if failure.is_not_served() => Ok(()),
            Err(failure) => Err(failure.fault),
        }
    }

    async fn write(&self, writes: &[Write], Until { deadline, lane }: Until) -> Vec<Answer> {
        // Nothing is asked of the target for a row on hold: it stays as it is.
        let mut answers = vec![Answer::Written { target_id: None }; writes.len()];
        let due = writes
            .iter()
            .enumerate()
            .filter(|(_, write)| !matches!(*write.row.action, Action::Hold { .. }));
        let mut left: Vec<(usize, &Write)> = due.collect();
        while let Some((_, first)) = left.first() {
            let to = first.row.to.clone();
            let correlation = first.row.correlation;
            let (these, others): (Vec<_>, Vec<_>) =
                left.into_iter().partition(|(_, write)| write.row.to.table == to.table);
            for (index, _) in &these {
                set(&mut answers, *index, Answer::Unknown(Failure::late().fault));
            }
            for (index, answer) in self.apply(&these, Errand { correlation, deadline, lane }).await
            {
                set(&mut answers, index, answer);
            }
            left = others;
        }
        answers
    }

    async fn fetch(
        &self,
        table: &str,
        keys: &[Key],
        columns: &[String],
    ) -> Result<Vec<Option<Fetched>>, Fault> {
        let errand = self.errand(self.longest);
        self.read_rows(table, keys, columns, &errand).await.map_err(|failure| failure.fault)
    }

    async fn describe(&self, table: &str) -> Result<Option<TableSchema>, Fault> {
        let errand = self.errand(self.longest);
        self.read_described(table, &errand).await.map_err(|failure| failure.fault)
    }
}

/// The UpsertMultiple that writes these rows of one table, as far as it can be told without a question
/// to the service: rows that refer to others by keys that no address carries are refused.
pub fn upsert_multiple(rows: &[Arc<Row>], table: &TableSchema) -> Result<Vec<u8>, Fault> {
    let table = Arc::new(names::Table::saved(table));
    let errand =
        Errand { correlation: Correlation::default(), deadline: Instant::now(), lane: Lane::Live };
    let site = plan::Site { table, tables: names::Tables::default(), errand };
    let items: Result<Vec<Item<'_>>, Failure> =
        rows.iter().enumerate().map(|(index, row)| plan::alone(index, row, &site)).collect();
    let body = items.and_then(|items| body::rows(&items, &site.table));
    body.map_err(|failure| failure.fault)
}

fn set(answers: &mut [Answer], index: usize, answer: Answer) {
    if let Some(place) = answers.get_mut(index) {
        *place = answer;
    }
}

/// Nothing of the row was sent, whatever became of what was asked before it.
fn unplanned(failure: Failure) -> Answer {
    Answer::Not(failure.fault)
}

fn unsent((index, result): Settled) -> (usize, Answer) {
    (index, result.unwrap_or_else(unplanned))
}

fn answer(item: &Item<'_>, result: Result<Answer, Failure>) -> (usize, Answer) {
    let answer = match result {
        Ok(answer) => answer,
        Err(mut failure) => {
            name_column(item, &mut failure.fault);
            let doubted = item.doubted && !failure.cause.is_judgement();
            match failure.fate {
                Fate::Not if !doubted => Answer::Not(failure.fault),
                Fate::Not | Fate::Unknown => Answer::Unknown(failure.fault),
            }
        }
    };
    (item.index, answer)
}

/// The service names a lookup by its navigation property; people and maps know the column.
fn name_column(item: &Item<'_>, fault: &mut Fault) {
    let Some(field) = &mut fault.field else { return };
    let column = item.links.iter().find(|(_, link)| link.navigation == *field);
    if let Some((column, _)) = column {
        *field = column.to_string();
    }
}
