//! Why two sides differ in a row: a pure function of what is known of it, and what follows from it.
//!
//! Every difference has exactly one class. The order of the rules is the order in which a person would
//! look: is it on its way, does it wait somewhere, does the map want it so, and only then, who is wrong.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::clock;
use crate::fault;
use crate::ledger::Entry;
use crate::order::Order;
use crate::row::{Action, Mode, Removal};

/// Why the two sides differ in a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    /// A change of it is being written, or was made moments ago.
    InFlight,
    /// A change of it stands in quarantine.
    Poisoned,
    /// A change of it waits for a row that it refers to.
    Parked,
    /// Its removal waits for its time, or for approval.
    Held,
    /// The map leaves the row out, and what the target has stays.
    Filtered,
    /// The map cannot make a row of what the source has.
    Refused,
    /// The source changed it, and no event of that arrived: a hole.
    Missed,
    /// The source has it, and nothing of it ever arrived.
    NeverSeen,
    /// The source removed it, and no event of that arrived.
    MissedRemoval,
    /// Somebody else changed the row at the target after it was written.
    Edited,
    /// The target itself holds other values than were written: a plug-in, a rule, a rounding.
    Altered,
    /// It was written, and somebody removed it at the target.
    Deleted,
    /// The target has a row that this system never wrote.
    Theirs,
    /// Several rows of the source have the same key.
    Twins,
}

/// What should be done about a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Act {
    /// Nothing: it is as it should be, or mends itself, or waits for a person.
    Nothing,
    /// The source's row is sent again.
    Write,
    /// The target's row is removed as the map says.
    Remove,
}

impl Class {
    /// The word, as reports have it.
    pub fn word(self) -> &'static str {
        match self {
            Self::InFlight => "in-flight",
            Self::Poisoned => "poisoned",
            Self::Parked => "parked",
            Self::Held => "held",
            Self::Filtered => "filtered",
            Self::Refused => "refused",
            Self::Missed => "missed",
            Self::NeverSeen => "never-seen",
            Self::MissedRemoval => "missed-removal",
            Self::Edited => "edited",
            Self::Altered => "altered",
            Self::Deleted => "deleted",
            Self::Theirs => "theirs",
            Self::Twins => "twins",
        }
    }

    /// One sentence for people.
    pub fn means(self) -> &'static str {
        match self {
            Self::InFlight => "a change of it is on its way, or was made moments ago",
            Self::Poisoned => "a change of it stands in quarantine",
            Self::Parked => "a change of it waits for a row that it refers to",
            Self::Held => "its removal waits for its time or for approval",
            Self::Filtered => "the map leaves the row out, and what the target has stays",
            Self::Refused => "the map cannot make a row of what the source has",
            Self::Missed => "the source changed it and no event of that arrived",
            Self::NeverSeen => "the source has it and nothing of it ever arrived",
            Self::MissedRemoval => "the source removed it and no event of that arrived",
            Self::Edited => "somebody else changed it at the target after it was written",
            Self::Altered => "the target itself holds other values than were written to it",
            Self::Deleted => "it was written, and somebody removed it at the target",
            Self::Theirs => "the target has a row that this system never wrote",
            Self::Twins => "several rows of the source have the same key",
        }
    }

    /// What should be done about it.
    pub fn act(self) -> Act {
        match self {
            Self::Missed | Self::NeverSeen | Self::Edited | Self::Altered | Self::Deleted => {
                Act::Write
            }
            Self::MissedRemoval => Act::Remove,
            Self::InFlight
            | Self::Poisoned
            | Self::Parked
            | Self::Held
            | Self::Filtered
            | Self::Refused
            | Self::Theirs
            | Self::Twins => Act::Nothing,
        }
    }

    /// Whether the two sides are as the maps want them, in spite of it.
    pub fn is_meant(self) -> bool {
        match self {
            Self::Held | Self::Filtered | Self::Theirs => true,
            Self::InFlight
            | Self::Poisoned
            | Self::Parked
            | Self::Refused
            | Self::Missed
            | Self::NeverSeen
            | Self::MissedRemoval
            | Self::Edited
            | Self::Altered
            | Self::Deleted
            | Self::Twins => false,
        }
    }

    /// Whether it is an event that the source owed and that never arrived.
    pub fn is_hole(self) -> bool {
        matches!(self, Self::Missed | Self::NeverSeen | Self::MissedRemoval)
    }
}

/// What the source comes to for one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wanted {
    /// There is no row of it at the source.
    Nothing,
    /// The map leaves it out.
    LeftOut,
    /// The map removes it; whether that does anything at the target.
    Gone(Option<Action>),
    /// The map cannot read it.
    Refused(fault::Kind),
    /// A row, of this order.
    Row(Order),
}

