//! A ledger over local storage in a folder of its own, for tests.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::{Claimed, Config, Ledger, Request};
use crate::chance::Chance;
use crate::change::Correlation;
use crate::clock::{RuntimeClock, SharedClock, after};
use crate::order::Order;
use crate::row::{Action, Destination, Key, Row, Value};
use crate::store::{self, Stores};

/// How long a lease lasts here.
pub(super) const LEASE: Duration = Duration::from_secs(10);

pub(super) struct Bench {
    pub(super) stores: Stores,
    pub(super) ledger: Ledger,
    pub(super) clock: SharedClock,
    _folder: tempfile::TempDir,
}

pub(super) async fn bench() -> Bench {
    let folder = tempfile::tempdir().unwrap();
    let place = store::Config::parse(&format!("local:{}", folder.path().display())).unwrap();
    let clock: SharedClock = Arc::new(RuntimeClock::starting_at(Timestamp::UNIX_EPOCH));
    let stores = store::open(&place, Arc::clone(&clock), Chance::seeded(1)).await.unwrap();
    let ledger = ledger(&stores, &clock);
    Bench { stores, ledger, clock, _folder: folder }
}

/// One of a single bucket, that remembers nothing yet.
fn ledger(stores: &Stores, clock: &SharedClock) -> Ledger {
    let storage = (Arc::clone(&stores.ledger), Arc::clone(&stores.blobs));
    let config = Config { buckets: 1, ..Config::default() };
    Ledger::new(storage, config, Arc::clone(clock), Chance::seeded(1))
}

/// What is said of a key in a second. Removals leave alone what was never written.
pub(super) fn row(key: i64, second: i64, action: Action) -> Arc<Row> {
    Arc::new(Row {
        to: Arc::new(Destination { map: "m".into(), ..Destination::default() }),
        key: Key(vec![("k".into(), Value::Integer(key))]),
        only_if_known: matches!(action, Action::Remove(_)),
        action: action.into(),
        order: Order::emitted_at(Timestamp::from_second(second).unwrap()),
        correlation: Correlation::default(),
        thing: None,
    })
}

impl Bench {
    /// The same storage as another process sees it.
    pub(super) fn fresh(&self) -> Ledger {
        ledger(&self.stores, &self.clock)
    }

    /// When a claim made now ends.
    pub(super) fn lease(&self) -> Timestamp {
        after(self.clock.now(), LEASE)
    }

    pub(super) async fn claim(&self, row: &Arc<Row>) -> Claimed {
        let request = Request { row: Arc::clone(row), patient: false };
        self.ledger.claim(vec![request], self.lease()).await.remove(0)
    }
}
