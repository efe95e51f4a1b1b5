//! Decisions that people recorded: each says why, who and when.

use super::Lint;
use crate::mapping::file::{Decision, Winner};

impl Lint<'_> {
    pub(super) fn decisions(&mut self) {
        let map = self.map;
        for (index, decision) in map.decisions.iter().enumerate() {
            let missing = missing(decision);
            if !missing.is_empty() {
                let what = match decision.winner {
                    Some(Winner::LastWrite) => "last-write wins",
                    None => "a decision",
                };
                let message = format!("{what} needs {} on record", missing.join(", "));
                self.problems.error(&format!("decision/{index}"), "decision-unexplained", message);
            }
            for (at, column) in decision.columns.iter().enumerate() {
                if !written(map).any(|known| known == *column) {
                    let known: Vec<String> = written(map).collect();
                    let message = format!("`{column}` is no column of this map");
                    let path = format!("decision/{index}/columns/{at}");
                    let known = known.iter().map(String::as_str);
                    self.problems.unknown(&path, ("column-unknown", column), known, message);
                }
            }
        }
    }
}

/// What a decision does not say.
pub(super) fn missing(decision: &Decision) -> Vec<&'static str> {
    let said = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.trim().is_empty());
    let parts = [
        ("a reason", said(&decision.reason)),
        ("an owner", said(&decision.owner)),
        ("a date", decision.date.is_some()),
    ];
    parts.into_iter().filter(|(_, said)| !said).map(|(name, _)| name).collect()
}

/// The columns that a map writes, besides its key.
pub(super) fn written(map: &crate::mapping::Map) -> impl Iterator<Item = String> {
    let fields = map.fields.iter().map(|(column, _)| column.to_string());
    let state = map.state.is_some().then(|| "statecode".to_owned());
    let owner = map.owner.is_some().then(|| "ownerid".to_owned());
    fields.chain(state).chain(owner).collect::<Vec<_>>().into_iter()
}
