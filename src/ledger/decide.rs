//! The rules, as pure functions of an entry: what may be written, and what a finished write means.
//!
//! Nothing here reads a clock or touches storage; each function takes the entry as it was looked at
//! and says which entry is to replace it, under the condition that it has not changed since. These are
//! the very functions that the model checker explores.

use std::sync::Arc;

use jiff::Timestamp;
use uuid::Uuid;

use super::entry::{Applied, Claim, Entry, Held, Intent, Loose, Version};
use super::leave::{is_left, leave};
use crate::outcome::Outcome;
use crate::row::{Action, Keep, Mode, Row, RowHash, Thing};

/// A row that asks to be written.
#[derive(Clone, Copy, Debug)]
pub struct Candidate<'a> {
    /// The row.
    pub row: &'a Row,
    /// Its hash.
    pub hash: RowHash,
    /// The claim it would be written under.
    pub claim: Claim,
    /// When that claim's lease would end.
    pub lease: Timestamp,
    /// Whether to wait for somebody who is writing the same version. Waiting is only an economy: it
    /// spares two more writes when two instances hold the same delivery.
    pub patient: bool,
}

/// What is to be done with a row.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Decision {
    /// Something newer is settled: there is nothing to do.
    Superseded,
    /// This very version is settled: there is nothing to do.
    Unchanged,
    /// Nothing is written to the target; the entry is replaced and the outcome then holds.
    Record(Entry, Outcome),
    /// The entry is replaced, and then the row may be written.
    Claim(Entry),
    /// Already claimed by this very claim: the answer to the earlier request was lost.
    Mine,
    /// Somebody is writing this version or a newer one, and whether that succeeds is open.
    Busy,
}

/// Decides what is to be done with a row (rules 1 and 2).
///
/// An older row than an unsettled intent is not superseded yet: should the newer one be refused, the
/// older is the newest accepted, so it waits until that is known.
pub fn decide(entry: &Entry, candidate: &Candidate<'_>, now: Timestamp) -> Decision {
    let Candidate { row, hash, claim, .. } = *candidate;
    if entry.intent.as_ref().is_some_and(|intent| intent.claim == claim) {
        return Decision::Mine;
    }
    match row.thing {
        Some(Thing::Left(thing)) => return leave(entry, candidate, thing, now),
        Some(Thing::Of(thing)) if is_left(entry, thing, &row.order) => return Decision::Superseded,
        Some(Thing::Of(_)) | None => {}
    }
    if let Some(applied) = entry.applied.as_ref().filter(|applied| not_newer(row, applied)) {
        let same = applied.version.hash == hash && applied.version.order == row.order;
        return if same { Decision::Unchanged } else { Decision::Superseded };
    }
    if entry.held.as_ref().is_some_and(|held| covers(held, row)) {
        return Decision::Superseded;
    }
    if row.to.mode == Mode::Insert && is_created(entry) && matches!(*row.action, Action::Upsert(_))
    {
        return Decision::Unchanged;
    }
    if entry.intent.as_ref().is_some_and(|intent| blocks(intent, candidate, now)) {
        return Decision::Busy;
    }
    match (&*row.action, &entry.applied) {
        (Action::Hold { due, then }, _) if entry.is_known() || !row.only_if_known => {
            let held = Held {
                order: row.order.clone(),
                due: *due,
                then: *then,
                correlation: row.correlation,
            };
            Decision::Record(Entry { held: Some(Box::new(held)), ..entry.clone() }, Outcome::Held)
        }
        _ if row.only_if_known && !entry.is_known() => {
            Decision::Record(advanced(entry, candidate, now), Outcome::Filtered)
        }
        (_, Some(applied)) if applied.version.hash == hash && entry.intent.is_none() => {
            Decision::Record(advanced(entry, candidate, now), Outcome::Unchanged)
        }
        _ => Decision::Claim(claimed(entry, version(row, hash), claim, candidate.lease)),
    }
}

fn not_newer(row: &Row, applied: &Applied) -> bool {
    !row.order.is_newer_than(&applied.version.order)
}

/// A held removal covers what is not newer than it, except the removal itself when its time has come.
fn covers(held: &Held, row: &Row) -> bool {
    let due = matches!(*row.action, Action::Remove(_)) && row.order == held.order;
    !due && !row.order.is_newer_than(&held.order)
}

