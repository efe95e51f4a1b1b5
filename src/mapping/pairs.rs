//! Maps whose rows are pairs of rows: a many-to-many relationship has two ends and nothing else.
//!
//! Complained of: a key that does not name both ends by lookups, columns, a state or an owner, a mode
//! other than upsert, and removals that would deactivate a pair.

use std::sync::Arc;

use super::config::Defaults;
use super::file::MapFile;
use super::problem::Problems;
use super::removal::{self, Policy};
use super::rule::Plan;
use crate::row::Mode;

/// Columns with their rules.
type Columns = [(Arc<str>, Plan)];

/// Complains of what a pair cannot have.
pub(super) fn complain(
    (file, defaults): (&MapFile, &Defaults),
    removed: Policy,
    (key, fields): (&Columns, &Columns),
    problems: &mut Problems,
) {
    if !file.to.pairs {
        return;
    }
    let ends = key.iter().filter(|(_, plan)| plan.shape.lookup.is_some()).count();
    if ends != 2 || key.len() != 2 {
        let message = "with `pairs` the key names both ends, each by a lookup: acme_hotelid = { from = \
                       \"acme_hotelid.acme_code\", lookup = \"acme_hotel.acme_code\" }";
        problems.error("key", "pair-key", message);
    }
    let has = [
        ("fields", !fields.is_empty()),
        ("state", file.state.is_some()),
        ("owner", file.owner.is_some()),
    ];
    for (section, _) in has.into_iter().filter(|(_, has)| *has) {
        let message = "a pair has two ends and no columns; take this out";
        problems.error(section, "pair-columns", message);
    }
    if file.to.mode != Mode::Upsert {
        let message = "a pair is there or not; take `mode` out";
        problems.error("to/mode", "pair-mode", message);
    }
    let leaves = file.filter.as_ref().and_then(|filter| filter.leaves);
    let leaves = leaves.map(|leaves| removal::left(leaves, file, defaults));
    for (path, policy) in [("removed", Some(removed)), ("filter/leaves", leaves)] {
        if policy.is_some_and(|policy| policy.state().is_some()) {
            let message = "a pair cannot be deactivated; say action = \"delete\" or \"ignore\", or \
                           \"hold\" with then = \"delete\"";
            problems.error(path, "pair-removed", message);
        }
    }
}
