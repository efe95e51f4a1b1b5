//! Into how many buckets the entries of a map were spread when the first of them was written.
//!
//! A key's entry stands in the bucket that its hash picks among so many. Were their number changed, what
//! was written before would not be found again, and an older change could be written over a newer row. So
//! the number is kept beside the entries, and another one is refused.

use std::collections::BTreeMap;

use super::PLACE;
use crate::fault::{Fault, Kind};
use crate::store::{Entity, Error, Operation, Property, Table};

const PARTITION: &str = "~ledger";
const ROW: &str = "layout";
const BUCKETS: &str = "buckets";

/// Makes sure that the table was laid out with this many buckets; one that nobody used yet is from now
/// on. Refuses another number than the first one.
pub async fn confirm(table: &dyn Table, buckets: u32) -> Result<(), Fault> {
    let was = match kept(table).await? {
        Some(was) => was,
        None => lay_out(table, buckets.into()).await?,
    };
    if was == i64::from(buckets) {
        return Ok(());
    }
    let message = format!(
        "the entries of the ledger are spread over {was} buckets, and concord.toml asks for {buckets}, where \
         none of them would be found: write `buckets = {was}` below [ledger], or use new storage"
    );
    Err(Fault::new(Kind::Misconfigured, message))
}

async fn kept(table: &dyn Table) -> Result<Option<i64>, Fault> {
    let found = table.get_many(PARTITION, &[ROW.to_owned()]).await;
    let stored = found.map_err(|error| error.fault(PLACE))?.into_iter().next().flatten();
    Ok(stored.and_then(|stored| match stored.entity.properties.get(BUCKETS) {
        Some(Property::Integer(buckets)) => Some(*buckets),
        Some(Property::Text(_) | Property::Bytes(_)) | None => None,
    }))
}

/// The number from now on: this one, unless another instance was faster.
async fn lay_out(table: &dyn Table, buckets: i64) -> Result<i64, Fault> {
    let properties = BTreeMap::from([(BUCKETS.into(), Property::Integer(buckets))]);
    let layout = Entity { row: ROW.to_owned(), properties };
    match table.transact(PARTITION, vec![Operation::Insert(layout)]).await {
        // Who may only read writes no entries either.
        Ok(_) | Err(Error::Unauthorised { .. }) => Ok(buckets),
        Err(Error::Conflict { .. }) => Ok(kept(table).await?.unwrap_or(buckets)),
        Err(error) => Err(error.fault(PLACE)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::bench::bench;

    #[tokio::test]
    async fn another_number_of_buckets_than_the_first_is_refused() {
        let bench = bench().await;
        let table = &*bench.stores.ledger;
        for _ in 0..2 {
            confirm(table, 8).await.unwrap();
        }
        let fault = confirm(table, 4).await.unwrap_err();
        assert_eq!(fault.kind, Kind::Misconfigured);
        assert!(fault.message.contains("write `buckets = 8`"), "{fault}");
        confirm(table, 8).await.unwrap();
    }

    #[tokio::test]
    async fn of_two_first_instances_the_faster_one_decides() {
        let bench = bench().await;
        let table = &*bench.stores.ledger;
        assert_eq!(lay_out(table, 8).await.unwrap(), 8);
        assert_eq!(lay_out(table, 4).await.unwrap(), 8);
    }
}
