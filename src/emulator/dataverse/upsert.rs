//! Update or create, as the service does it (Dataverse, upsert): find by id or key; found, drop what the
//! address says and update; not found, fill what the body lacks and create. A key column in the body
//! wins over the address when the row is created.

use uuid::Uuid;

use crate::emulator::dataverse::body::Members;
use crate::emulator::dataverse::condition::Condition;
use crate::emulator::dataverse::locate::Located;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::rows;
use crate::emulator::dataverse::session::Session;

/// What an upsert did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upserted {
    /// The row.
    pub id: Uuid,
    /// Whether it is new.
    pub created: bool,
}

/// Upserts the row at an address.
pub fn row(
    session: &mut Session<'_>,
    located: &Located,
    members: &Members<'_>,
    condition: &Condition,
) -> Result<Upserted, Refusal> {
    let Some(id) = located.row else {
        if !condition.allows_create() {
            return Err(located.absent(session.env));
        }
        let id = rows::create(session, &located.table, members, &located.key, located.id)?;
        return Ok(Upserted { id, created: true });
    };
    let table = session.table(&located.table)?;
    condition.check(table, session.row(&located.table, id)?)?;
    let mut dropped: Vec<String> = located.key.iter().map(|(name, _)| name.clone()).collect();
    dropped.push(table.definition.primary_id.clone());
    rows::change(session, &located.table, id, members, &dropped)?;
    Ok(Upserted { id, created: false })
}
