//! What becomes of a row that the source removed, or that left the map's filter.

use jiff::{SignedDuration, Timestamp};

use super::config::Defaults;
use super::file::{Leaves, MapFile, Removed, RemovedAction, Then};
use super::problem::Problems;
use crate::row::{Action, Ask, Mode, Removal, State};

/// How long a hold lasts unless the map says otherwise: CluedIn sends removals for merges, filters and
/// resends alike (CluedIn streams: removals).
const HOURS: u32 = 24;
/// The longest hold: a year.
const LONGEST: u32 = 24 * 366;
/// Inactive, as most tables of Dataverse number it.
const INACTIVE: State = State { state: 1, status: Some(2) };

/// A compiled policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Policy {
    /// Nothing.
    Ignore,
    /// At once.
    Now(Removal),
    /// After a while, unless the thing comes back.
    Hold {
        /// How long, from when the source said it.
        hours: u32,
        /// And then.
        then: Removal,
    },
}

impl Policy {
    /// What is to be done about a removal that the source sent then; none when nothing is.
    pub fn action(self, emitted: Timestamp) -> Option<Action> {
        match self {
            Self::Ignore => None,
            Self::Now(removal) => Some(Action::Remove(removal)),
            Self::Hold { hours, then } => {
                let pause = SignedDuration::from_hours(hours.into());
                let due = emitted.checked_add(pause).unwrap_or(Timestamp::MAX);
                Some(Action::Hold { due, then })
            }
        }
    }

    /// The state that a deactivated row takes, if it comes to that.
    pub fn state(self) -> Option<State> {
        match self {
            Self::Now(Removal::Deactivate(state))
            | Self::Hold { then: Removal::Deactivate(state), .. } => Some(state),
            Self::Ignore
            | Self::Now(Removal::Delete)
            | Self::Hold { then: Removal::Delete, .. } => None,
        }
    }
}

/// Whether somebody wrote down what becomes of removed rows. A map that only creates rows says it so.
pub(super) fn is_stated(file: &MapFile, defaults: &Defaults) -> bool {
    file.to.mode == Mode::Insert || file.removed.is_some() || defaults.removed.is_some()
}

/// Compiles `[removed]`: what the map says, else what `concord.toml` says, else hold and deactivate.
/// A map that only creates rows removes none.
pub(super) fn removed(file: &MapFile, defaults: &Defaults, problems: &mut Problems) -> Policy {
    if file.to.mode == Mode::Insert {
        inserts(file, problems);
        return Policy::Ignore;
    }
    let stated = file.removed.as_ref().or(defaults.removed.as_ref());
    let Some(removed) = stated else {
        return Policy::Hold { hours: HOURS, then: Removal::Deactivate(INACTIVE) };
    };
    if file.removed.is_some() {
        complain(removed, problems);
    }
    match removed.action.unwrap_or(RemovedAction::Hold) {
        RemovedAction::Ignore => Policy::Ignore,
        RemovedAction::Delete => Policy::Now(Removal::Delete),
        RemovedAction::Deactivate => Policy::Now(Removal::Deactivate(inactive(removed))),
        RemovedAction::Hold => hold(removed),
    }
}

/// Compiles `leaves` of `[filter]`, in the words of `[removed]`.
pub(super) fn left(leaves: Leaves, file: &MapFile, defaults: &Defaults) -> Policy {
    let fallback = Removed::default();
    let removed = file.removed.as_ref().or(defaults.removed.as_ref()).unwrap_or(&fallback);
    match leaves {
        Leaves::Keep => Policy::Ignore,
        Leaves::Delete => Policy::Now(Removal::Delete),
        Leaves::Deactivate => Policy::Now(Removal::Deactivate(inactive(removed))),
        Leaves::Hold => hold(removed),
    }
}

/// How many removals are carried out without asking.
pub(super) fn ask(file: &MapFile, defaults: &Defaults) -> Ask {
    let said = |of: fn(&Removed) -> Option<u32>| {
        let own = file.removed.as_ref().and_then(of);
        own.or_else(|| defaults.removed.as_ref().and_then(of))
    };
    let usual = Ask::default();
    Ask {
        above: said(|removed| removed.ask_above).unwrap_or(usual.above),
        percent: said(|removed| removed.ask_percent).unwrap_or(usual.percent),
    }
}

