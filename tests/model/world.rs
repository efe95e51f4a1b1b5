//! The rows and claims of the model, and time as it matters here: a lease is over or it is not.

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use concord::change::Correlation;
use concord::ledger::Claim;
use concord::ledger::Entry;
use concord::order::Order;
use concord::row::{Action, Columns, Destination, Key, Removal, Row, Value};
use jiff::Timestamp;
use uuid::Uuid;

/// Whether a version is a removal: one in the middle, and one that is the newest.
fn is_removal(version: u8) -> bool {
    matches!(version, 2 | 5)
}

/// What is seen of the version that the target holds: after a removal it is empty, as before the first.
pub(crate) fn shown(version: u8) -> u8 {
    if is_removal(version) { 0 } else { version }
}

static ROWS: LazyLock<Vec<Row>> = LazyLock::new(|| (0..8).map(row_of).collect());

fn row_of(version: u8) -> Row {
    let value = ("name".into(), Value::Integer(version.into()));
    let action = if is_removal(version) {
        Action::Remove(Removal::Delete)
    } else {
        Action::Upsert(Columns { values: vec![value], ..Columns::default() })
    };
    Row {
        to: Arc::new(Destination { map: "m".into(), ..Destination::default() }),
        key: Key(vec![("k".into(), Value::Integer(1))]),
        action: action.into(),
        order: Order::emitted_at(Timestamp::from_second(version.into()).unwrap()),
        correlation: Correlation::default(),
        // As maps have it: what was never written is left alone.
        only_if_known: is_removal(version),
        thing: None,
    }
}

/// The row of a version; 0 is the empty target.
pub(crate) fn row(version: u8) -> &'static Row {
    &ROWS[usize::from(version)]
}

/// Which version an order belongs to.
pub(crate) fn version_of(order: &Order) -> u8 {
    u8::try_from(order.emitted.as_second()).unwrap()
}

pub(crate) fn claim(number: u8) -> Claim {
    Claim(Uuid::from_u128(u128::from(number)))
}

pub(crate) const NOW: Timestamp = Timestamp::UNIX_EPOCH;
/// A lease that is not over.
pub(crate) const RUNNING: Timestamp = Timestamp::MAX;
/// A lease that is over.
pub(crate) const OVER: Timestamp = Timestamp::MIN;

/// The entry as a clock would show it: the leases of these claims are over, all others run.
pub(crate) fn at(entry: &Entry, over: &BTreeSet<Claim>) -> Entry {
    let lease = |claim: &Claim| if over.contains(claim) { OVER } else { RUNNING };
    let mut entry = entry.clone();
    if let Some(intent) = &mut entry.intent {
        Arc::make_mut(intent).lease = lease(&intent.claim);
    }
    for loose in &mut entry.loose {
        loose.lease = lease(&loose.claim);
    }
    if let Some(applied) = &mut entry.applied {
        Arc::make_mut(applied).at = NOW;
    }
    entry
}