/// Whether a map that only creates rows is done with this one: it is there, whoever created it.
fn is_created(entry: &Entry) -> bool {
    let Some(Applied { version, .. }) = entry.applied.as_deref() else { return false };
    match version.action.as_deref() {
        None => true,
        Some(Action::Upsert(_) | Action::Hold { .. }) => !version.wrote_nothing(),
        Some(Action::Remove(_)) => false,
    }
}

fn blocks(intent: &Intent, candidate: &Candidate<'_>, now: Timestamp) -> bool {
    match candidate.row.order.compare(&intent.version.order) {
        std::cmp::Ordering::Less => true,
        std::cmp::Ordering::Equal => candidate.patient && intent.lease > now,
        std::cmp::Ordering::Greater => false,
    }
}

/// The version that writing this row makes.
pub fn version(row: &Row, hash: RowHash) -> Version {
    Version {
        order: row.order.clone(),
        hash,
        action: (row.to.keep == Keep::Row).then(|| Arc::clone(&row.action)),
        map_version: row.to.version,
        correlation: row.correlation,
        thing: row.thing.map(Thing::id),
    }
}

fn advanced(entry: &Entry, candidate: &Candidate<'_>, now: Timestamp) -> Entry {
    let mut version = version(candidate.row, candidate.hash);
    let applied = entry.applied.as_ref().map(|applied| &applied.version);
    if let Some(same) = applied.filter(|applied| applied.hash == version.hash)
        && let Some(row) = same.action.as_ref().filter(|_| version.action.is_some())
    {
        // The very row that is there, so that it is not written again.
        version.action = Some(Arc::clone(row));
    }
    let target_id = entry.applied.as_ref().and_then(|applied| applied.target_id);
    let mut next = entry.clone();
    apply(&mut next, version, target_id, now);
    next
}

/// Overtakes whatever intent there is; the overtaken claim becomes loose (rule 2).
pub(super) fn claimed(entry: &Entry, version: Version, claim: Claim, lease: Timestamp) -> Entry {
    let mut next = entry.clone();
    if let Some(overtaken) = next.intent.replace(Arc::new(Intent { version, claim, lease })) {
        next.loose.push(Loose { claim: overtaken.claim, lease: overtaken.lease });
    }
    next
}

/// Makes `version` the applied one unless a newer is; what is held and not newer ends with it.
fn apply(entry: &mut Entry, mut version: Version, target_id: Option<Uuid>, at: Timestamp) {
    if let Some(applied) = entry.applied.take() {
        if applied.version.is_newer_than(&version) {
            entry.applied = Some(applied);
            return;
        }
        version.order = version.order.over(&applied.version.order);
    }
    entry.touched &= version.wrote_nothing();
    entry.held.take_if(|held| !held.order.is_newer_than(&version.order));
    entry.applied = Some(Arc::new(Applied { version, target_id, at }));
}

/// The claims in `entry` whose lease is over: their writes have landed or died.
pub fn expired(entry: &Entry, now: Timestamp) -> Vec<Claim> {
    let over = entry.loose.iter().filter(|loose| loose.lease <= now);
    over.map(|loose| loose.claim).collect()
}

/// What a successful write means for the entry as it is now.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Settlement {
    /// Replace the entry; the row is then applied.
    Applied(Entry),
    /// Replace the entry; the claim is then loose and must be re-asserted.
    Loosen(Entry),
    /// The claim is loose: re-assert.
    Loose,
    /// It was settled already: the answer to the earlier request was lost, or the sweep did it.
    Done,
    /// Somebody concluded this claim otherwise: nothing is known, do it again.
    Gone,
}

