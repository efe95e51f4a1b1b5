//! ISO 3166-1: any form in, the form the map names out.
//!
//! Inputs that are in use but not in ISO (Kosovo, the EU's `EL` and `UK`) are known here; a map's own
//! overlay comes first. Source of the list: crate `rust_iso3166`.

use std::sync::Arc;

use super::{inconvertible, value_unknown};
use crate::fault::Fault;
use crate::mapping::file::CountryForm;
use crate::mapping::vocabulary::Vocabulary;

/// Inputs in use that ISO does not have: input, alpha-2, alpha-3, numeric, name.
const IN_USE: [[&str; 5]; 5] = [
    ["XK", "XK", "XKX", "", "Kosovo"],
    ["XKX", "XK", "XKX", "", "Kosovo"],
    ["Kosovo", "XK", "XKX", "", "Kosovo"],
    ["UK", "GB", "GBR", "826", "United Kingdom of Great Britain and Northern Ireland"],
    ["EL", "GR", "GRC", "300", "Greece"],
];

/// The columns an overlay must have.
pub const OVERLAY: [&str; 5] = ["input", "alpha2", "alpha3", "numeric", "name"];

/// To one form.
#[derive(Clone, Debug)]
pub struct Countries {
    /// The form.
    pub to: CountryForm,
    /// The map's own inputs.
    pub overlay: Option<Arc<Vocabulary>>,
}

impl Countries {
    /// Converts an input in whatever form.
    pub fn convert(&self, text: &str) -> Result<String, Fault> {
        if let Some(found) = self.own(text).or_else(|| self.in_use(text)) {
            let missing =
                || value_unknown("this country has no code in the form that is asked for");
            return Some(found).filter(|code| !code.is_empty()).ok_or_else(missing);
        }
        let code = iso(text).ok_or_else(|| inconvertible("it is no country of ISO 3166-1"))?;
        Ok(match self.to {
            CountryForm::Alpha2 => code.alpha2.to_owned(),
            CountryForm::Alpha3 => code.alpha3.to_owned(),
            CountryForm::Numeric => format!("{:03}", code.numeric),
            CountryForm::Name => code.name.to_owned(),
        })
    }

    fn column(&self) -> (usize, &'static str) {
        match self.to {
            CountryForm::Alpha2 => (1, "alpha2"),
            CountryForm::Alpha3 => (2, "alpha3"),
            CountryForm::Numeric => (3, "numeric"),
            CountryForm::Name => (4, "name"),
        }
    }

    fn own(&self, text: &str) -> Option<String> {
        self.overlay.as_ref()?.find_caseless("input", text, self.column().1).map(str::to_owned)
    }

    fn in_use(&self, text: &str) -> Option<String> {
        let row = IN_USE
            .iter()
            .find(|row| row.first().is_some_and(|key| key.eq_ignore_ascii_case(text)))?;
        row.get(self.column().0).map(|code| (*code).to_owned())
    }
}

fn iso(text: &str) -> Option<rust_iso3166::CountryCode> {
    let upper = || text.to_ascii_uppercase();
    if !text.is_empty() && text.len() <= 3 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return rust_iso3166::from_numeric_str(&format!("{text:0>3}"));
    }
    let named = |code: &&rust_iso3166::CountryCode| code.name.eq_ignore_ascii_case(text);
    match text.len() {
        2 => rust_iso3166::from_alpha2(text).or_else(|| rust_iso3166::from_alpha2(&upper())),
        3 => rust_iso3166::from_alpha3(text).or_else(|| rust_iso3166::from_alpha3(&upper())),
        _ => rust_iso3166::ALL.iter().find(named).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn to(to: CountryForm, text: &str) -> Option<String> {
        Countries { to, overlay: None }.convert(text).ok()
    }

    #[test]
    fn any_form_becomes_the_form_that_is_asked_for() {
        for text in ["DK", "dk", "DNK", "208", "Denmark", "denmark"] {
            assert_eq!(to(CountryForm::Alpha2, text).as_deref(), Some("DK"), "{text}");
            assert_eq!(to(CountryForm::Alpha3, text).as_deref(), Some("DNK"), "{text}");
            assert_eq!(to(CountryForm::Numeric, text).as_deref(), Some("208"), "{text}");
        }
        assert_eq!(to(CountryForm::Numeric, "AL").as_deref(), Some("008"));
        assert_eq!(to(CountryForm::Alpha2, "8").as_deref(), Some("AL"));
        for wrong in ["ZZ", "ZZZ", "999", "0000", "Atlantis", "", "Ø", "ÆØÅ"] {
            assert_eq!(to(CountryForm::Alpha2, wrong), None, "{wrong}");
        }
    }

    #[test]
    fn codes_that_are_in_use_beside_iso_are_understood() {
        assert_eq!(to(CountryForm::Alpha2, "UK").as_deref(), Some("GB"));
        assert_eq!(to(CountryForm::Alpha3, "el").as_deref(), Some("GRC"));
        assert_eq!(to(CountryForm::Alpha3, "XK").as_deref(), Some("XKX"));
        assert_eq!(to(CountryForm::Numeric, "XKX"), None);
    }
}
