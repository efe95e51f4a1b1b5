//! Any order, any duplicates, any cut into batches: the same final rows, through the whole of Concord.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::support::running::Running;

const MAP: &str = r#"
map = "thing"
version = 1
from = { system = "mdm", entity = "thing" }
to = { system = "sales", table = "acme_customer" }
key = { acme_number = { from = "number" } }
removed = { action = "ignore" }
fields = { acme_name = { from = "name" }, acme_seq = { from = "rank", integer = true } }
"#;

/// How many plans are tried.
const CASES: u64 = 12;

fn event(key: usize, version: usize) -> Value {
    json!({
        "id": format!("id-{key}"),
        "at": format!("2026-03-01T00:{version:02}:00Z"),
        "number": format!("K'{key}"),
        "name": format!("thing {key} at {version}"),
        "rank": version,
    })
}

#[tokio::test]
async fn any_order_any_duplicates_and_any_cut_into_batches_end_at_the_same_rows() {
    for seed in 0..CASES {
        let mut dice = Rng::with_seed(seed);
        let running = Running::start(MAP, "").await;
        let (mut events, mut newest) = (Vec::new(), BTreeMap::new());
        for key in 0..=dice.usize(0..12) {
            let versions = 1 + dice.usize(0..6);
            newest.insert(format!("K'{key}"), format!("thing {key} at {versions}"));
            for version in 1..=versions {
                (0..=dice.usize(0..3)).for_each(|_| events.push(event(key, version)));
            }
        }
        dice.shuffle(&mut events);
        let mut rest = events.as_slice();
        while !rest.is_empty() {
            let (batch, later) = rest.split_at(1 + dice.usize(0..rest.len()));
            let report = running.report(batch).await;
            let outcomes: usize = report.outcomes.values().sum();
            assert_eq!(outcomes, batch.len(), "seed {seed}: {report:?}");
            rest = later;
        }
        let rows = running.rows("acme_customers", &["acme_number", "acme_name"]).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let rows: BTreeMap<String, String> =
            rows.iter().map(|row| (text(&row[0]), text(&row[1]))).collect();
        assert_eq!(rows, newest, "seed {seed}");
    }
}
