//! Storage in an Azure Storage account, or in Azurite: our own thin client for tables and queues, and
//! `object_store` for blobs.
//!
//! The general crate for tables was tried and left: it answers `Ok` for a transaction that was rolled
//! back, and cannot find keys with an apostrophe.

mod address;
mod batch;
mod blobs;
mod client;
mod partitions;
mod prepare;
mod queue;
mod refusal;
mod sign;
mod table;

use std::sync::Arc;

use futures::try_join;

pub(super) use self::address::ROWS_IN_A_FILTER;
use self::client::{Access, Client, Service};
use self::queue::AzureQueue;
use self::table::AzureTable;
use super::{Account, Config, Counters, Error, Stores};
use crate::chance::Chance;
use crate::clock::SharedClock;
use crate::identity::{STORAGE_SCOPE, Tokens};

/// Opens the account: everything that is named is there afterwards.
pub(super) async fn open(
    account: &Account,
    config: &Config,
    clock: SharedClock,
    chance: Chance,
) -> Result<Stores, Error> {
    let counters = Arc::new(Counters::default());
    let access = match &account.key {
        Some(key) => Access::Key(key.clone()),
        None => Access::Identity(Arc::new(
            Tokens::new(&config.credential, STORAGE_SCOPE, clock.clone())
                .map_err(|error| refusal::token(&error))?,
        )),
    };
    let base = Client::new(account, access, clock, chance, counters.clone())?;
    let (tables, queues) = (base.to(Service::Tables), base.to(Service::Queues));
    let containers = base.to(Service::Blobs);
    let names = &config.names;
    let ledger = AzureTable::new(tables.clone(), &names.ledger);
    let poison = AzureTable::new(tables, &names.poison);
    let work = AzureQueue::new(queues.clone(), &names.work);
    let poisoned = AzureQueue::new(queues, &names.poisoned);
    try_join!(
        prepare::table(ledger.client(), &names.ledger),
        prepare::table(poison.client(), &names.poison),
        prepare::queue(work.client(), &names.work),
        prepare::queue(poisoned.client(), &names.poisoned),
        prepare::container(&containers, &names.container),
    )?;
    let blobs = blobs::open(account, base.access(), &names.container, counters.clone())?;
    Ok(Stores {
        ledger: Arc::new(ledger),
        poison: Arc::new(poison),
        work: Arc::new(work),
        poisoned: Arc::new(poisoned),
        blobs,
        counters,
    })
}

#[cfg(test)]
mod tests;
