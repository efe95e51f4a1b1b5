//! The system query options of a request: decoded pairs come in, typed options go out. What the service
//! does not offer (`$skip`, `$search`, `$format`, unknown `$` names) is refused, as are texts that cannot be
//! read (Dataverse Web API, query data).

use super::expression::Expression;
use super::filter::{self, Aliases};
use crate::emulator::dataverse::refusal::Refusal;

/// How many levels `$expand` may be nested.
const DEEPEST: usize = 10;

/// The options of one request, or of one `$expand`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    /// `$select`; empty stands for all columns.
    pub select: Vec<String>,
    /// `$filter`
    pub filter: Option<Expression>,
    /// `$orderby`
    pub order: Vec<Sort>,
    /// `$top`
    pub top: Option<usize>,
    /// `$count=true`
    pub count: bool,
    /// `$expand`
    pub expand: Vec<Expand>,
    /// `$apply`, as written.
    pub apply: Option<String>,
    /// `$skiptoken`, decoded once.
    pub skip_token: Option<String>,
}

/// One column of `$orderby`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sort {
    /// The column, or one of a related row.
    pub path: Vec<String>,
    /// Highest first.
    pub descending: bool,
}

/// One navigation property of `$expand`.
#[derive(Clone, Debug, PartialEq)]
pub struct Expand {
    /// Its name, case-sensitive.
    pub navigation: String,
    /// `/$ref`: only the addresses.
    pub references: bool,
    /// Its own options.
    pub options: Options,
}

impl Options {
    /// Reads the pairs of a query string. Names without `$` are left to others; those that begin with
    /// `@` are aliases.
    pub fn read(pairs: &[(String, String)]) -> Result<Self, Refusal> {
        let aliases: Aliases =
            pairs.iter().filter(|(name, _)| name.starts_with('@')).cloned().collect();
        let mut options = Self::default();
        for (name, value) in pairs.iter().filter(|(name, _)| name.starts_with('$')) {
            options.set(name, value, &aliases, 0)?;
        }
        Ok(options)
    }

    fn set(
        &mut self,
        name: &str,
        value: &str,
        aliases: &Aliases,
        depth: usize,
    ) -> Result<(), Refusal> {
        match name {
            "$select" => self.select = names(value)?,
            "$filter" => self.filter = Some(filter::read(value, aliases)?),
            "$orderby" => self.order = order(value, aliases)?,
            "$top" => self.top = Some(number(name, value)?),
            "$count" => self.count = truth(name, value)?,
            "$expand" => self.expand = expand(value, aliases, depth)?,
            "$apply" => self.apply = Some(value.to_owned()),
            "$skiptoken" => self.skip_token = Some(value.to_owned()),
            // read by change tracking
            "$deltatoken" => {}
            _ => {
                let message = format!("The query parameter {name} is not supported");
                return Err(Refusal::bad("0x80060888", message));
            }
        }
        Ok(())
    }
}

fn names(text: &str) -> Result<Vec<String>, Refusal> {
    let parts = split(text, ',')?.into_iter().map(str::trim);
    let names: Vec<String> =
        parts.filter(|part| !part.is_empty() && *part != "*").map(str::to_owned).collect();
    Ok(names)
}

fn order(text: &str, aliases: &Aliases) -> Result<Vec<Sort>, Refusal> {
    let sort = |part: &str| {
        let mut words = part.split_whitespace();
        let name = words.next().unwrap_or_default();
        let name = aliases.get(name).map_or(name, String::as_str);
        let descending = match (words.next(), words.next()) {
            (None | Some("asc"), None) if !name.is_empty() => false,
            (Some("desc"), None) => true,
            _ => return Err(wrong("$orderby", text)),
        };
        Ok(Sort { path: name.split('/').map(str::to_owned).collect(), descending })
    };
    split(text, ',')?.into_iter().map(sort).collect()
}

