//! The row's state and status: one pair for all rows, or by a value.

use indexmap::IndexMap;

use super::file::{Handed, StateRule};
use super::problem::Problems;
use super::rule::Plan;
use super::rule::compile::Bench;
use super::rule::value_unknown;
use super::scene::Scene;
use super::trace::Trail;
use crate::fault::Fault;
use crate::row::State;

/// A compiled `[state]`.
#[derive(Debug)]
pub enum StatePlan {
    /// This pair for all rows.
    Always(State),
    /// By a value.
    By {
        /// The value.
        plan: Box<Plan>,
        /// Value = pair.
        values: IndexMap<String, State>,
        /// When the value is missing, null or empty.
        default: Option<State>,
    },
}

impl StatePlan {
    /// Compiles the section.
    pub fn compile(rule: &StateRule, bench: &mut Bench<'_>) -> Option<Self> {
        let pair = rule.state.map(|state| State { state, status: rule.status });
        match (pair, &rule.by) {
            (Some(pair), None) => Some(Self::Always(pair)),
            (None, Some(by)) => {
                if rule.values.is_empty() {
                    let message = "`by` means nothing without `values`";
                    bench.problems.error("state", "key-alone", message);
                }
                let plan = Box::new(bench.rule("state/by", by));
                Some(Self::By { plan, values: rule.values.clone(), default: rule.default })
            }
            (Some(_), Some(_)) | (None, None) => {
                let message = "name a pair (`state`, `status`) or `by` and `values`";
                bench.problems.error("state", "state-rule", message);
                None
            }
        }
    }

    /// The pair of a change; none when its state is to be left alone.
    pub fn value(&self, scene: &Scene<'_>, trail: &mut Trail) -> Result<Option<State>, Fault> {
        let (plan, values, default) = match self {
            Self::Always(state) => return Ok(Some(*state)),
            Self::By { plan, values, default } => (plan, values, default),
        };
        let datum = plan.datum(scene, trail)?;
        if datum.is_blank() {
            return Ok(*default);
        }
        let found = datum.text().and_then(|text| values.get(&*text).copied());
        let known = || values.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
        let unknown = || value_unknown(format!("{} is none of {}", plan.shown, known()));
        found.map(Some).ok_or_else(unknown)
    }

    /// Complains of a hand-off that some pair of the map has no value in. `others` are the pairs of
    /// removals, with the paths that they stand at.
    pub fn handed(
        &self,
        rule: &StateRule,
        others: impl IntoIterator<Item = (String, State)>,
        problems: &mut Problems,
    ) {
        let Some(hand_off) = &rule.hand_off else { return };
        if hand_off.column.is_empty() {
            let message = "`column` names the column that is written instead of state and status";
            problems.error("state/hand_off", "key-missing-in-file", message);
        }
        let listed = |pair: State| {
            let same = |one: &Handed| one.state == pair.state && one.status == pair.status;
            hand_off.values.is_empty() || hand_off.values.iter().any(same)
        };
        let all = self.pairs().into_iter().chain(others);
        for (path, pair) in all.filter(|(_, pair)| !listed(*pair)) {
            let status =
                pair.status.map(|status| format!(", status = {status}")).unwrap_or_default();
            let message = format!(
                "`[state.hand_off]` has no value for this pair; add {{ state = {}{status}, value = … }}",
                pair.state
            );
            problems.error(&path, "hand-off-missing", message);
        }
    }

    /// Every pair it can yield, with the path it stands at.
    pub fn pairs(&self) -> Vec<(String, State)> {
        match self {
            Self::Always(state) => vec![("state/state".to_owned(), *state)],
            Self::By { values, default, .. } => {
                let listed =
                    values.iter().map(|(value, state)| (format!("state/values/{value}"), *state));
                let fallback = default.iter().map(|state| ("state/default".to_owned(), *state));
                listed.chain(fallback).collect()
            }
        }
    }
}
