//! Phone numbers: as people write them in, E.164 out. The extension is a value of its own.
//! Source of the numbering plans: crate `phonenumber`.
//!
//! That crate reads and compiles the plans of all countries at the first number, 600 million
//! instructions by callgrind, and then asks a dozen regular expressions through one lock. A plain number
//! of the map's own region is therefore read here, by the same plan, kept in `phone/plans.tsv`: region,
//! country code, the form of all its numbers, and that of each kind, as `lengths:pattern`. Whatever is
//! not plainly one goes the long way.

use std::sync::{Arc, OnceLock};

use phonenumber::{Mode, country};
use regex::Regex;

use super::inconvertible;
use crate::fault::Fault;
use crate::mapping::file::PhonePart;

/// No phone number with extension is longer; guards the parser.
const LONGEST: usize = 80;

/// How numbers are read and what is taken of them.
#[derive(Clone, Debug)]
pub struct Phones {
    /// The region of numbers without a country code.
    pub region: country::Id,
    /// The part.
    pub part: PhonePart,
    plain: Arc<OnceLock<Option<Plain>>>,
}

impl Phones {
    /// Reads numbers, of this region when they have no country code.
    pub fn new(region: country::Id, part: PhonePart) -> Self {
        Self { region, part, plain: Arc::default() }
    }

    /// Reads a number. `None` when its extension is asked for and it has none.
    pub fn convert(&self, text: &str) -> Result<Option<String>, Fault> {
        let plain = self.plain.get_or_init(|| Plain::of(self.region));
        match plain.as_ref().and_then(|plain| plain.number(text)) {
            Some(number) => Ok((self.part == PhonePart::Number).then_some(number)),
            None => self.read(text),
        }
    }

    fn read(&self, text: &str) -> Result<Option<String>, Fault> {
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

/// The plans of all regions whose numbers can be plain.
const PLANS: &str = include_str!("phone/plans.tsv");

/// The plain numbers of one region: digits, parted by single spaces or hyphens, with the region's own
/// country code after a `+` or with none.
#[derive(Debug)]
struct Plain {
    code: String,
    general: Form,
    kinds: Vec<Form>,
}

/// What one kind of number looks like.
#[derive(Debug)]
struct Form {
    pattern: Regex,
    lengths: Vec<u16>,
}

impl Plain {
    fn of(region: country::Id) -> Option<Self> {
        let named = |line: &&str| line.split('\t').next() == Some(region.as_ref());
        let mut parts = PLANS.lines().find(named)?.split('\t').skip(1);
        let (code, general) = (parts.next()?.to_owned(), Form::read(parts.next()?)?);
        Some(Self { code, general, kinds: parts.filter_map(Form::read).collect() })
    }

    fn number(&self, text: &str) -> Option<String> {
        let (own, rest) = text.strip_prefix('+').map_or((false, text), |rest| (true, rest));
        let mut number = String::with_capacity(24);
        number.push('+');
        if !own {
            number.push_str(&self.code);
        }
        let mut parted = true;
        for char in rest.chars() {
            match char {
                '0'..='9' => number.push(char),
                ' ' | '-' if !parted => {}
                _ => return None,
            }
            parted = !char.is_ascii_digit();
        }
        let national = number.get(1..)?.strip_prefix(&self.code)?;
        // Where the code starts a number that is written without it, which of the two it is depends.
        let doubtful = national.starts_with('0') || (!own && national.starts_with(&self.code));
        let is_one = !doubtful
            && self.general.fits(national)
            && self.kinds.iter().any(|kind| kind.fits(national));
        (is_one && !parted).then_some(number)
    }
}

impl Form {
    /// Reads `lengths:pattern`.
    fn read(text: &str) -> Option<Self> {
        let (lengths, pattern) = text.split_once(':')?;
        let lengths = lengths.split(',').filter_map(|length| length.parse().ok()).collect();
        Some(Self { pattern: Regex::new(&format!("^(?:{pattern})")).ok()?, lengths })
    }

    fn fits(&self, national: &str) -> bool {
        let length = u16::try_from(national.len()).unwrap_or(u16::MAX);
        (self.lengths.is_empty() || self.lengths.contains(&length))
            && self.pattern.is_match(national)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use phonenumber::metadata::{DATABASE, Descriptor};

    fn form(descriptor: &Descriptor) -> String {
        let lengths: Vec<_> = descriptor.possible_length().iter().map(u16::to_string).collect();
        let pattern: String = descriptor.national_number().as_str().split_whitespace().collect();
        format!("{}:{pattern}", lengths.join(","))
    }

    /// Nothing is plain about a region that shares its country code, or whose prefixes could be taken for
    /// a number that does not start with a zero.
    fn plan(code: u16) -> Option<String> {
        let regions = DATABASE.region(&code)?;
        let [region] = regions.as_slice() else { return None };
        let plan = DATABASE.by_id(*region)?;
        let national = plan.national_prefix().is_none_or(|prefix| prefix == "0")
            && plan.national_prefix_for_parsing().is_none_or(|prefix| prefix.as_str() == "0");
        let international = plan.international_prefix()?.as_str() == "00";
        let all = plan.descriptors();
        let kinds = [
            all.fixed_line(),
            all.mobile(),
            all.toll_free(),
            all.premium_rate(),
            all.shared_cost(),
            all.voip(),
            all.personal_number(),
            all.pager(),
            all.uan(),
            all.voicemail(),
        ];
        let mut line = vec![(*region).to_owned(), code.to_string(), form(all.general())];
        for form in kinds.into_iter().flatten().map(form) {
            if !line.iter().skip(3).any(|known| *known == form) {
                line.push(form);
            }
        }
        (national && international).then(|| line.join("\t") + "\n")
    }

    #[test]
    fn the_plans_kept_here_are_those_of_the_crate() {
        let mut plans: Vec<String> = (1..1_000).filter_map(plan).collect();
        plans.sort();
        let right = std::env::temp_dir().join("plans.tsv");
        std::fs::write(&right, plans.concat()).unwrap();
        let place = "src/mapping/rule/phone/plans.tsv";
        assert!(PLANS == plans.concat(), "{place} is out of date: replace it by {right:?}");
        assert!(plans.len() > 100, "{}", plans.len());
    }

    fn convert(part: PhonePart, text: &str) -> Option<String> {
        Phones::new(country::DK, part).convert(text).ok().flatten()
    }

    #[test]
    fn a_plain_number_is_read_as_the_long_way_reads_it() {
        let mut dice = fastrand::Rng::with_seed(7);
        let mut plain = 0;
        for region in [country::DK, country::SE, country::DE, country::FR] {
            let phones = Phones::new(region, PhonePart::Number);
            let own = DATABASE.by_id(region.as_ref()).unwrap().country_code();
            for _ in 0..60 {
                let mut digits: String = (0..dice.usize(2..13)).map(|_| dice.digit(10)).collect();
                if dice.bool() {
                    digits.insert(
                        dice.usize(1..digits.len()),
                        *dice.choice(&[' ', '-', '0']).unwrap(),
                    );
                }
                let text = match dice.u8(0..4) {
                    0 => format!("+{own} {digits}"),
                    1 => format!("{own}{digits}"),
                    _ => digits,
                };
                let asked = phones.read(&text).ok().flatten();
                assert_eq!(phones.convert(&text).ok().flatten(), asked, "{region:?} {text}");
                let known = phones.plain.get().and_then(Option::as_ref);
                plain += usize::from(known.is_some_and(|known| known.number(&text).is_some()));
            }
        }
        assert!(plain > 20, "{plain}");
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
