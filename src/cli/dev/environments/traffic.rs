//! An hour of edits in the group's environment, as people and imports make them.
//!
//! In comes a seed; out come edits of hotels and rooms, in an order that the group's environment can take:
//! a room is made after its hotel, and a hotel is deleted after its rooms. What arrives at the other end
//! in which order is another matter.

use std::collections::BTreeMap;

use jiff::ToSpan;
use jiff::civil::date;
use serde_json::{Value, json};

use crate::chance::Chance;

/// The set of hotels, in addresses.
pub(super) const HOTELS: &str = "acme_hotels";

/// The set of rooms, in addresses.
pub(super) const ROOMS: &str = "acme_rooms";

/// The alternate key column of a set.
pub(super) fn key_of(set: &str) -> &'static str {
    if set == HOTELS { "acme_code" } else { "acme_number" }
}

/// One edit of one row.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Edit {
    /// The row's set.
    pub(super) set: &'static str,
    /// The value of the set's alternate key.
    pub(super) key: String,
    /// What is done to it.
    pub(super) what: What,
}

/// What an edit does.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum What {
    /// The row is made with these columns.
    Create(Value),
    /// These columns change.
    Change(Value),
    /// The row goes.
    Delete,
}

/// How many hotels there are to begin with.
const HOTELS_AT_FIRST: usize = 40;

/// How many rooms each hotel has to begin with, at most.
const ROOMS_AT_FIRST: u64 = 12;

/// Plans the hour: the first hotels and rooms, and so many edits of them.
pub(super) fn hour(edits: usize, chance: &Chance) -> Vec<Edit> {
    let mut plan =
        Plan { chance, rooms: BTreeMap::new(), hotels: 0, numbers: 0, edits: Vec::new() };
    for _ in 0..HOTELS_AT_FIRST {
        plan.hotel();
    }
    let first = plan.edits.len();
    while plan.edits.len() < first + edits {
        plan.edit();
    }
    plan.edits
}

/// What the group holds while the hour is planned.
struct Plan<'a> {
    chance: &'a Chance,
    /// The rooms of each hotel.
    rooms: BTreeMap<String, Vec<String>>,
    hotels: usize,
    numbers: usize,
    edits: Vec<Edit>,
}