/// Settles a write that landed (rule 3). `outlived` are the loose claims whose leases were over when
/// this claim was made: this write came after theirs, so they end with it.
pub fn settle(
    entry: &Entry,
    (claim, version): (Claim, &Version),
    outlived: &[Claim],
    target_id: Option<Uuid>,
    now: Timestamp,
) -> Settlement {
    let newer = |applied: &Applied| applied.version.is_newer_than(version);
    if entry.intent.as_ref().is_some_and(|intent| intent.claim == claim) {
        let mut next = entry.clone();
        let intent = next.intent.take();
        if entry.applied.as_deref().is_some_and(newer) {
            next.loose.extend(intent.map(|intent| Loose { claim, lease: intent.lease }));
            return Settlement::Loosen(next);
        }
        next.loose.retain(|loose| !outlived.contains(&loose.claim));
        let known = entry.applied.as_ref().and_then(|applied| applied.target_id);
        apply(&mut next, version.clone(), target_id.or(known), now);
        return Settlement::Applied(next);
    }
    if entry.loose.iter().any(|loose| loose.claim == claim) {
        return Settlement::Loose;
    }
    match &entry.applied {
        Some(applied) if !version.is_newer_than(&applied.version) => Settlement::Done,
        Some(_) | None => Settlement::Gone,
    }
}

/// Takes back a claim whose write did not land and never will (rule 7).
pub fn withdraw(entry: &Entry, claim: Claim) -> Entry {
    let mut next = entry.clone();
    next.intent.take_if(|intent| intent.claim == claim);
    next.loose.retain(|loose| loose.claim != claim);
    next
}

/// The newest of what is applied, intended and `mine`: what a re-assertion writes (rule 4).
pub fn newest(entry: &Entry, mine: Option<&Version>) -> Option<Version> {
    let mut newest = mine;
    let applied = entry.applied.as_ref().map(|applied| &applied.version);
    let intent = entry.intent.as_ref().map(|intent| &intent.version);
    for version in applied.into_iter().chain(intent) {
        if newest.is_none_or(|best| !best.is_newer_than(version)) {
            newest = Some(version);
        }
    }
    newest.cloned()
}

/// Records a re-assertion that landed, if the entry has not changed since (rule 4).
pub fn asserted(
    entry: &Entry,
    version: &Version,
    claims: &[Claim],
    target_id: Option<Uuid>,
    now: Timestamp,
) -> Entry {
    let mut next = entry.clone();
    next.loose.retain(|loose| !claims.contains(&loose.claim));
    let known = entry.applied.as_ref().and_then(|applied| applied.target_id);
    apply(&mut next, version.clone(), target_id.or(known), now);
    next
}

/// What the sweep does about an entry.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Tending {
    /// Nothing here is over.
    Rest,
    /// Something is over, but somebody is writing just now: come again when that is concluded.
    Wait,
    /// Replace the entry; nothing is written, because the row is not kept and cannot be.
    Forget(Entry),
    /// Replace the entry and write the abandoned version again, under a claim of one's own.
    Resume(Entry, Version),
    /// Replace the entry and re-assert this version on behalf of these claims.
    Assert(Entry, Version, Vec<Claim>),
}

/// Tends an entry with claims whose lease is over (rule 6).
///
/// An abandoned intent that is newer than what is applied is resumed: it does what a redelivery of its
/// change would do, also when that change does not come again.
pub fn tend(entry: &Entry, claim: Claim, lease: Timestamp, now: Timestamp) -> Tending {
    let mut next = entry.clone();
    let abandoned = next.intent.take_if(|intent| intent.lease <= now);
    next.loose.extend(
        abandoned.as_ref().map(|intent| Loose { claim: intent.claim, lease: intent.lease }),
    );
    let over = expired(&next, now);
    if over.is_empty() {
        return Tending::Rest;
    }
    if next.intent.is_some() {
        return Tending::Wait;
    }
    let unapplied = |intent: &Arc<Intent>| {
        let applied = entry.applied.as_ref();
        applied.is_none_or(|applied| intent.version.is_newer_than(&applied.version))
    };
    if let Some(intent) = abandoned.filter(unapplied).filter(|i| i.version.action.is_some()) {
        let version = intent.version.clone();
        next.intent = Some(Arc::new(Intent { version: version.clone(), claim, lease }));
        return Tending::Resume(next, version);
    }
    let Some(version) = newest(&next, None).filter(|version| version.action.is_some()) else {
        next.loose.retain(|loose| !over.contains(&loose.claim));
        // One of them may have landed, and a removal must find what it left.
        next.touched |= !next.is_written();
        return Tending::Forget(next);
    };
    // It is there already when the answer to an earlier request was lost.
    if next.loose.iter().all(|loose| loose.claim != claim) {
        next.loose.push(Loose { claim, lease });
    }
    let claims = over.into_iter().chain([claim]).collect();
    Tending::Assert(next, version, claims)
}
