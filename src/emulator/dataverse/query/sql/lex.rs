//! The words of a SQL statement: brackets and double quotes around names fall away.

use super::invalid;
use crate::emulator::dataverse::refusal::Refusal;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Token {
    /// A name, a keyword or a number.
    Word(String),
    /// A quoted text.
    Text(String),
    /// A comparison, a comma, a bracket or a star.
    Mark(String),
}

/// Cuts a statement into words; a text without an end and letters without a meaning are refused.
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    let mut rest = text.trim();
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        rest = match first {
            letter if letter.is_whitespace() => after,
            '\'' => {
                let (value, after) = quoted(after).ok_or_else(|| invalid("a text has no end"))?;
                tokens.push(Token::Text(value));
                after
            }
            '<' | '>' | '!' | '=' | ',' | '(' | ')' | '*' => {
                let two = rest.get(..2).filter(|two| ["<>", "!=", ">=", "<="].contains(two));
                let mark = two.or_else(|| rest.get(..1)).unwrap_or_default();
                tokens.push(Token::Mark(mark.to_owned()));
                rest.get(mark.len()..).unwrap_or_default()
            }
            letter if letter.is_alphanumeric() || "_.+-[]\"".contains(letter) => {
                let end =
                    rest.find(|one: char| !one.is_alphanumeric() && !"_.+-[]\"".contains(one));
                let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
                tokens.push(Token::Word(word.replace(['[', ']', '"'], "")));
                after
            }
            other => return Err(invalid(&format!("'{other}' has no meaning here"))),
        };
    }
    Ok(tokens)
}

/// The text up to its closing quote, and what follows.
fn quoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once('\'')?;
        value.push_str(part);
        match after.strip_prefix('\'') {
            Some(more) => {
                value.push('\'');
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}