fn hold(removed: &Removed) -> Policy {
    let then = match removed.then.unwrap_or(Then::Deactivate) {
        Then::Delete => Removal::Delete,
        Then::Deactivate => Removal::Deactivate(inactive(removed)),
    };
    Policy::Hold { hours: removed.hours.unwrap_or(HOURS).min(LONGEST), then }
}

fn inactive(removed: &Removed) -> State {
    match (removed.state, removed.status) {
        (None, None) => INACTIVE,
        (None, status) => State { state: INACTIVE.state, status },
        (Some(state), status) => State { state, status },
    }
}

fn inserts(file: &MapFile, problems: &mut Problems) {
    let removed = file.removed.as_ref();
    let removes = removed.is_some_and(|r| r.action != Some(RemovedAction::Ignore));
    let leaves = file.filter.as_ref().and_then(|filter| filter.leaves);
    for (path, removes) in [
        ("removed", removes),
        ("filter/leaves", leaves.is_some_and(|leaves| leaves != Leaves::Keep)),
    ] {
        if removes {
            let message = "a map with mode = \"insert\" creates rows and touches none that is there; \
                           take this out, or use another mode";
            problems.error(path, "mode-removes", message);
        }
    }
}

fn complain(removed: &Removed, problems: &mut Problems) {
    let holds = matches!(removed.action, None | Some(RemovedAction::Hold));
    for (key, stands) in [("hours", removed.hours.is_some()), ("then", removed.then.is_some())] {
        if stands && !holds {
            let message = format!("`{key}` means nothing unless the action is \"hold\"");
            problems.error(&format!("removed/{key}"), "key-alone", message);
        }
    }
    if removed.hours.is_some_and(|hours| hours > LONGEST) {
        problems.error("removed/hours", "hold-long", "a hold lasts a year at most");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(text: &str) -> Policy {
        let file: MapFile = toml::from_str(text).unwrap();
        removed(&file, &Defaults::default(), &mut Problems::new(std::sync::Arc::default()))
    }

    #[test]
    fn a_map_that_says_nothing_holds_for_a_day_and_then_deactivates() {
        let expected = Policy::Hold { hours: 24, then: Removal::Deactivate(INACTIVE) };
        assert_eq!(policy(""), expected);
        assert_eq!(policy("[removed]"), expected);
        let emitted: Timestamp = "2026-03-14T09:00:00Z".parse().unwrap();
        let due = "2026-03-15T09:00:00Z".parse().unwrap();
        let then = Removal::Deactivate(INACTIVE);
        assert_eq!(expected.action(emitted), Some(Action::Hold { due, then }));
    }

    #[test]
    fn each_action_is_what_the_map_says() {
        let own = State { state: 3, status: Some(7) };
        for (text, expected) in [
            ("action = 'ignore'", Policy::Ignore),
            ("action = 'delete'", Policy::Now(Removal::Delete)),
            ("action = 'deactivate'\nstate = 3\nstatus = 7", Policy::Now(Removal::Deactivate(own))),
            ("hours = 2\nthen = 'delete'", Policy::Hold { hours: 2, then: Removal::Delete }),
        ] {
            assert_eq!(policy(&format!("[removed]\n{text}")), expected, "{text}");
        }
    }

    #[test]
    fn a_map_that_only_creates_rows_removes_none_and_may_not_say_otherwise() {
        let problems = |text: &str| {
            let text = format!("to = {{ system = 's', table = 't', mode = 'insert' }}\n{text}");
            let file: MapFile = toml::from_str(&text).unwrap();
            let mut problems = Problems::new(std::sync::Arc::default());
            let policy = removed(&file, &Defaults::default(), &mut problems);
            assert_eq!(policy, Policy::Ignore, "{text}");
            problems.into_vec().len()
        };
        assert_eq!(problems(""), 0);
        assert_eq!(problems("[removed]\naction = 'ignore'"), 0);
        assert_eq!(problems("[removed]\naction = 'delete'"), 1);
        assert_eq!(problems("[filter]\nleaves = 'keep'"), 0);
        assert_eq!(problems("[removed]\n[filter]\nleaves = 'hold'"), 2);
    }

    #[test]
    fn a_hold_near_the_end_of_time_does_not_overflow() {
        let hold = Policy::Hold { hours: LONGEST, then: Removal::Delete };
        let Some(Action::Hold { due, .. }) = hold.action(Timestamp::MAX) else { panic!() };
        assert_eq!(due, Timestamp::MAX);
    }
}
