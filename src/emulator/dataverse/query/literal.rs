//! Bare OData literals: `null`, `true`, numbers, ids, dates and moments. Quoted ones are told apart before.

use uuid::Uuid;

use super::operand::Operand;

/// The value of a bare literal; `None` when the word is a name.
pub fn read(word: &str) -> Option<Operand> {
    match word {
        "null" => return Some(Operand::Null),
        "true" => return Some(Operand::Boolean(true)),
        "false" => return Some(Operand::Boolean(false)),
        _ => {}
    }
    if word.len() == 36
        && let Ok(id) = Uuid::parse_str(word)
    {
        return Some(Operand::Guid(id));
    }
    let first = word.chars().next()?;
    if !first.is_ascii_digit() && !"+-.".contains(first) {
        return None;
    }
    if let Ok(number) = word.parse() {
        return Some(Operand::Number(number));
    }
    if let Some(time) = Operand::read_time(word) {
        return Some(time);
    }
    word.parse().ok().filter(|number: &f64| number.is_finite()).map(Operand::Double)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_literals() {
        assert!(matches!(read("12.50"), Some(Operand::Number(_))));
        assert!(matches!(read("-3e200"), Some(Operand::Double(_))));
        assert!(matches!(read("2024-05-01"), Some(Operand::Date(_))));
        assert!(matches!(read("2024-05-01T10:00:00Z"), Some(Operand::Time(_))));
        assert!(matches!(read("0A0b0000-0000-0000-0000-000000000001"), Some(Operand::Guid(_))));
        assert_eq!(read("name"), None);
        assert_eq!(read(""), None);
    }
}
