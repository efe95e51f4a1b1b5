//! Resource paths: `accounts(accountnumber='A''1')/primarycontactid/$ref` comes in decoded, segments go
//! out. Which names and keys exist is not known here.

use uuid::Uuid;

use crate::emulator::dataverse::refusal::Refusal;

/// One part of a path: a name, and what stands in parentheses behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    /// `accounts`
    pub name: String,
    /// `(…)`, when there are parentheses.
    pub arguments: Option<Arguments>,
}

/// What stands in the parentheses of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arguments {
    /// A primary id.
    Id(Uuid),
    /// Named values: an alternate key, or the parameters of a function. May be empty.
    Named(Vec<(String, Literal)>),
}

/// A value in a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Literal {
    /// In quotes.
    Text(String),
    /// Without quotes: a number, an id, a date, `@alias`, or an array of them.
    Bare(String),
}

impl Literal {
    /// The value without its quotes.
    pub fn content(&self) -> &str {
        match self {
            Self::Text(text) | Self::Bare(text) => text,
        }
    }
}

/// What the service refuses inside key values, however they are encoded (Dataverse, alternate keys).
const FORBIDDEN: [char; 10] = ['/', '<', '>', '*', '%', '&', ':', '\\', '?', '+'];

/// Whether a key value holds a character that cannot be used to address a row.
pub fn is_forbidden(value: &str) -> bool {
    value.contains(FORBIDDEN)
}

/// The refusal for anything in a URL that cannot be read.
pub fn syntax(detail: &str) -> Refusal {
    Refusal::bad("0x80060888", format!("Bad Request - Error in query syntax. {detail}").trim_end())
}

/// The segments of a decoded path.
pub fn segments(path: &str) -> Result<Vec<Segment>, Refusal> {
    let parts = split(path, '/').ok_or_else(|| syntax("A quote or parenthesis is not closed."))?;
    parts.into_iter().filter(|part| !part.is_empty()).map(segment).collect()
}

/// Splits at a mark outside quotes and parentheses; nothing when one of them is not closed.
fn split(text: &str, mark: char) -> Option<Vec<&str>> {
    let (mut quoted, mut depth, mut start) = (false, 0_u32, 0);
    let mut parts = Vec::new();
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            '(' | '[' if !quoted => depth += 1,
            ')' | ']' if !quoted => depth = depth.checked_sub(1)?,
            _ if letter == mark && !quoted && depth == 0 => {
                parts.push(text.get(start..at)?);
                start = at + mark.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted && depth == 0).then_some(parts)
}

fn segment(text: &str) -> Result<Segment, Refusal> {
    let Some((name, rest)) = text.split_once('(') else {
        return Ok(Segment { name: text.to_owned(), arguments: None });
    };
    let inside = rest.strip_suffix(')').ok_or_else(|| syntax("A parenthesis is not closed."))?;
    Ok(Segment { name: name.to_owned(), arguments: Some(arguments(inside)?) })
}

fn arguments(inside: &str) -> Result<Arguments, Refusal> {
    let inside = inside.trim();
    if inside.is_empty() {
        return Ok(Arguments::Named(Vec::new()));
    }
    if let Some(id) = id(inside) {
        return Ok(Arguments::Id(id));
    }
    let parts = split(inside, ',').ok_or_else(|| syntax("A quote is not closed."))?;
    let named = parts.into_iter().map(|part| {
        let (name, value) = part.split_once('=').ok_or_else(|| {
            syntax(&format!("'{part}' is neither an id nor a name and its value."))
        })?;
        Ok((name.trim().to_owned(), literal(value.trim())?))
    });
    named.collect::<Result<_, Refusal>>().map(Arguments::Named)
}

fn literal(value: &str) -> Result<Literal, Refusal> {
    let Some(rest) = value.strip_prefix('\'') else {
        return Ok(Literal::Bare(value.to_owned()));
    };
    let inside = rest.strip_suffix('\'').ok_or_else(|| syntax("A quote is not closed."))?;
    Ok(Literal::Text(inside.replace("''", "'")))
}

/// An id in its one accepted form: lower or upper case, with hyphens.
pub fn id(text: &str) -> Option<Uuid> {
    (text.len() == 36).then(|| Uuid::try_parse(text).ok())?
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_path_panics(path in "[a-z/()',=\\[\\]é$ ]*") {
            drop(segments(&path));
        }
    }

    const ID: &str = "5f0c2a11-0d3e-ef11-8409-000d3a1f2b3c";

    fn named(path: &str) -> Vec<(String, Literal)> {
        match segments(path).unwrap().remove(0).arguments {
            Some(Arguments::Named(named)) => named,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_path_is_cut_at_slashes_outside_of_quotes() {
        let path = segments(&format!("accounts({ID})/contacts(a='x/y')/$ref")).unwrap();
        assert_eq!(path.len(), 3);
        assert_eq!(path[0].arguments, Some(Arguments::Id(ID.parse().unwrap())));
        assert_eq!(path[2].name, "$ref");
    }

    #[test]
    fn inner_quotes_are_doubled_and_commas_in_quotes_stay() {
        let key = named("s(a='O''Neil, Ltd',b=5)");
        assert_eq!(key[0], ("a".to_owned(), Literal::Text("O'Neil, Ltd".to_owned())));
        assert_eq!(key[1], ("b".to_owned(), Literal::Bare("5".to_owned())));
    }

    #[test]
    fn function_parameters_may_be_aliases_or_nothing() {
        assert_eq!(named("F(EntityNames=@p1)")[0].1, Literal::Bare("@p1".to_owned()));
        assert!(named("WhoAmI()").is_empty());
    }

    #[test]
    fn what_is_not_closed_is_refused() {
        for path in ["s(a='x)", "s(a='x'", "s)", "s(x)", "s(a=')"] {
            assert_eq!(segments(path).unwrap_err().status, 400, "{path}");
        }
    }
}
