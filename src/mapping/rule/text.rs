//! Text steps: each takes a text and gives a text, or nothing where a piece is not there.

use std::borrow::Cow;

use regex::Regex;
use unicode_normalization::{UnicodeNormalization, is_nfc};

use crate::mapping::file::Case;

/// One step.
#[derive(Clone, Debug)]
pub enum Step {
    /// Takes one piece.
    Split {
        /// What stands between the pieces.
        on: String,
        /// Which piece; negative numbers count from the end.
        at: i32,
    },
    /// To Unicode form NFC.
    Nfc,
    /// One space for every run of white space.
    Collapse,
    /// No white space at the ends.
    Trim,
    /// None of these characters at the start.
    TrimStart(Vec<char>),
    /// None of these characters at the end.
    TrimEnd(Vec<char>),
    /// What the expression finds becomes this.
    Replace(Regex, String),
    /// Another case.
    Case(Case),
}

impl Step {
    /// Applies the step. `None` when the piece that was asked for is not there.
    pub fn apply<'t>(&self, text: &'t str) -> Option<Cow<'t, str>> {
        Some(match self {
            Self::Split { on, at } => piece(text, on, *at)?.into(),
            Self::Nfc if is_nfc(text) => text.into(),
            Self::Nfc => text.nfc().collect::<String>().into(),
            Self::Collapse => collapse(text).into(),
            Self::Trim => text.trim().into(),
            Self::TrimStart(chars) => text.trim_start_matches(chars.as_slice()).into(),
            Self::TrimEnd(chars) => text.trim_end_matches(chars.as_slice()).into(),
            Self::Replace(pattern, with) => pattern.replace_all(text, with.as_str()),
            Self::Case(Case::Upper) => text.to_uppercase().into(),
            Self::Case(Case::Lower) => lower(text),
            Self::Case(Case::Title) => title(text).into(),
        })
    }
}

fn piece<'t>(text: &'t str, on: &str, at: i32) -> Option<&'t str> {
    let index = usize::try_from(at.unsigned_abs()).ok()?;
    if at < 0 { text.rsplit(on).nth(index - 1) } else { text.split(on).nth(index) }
}

/// White space at the ends becomes one space too; taking it off is what `trim` is for.
fn collapse(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for char in text.chars() {
        if !char.is_whitespace() {
            out.push(char);
        } else if !out.ends_with(' ') {
            out.push(' ');
        }
    }
    out
}

fn title(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut inside = false;
    for char in text.chars() {
        if inside {
            out.extend(char.to_lowercase());
        } else {
            out.extend(char.to_uppercase());
        }
        inside = char.is_alphanumeric() || (inside && matches!(char, '\'' | '’'));
    }
    out
}

/// A text in lower case, borrowed when it is that already.
pub fn lower(text: &str) -> Cow<'_, str> {
    let same = text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if same { text.into() } else { text.to_lowercase().into() }
}

/// Cuts a text to so many characters; `None` when it is short enough.
pub fn cut(text: &str, max: u32) -> Option<&str> {
    let max = usize::try_from(max).unwrap_or(usize::MAX);
    // There are never more characters than bytes, and those need not be counted.
    let (end, _) = (text.len() > max).then(|| text.char_indices().nth(max))??;
    text.get(..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn apply(step: &Step, text: &str) -> Option<String> {
        step.apply(text).map(Cow::into_owned)
    }

    #[test]
    fn each_step_does_what_it_says() {
        let split = |at| Step::Split { on: "-".into(), at };
        let replace = Step::Replace(Regex::new("([0-9])([0-9])").unwrap(), "$2$1".into());
        for (step, text, expected) in [
            (Step::Trim, "  a b\t", "a b"),
            (Step::TrimStart(vec!['0']), "00104", "104"),
            (Step::TrimStart(vec!['0']), "000", ""),
            (Step::TrimEnd(vec!['.', ' ']), "A/S. ", "A/S"),
            (Step::Collapse, "a \n b", "a b"),
            (Step::Nfc, "e\u{301}", "é"),
            (Step::Case(Case::Upper), "straße", "STRASSE"),
            (Step::Case(Case::Title), "nORDLYS o'neil bageri", "Nordlys O'neil Bageri"),
            (split(0), "a-b-c", "a"),
            (split(-1), "a-b-c", "c"),
            (replace, "12", "21"),
        ] {
            assert_eq!(apply(&step, text).as_deref(), Some(expected), "{step:?}");
        }
        assert_eq!(apply(&split(3), "a-b-c"), None);
        assert_eq!(apply(&split(i32::MIN), "a-b-c"), None);
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("æøå", 2), Some("æø"));
        assert_eq!(cut("æøå", 3), None);
        assert_eq!(cut("æøå", 0), Some(""));
    }
}
