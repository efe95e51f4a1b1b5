//! The words of an OData expression. Strings are unquoted (`''` is one quote), everything else stays as it
//! was written; a string without an end is refused.

use crate::emulator::dataverse::refusal::Refusal;

/// One word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// A name, a number, a date, an id, a keyword or an alias.
    Word(String),
    /// A quoted text.
    Text(String),
    /// A qualified literal such as `Microsoft.Dynamics.CRM.AttributeTypeCode'Picklist'`: its value.
    Enum(String),
    /// One of `( ) [ ] , / = ; :` (the last only before a space or a name that follows a lambda variable).
    Mark(char),
}

/// Cuts the text into words.
pub fn tokens(text: &str) -> Result<Vec<Token>, Refusal> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let after = rest.get(first.len_utf8()..).unwrap_or_default();
        rest = match first {
            letter if letter.is_whitespace() => after,
            '(' | ')' | '[' | ']' | ',' | '/' | '=' | ';' => {
                tokens.push(Token::Mark(first));
                after
            }
            '\'' | '"' => {
                let (value, after) = quoted(after, first).ok_or_else(|| unended(text))?;
                tokens.push(Token::Text(value));
                after
            }
            _ => {
                let end = rest.find(ends_word).unwrap_or(rest.len());
                let (word, after) = rest.split_at(end);
                if let Some(inner) = after.strip_prefix('\'') {
                    let (value, after) = quoted(inner, '\'').ok_or_else(|| unended(text))?;
                    tokens.push(Token::Enum(value));
                    after
                } else {
                    tokens.push(Token::Word(word.to_owned()));
                    after
                }
            }
        };
    }
    Ok(tokens)
}

fn ends_word(letter: char) -> bool {
    letter.is_whitespace() || "()[],/=;'\"".contains(letter)
}

/// The text up to its closing quote, and what follows.
fn quoted(text: &str, quote: char) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let (part, after) = rest.split_once(quote)?;
        value.push_str(part);
        match after.strip_prefix(quote) {
            Some(more) => {
                value.push(quote);
                rest = more;
            }
            None => return Some((value, after)),
        }
    }
}

fn unended(text: &str) -> Refusal {
    let message =
        format!("There is an unterminated string literal at position {} in '{text}'.", text.len());
    Refusal::bad("0x80060888", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubled_quote_is_one_quote() {
        let found = tokens("name eq 'O''Neil'").unwrap();
        assert_eq!(found.last(), Some(&Token::Text("O'Neil".into())));
    }

    #[test]
    fn an_enum_literal_is_its_value() {
        let found = tokens("AttributeType eq Microsoft.Dynamics.CRM.AttributeTypeCode'Picklist'");
        assert_eq!(found.unwrap().last(), Some(&Token::Enum("Picklist".into())));
    }

    #[test]
    fn a_string_without_end_is_refused() {
        assert_eq!(tokens("name eq 'x").unwrap_err().status, 400);
    }
}
