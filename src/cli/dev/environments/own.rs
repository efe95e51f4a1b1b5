//! Finance's own columns: filled by Finance in the middle of the hour, and looked at in the end.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Value, json};

use super::super::web::Web;
use super::traffic::{HOTELS, key_of};

/// The column of a hotel that only Finance knows.
const COLUMN: &str = "acme_costcentre";

/// What Finance wrote, by hotel.
pub(super) struct Own(BTreeMap<String, Value>);

/// What is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Left {
    /// Of the hotels that are still there, how many Finance had filled.
    pub(super) filled: usize,
    /// Of those, how many are as Finance left them.
    pub(super) kept: usize,
}

impl Own {
    /// Fills the column of every hotel that is there.
    pub(super) async fn fill(finance: &Web) -> Result<Self, reqwest::Error> {
        let mut filled = BTreeMap::new();
        for code in codes(finance).await?.into_keys() {
            let cost_centre = Value::from(format!("CC-{code}"));
            let columns = json!({ COLUMN: cost_centre });
            finance.change(HOTELS, (key_of(HOTELS), &code), &columns).await?;
            filled.insert(code, cost_centre);
        }
        Ok(Self(filled))
    }

    /// Looks at them again.
    pub(super) async fn left(&self, finance: &Web) -> Result<Left, reqwest::Error> {
        let found = codes(finance).await?;
        let there = self.0.iter().filter_map(|(code, value)| Some((value, found.get(code)?)));
        let (filled, kept) = there.fold((0, 0), |(filled, kept), (ours, found)| {
            (filled + 1, kept + usize::from(ours == found))
        });
        Ok(Left { filled, kept })
    }
}

/// The column of every hotel, by code.
async fn codes(finance: &Web) -> Result<BTreeMap<String, Value>, reqwest::Error> {
    let rows = finance.rows(HOTELS, &[key_of(HOTELS), COLUMN]).await?;
    let coded = rows.into_iter().filter_map(|mut row| {
        let code = row.get(key_of(HOTELS))?.as_str()?.to_owned();
        Some((code, row.remove(COLUMN).unwrap_or_default()))
    });
    Ok(coded.collect())
}
