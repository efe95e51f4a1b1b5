//! Keys and actions as JSON: what serde makes of them, in a fraction of the time.

use std::io::Write as _;
use std::sync::Arc;

use super::{Action, Key, Value};
use crate::quote;

/// The usual length of an action.
const USUAL: usize = 2_048;

impl Key {
    /// The key as the ledger keeps it.
    pub fn json(&self) -> String {
        let mut json = Vec::with_capacity(128);
        push_cells(&self.0, &mut json);
        text(json)
    }
}

impl Action {
    /// The action as the ledger keeps it.
    pub fn json(&self) -> String {
        let mut json = Vec::with_capacity(USUAL);
        match self {
            Self::Upsert(columns) => {
                json.extend_from_slice(br#"{"upsert":{"set":"#);
                push_cells(&columns.values, &mut json);
                if let Some(state) = &columns.state {
                    json.extend_from_slice(br#","state":"#);
                    push(state, &mut json);
                }
                if let Some(owner) = &columns.owner {
                    json.extend_from_slice(br#","owner":"#);
                    push(owner, &mut json);
                }
                json.extend_from_slice(b"}}");
            }
            Self::Remove(_) | Self::Hold { .. } => push(self, &mut json),
        }
        text(json)
    }
}

fn push_cells(cells: &[(Arc<str>, Value)], json: &mut Vec<u8>) {
    json.push(b'[');
    for (place, (column, value)) in cells.iter().enumerate() {
        json.extend_from_slice(if place == 0 { b"[" } else { b",[" });
        quote::push(column, json);
        json.push(b',');
        push_value(value, json);
        json.push(b']');
    }
    json.push(b']');
}

fn push_value(value: &Value, json: &mut Vec<u8>) {
    match value {
        Value::Null => json.extend_from_slice(b"null"),
        Value::Text(text) => quote::push(text, json),
        Value::Integer(number) => quote::push_number(*number, json),
        Value::Boolean(yes) => json.extend_from_slice(if *yes { b"true" } else { b"false" }),
        Value::Date(day) => {
            json.extend_from_slice(br#"{"date":"#);
            quote::push_date(*day, json);
            json.push(b'}');
        }
        Value::Time(moment) => {
            json.extend_from_slice(br#"{"time":"#);
            quote::push_time(*moment, json);
            json.push(b'}');
        }
        Value::Decimal(number) => {
            let _infallible = write!(json, r#"{{"decimal":"{number}"}}"#);
        }
        Value::Guid(_) | Value::Choices(_) | Value::Lookup(_) => push(value, json),
    }
}

fn push(part: &impl serde::Serialize, json: &mut Vec<u8>) {
    let _infallible = serde_json::to_writer(json, part);
}

fn text(json: Vec<u8>) -> String {
    String::from_utf8(json).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use proptest::prelude::*;

    use super::*;
    use crate::row::{Columns, Owner, Removal, State};

    fn value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            "\\PC{0,20}|[\\x00-\\x7f]{0,20}".prop_map(Value::Text),
            any::<i64>().prop_map(Value::Integer),
            any::<bool>().prop_map(Value::Boolean),
            (any::<i64>(), 0..9_u32).prop_map(|(number, scale)| Value::Decimal(
                rust_decimal::Decimal::new(number, scale)
            )),
            any::<u128>().prop_map(|id| Value::Guid(uuid::Uuid::from_u128(id))),
            any::<i32>().prop_map(|at| Value::Time(Timestamp::from_second(at.into()).unwrap())),
            (1..3_000_i16, 1..12_i8).prop_map(|(y, m)| Value::Date(jiff::civil::date(y, m, 28))),
            prop::collection::vec(any::<i32>(), 0..3).prop_map(Value::Choices),
        ]
    }

    fn cells() -> impl Strategy<Value = Vec<(Arc<str>, Value)>> {
        prop::collection::vec(("[a-z_\"]{0,12}".prop_map(Arc::from), value()), 0..6)
    }

    proptest! {
        #[test]
        fn keys_and_upserts_are_written_as_serde_writes_them(
            values in cells(),
            state in prop::option::of((any::<i32>(), prop::option::of(any::<i32>()))),
            owner in prop::option::of(any::<u128>()),
        ) {
            let key = Key(values.clone());
            prop_assert_eq!(key.json(), serde_json::to_string(&key).unwrap());
            let state = state.map(|(state, status)| State { state, status });
            let owner = owner.map(|id| Owner::Team(uuid::Uuid::from_u128(id)));
            let action = Action::Upsert(Columns { values, state, owner });
            prop_assert_eq!(action.json(), serde_json::to_string(&action).unwrap());
        }
    }

    #[test]
    fn removals_are_written_as_serde_writes_them() {
        let hold = Action::Hold { due: Timestamp::UNIX_EPOCH, then: Removal::Delete };
        for action in [Action::Remove(Removal::Delete), hold] {
            assert_eq!(action.json(), serde_json::to_string(&action).unwrap());
        }
    }
}
