//! What one map is compared on: both sides, opened, and what is asked of them.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::config::{Order, Removals};
use super::print::{Print, Stand};
use super::shape::Shape;
use super::side::{self, At, Origin, Printed, Side};
use crate::change::Change;
use crate::fault::{Fault, Kind};
use crate::mapping::Map;
use crate::parking::Name;
use crate::pipeline::Pipeline;
use crate::poison::{Filter, Status};
use crate::row::Key;
use crate::system::Source;
use crate::system::source::{Asked, Token};

/// What is read of a side.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Span<'o> {
    /// Rows that were not changed since are left out.
    pub(super) since: Option<Timestamp>,
    /// What the source removed since this place in its history is read besides.
    pub(super) removed: Option<&'o Token>,
}

impl<'o> Span<'o> {
    pub(super) fn of(order: &'o Order) -> Self {
        let removed = match &order.removals {
            Removals::Since(token) => Some(token),
            Removals::All | Removals::Unseen(_) => None,
        };
        Self { since: order.since, removed }
    }
}

/// Everything needed to compare one map.
#[derive(Debug)]
pub(super) struct Ground {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) shape: Shape,
    pub(super) origin: Origin,
    pub(super) target: Arc<dyn Source>,
    /// Who we are at the target.
    pub(super) me: Option<Uuid>,
}

impl Ground {
    /// Opens both sides of a map. Refused: a target that cannot be read.
    pub(super) async fn open(pipeline: &Arc<Pipeline>, map: &Arc<Map>) -> Result<Self, Fault> {
        let to = &map.destination;
        if !map.compares() {
            let message = "its rows are pairs, which come by events alone, so nothing is compared";
            return Err(Fault::new(Kind::Misconfigured, message));
        }
        let (Some(target), Some(writer)) =
            (pipeline.sources.get(&to.system), pipeline.targets.get(&to.system))
        else {
            let system = &to.system;
            let message = format!("the rows of {system} cannot be read, so nothing is compared");
            return Err(Fault::new(Kind::Misconfigured, message));
        };
        let target = Arc::clone(target);
        let table = writer.describe(&to.table).await?;
        let shape = Shape::of(map, table.as_ref());
        let origin = match pipeline.sources.get(&map.system) {
            Some(source) => Origin::System(Arc::clone(source), shape.source()),
            None => Origin::Ledger,
        };
        let me = target.me().await?;
        Ok(Self { pipeline: Arc::clone(pipeline), shape, origin, target, me })
    }

    /// Reads one page of a side.
    pub(super) async fn read(
        &self,
        (side, keys): (Side, bool),
        span: Span<'_>,
        at: Option<&At>,
    ) -> Result<Printed, Fault> {
        let cursor = match at {
            Some(At::System(cursor)) => Some(cursor),
            Some(At::Ledger(_) | At::Gone(_)) | None => None,
        };
        let since = span.since;
        match (side, &self.origin) {
            (Side::Source, Origin::Ledger) => {
                let place = match at {
                    Some(At::Ledger(place)) => Some(place),
                    Some(At::System(_) | At::Gone(_)) | None => None,
                };
                side::of_ledger((&self.pipeline.ledger, &self.shape), place).await
            }
            (Side::Source, Origin::System(source, asked)) => {
                if let Some(At::Gone(token)) = at {
                    return self.removed(&**source, token).await;
                }
                let asked = Asked { since, ..asked.clone() };
                let page = source.page(&asked, cursor).await?;
                let print =
                    |change: &Change<'_>, id: &[u8]| side::print_of_source(&self.shape, change, id);
                let read = side::of_system(page, self.source_table(), print, self.now())?;
                let next = read.next.or_else(|| span.removed.cloned().map(At::Gone));
                Ok(Printed { next, ..read })
            }
            (Side::Target, _) => {
                let asked = Asked { since, ..self.shape.target(keys) };
                let page = self.target.page(&asked, cursor).await?;
                let print = |change: &Change<'_>, id: &[u8]| {
                    Print::of(&self.shape.theirs(change), Stand::There, id)
                };
                side::of_system(page, self.target_table(), print, self.now())
            }
        }
    }

    /// The open records of the map in quarantine, by the key of their row.
    pub(super) async fn poisoned(&self) -> Result<HashMap<String, String>, Fault> {
        let filter = Filter { status: Some(Status::Open), ..Filter::default() };
        let map = self.shape.map.name.to_string();
        let kept = self.pipeline.poison.list(&[map], &filter).await?;
        let records = kept.into_iter().map(|kept| kept.record);
        Ok(records.filter_map(|record| Some((record.key?, record.id.to_string()))).collect())
    }

    /// Whether a change of this row waits for another row.
    pub(super) async fn is_parked(&self, key: Option<&Key>) -> Result<bool, Fault> {
        let Some(key) = key else { return Ok(false) };
        let name = Name::of_key(&self.shape.map.destination, key);
        Ok(!self.pipeline.parking.pointers(&name.id()).await?.is_empty())
    }

    /// The source's table.
    pub(super) fn source_table(&self) -> &str {
        self.shape.map.entity.trim_start_matches('/')
    }

    /// The target's table.
    pub(super) fn target_table(&self) -> &str {
        &self.shape.map.destination.table
    }

    pub(super) fn now(&self) -> Timestamp {
        self.pipeline.clock.now()
    }
}
