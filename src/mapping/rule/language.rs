//! ISO 639: two or three letters, a language tag (`da-DK`) or an English name in, the form the map
//! names out. Source of the list: crate `isolang`.

use super::inconvertible;
use super::text::lower;
use crate::fault::Fault;
use crate::mapping::file::Language;

/// Converts a language.
pub fn convert(text: &str, to: Language) -> Result<String, Fault> {
    let lower = lower(text);
    let primary = lower.split(['-', '_']).next().unwrap_or_default();
    let found = match primary.len() {
        2 => isolang::Language::from_639_1(primary),
        3 => isolang::Language::from_639_3(primary),
        _ => None,
    };
    let by_name = || {
        let named = lower.to_string();
        isolang::Language::match_names(move |name| name.to_lowercase() == named).next()
    };
    let found = found.or_else(by_name);
    let found = found.ok_or_else(|| inconvertible("it is no language of ISO 639"))?;
    match to {
        Language::Three => Ok(found.to_639_3().to_owned()),
        Language::Two => found
            .to_639_1()
            .map(str::to_owned)
            .ok_or_else(|| inconvertible("this language has no code of two letters")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_tags_and_names_are_understood() {
        for (text, to, expected) in [
            ("da", Language::Three, Some("dan")),
            ("DAN", Language::Two, Some("da")),
            ("da-DK", Language::Two, Some("da")),
            ("en_US", Language::Three, Some("eng")),
            ("Danish", Language::Two, Some("da")),
            ("gsw", Language::Two, None),
            ("zz", Language::Two, None),
            ("", Language::Two, None),
        ] {
            assert_eq!(convert(text, to).ok().as_deref(), expected, "{text}");
        }
    }
}
