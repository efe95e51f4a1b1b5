//! Pairs of rows: what maps read of their ends.
//!
//! An event about a pair brings two ids. What a map reads of the rows themselves, `acme_hotelid.acme_code`,
//! is read here, the rows of one table in one call. A pair of which one end is gone is gone itself.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::value::RawValue;
use std::borrow::Cow;
use uuid::Uuid;

use super::Pipeline;
use super::arriving::Arrived;
use crate::change::Change;
use crate::decode::dataverse::{Reading, body};
use crate::fault::{Fault, Kind};
use crate::system::source::{Asked, Named, Selection};

/// What is read of one table.
#[derive(Default)]
struct Wanted<'h> {
    columns: BTreeSet<&'h str>,
    ids: BTreeSet<Uuid>,
}

/// Rows that were read, by table and id; none where there is no such row.
type Rows = BTreeMap<(String, Uuid), Option<Change<'static>>>;

impl Pipeline {
    /// Reads the ends of pairs and adds what `hops` name of them.
    pub(super) async fn read_ends(
        &self,
        hops: &BTreeSet<String>,
        pairs: Vec<(usize, Change<'static>)>,
        arrived: &mut Arrived,
    ) {
        let hops: Vec<(&str, &str)> = hops.iter().filter_map(|hop| hop.split_once('.')).collect();
        let mut wanted = BTreeMap::<String, Wanted<'_>>::new();
        for (_, change) in &pairs {
            for (end, column) in &hops {
                if let Some((table, id)) = named(change, end) {
                    let wanted = wanted.entry(table).or_default();
                    wanted.columns.insert(column);
                    wanted.ids.insert(id);
                }
            }
        }
        let rows = match self.ends(&arrived.delivery.system, wanted).await {
            Ok(rows) => rows,
            Err(fault) => {
                let failed = pairs.iter().map(|(at, _)| (*at, fault.clone()));
                return arrived.doubts.failed.extend(failed);
            }
        };
        for (at, mut change) in pairs {
            match complete(&mut change, &hops, &rows) {
                Some(()) => {
                    if let Some(event) = arrived.delivery.events.get_mut(at) {
                        event.body = body(&change);
                        event.properties.clear();
                    }
                }
                None => _ = arrived.doubts.gone.insert(at),
            }
        }
    }

    async fn ends(
        &self,
        system: &str,
        wanted: BTreeMap<String, Wanted<'_>>,
    ) -> Result<Rows, Fault> {
        let source = self.sources.get(system).ok_or_else(|| {
            let message = "the system that it comes from cannot be asked for the rows of the pair";
            Fault::new(Kind::Misconfigured, message)
        })?;
        let (mut rows, at) = (Rows::new(), self.clock.now());
        for (table, Wanted { columns, ids }) in wanted {
            let columns = Selection::of(columns);
            let asked = Asked { table: table.clone(), columns, since: None };
            let named: Vec<Named> = ids.iter().map(|id| Named::Id(*id)).collect();
            for (id, found) in ids.into_iter().zip(source.find(&asked, &named).await?) {
                let read = found.map(|record| {
                    let text = String::from_utf8_lossy(&record.body);
                    let reading = Reading { table: &table, id, at };
                    reading.change(&text).map(Change::into_owned)
                });
                rows.insert((table.clone(), id), read.transpose()?);
            }
        }
        Ok(rows)
    }
}

/// The table and the id of one end.
fn named(change: &Change<'_>, end: &str) -> Option<(String, Uuid)> {
    let text = |name: &str| {
        let value = change.property(name)?;
        serde_json::from_str::<String>(value.get()).ok()
    };
    Some((text(&format!("{end}_entitytype"))?, text(end)?.parse().ok()?))
}

/// Adds what was read; none when an end is gone.
fn complete(change: &mut Change<'static>, hops: &[(&str, &str)], rows: &Rows) -> Option<()> {
    for (end, column) in hops {
        let row = rows.get(&named(change, end)?)?.as_ref()?;
        let value = row.property(column).map_or(RawValue::NULL, |value| value).to_owned();
        change.properties.push((Cow::Owned(format!("{end}.{column}")), Cow::Owned(value)));
    }
    change.partial = false;
    Some(())
}
