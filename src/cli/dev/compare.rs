//! The rows that a consumer holds against the rows that it should hold.

use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;

use super::expected::{Columns, Expected};

/// The difference between a consumer and the model of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Difference {
    /// Keys that were looked at.
    pub(super) keys: usize,
    /// Rows found.
    pub(super) rows: usize,
    /// What is wrong, by key: the columns that differ, `missing` or `unexpected`; the first twenty.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) wrong: BTreeMap<String, String>,
    /// How many are wrong.
    pub(super) wrong_rows: usize,
}

/// How many wrong keys are named.
const NAMED: usize = 20;

/// Compares every key of either side.
pub(super) fn compare(
    expected: &BTreeMap<String, Expected>,
    found: &BTreeMap<String, Columns>,
) -> Difference {
    let mut difference =
        Difference { keys: expected.len(), rows: found.len(), ..Difference::default() };
    let extra = found.keys().filter(|key| !expected.contains_key(*key));
    let wrong = expected.iter().filter_map(|(key, expected)| {
        complaint(expected, found.get(key)).map(|complaint| (key, complaint))
    });
    for (key, complaint) in wrong.chain(extra.map(|key| (key, "unexpected".to_owned()))) {
        difference.wrong_rows += 1;
        if difference.wrong.len() < NAMED {
            difference.wrong.insert(key.clone(), complaint);
        }
    }
    difference
}

fn complaint(expected: &Expected, found: Option<&Columns>) -> Option<String> {
    match (expected, found) {
        (Expected::Exactly(row), Some(found)) => differing(row, found),
        (Expected::Exactly(_), None) => Some("missing".to_owned()),
        (Expected::Leftover(_), None) => None,
        (Expected::Leftover(rows), Some(found)) => {
            let right = rows.iter().any(|row| differing(row, found).is_none());
            (!right).then(|| "unexpected".to_owned())
        }
    }
}

/// The names of the columns that differ; none when the row is as it should be.
fn differing(row: &Columns, found: &Columns) -> Option<String> {
    let differ = row.iter().filter(|(column, value)| !same(value, found.get(*column)));
    let names: Vec<&str> = differ.map(|(column, _)| column.as_str()).collect();
    (!names.is_empty()).then(|| names.join(", "))
}

/// Numbers are compared by value: 12.5 is 12.50. The service takes white space off the end of texts.
fn same(value: &Value, found: Option<&Value>) -> bool {
    let found = found.unwrap_or(&Value::Null);
    match (value, found) {
        (Value::Number(one), Value::Number(other)) => {
            let exact = |number: &serde_json::Number| number.to_string().parse::<Decimal>().ok();
            exact(one).is_some_and(|one| exact(other) == Some(one))
        }
        (Value::String(one), Value::String(other)) => one.trim_end() == other.trim_end(),
        (one, other) => one == other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn row(value: &Value) -> Columns {
        value.as_object().unwrap().clone().into_iter().collect()
    }

    fn judged(expected: Expected, found: Option<Value>) -> usize {
        let found = found.map(|found| ("k".to_owned(), row(&found)));
        compare(&BTreeMap::from([("k".to_owned(), expected)]), &found.into_iter().collect())
            .wrong_rows
    }

    #[test]
    fn a_row_must_be_there_with_every_column_right() {
        let expected = || Expected::Exactly(row(&json!({ "a": 12.5, "b": null, "c": "x" })));
        assert_eq!(judged(expected(), Some(json!({ "a": 12.50, "c": "x", "z": 1 }))), 0);
        assert_eq!(judged(expected(), Some(json!({ "a": 12.51, "c": "x" }))), 1);
        assert_eq!(judged(expected(), Some(json!({ "a": 12.5, "b": "y", "c": "x" }))), 1);
        assert_eq!(judged(expected(), None), 1);
    }

    #[test]
    fn a_leftover_may_be_gone_or_any_earlier_state_but_nothing_else() {
        let expected =
            || Expected::Leftover(vec![row(&json!({ "a": 1 })), row(&json!({ "a": 2 }))]);
        assert_eq!(judged(expected(), None), 0);
        assert_eq!(judged(expected(), Some(json!({ "a": 2 }))), 0);
        assert_eq!(judged(expected(), Some(json!({ "a": 3 }))), 1);
        assert_eq!(judged(Expected::Leftover(Vec::new()), Some(json!({}))), 1);
    }

    #[test]
    fn a_row_that_nobody_expects_is_wrong_and_named() {
        let found = BTreeMap::from([("x".to_owned(), Columns::new())]);
        let difference = compare(&BTreeMap::new(), &found);
        assert_eq!(difference.wrong, BTreeMap::from([("x".to_owned(), "unexpected".to_owned())]));
    }
}
