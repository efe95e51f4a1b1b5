//! ISO 4217: code or number in, the form the map names out. Source of the list: crate `iso_currency`.

use super::inconvertible;
use crate::fault::Fault;
use crate::mapping::file::Currency;

/// Converts a currency.
pub fn convert(text: &str, to: Currency) -> Result<String, Fault> {
    let found = if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        text.parse().ok().and_then(iso_currency::Currency::from_numeric)
    } else {
        let found = iso_currency::Currency::from_code(text);
        found.or_else(|| iso_currency::Currency::from_code(&text.to_ascii_uppercase()))
    };
    let found = found.ok_or_else(|| inconvertible("it is no currency of ISO 4217"))?;
    Ok(match to {
        Currency::Alpha => found.code().to_owned(),
        Currency::Numeric => format!("{:03}", found.numeric()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_and_number_are_understood_and_numbers_have_three_digits() {
        for (text, to, expected) in [
            ("dkk", Currency::Numeric, Some("208")),
            ("208", Currency::Alpha, Some("DKK")),
            ("8", Currency::Alpha, Some("ALL")),
            ("ALL", Currency::Numeric, Some("008")),
            ("XYZ", Currency::Alpha, None),
            ("99999999", Currency::Alpha, None),
            ("", Currency::Alpha, None),
        ] {
            assert_eq!(convert(text, to).ok().as_deref(), expected, "{text}");
        }
    }
}
