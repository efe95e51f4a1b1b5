//! Phone numbers: as people write them in, E.164 out. The extension is a value of its own.
//! Source of the numbering plans: crate `phonenumber`.

use phonenumber::{Mode, country};

use super::inconvertible;
use crate::fault::Fault;
use crate::mapping::file::PhonePart;

/// No phone number with extension is longer; guards the parser.
const LONGEST: usize = 80;

/// How numbers are read and what is taken of them.
#[derive(Clone, Copy, Debug)]
pub struct Phones {
    /// The region of numbers without a country code.
    pub region: country::Id,
    /// The part.
    pub part: PhonePart,
}

impl Phones {
    /// Reads a number. `None` when its extension is asked for and it has none.
    pub fn convert(&self, text: &str) -> Result<Option<String>, Fault> {
        let read =
            (text.len() <= LONGEST).then(|| phonenumber::parse(Some(self.region), text).ok());
        let valid = read.flatten().filter(phonenumber::PhoneNumber::is_valid);
        let number = valid.ok_or_else(|| inconvertible("it is no phone number of any country"))?;
        if self.part == PhonePart::Extension {
            return Ok(number.extension().map(ToString::to_string));
        }
        let text = number.format().mode(Mode::E164).to_string();
        // the extension is kept apart: E.164 has none
        let end = text.char_indices().skip(1).find(|(_, char)| !char.is_ascii_digit());
        Ok(Some(end.and_then(|(at, _)| text.get(..at)).unwrap_or(&text).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(part: PhonePart, text: &str) -> Option<String> {
        Phones { region: country::DK, part }.convert(text).ok().flatten()
    }

    #[test]
    fn numbers_are_read_as_of_the_region_and_written_in_e164() {
        for (text, expected) in [
            ("33 12 34 56", Some("+4533123456")),
            ("+45 33123456", Some("+4533123456")),
            ("0045 33 12 34 56", Some("+4533123456")),
            ("+1 (212) 736-5000 ext. 12", Some("+12127365000")),
            ("12", None),
            ("call me", None),
            ("", None),
        ] {
            assert_eq!(convert(PhonePart::Number, text).as_deref(), expected, "{text}");
        }
        assert_eq!(convert(PhonePart::Number, &"1".repeat(5000)), None);
    }

    #[test]
    fn the_extension_is_a_value_of_its_own() {
        let extension = convert(PhonePart::Extension, "+1 212 736 5000 ext. 12");
        assert_eq!(extension.as_deref(), Some("12"));
        assert_eq!(convert(PhonePart::Extension, "+1 212 736 5000"), None);
    }
}
