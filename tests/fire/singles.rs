//! Batches of distinct keys that one map takes, for tests that count.

use serde_json::json;

use crate::envelope::Held;

/// Changes of `count` keys from `first` on, all of one version.
pub(crate) fn batch(first: usize, count: usize, version: usize) -> Vec<Held> {
    large(first, count, version, 0)
}

/// The same, each event with a note of this length.
pub(crate) fn large(first: usize, count: usize, version: usize, length: usize) -> Vec<Held> {
    let event = |number: usize| {
        let event = json!({
            "TimeStamp": format!("2026-01-01T00:{:02}:{:02}Z", version / 60, version % 60),
            "VersionChangeType": "Changed",
            "Data": {
                "Id": format!("id-{number}"),
                "EntityType": "/Single",
                "Codes": [format!("/Single#SAP:{number}")],
                "Name": name(number, version),
                "single.kind": 100_000_000,
                "single.note": "n".repeat(length),
            },
        });
        let sequence = i64::try_from(version * 1_000 + number).unwrap();
        Held { body: event.to_string(), sequence }
    };
    (first..first + count).map(event).collect()
}

/// What a row is called when it is at this version.
pub(crate) fn name(number: usize, version: usize) -> String {
    format!("single {number} at {version}")
}

/// The same with one event that the target refuses.
pub(crate) fn with_bad(mut batch: Vec<Held>, index: usize) -> Vec<Held> {
    batch[index].body = batch[index].body.replace("100000000", "99");
    batch
}