/// What is known of one row that the two sides differ in.
#[allow(clippy::struct_excessive_bools, reason = "independent facts, as they were found")]
#[derive(Debug)]
pub(super) struct Facts<'f> {
    pub(super) wanted: Wanted,
    /// When the source changed it last.
    pub(super) source_changed: Option<Timestamp>,
    /// Whether the target has it; when, and by whom, it was changed last there.
    pub(super) target: Option<(Option<Timestamp>, Option<Uuid>)>,
    /// Whether its state at the target is that of a removed row.
    pub(super) inactive: bool,
    pub(super) entry: &'f Entry,
    /// The open record of it in quarantine, and whether a change of it is parked.
    pub(super) poisoned: bool,
    pub(super) parked: bool,
    pub(super) mode: Mode,
    /// Whether the map removes rows at all.
    pub(super) removes: bool,
    /// Who we are at the target.
    pub(super) me: Option<Uuid>,
    /// When the comparison began: what was written since may stand on one side only.
    pub(super) started: Timestamp,
    pub(super) now: Timestamp,
}

/// A change that is younger than this may well be on its way.
pub(super) const YOUNG: Duration = Duration::from_mins(2);

/// Why the row differs; none when it turns out to be as it should.
pub(super) fn classify(facts: &Facts<'_>) -> Option<Class> {
    let Facts { wanted, entry, .. } = facts;
    let busy = entry.intent.is_some() || !entry.loose.is_empty();
    if let Some(class) = settled_matter(facts) {
        return class;
    }
    let waits = match () {
        () if busy => Some(Class::InFlight),
        () if facts.poisoned => Some(Class::Poisoned),
        () if facts.parked => Some(Class::Parked),
        () if entry.held.is_some() => Some(Class::Held),
        () => None,
    };
    if waits.is_some() {
        return waits;
    }
    match wanted {
        Wanted::Refused(_) => Some(Class::Refused),
        Wanted::Row(order) => Some(of_row(facts, order)),
        Wanted::Nothing | Wanted::Gone(_) | Wanted::LeftOut => Some(of_no_row(facts)),
    }
}

/// What needs no look at who is writing: it is as the map wants it, or nobody's business.
#[allow(clippy::option_option, reason = "undecided, decided as no difference, decided as one")]
fn settled_matter(facts: &Facts<'_>) -> Option<Option<Class>> {
    let there = facts.target.is_some();
    let settled = match (&facts.wanted, facts.mode) {
        // a map that only updates makes no row, and one that only creates changes none
        (Wanted::Row(_), Mode::Update) => !there,
        (Wanted::Row(_), Mode::Insert) => there,
        (Wanted::Row(_), Mode::Upsert) | (Wanted::Refused(_), _) => false,
        (Wanted::Nothing | Wanted::Gone(_) | Wanted::LeftOut, _) => {
            !there || (!facts.entry.is_known() && removed_inactive(facts))
        }
    };
    settled.then_some(None)
}

/// A removed row that stands there inactive, as it was left.
fn removed_inactive(facts: &Facts<'_>) -> bool {
    let applied =
        facts.entry.applied.as_ref().and_then(|applied| applied.version.action.as_deref());
    facts.inactive && matches!(applied, Some(Action::Remove(Removal::Deactivate(_))))
}

fn of_row(facts: &Facts<'_>, order: &Order) -> Class {
    let young = |at: Option<Timestamp>| {
        at.is_some_and(|at| clock::between(at, facts.now) < YOUNG || at > facts.now)
    };
    let newer = facts.entry.applied.as_ref().is_none_or(|applied| {
        let known = &applied.version.order;
        match (order.version, known.version) {
            (Some(mine), Some(theirs)) => mine > theirs,
            (Some(_) | None, _) => order.emitted > known.emitted,
        }
    });
    if newer && young(facts.source_changed) {
        return Class::InFlight;
    }
    let Some(applied) = &facts.entry.applied else { return Class::NeverSeen };
    if newer {
        return Class::Missed;
    }
    match facts.target {
        None => Class::Deleted,
        Some((changed, by)) => {
            let later = changed.is_some_and(|changed| changed > applied.at);
            let other = matches!((by, facts.me), (Some(by), Some(me)) if by != me);
            if later || other { Class::Edited } else { Class::Altered }
        }
    }
}

/// The target has a row that the source does not give it.
fn of_no_row(facts: &Facts<'_>) -> Class {
    let applied = facts.entry.applied.as_ref();
    if !facts.entry.is_known() {
        return Class::Theirs;
    }
    // the source may have made it when its rows were read already
    if applied.is_some_and(|applied| applied.at >= facts.started) {
        return Class::InFlight;
    }
    match &facts.wanted {
        Wanted::LeftOut => Class::Filtered,
        Wanted::Nothing if !facts.removes => Class::Filtered,
        Wanted::Nothing | Wanted::Gone(_) | Wanted::Refused(_) | Wanted::Row(_) => {
            Class::MissedRemoval
        }
    }
}

#[cfg(test)]
mod tests;