fn expand(text: &str, aliases: &Aliases, depth: usize) -> Result<Vec<Expand>, Refusal> {
    if depth >= DEEPEST {
        return Err(wrong("$expand", "it is nested too deeply"));
    }
    let one = |part: &str| {
        let part = part.trim();
        let (name, inner) = match part.split_once('(') {
            Some((name, rest)) => {
                (name, rest.strip_suffix(')').ok_or_else(|| wrong("$expand", text))?)
            }
            None => (part, ""),
        };
        let mut options = Options::default();
        for option in split(inner, ';')?.into_iter().filter(|option| !option.trim().is_empty()) {
            let (key, value) = option.split_once('=').ok_or_else(|| wrong("$expand", text))?;
            options.set(key.trim(), value.trim(), aliases, depth + 1)?;
        }
        let name = name.trim();
        let (name, references) =
            name.strip_suffix("/$ref").map_or((name, false), |name| (name, true));
        Ok(Expand { navigation: name.to_owned(), references, options })
    };
    split(text, ',')?.into_iter().map(one).collect()
}

fn number(name: &str, value: &str) -> Result<usize, Refusal> {
    value.trim().parse().map_err(|_| wrong(name, value))
}

fn truth(name: &str, value: &str) -> Result<bool, Refusal> {
    value.trim().to_ascii_lowercase().parse().map_err(|_| wrong(name, value))
}

fn wrong(name: &str, value: &str) -> Refusal {
    Refusal::bad("0x80060888", format!("Invalid value '{value}' for the query option {name}."))
}

/// Cuts a text at the separators that stand outside parentheses and quotes.
pub fn split(text: &str, separator: char) -> Result<Vec<&str>, Refusal> {
    let (mut parts, mut start, mut depth, mut quoted) = (Vec::new(), 0, 0_usize, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '\'' => quoted = !quoted,
            _ if quoted => {}
            '(' => depth += 1,
            ')' => depth = depth.checked_sub(1).ok_or_else(|| unbalanced(text))?,
            letter if letter == separator && depth == 0 => {
                parts.push(text.get(start..at).unwrap_or_default());
                start = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    if quoted || depth > 0 {
        return Err(unbalanced(text));
    }
    parts.push(text.get(start..).unwrap_or_default());
    Ok(parts)
}

fn unbalanced(text: &str) -> Refusal {
    let message = format!("Found an unbalanced bracket or quote in '{text}'.");
    Refusal::bad("0x80060888", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Options, Refusal> {
        let pairs: Vec<_> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Options::read(&pairs)
    }

    #[test]
    fn expands_keep_their_own_options() {
        let options = read(&[(
            "$expand",
            "parentaccountid($select=name,revenue;$expand=primarycontactid($select=fullname)),\
             contacts($filter=name eq 'a;b)';$top=2),owner/$ref",
        )])
        .unwrap();
        let [parent, contacts, owner] = options.expand.as_slice() else { panic!() };
        assert_eq!(parent.options.select, ["name", "revenue"]);
        assert_eq!(parent.options.expand.first().unwrap().navigation, "primarycontactid");
        assert_eq!(contacts.options.top, Some(2));
        assert!(contacts.options.filter.is_some() && owner.references);
    }

    #[test]
    fn options_that_the_service_lacks_are_refused() {
        for name in ["$skip", "$search", "$format", "$nonsense"] {
            let refusal = read(&[(name, "1")]).unwrap_err();
            assert!(refusal.message.contains(name), "{name}");
        }
        assert!(read(&[("tag", "x"), ("@p1", "2")]).is_ok());
    }

    #[test]
    fn an_order_may_be_an_alias() {
        let options =
            read(&[("$orderby", "@p1 desc,parentaccountid/name"), ("@p1", "name")]).unwrap();
        let [first, second] = options.order.as_slice() else { panic!() };
        assert!(first.descending && first.path == ["name"]);
        assert_eq!(second.path, ["parentaccountid", "name"]);
    }

    #[test]
    fn hostile_texts_are_refused() {
        let deep = format!("{}a{}", "a($expand=".repeat(2_000), ")".repeat(2_000));
        for (name, value) in [
            ("$expand", deep.as_str()),
            ("$expand", "a("),
            ("$expand", "a)"),
            ("$expand", "a($select)"),
            ("$orderby", "name sideways"),
            ("$orderby", ""),
            ("$top", "-1"),
            ("$count", "maybe"),
            ("$select", "a,'b"),
        ] {
            assert!(read(&[(name, value)]).is_err(), "{name}={value:.20} was taken");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_panics(text in "[a-z()$;,=' /@]{0,60}") {
            for name in ["$expand", "$orderby", "$select", "$filter", "$top"] {
                let _unused = read(&[(name, &text)]);
            }
        }
    }
}
