//! Value tables, yes and no, and choices: a listed word in, what stands beside it out.

use std::collections::HashMap;

use indexmap::IndexMap;

use super::number::integer;
use super::text::lower;
use super::{inconvertible, value_unknown};
use crate::fault::Fault;
use crate::row::Value;

/// So many known words are named when a word is not known.
const NAMED: usize = 8;

/// Source value = target value.
#[derive(Clone, Debug, Default)]
pub struct Table(pub IndexMap<String, Value>);

impl Table {
    /// What stands beside a word; words are compared exactly.
    pub fn find(&self, word: &str) -> Result<Value, Fault> {
        self.0.get(word).cloned().ok_or_else(|| unknown(self.0.keys().map(String::as_str)))
    }
}

fn unknown<'w>(words: impl ExactSizeIterator<Item = &'w str>) -> Fault {
    let more = if words.len() > NAMED { ", …" } else { "" };
    let known: Vec<&str> = words.take(NAMED).collect();
    value_unknown(format!("it is not in the table; known are {}{more}", known.join(", ")))
}

/// Words for yes and no, in lower case.
#[derive(Clone, Debug)]
pub struct YesNo(HashMap<String, bool>);

impl YesNo {
    /// The usual words.
    pub fn usual() -> Self {
        let words = [("true", "false"), ("yes", "no"), ("y", "n"), ("1", "0"), ("on", "off")];
        let (yes, no): (Vec<&str>, Vec<&str>) = words.into_iter().unzip();
        Self::of(&yes, &no)
    }

    /// These words.
    pub fn of<S: AsRef<str>>(yes: &[S], no: &[S]) -> Self {
        let words = |list: &[S], is| -> Vec<(String, bool)> {
            list.iter().map(|word| (word.as_ref().to_lowercase(), is)).collect()
        };
        Self(words(yes, true).into_iter().chain(words(no, false)).collect())
    }

    /// Yes or no.
    pub fn read(&self, text: &str) -> Result<bool, Fault> {
        let found = self.0.get(&*lower(text)).copied();
        found.ok_or_else(|| inconvertible("it is none of the words for yes and no"))
    }
}

/// Choices: by their numbers alone, or by label too.
#[derive(Clone, Debug, Default)]
pub struct Choices(pub Option<IndexMap<String, i32>>);

impl Choices {
    /// One choice.
    pub fn one(&self, text: &str) -> Result<i32, Fault> {
        let number = || integer(text).ok().and_then(|number| i32::try_from(number).ok());
        match &self.0 {
            None => number().ok_or_else(|| inconvertible("it is not the number of a choice")),
            Some(labels) => {
                let numbered =
                    || number().filter(|number| labels.values().any(|one| one == number));
                let found = labels.get(text).copied().or_else(numbered);
                found.ok_or_else(|| unknown(labels.keys().map(String::as_str)))
            }
        }
    }

    /// Several choices, ascending and each once. An empty piece is no choice.
    pub fn several<'w>(&self, words: impl IntoIterator<Item = &'w str>) -> Result<Vec<i32>, Fault> {
        let words = words.into_iter().map(str::trim).filter(|word| !word.is_empty());
        let mut numbers = words.map(|word| self.one(word)).collect::<Result<Vec<_>, _>>()?;
        numbers.sort_unstable();
        numbers.dedup();
        Ok(numbers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Kind;

    #[test]
    fn an_unknown_word_names_the_known_ones_and_not_itself() {
        let table = Table([("Retail".to_owned(), Value::Integer(3))].into());
        assert_eq!(table.find("Retail").unwrap(), Value::Integer(3));
        let refusal = table.find("Secret").unwrap_err();
        assert_eq!(refusal.kind, Kind::ValueUnknown);
        assert!(refusal.message.contains("Retail") && !refusal.message.contains("Secret"));
    }

    #[test]
    fn yes_and_no_are_read_without_case() {
        let usual = YesNo::usual();
        for (text, expected) in
            [("TRUE", Some(true)), ("0", Some(false)), ("maybe", None), ("", None)]
        {
            assert_eq!(usual.read(text).ok(), expected, "{text}");
        }
        let danish = YesNo::of(&["Ja"], &["Nej"]);
        assert_eq!(danish.read("JA").ok(), Some(true));
        assert!(danish.read("yes").is_err());
    }

    #[test]
    fn choices_are_read_by_label_or_listed_number() {
        let labels = Choices(Some([("A".to_owned(), 3), ("B".to_owned(), 1)].into()));
        assert_eq!(labels.one("A").ok(), Some(3));
        assert_eq!(labels.one("1").ok(), Some(1));
        assert!(labels.one("2").is_err());
        assert_eq!(labels.several(["A", " B ", "", "A"]).ok(), Some(vec![1, 3]));
        assert!(labels.several(["A", "C"]).is_err());
        assert_eq!(Choices(None).one("7").ok(), Some(7));
        assert!(Choices(None).one("9999999999").is_err());
    }
}
