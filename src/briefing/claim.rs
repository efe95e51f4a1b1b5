//! Which days' digests were posted, and who is about to: one table row a day.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::clock;
use crate::fault::Fault;
use crate::store::{Entity, Error, Operation, Property, Table};

/// Claims days.
#[derive(Debug)]
pub(super) struct Claims {
    table: Arc<dyn Table>,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Claim {
    posted: bool,
    tries: u32,
    /// Nobody else tries before this.
    until: Timestamp,
}

const PARTITION: &str = "~digest";
const PLACE: &str = "digest";
const CLAIM: &str = "claim";
/// How long posting may take before somebody else may try.
const LEASE: Duration = Duration::from_mins(5);
/// The longest pause after a failure.
const LONGEST: Duration = Duration::from_hours(2);

impl Claims {
    pub(super) fn new(table: Arc<dyn Table>) -> Self {
        Self { table }
    }

    /// Whether the day is ours to post now.
    pub(super) async fn take(&self, day: Date, now: Timestamp) -> Result<bool, Fault> {
        let (claim, etag) = self.look(day).await?;
        if claim.posted || claim.until > now {
            return Ok(false);
        }
        let tries = claim.tries + 1;
        let entity = entity(day, &Claim { posted: false, tries, until: clock::after(now, LEASE) });
        let operation = match etag {
            Some(etag) => Operation::Replace(entity, etag),
            None => Operation::Insert(entity),
        };
        match self.table.transact(PARTITION, vec![operation]).await {
            Ok(_) => Ok(true),
            Err(Error::Conflict { .. }) => Ok(false),
            Err(error) => Err(error.fault(PLACE)),
        }
    }

    /// Says what became of it; a failed day may be tried again after a pause that doubles.
    pub(super) async fn conclude(
        &self,
        day: Date,
        posted: bool,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let (claim, _) = self.look(day).await?;
        let pause = LEASE.saturating_mul(2_u32.saturating_pow(claim.tries.min(8))).min(LONGEST);
        let until = if posted { now } else { clock::after(now, pause) };
        let entity = entity(day, &Claim { posted, until, ..claim });
        let put = self.table.transact(PARTITION, vec![Operation::Put(entity)]).await;
        put.map(drop).map_err(|error| error.fault(PLACE))
    }

    async fn look(&self, day: Date) -> Result<(Claim, Option<crate::store::Etag>), Fault> {
        let rows = [day.to_string()];
        let found = self.table.get_many(PARTITION, &rows).await;
        let found = found.map_err(|error| error.fault(PLACE))?.into_iter().next().flatten();
        let Some(stored) = found else { return Ok((Claim::default(), None)) };
        let claim = match stored.entity.properties.get(CLAIM) {
            Some(Property::Text(json)) => serde_json::from_str(json).unwrap_or_default(),
            Some(Property::Integer(_) | Property::Bytes(_)) | None => Claim::default(),
        };
        Ok((claim, Some(stored.etag)))
    }
}

fn entity(day: Date, claim: &Claim) -> Entity {
    let json = serde_json::to_string(claim).unwrap_or_default();
    let properties = BTreeMap::from([(CLAIM.into(), Property::Text(json))]);
    Entity { row: day.to_string(), properties }
}
