//! What can be done for a row that was refused for something outside of it.
//!
//! A clash of keys: the row is looked up once and written by its id, or left alone by a map that only
//! creates. A row it binds to is not there: the lookup is named, and its `missing` decides between
//! waiting, clearing the column and refusing. For a map that only updates it may be the row itself.

use std::sync::Arc;

use super::Dataverse;
use super::bulk::Upserted;
use super::classify::{Cause, Failure};
use super::keys::{Address, filter};
use super::lookups::{Found, absent, link};
use super::plan::{Item, Site, as_lookup, parts};
use crate::fault::{Fault, Kind};
use crate::row::{Lookup, Mode};
use crate::system::Answer;

impl Dataverse {
    /// Returns the rows worth sending again; the others are settled with their failure.
    pub(super) async fn mend<'w>(
        &self,
        failed: Vec<(Item<'w>, Failure)>,
        site: &Site,
        settled: &mut Vec<Upserted<'w>>,
    ) -> Vec<Item<'w>> {
        let (clashed, orphans): (Vec<_>, Vec<_>) =
            failed.into_iter().partition(|(_, failure)| failure.cause == Cause::Taken);
        let (doubtful, mut orphans): (Vec<_>, Vec<_>) =
            orphans.into_iter().partition(|(item, _)| item.row.to.mode == Mode::Update);
        let (absent, doubtful): (Vec<_>, Vec<_>) =
            doubtful.into_iter().partition(|(item, _)| refers_to_nothing(item));
        settled.extend(absent.into_iter().map(|(item, _)| (item, Ok(Answer::Absent))));
        let mut again = self.clashed(clashed, site, settled).await;
        for (mut item, failure, found) in self.look_up(doubtful, site).await {
            match found {
                Err(unasked) => settled.push((item, Err(unasked))),
                Ok(Found::None) => settled.push((item, Ok(Answer::Absent))),
                Ok(Found::One(id)) if matches!(item.address, Address::Id(at) if at != id) => {
                    item.address = Address::Id(id);
                    again.push(item);
                }
                Ok(Found::One(_) | Found::Several) => orphans.push((item, failure)),
            }
        }
        for (mut item, failure) in orphans {
            match self.relink(&mut item, failure, site).await {
                Ok(()) => again.push(item),
                Err(failure) => settled.push((item, Err(failure))),
            }
        }
        again
    }

    /// Two writers may have created the row at once: whoever lost finds it and writes it by id.
    async fn clashed<'w>(
        &self,
        clashed: Vec<(Item<'w>, Failure)>,
        site: &Site,
        settled: &mut Vec<Upserted<'w>>,
    ) -> Vec<Item<'w>> {
        let mut again = Vec::new();
        for (mut item, failure, found) in self.look_up(clashed, site).await {
            match found {
                Ok(Found::One(id)) if item.row.to.mode == Mode::Insert => {
                    settled.push((item, Ok(Answer::Kept { target_id: Some(id) })));
                }
                Ok(Found::One(id)) => {
                    item.address = Address::Id(id);
                    item.looked_up = true;
                    again.push(item);
                }
                Ok(Found::None | Found::Several) => settled.push((item, Err(failure))),
                Err(unasked) => settled.push((item, Err(unasked))),
            }
        }
        again
    }

    /// Looks refused rows up by their keys, all together. A key that no filter can carry stands with
    /// what the row was refused for.
    async fn look_up<'w>(
        &self,
        refused: Vec<(Item<'w>, Failure)>,
        site: &Site,
    ) -> Vec<(Item<'w>, Failure, Result<Found, Failure>)> {
        let (mut asked, mut questions, mut looked) = (Vec::new(), Vec::new(), Vec::new());
        for (item, failure) in refused {
            let lookups: Vec<&Lookup> = item.row.key.0.iter().filter_map(as_lookup).collect();
            let resolved = self.resolve(&lookups, &site.errand).await;
            let parts = parts(&item.row.key, &resolved).ok();
            match parts.and_then(|parts| filter(&site.table, &parts)) {
                None => looked.push((item, failure.clone(), Err(failure))),
                Some(filter) => {
                    questions.push((site.table.clone(), filter));
                    asked.push((item, failure));
                }
            }
        }
        let answers = self.find(&questions, &site.errand).await;
        let found = asked.into_iter().zip(answers);
        looked.extend(found.map(|((item, failure), answer)| (item, failure, answer)));
        looked
    }

    /// Finds out which lookup has no row. One candidate needs no call; several are asked for.
    async fn relink(
        &self,
        item: &mut Item<'_>,
        failure: Failure,
        site: &Site,
    ) -> Result<(), Failure> {
        let candidates = candidates(item, &failure);
        if let [(column, lookup)] = candidates.as_slice()
            && !is_by_id(item, column)
        {
            return clear(item, column, lookup, &failure);
        }
        let asked: Vec<&Lookup> = candidates.iter().map(|(_, lookup)| *lookup).collect();
        let resolved = self.resolve_anew(&asked, &site.errand).await;
        let mut changed = false;
        for (column, lookup) in candidates {
            if matches!(resolved.get(lookup), Some(Ok(Found::None))) {
                clear(item, &column, lookup, &failure)?;
                changed = true;
                continue;
            }
            let link = link((&column, lookup), &site.table, &site.tables, &resolved)?;
            changed |= item.links.insert(column, link.clone()) != Some(link);
        }
        if changed { Ok(()) } else { Err(unexplained(item, failure)) }
    }
}

