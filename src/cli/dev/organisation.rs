//! The shipped input: the provinces, states and districts of ISO 3166-2 as organisations of master data.
//!
//! Names, kinds, codes and countries are real (crate `rust_iso3166`, Apache-2.0). Customer numbers,
//! dates, amounts, segments and addresses are made up from the seed; `example.org` belongs to nobody.

use jiff::ToSpan;
use jiff::civil::{Date, date};
use rust_iso3166::iso3166_2::{SUBDIVISION_MAP, Subdivision};
use uuid::Uuid;

use crate::chance::Chance;

/// What master data says about one organisation at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct State {
    pub(super) name: String,
    pub(super) kind: String,
    /// ISO 3166-1 alpha-3, or what a bad record says instead.
    pub(super) country: String,
    pub(super) opened: Date,
    /// Hundredths.
    pub(super) credit: u64,
    pub(super) segment: &'static str,
    pub(super) status: &'static str,
    pub(super) web_page: Option<String>,
    pub(super) note: Option<String>,
    /// Whether SAP knows it.
    pub(super) numbered: bool,
}

/// One organisation with its first state.
#[derive(Clone, Debug)]
pub(super) struct Organisation {
    pub(super) id: Uuid,
    /// ISO 3166-2, `DK-84`.
    pub(super) code: &'static str,
    /// Ten digits.
    pub(super) number: String,
    pub(super) first: State,
}

/// The first `most` organisations in the order of a seeded shuffle: the same for the same seed.
pub(super) fn all(most: usize, chance: &Chance) -> Vec<Organisation> {
    let mut places: Vec<&Subdivision> = SUBDIVISION_MAP.values().collect();
    places.sort_unstable_by_key(|place| place.code);
    let numbered = places.into_iter().zip(100_001_u64..);
    let mut shuffled: Vec<_> = numbered.map(|pair| (chance.below(u64::MAX), pair)).collect();
    shuffled.sort_unstable_by_key(|(drawn, (place, _))| (*drawn, place.code));
    let chosen = shuffled.into_iter().take(most);
    chosen.filter_map(|(_, (place, number))| organisation(place, number, chance)).collect()
}

fn organisation(place: &Subdivision, number: u64, chance: &Chance) -> Option<Organisation> {
    let country = rust_iso3166::from_alpha2(place.country_code)?;
    let opened = date(1990, 1, 1).checked_add(chance_i64(chance, 12_000).days()).ok()?;
    let first = State {
        name: place.name.to_owned(),
        kind: place.subdivision_type.to_owned(),
        country: country.alpha3.to_owned(),
        opened,
        credit: chance.below(5_000_000),
        segment: if chance.below(8) == 0 { "Key" } else { "Standard" },
        status: "Active",
        web_page: (chance.below(3) > 0)
            .then(|| format!("https://example.org/{}", place.code.to_ascii_lowercase())),
        note: None,
        numbered: true,
    };
    let id = Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("iso3166-2:{}", place.code).as_bytes());
    Some(Organisation { id, code: place.code, number: format!("{number:010}"), first })
}

impl State {
    /// The next state of the same organisation: money, segment, status and web page move.
    pub(super) fn changed(&self, chance: &Chance) -> Self {
        Self {
            credit: chance.below(5_000_000),
            segment: if self.segment == "Key" { "Standard" } else { "Key" },
            status: ["Active", "Blocked", "Closed"]
                .into_iter()
                .nth(usize::try_from(chance.below(3)).unwrap_or_default())
                .unwrap_or("Active"),
            web_page: self.web_page.is_none().then(|| "https://example.org/new".to_owned()),
            ..self.clone()
        }
    }
}

/// Hundredths as a decimal text with both digits.
pub(super) fn money(hundredths: u64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn chance_i64(chance: &Chance, end: u64) -> i64 {
    i64::try_from(chance.below(end)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_organisations_and_there_are_thousands() {
        let (one, two) = (all(usize::MAX, &Chance::seeded(7)), all(usize::MAX, &Chance::seeded(7)));
        assert!(one.len() > 5_000, "{}", one.len());
        assert!(one.iter().zip(&two).all(|(a, b)| a.code == b.code && a.first == b.first));
    }

    #[test]
    fn every_country_of_the_input_is_in_the_vocabulary_of_logistics() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/maps/vocabularies/countries.csv");
        let text = std::fs::read_to_string(file).unwrap();
        for organisation in all(usize::MAX, &Chance::seeded(7)) {
            let country = &organisation.first.country;
            assert!(text.contains(&format!(",{country},")), "{country}");
        }
    }

    #[test]
    fn money_keeps_its_digits() {
        assert_eq!([money(5), money(1250), money(99_999)], ["0.05", "12.50", "999.99"]);
    }
}
