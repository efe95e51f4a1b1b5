//! Numbers, read from their text and never through binary floating point.
//!
//! In comes a JSON number as it was written, or a text in the notation the map names; out goes an exact
//! decimal or whole number. What would lose a digit is refused unless the map says to round.

use rust_decimal::prelude::ToPrimitive;
use rust_decimal::{Decimal, RoundingStrategy};

use super::inconvertible;
use crate::fault::Fault;

/// How decimals are written and how exact they may be.
#[derive(Clone, Debug, Default)]
pub struct Notation {
    /// The decimal separator.
    pub point: Option<char>,
    /// The separator of thousands.
    pub group: Option<char>,
    /// At most so many digits after the point.
    pub digits: Option<u32>,
    /// Round what has more.
    pub round: bool,
}

impl Notation {
    /// Reads a text in this notation.
    pub fn read(&self, text: &str) -> Result<Decimal, Fault> {
        let plain =
            self.plain(text).ok_or_else(|| inconvertible("it is not a number as described"))?;
        self.fit(exact(&plain)?)
    }

    /// Reads a JSON number: its notation is JSON's own.
    pub fn read_json(&self, text: &str) -> Result<Decimal, Fault> {
        self.fit(exact(text)?)
    }

    fn fit(&self, number: Decimal) -> Result<Decimal, Fault> {
        let Some(digits) = self.digits else { return Ok(number) };
        if number.normalize().scale() <= digits {
            return Ok(number);
        }
        if !self.round {
            return Err(inconvertible("it has more digits after the point than `digits` allows"));
        }
        Ok(number.round_dp_with_strategy(digits, RoundingStrategy::MidpointAwayFromZero))
    }

    /// The text with `.` as point and without groups; groups must have three digits each.
    fn plain(&self, text: &str) -> Option<String> {
        let point = self.point.unwrap_or('.');
        let (whole, fraction) = match text.split_once(point) {
            Some((whole, fraction)) => (whole, Some(fraction)),
            None => (text, None),
        };
        let sign = usize::from(whole.starts_with(['-', '+']));
        let (sign, whole) = whole.split_at_checked(sign)?;
        let mut plain = String::with_capacity(text.len());
        plain.push_str(sign.trim_start_matches('+'));
        match self.group.filter(|group| whole.contains(*group)) {
            None => plain.push_str(whole),
            Some(group) => {
                for (index, part) in whole.split(group).enumerate() {
                    let right =
                        if index == 0 { (1..=3).contains(&part.len()) } else { part.len() == 3 };
                    if !right {
                        return None;
                    }
                    plain.push_str(part);
                }
            }
        }
        if let Some(fraction) = fraction {
            plain.push('.');
            plain.push_str(fraction);
        }
        Some(plain)
    }
}

/// Reads a whole number: `12`, `12.00` and, in JSON, `1.2e1`.
pub fn integer(text: &str) -> Result<i64, Fault> {
    let number = exact(text)?;
    if !number.fract().is_zero() {
        return Err(inconvertible("it is not a whole number"));
    }
    number.to_i64().ok_or_else(|| inconvertible("it is outside the range of whole numbers"))
}

/// Reads `-12.30e-1` without losing anything.
fn exact(text: &str) -> Result<Decimal, Fault> {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i32>().ok()),
        None => (text, Some(0)),
    };
    let digits = mantissa.strip_prefix('-').unwrap_or(mantissa);
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let numeric = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let exponent = exponent.filter(|_| numeric(whole) && numeric(fraction));
    let exponent = exponent.ok_or_else(|| inconvertible("it is not a number"))?;
    let number = Decimal::from_str_exact(mantissa);
    let number =
        number.map_err(|_| inconvertible("it has more digits than can be kept exactly"))?;
    shifted(number, exponent).ok_or_else(|| inconvertible("it is outside the range of numbers"))
}

fn shifted(number: Decimal, exponent: i32) -> Option<Decimal> {
    if exponent == 0 || number.is_zero() {
        return Some(number);
    }
    if exponent > 0 {
        let factor = 10_i128.checked_pow(exponent.unsigned_abs())?;
        return number.checked_mul(Decimal::try_from_i128_with_scale(factor, 0).ok()?);
    }
    let scale = number.scale().checked_add(exponent.unsigned_abs())?;
    Decimal::try_from_i128_with_scale(number.mantissa(), scale).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decimal(notation: &Notation, text: &str) -> Option<String> {
        notation.read(text).ok().map(|number| number.to_string())
    }

    #[test]
    fn decimals_are_read_in_the_notation_of_the_map() {
        let danish = Notation { point: Some(','), group: Some('.'), ..Notation::default() };
        for (text, expected) in [
            ("1.234,50", Some("1234.50")),
            ("-1.234.567,8", Some("-1234567.8")),
            ("+12", Some("12")),
            ("12,", None),
            ("1.2", None),
            ("1.2345", None),
            (".123", None),
            ("", None),
            ("-", None),
            ("1 234", None),
        ] {
            assert_eq!(decimal(&danish, text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn no_digit_is_lost() {
        let plain = Notation::default();
        let long = "1234567890123456789.123456789";
        assert_eq!(decimal(&plain, long).as_deref(), Some(long));
        assert_eq!(decimal(&plain, "20000.0000").as_deref(), Some("20000.0000"));
        assert_eq!(decimal(&plain, "0.12345678901234567890123456789012"), None);
        assert_eq!(plain.read_json("1.20e-3").unwrap().to_string(), "0.00120");
        assert_eq!(plain.read_json("-12e2").unwrap().to_string(), "-1200");
        for wrong in ["1e999", "1e-99", "1e99999999999", "NaN", "e1", "1e"] {
            assert!(plain.read_json(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn more_digits_than_allowed_are_refused_or_rounded() {
        let strict = Notation { digits: Some(2), ..Notation::default() };
        assert_eq!(decimal(&strict, "1.500").as_deref(), Some("1.500"));
        assert_eq!(decimal(&strict, "1.005"), None);
        let rounding = Notation { round: true, ..strict };
        assert_eq!(decimal(&rounding, "1.005").as_deref(), Some("1.01"));
        assert_eq!(decimal(&rounding, "-1.005").as_deref(), Some("-1.01"));
    }

    #[test]
    fn whole_numbers_have_no_fraction() {
        for (text, expected) in [
            ("12", Some(12)),
            ("-12.00", Some(-12)),
            ("1e3", Some(1000)),
            ("9223372036854775807", Some(i64::MAX)),
            ("9223372036854775808", None),
            ("1.5", None),
            (" 1", None),
            ("0x1", None),
            ("", None),
        ] {
            assert_eq!(integer(text).ok(), expected, "{text}");
        }
    }
}
