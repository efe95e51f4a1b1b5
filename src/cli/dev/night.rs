//! The night of a local run: what the ledger remembers compared with what each target holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use super::Error;
use super::stage::Stage;
use crate::cli::output;
use crate::reconcile::{Class, Reports};

/// The function that compares.
pub(super) const NIGHTLY: &str = "nightly";

/// What the comparison of one map came to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Compared {
    /// Rows that agree.
    agree: u64,
    /// Differences by class.
    found: BTreeMap<Class, u64>,
    /// Those that were mended.
    mended: u64,
    /// Those that are left and not as the map wants them.
    open: u64,
}

/// By map.
pub(super) type Night = BTreeMap<String, Compared>;

/// The newest report of every map.
pub(super) async fn read(stage: &Stage, maps: &[String]) -> Result<Night, Error> {
    let reports = Reports::of(Arc::clone(&stage.stores.blobs));
    let mut night = Night::new();
    for map in maps {
        if let Some(report) = reports.get(map, None).await? {
            let compared = Compared {
                agree: report.equal,
                found: report.found,
                mended: report.mended,
                open: report.open,
            };
            night.insert(map.clone(), compared);
        }
    }
    Ok(night)
}

/// Rows of all maps that are left and not as they should be.
pub(super) fn open(night: &Night) -> u64 {
    night.values().map(|compared| compared.open).sum()
}

/// Prints it for people.
pub(super) fn print(title: &str, night: &Night) {
    if night.is_empty() {
        return;
    }
    output::line(format!("\n{title}"));
    for (map, compared) in night {
        let found: Vec<String> = compared
            .found
            .iter()
            .map(|(class, rows)| format!(", {rows} {}", class.word()))
            .collect();
        let Compared { agree, mended, open, .. } = compared;
        let found = found.concat();
        output::line(format!(
            "  {map:<24} {agree:>8} rows agree{found}; {mended} mended, {open} open"
        ));
    }
}
