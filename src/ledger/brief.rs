//! What a decision needs of a row that is applied: its kind and its state, not its columns.
//!
//! A row goes in, whole or as it is stored; a brief one comes out. Only a quiet entry may be brief: where
//! something is under way or loose, the whole row may have to be written again.

use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserialize;

use crate::row::{Action, Columns, Owner, Removal, State};

/// Makes rows brief.
#[derive(Debug)]
pub(super) struct Briefs {
    /// An upsert of which nothing more is remembered: most of them.
    plain: Arc<Action>,
}

/// An [`Action`] without its columns.
#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Stored {
    Upsert(Rest),
    Remove(Removal),
    Hold { due: Timestamp, then: Removal },
}

#[derive(Deserialize)]
struct Rest {
    #[serde(default)]
    state: Option<State>,
    #[serde(default)]
    owner: Option<Owner>,
}

impl Default for Briefs {
    fn default() -> Self {
        Self { plain: Arc::new(Action::Upsert(Columns::default())) }
    }
}

impl Briefs {
    /// What is remembered of a row.
    pub(super) fn of(&self, action: &Arc<Action>) -> Arc<Action> {
        match &**action {
            Action::Upsert(columns) => self.upsert(columns.state, columns.owner),
            Action::Remove(_) | Action::Hold { .. } => Arc::clone(action),
        }
    }

    /// The same of a row as it is stored; its columns are passed over.
    pub(super) fn read(&self, json: &str) -> serde_json::Result<Arc<Action>> {
        Ok(match serde_json::from_str(json)? {
            Stored::Upsert(Rest { state, owner }) => self.upsert(state, owner),
            Stored::Remove(removal) => Arc::new(Action::Remove(removal)),
            Stored::Hold { due, then } => Arc::new(Action::Hold { due, then }),
        })
    }

    fn upsert(&self, state: Option<State>, owner: Option<Owner>) -> Arc<Action> {
        if state.is_none() && owner.is_none() {
            return Arc::clone(&self.plain);
        }
        Arc::new(Action::Upsert(Columns { state, owner, ..Columns::default() }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::row::Value;

    #[test]
    fn a_stored_row_is_read_as_the_same_brief_that_is_remembered_of_it() {
        let briefs = Briefs::default();
        let state = Some(State { state: 1, status: Some(2) });
        let values = vec![("name".into(), Value::Text("\"A\"".into()))];
        let hold = Action::Hold { due: Timestamp::UNIX_EPOCH, then: Removal::Delete };
        for action in [
            Action::Upsert(Columns { values: values.clone(), ..Columns::default() }),
            Action::Upsert(Columns { values, state, owner: None }),
            Action::Remove(Removal::Deactivate(State { state: 1, status: None })),
            hold,
        ] {
            let json = serde_json::to_string(&action).unwrap();
            assert_eq!(briefs.read(&json).unwrap(), briefs.of(&Arc::new(action)), "{json}");
        }
    }
}