/// Whether a row that is not there can be no other than the one addressed, by the key it has now.
fn refers_to_nothing(item: &Item<'_>) -> bool {
    let bound = item.links.values().any(|link| link.to.is_some());
    let owned = item.columns().is_some_and(|columns| columns.owner.is_some());
    matches!(item.address, Address::Key(_)) && !bound && !owned
}

/// The lookups that may be the cause: those whose table the service's text names, else all.
fn candidates<'w>(item: &Item<'w>, failure: &Failure) -> Vec<(Arc<str>, &'w Lookup)> {
    let values = item.columns().map_or(&[][..], |columns| columns.values.as_slice());
    let bound = |column: &str| item.links.get(column).is_some_and(|link| link.to.is_some());
    let all: Vec<(Arc<str>, &Lookup)> = values
        .iter()
        .filter(|(column, _)| bound(column))
        .filter_map(|cell| Some((cell.0.clone(), as_lookup(cell)?)))
        .collect();
    let text = failure.fault.detail.as_deref().unwrap_or_default();
    let named: Vec<_> =
        all.iter().filter(|(_, lookup)| text.contains(&*lookup.table)).cloned().collect();
    if named.is_empty() { all } else { named }
}

fn is_by_id(item: &Item<'_>, column: &str) -> bool {
    let to = item.links.get(column).and_then(|link| link.to.as_deref());
    to.is_some_and(|to| !to.contains('='))
}

fn clear(
    item: &mut Item<'_>,
    column: &str,
    lookup: &Lookup,
    failure: &Failure,
) -> Result<(), Failure> {
    absent(column, lookup).map_err(|mut absent| {
        absent.fault.detail.clone_from(&failure.fault.detail);
        absent
    })?;
    if let Some(link) = item.links.get_mut(column) {
        link.to = None;
    }
    Ok(())
}

/// Every row it looks up is there, so it is the owner, or something that a plug-in of the target
/// wants.
fn unexplained(item: &Item<'_>, failure: Failure) -> Failure {
    let owner = item.columns().is_some_and(|columns| columns.owner.is_some());
    let message = "the target misses a row that this one needs, and it is none of its lookups; check \
                   its owner and the target's own words in the error record";
    let mut fault = Fault::new(Kind::Refused, message);
    fault.detail = failure.fault.detail;
    fault.field = owner.then(|| "ownerid".to_owned());
    Failure { fault, cause: Cause::Refused, ..failure }
}
