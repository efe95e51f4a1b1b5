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

use futures::future::join_all;
use futures::try_join;

pub(super) use self::address::ROWS_IN_A_FILTER;
use self::client::{Access, Client, Service};
use self::queue::AzureQueue;
use self::table::AzureTable;
use super::{Account, Config, Counters, Error, Stores, Thing};
use crate::chance::Chance;
use crate::clock::SharedClock;
use crate::identity::{STORAGE_SCOPE, Tokens};

/// Reads the answer to a transaction of three operations, for fuzzers.
#[cfg(any(test, fuzzing))]
pub(crate) fn read_answer(status: u16, body: &[u8]) {
    let Ok(status) = reqwest::StatusCode::from_u16(status) else { return };
    drop(refusal::Refusal::read(status, body).error(3).to_string());
    for part in batch::decode(body) {
        if let batch::Part::Refused(refusal) = part {
            drop(refusal.error(3).to_string());
        }
    }
}

/// Opens the account: everything that is named is there afterwards.
pub(super) async fn open(
    account: &Account,
    config: &Config,
    clock: SharedClock,
    chance: Chance,
) -> Result<Stores, Error> {
    let counters = Arc::new(Counters::default());
    let base = connect(account, config, (clock, chance), &counters)?;
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
        prepare::container(&containers, &names.quarantine),
    )?;
    let blobs = |name| blobs::open(account, &base, name, counters.clone());
    let (quarantine, blobs) = (blobs(&names.quarantine)?, blobs(&names.container)?);
    Ok(Stores {
        ledger: Arc::new(ledger),
        poison: Arc::new(poison),
        work: Arc::new(work),
        poisoned: Arc::new(poisoned),
        blobs,
        quarantine,
        counters,
    })
}

/// Looks for each thing and makes nothing.
pub(super) async fn look(
    account: &Account,
    config: &Config,
    clock: SharedClock,
    chance: Chance,
) -> Vec<(Thing, Result<Option<bool>, Error>)> {
    let names = &config.names;
    let things = [
        Thing::Table(names.ledger.clone()),
        Thing::Table(names.poison.clone()),
        Thing::Queue(names.work.clone()),
        Thing::Queue(names.poisoned.clone()),
        Thing::Container(names.container.clone()),
        Thing::Container(names.quarantine.clone()),
    ];
    let base = match connect(account, config, (clock, chance), &Arc::default()) {
        Ok(base) => base,
        Err(error) => {
            let first = things.into_iter().next();
            return first.map(|thing| (thing, Err(error))).into_iter().collect();
        }
    };
    let looks = things.map(|thing| async {
        let there = prepare::look(&base, &thing).await;
        (thing, there)
    });
    join_all(looks).await
}

fn connect(
    account: &Account,
    config: &Config,
    (clock, chance): (SharedClock, Chance),
    counters: &Arc<Counters>,
) -> Result<Client, Error> {
    let access = match &account.key {
        Some(key) => Access::Key(key.clone()),
        None => Access::Identity(Arc::new(
            Tokens::new(&config.credential, STORAGE_SCOPE, clock.clone())
                .map_err(|error| refusal::token(&error))?,
        )),
    };
    Client::new(account, access, clock, chance, Arc::clone(counters))
}

#[cfg(test)]
mod tests;