impl Plan<'_> {
    /// Of a hundred edits: sixty change a room, fifteen a hotel, eleven make a room, one makes a hotel with
    /// rooms, five close or open a hotel, seven delete a room, and one deletes a hotel with its rooms.
    fn edit(&mut self) {
        let hotel = self.some_hotel();
        match self.chance.below(100) {
            0..60 => self.change_room(&hotel),
            60..75 => self.push(HOTELS, &hotel, What::Change(self.renamed(&hotel))),
            75..86 => self.room(&hotel),
            86 => self.hotel(),
            87..92 => {
                let closed = i32::from(self.chance.below(2) == 0);
                let state = json!({ "statecode": closed, "statuscode": closed + 1 });
                self.push(HOTELS, &hotel, What::Change(state));
            }
            92..99 => self.delete_room(&hotel),
            _ => self.delete_hotel(&hotel),
        }
    }

    fn hotel(&mut self) {
        self.hotels += 1;
        let code = format!("H{:04}", self.hotels);
        let opened = date(1960, 1, 1).saturating_add(self.days(20_000));
        let mut row = self.renamed(&code);
        if let Value::Object(row) = &mut row {
            row.insert("acme_code".to_owned(), Value::from(code.as_str()));
            row.insert("acme_openedon".to_owned(), Value::from(opened.to_string()));
        }
        self.push(HOTELS, &code, What::Create(row));
        self.rooms.insert(code.clone(), Vec::new());
        for _ in 0..=self.chance.below(ROOMS_AT_FIRST) {
            self.room(&code);
        }
    }

    fn room(&mut self, hotel: &str) {
        self.numbers += 1;
        let number = format!("{hotel}-{:05}", self.numbers);
        let row = json!({
            "acme_number": number,
            "acme_name": format!("Room {}", 100 + self.chance.below(800)),
            "acme_beds": 1 + self.chance.below(4),
            "acme_price": self.price(),
            "acme_HotelId@odata.bind": format!("/{HOTELS}(acme_code='{hotel}')"),
        });
        self.push(ROOMS, &number, What::Create(row));
        self.rooms.entry(hotel.to_owned()).or_default().push(number);
    }

    fn change_room(&mut self, hotel: &str) {
        if let Some((_, number)) = self.some_room(hotel) {
            let columns =
                json!({ "acme_price": self.price(), "acme_beds": 1 + self.chance.below(4) });
            self.push(ROOMS, &number, What::Change(columns));
        }
    }

    fn delete_room(&mut self, hotel: &str) {
        if let Some((place, number)) = self.some_room(hotel) {
            self.push(ROOMS, &number, What::Delete);
            self.rooms.entry(hotel.to_owned()).or_default().swap_remove(place);
        }
    }

    fn delete_hotel(&mut self, hotel: &str) {
        for number in self.rooms.remove(hotel).unwrap_or_default() {
            self.push(ROOMS, &number, What::Delete);
        }
        self.push(HOTELS, hotel, What::Delete);
    }

    fn renamed(&self, code: &str) -> Value {
        json!({
            "acme_name": format!("{} {}", self.pick(NAMES), code),
            "acme_city": self.pick(CITIES),
            "acme_rating": 1 + self.chance.below(5),
        })
    }

    fn price(&self) -> Value {
        let cents = 4_000 + self.chance.below(40_000);
        // A decimal with two digits, written as a number.
        format!("{}.{:02}", cents / 100, cents % 100).parse().map_or(Value::Null, Value::Number)
    }

    fn some_hotel(&self) -> String {
        let place = usize::try_from(self.chance.below(self.rooms.len() as u64)).unwrap_or_default();
        self.rooms.keys().nth(place).cloned().unwrap_or_default()
    }

    fn some_room(&self, hotel: &str) -> Option<(usize, String)> {
        let rooms = self.rooms.get(hotel)?;
        let place = usize::try_from(self.chance.below(rooms.len() as u64)).ok()?;
        Some((place, rooms.get(place)?.clone()))
    }

    fn pick(&self, words: &'static [&'static str]) -> &'static str {
        let place = usize::try_from(self.chance.below(words.len() as u64)).unwrap_or_default();
        words.get(place).copied().unwrap_or_default()
    }

    fn days(&self, below: u64) -> jiff::Span {
        i64::try_from(self.chance.below(below)).unwrap_or_default().days()
    }

    fn push(&mut self, set: &'static str, key: &str, what: What) {
        self.edits.push(Edit { set, key: key.to_owned(), what });
    }
}

const NAMES: &[&str] =
    &["Harbour", "Station", "Garden", "Old Town", "Park", "Bridge", "Market", "Lake"];

const CITIES: &[&str] = &["Aarhus", "Lisbon", "Turin", "Ghent", "Malmö", "Porto", "Graz", "Brno"];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_edit_finds_its_row_and_every_room_its_hotel() {
        let edits = hour(3_000, &Chance::seeded(3));
        let mut held: BTreeSet<(&str, &str)> = BTreeSet::new();
        for edit in &edits {
            let row = (edit.set, edit.key.as_str());
            match &edit.what {
                What::Create(_) => {
                    let hotel = edit.key.split('-').next().unwrap_or_default();
                    assert!(edit.set == HOTELS || held.contains(&(HOTELS, hotel)), "{edit:?}");
                    assert!(held.insert(row), "{edit:?}");
                }
                What::Change(_) => assert!(held.contains(&row), "{edit:?}"),
                What::Delete => assert!(held.remove(&row), "{edit:?}"),
            }
        }
        let rooms = |hotel: &str| held.iter().any(|(_, key)| key.starts_with(&format!("{hotel}-")));
        let hotels: Vec<_> =
            edits.iter().filter(|it| it.set == HOTELS && it.what == What::Delete).collect();
        assert!(!hotels.is_empty() && hotels.iter().all(|it| !rooms(&it.key)));
    }

    #[test]
    fn a_seed_plans_the_same_hour_again() {
        assert_eq!(hour(200, &Chance::seeded(5)), hour(200, &Chance::seeded(5)));
        assert_ne!(hour(200, &Chance::seeded(5)), hour(200, &Chance::seeded(6)));
    }
}
