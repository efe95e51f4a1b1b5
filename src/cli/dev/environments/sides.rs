//! What the two environments hold, read over their Web API by somebody who knows nothing of maps, ledgers
//! or handlers, and what differs between them.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::{Map, Value};

use super::super::compare::{self, Difference};
use super::super::expected::{Columns, Expected};
use super::super::web::Web;
use super::traffic::{HOTELS, ROOMS, key_of};

/// The columns that the maps keep in step, by set; a room's hotel is shown by the hotel's code.
const KEPT: [(&str, &[&str]); 2] = [
    (HOTELS, &["acme_name", "acme_city", "acme_openedon", "acme_rating", "statecode"]),
    (ROOMS, &["acme_name", "acme_beds", "acme_price", HOTEL]),
];

/// The lookup of a room's hotel, as it is read.
const HOTEL: &str = "_acme_hotelid_value";

/// The differences of the two environments.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Differences {
    pub(super) hotels: Difference,
    pub(super) rooms: Difference,
}

impl Differences {
    /// How many rows are not the same on both sides.
    pub(super) fn rows(&self) -> usize {
        self.hotels.wrong_rows + self.rooms.wrong_rows
    }
}

/// Reads both sides and compares every row of either.
pub(super) async fn differences(group: &Web, finance: &Web) -> Result<Differences, reqwest::Error> {
    let (mut ours, mut theirs) = (held(group).await?, held(finance).await?);
    let mut compared = |set: &str| {
        let expected = ours.remove(set).unwrap_or_default().into_iter();
        let expected = expected.map(|(key, row)| (key, Expected::Exactly(row))).collect();
        compare::compare(&expected, &theirs.remove(set).unwrap_or_default())
    };
    Ok(Differences { hotels: compared(HOTELS), rooms: compared(ROOMS) })
}

/// Rows by set and key.
async fn held(
    web: &Web,
) -> Result<BTreeMap<&'static str, BTreeMap<String, Columns>>, reqwest::Error> {
    let mut held = BTreeMap::new();
    let mut codes = BTreeMap::new();
    for (set, columns) in KEPT {
        let mut selected = columns.to_vec();
        selected.push(key_of(set));
        let mut rows = BTreeMap::new();
        for mut row in web.rows(set, &selected).await? {
            let key = text(&row, key_of(set)).unwrap_or_default();
            if let Some(id) = text(&row, "acme_hotelid") {
                codes.insert(id, key.clone());
            }
            if let Some(hotel) = row.get_mut(HOTEL) {
                let code = hotel.as_str().and_then(|id| codes.get(id));
                *hotel = code.map_or(Value::Null, |code| Value::from(code.as_str()));
            }
            let kept = columns.iter().map(|column| {
                ((*column).to_owned(), row.get(*column).cloned().unwrap_or_default())
            });
            rows.insert(key, kept.collect());
        }
        held.insert(set, rows);
    }
    Ok(held)
}

fn text(row: &Map<String, Value>, column: &str) -> Option<String> {
    row.get(column)?.as_str().map(str::to_owned)
}
