//! TOML text in, a typed value and the place of every key out, with all problems at once.
//!
//! Serde stops at the first thing it dislikes. Here the disliked node is noted, taken out of the parsed
//! tree, and the rest is tried again, so that one reading finds every unknown key and wrong type.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use toml::Spanned;
use toml::de::{DeArray, DeTable, DeValue, ValueDeserializer};

use super::problem::{Problem, Severity, nearest};

/// More complaints about one file help nobody.
const MOST_PROBLEMS: usize = 200;

/// A file as far as it could be read.
#[derive(Debug)]
pub struct Document<T> {
    /// What is left when everything disliked is taken out.
    pub value: T,
    /// Where each key stands.
    pub places: Arc<Places>,
    /// What was disliked.
    pub problems: Vec<Problem>,
}

/// Where each key of a file stands.
#[derive(Debug, Default)]
pub struct Places {
    /// The file's name, as problems show it.
    pub file: Arc<str>,
    /// Line and column by path (`fields/name/max`; elements of arrays by their index).
    at: HashMap<String, (usize, usize)>,
}

impl Places {
    /// Line and column of a path, or of its nearest known parent; the file's start when there is none.
    pub fn at(&self, path: &str) -> (usize, usize) {
        let mut path = path;
        loop {
            if let Some(place) = self.at.get(path) {
                return *place;
            }
            match path.rsplit_once('/') {
                Some((parent, _)) => path = parent,
                None => return (1, 1),
            }
        }
    }

    /// Whether the file has this key.
    pub fn has(&self, path: &str) -> bool {
        self.at.contains_key(path)
    }
}

/// Reads a file. `edit` sees every text with its path first, and may replace it or refuse it with a
/// rule code and a message.
pub fn read<T: DeserializeOwned + Default>(
    file: &str,
    text: &str,
    edit: &mut dyn FnMut(&str, &str) -> Edit,
) -> Document<T> {
    read_as(file, text, edit, |_| {})
}

/// The same for a file whose tree is brought into another shape before it is read. Places and paths
/// stay those of the file.
pub fn read_as<T: DeserializeOwned + Default>(
    file: &str,
    text: &str,
    edit: &mut dyn FnMut(&str, &str) -> Edit,
    shape: impl FnOnce(&mut DeTable<'_>),
) -> Document<T> {
    let index = Lines::of(text);
    let mut noted = Noted { file, lines: &index, problems: Vec::new() };
    let (mut root, errors) = DeTable::parse_recoverable(text);
    for error in errors {
        noted.add(error.span(), "toml", error.message().to_owned(), None);
    }
    let mut places = Places { file: file.into(), at: HashMap::new() };
    let mut walk = Walk { places: &mut places, noted: &mut noted, edit };
    walk.table(root.get_mut(), "");
    shape(root.get_mut());
    let value = settle(&mut root, &mut noted);
    Document { value, places: Arc::new(places), problems: noted.problems }
}

/// What becomes of a text while a file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    /// It stays.
    Keep,
    /// It is replaced.
    Replace(String),
    /// It is a problem: rule and message.
    Refuse(&'static str, String),
}

fn settle<T: DeserializeOwned + Default>(
    root: &mut Spanned<DeTable<'_>>,
    noted: &mut Noted<'_>,
) -> T {
    while noted.problems.len() < MOST_PROBLEMS {
        let attempt = Spanned::new(root.span(), DeValue::Table(root.get_ref().clone()));
        let error = match T::deserialize(ValueDeserializer::from(attempt)) {
            Ok(value) => return value,
            Err(error) => error,
        };
        noted.disliked(&error);
        if !error.span().is_some_and(|span| remove(root.get_mut(), &span)) {
            break;
        }
    }
    T::default()
}

/// Takes the entry out whose key or value stands exactly there.
fn remove(table: &mut DeTable<'_>, span: &Range<usize>) -> bool {
    let found = table.iter().find(|(key, value)| key.span() == *span || value.span() == *span);
    if let Some(name) = found.map(|(key, _)| key.get_ref().to_string()) {
        return table.remove(name.as_str()).is_some();
    }
    table.iter_mut().any(|(_, value)| remove_below(value.get_mut(), span))
}

fn remove_below(value: &mut DeValue<'_>, span: &Range<usize>) -> bool {
    if let DeValue::Table(table) = value {
        return remove(table, span);
    }
    let DeValue::Array(array) = value else { return false };
    let stands = array.iter().any(|item| item.span() == *span);
    if !stands {
        return array.iter_mut().any(|item| remove_below(item.get_mut(), span));
    }
    let mut kept = DeArray::new();
    array.iter().filter(|item| item.span() != *span).for_each(|item| kept.push(item.clone()));
    *array = kept;
    true
}

struct Walk<'w, 'n> {
    places: &'w mut Places,
    noted: &'w mut Noted<'n>,
    edit: &'w mut dyn FnMut(&str, &str) -> Edit,
}

impl Walk<'_, '_> {
    fn table(&mut self, table: &mut DeTable<'_>, path: &str) {
        for (key, value) in table.iter_mut() {
            let slash = if path.is_empty() { "" } else { "/" };
            let path = format!("{path}{slash}{}", key.get_ref());
            self.places.at.insert(path.clone(), self.noted.lines.place(key.span().start));
            self.value(value, &path);
        }
    }

    fn value(&mut self, value: &mut Spanned<DeValue<'_>>, path: &str) {
        let span = value.span();
        match value.get_mut() {
            DeValue::Table(table) => self.table(table, path),
            DeValue::Array(array) => {
                for (index, item) in array.iter_mut().enumerate() {
                    let path = format!("{path}/{index}");
                    self.places.at.insert(path.clone(), self.noted.lines.place(item.span().start));
                    self.value(item, &path);
                }
            }
            DeValue::String(text) => match (self.edit)(path, text) {
                Edit::Keep => {}
                Edit::Replace(other) => *text = other.into(),
                Edit::Refuse(rule, message) => self.noted.add(Some(span), rule, message, None),
            },
            DeValue::Integer(_)
            | DeValue::Float(_)
            | DeValue::Boolean(_)
            | DeValue::Datetime(_) => {}
        }
    }
}

struct Noted<'n> {
    file: &'n str,
    lines: &'n Lines<'n>,
    problems: Vec<Problem>,
}

impl Noted<'_> {
    fn add(
        &mut self,
        span: Option<Range<usize>>,
        rule: &'static str,
        message: String,
        suggestion: Option<String>,
    ) {
        let (line, column) = self.lines.place(span.map_or(0, |span| span.start));
        let (file, severity) = (self.file.to_owned(), Severity::Error);
        self.problems.push(Problem { file, line, column, severity, rule, message, suggestion });
    }

    fn disliked(&mut self, error: &toml::de::Error) {
        let message = error.message();
        let mut names = message.split('`').skip(1).step_by(2);
        let unknown =
            message.starts_with("unknown field") || message.starts_with("unknown variant");
        let Some(name) = names.next().filter(|_| unknown) else {
            return self.add(error.span(), "wrong-type", without_values(message), None);
        };
        let known: Vec<&str> = names.collect();
        let suggestion = match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known here: {}", known.join(", ")),
        };
        let (rule, what) = if message.starts_with("unknown field") {
            ("unknown-key", format!("`{name}` is not a key that is known here"))
        } else {
            ("unknown-word", "this is not one of the words that are known here".to_owned())
        };
        self.add(error.span(), rule, what, Some(suggestion));
    }
}

/// A serde message without the text it quotes, which may have come from a setting.
fn without_values(message: &str) -> String {
    match (message.find('"'), message.rfind('"')) {
        (Some(start), Some(end)) if start < end => {
            let (before, after) = (message.get(..=start), message.get(end..));
            format!("{}…{}", before.unwrap_or_default(), after.unwrap_or_default())
        }
        (Some(_) | None, _) => message.to_owned(),
    }
}

/// Turns byte offsets to lines and columns.
struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn of(text: &'t str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        Self { text, starts: std::iter::once(0).chain(after.map(|(at, _)| at + 1)).collect() }
    }

    fn place(&self, offset: usize) -> (usize, usize) {
        let line = self.starts.partition_point(|start| *start <= offset);
        let start = self.starts.get(line.saturating_sub(1)).copied().unwrap_or_default();
        let column = self.text.get(start..offset).map_or(0, |text| text.chars().count());
        (line.max(1), column + 1)
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Sample {
        name: String,
        size: u32,
        parts: Vec<Part>,
    }

    #[derive(Debug, Default, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct Part {
        label: String,
    }

    fn rules(text: &str) -> Vec<(&'static str, usize)> {
        let read = read::<Sample>("x.toml", text, &mut |_, _| Edit::Keep);
        read.problems.iter().map(|problem| (problem.rule, problem.line)).collect()
    }

    #[test]
    fn every_unknown_key_and_wrong_type_is_found_in_one_reading() {
        let text = "nam = \"a\"\nsize = \"big\"\nzip = 1\n[[parts]]\nlable = \"x\"\n";
        let mut found = rules(text);
        found.sort_by_key(|(_, line)| *line);
        let expected =
            [("unknown-key", 1), ("wrong-type", 2), ("unknown-key", 3), ("unknown-key", 5)];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_right_beside_what_is_wrong_is_still_read() {
        let text = "name = \"a\"\nsize = true\n[[parts]]\nlabel = \"x\"\n";
        let read = read::<Sample>("x.toml", text, &mut |_, _| Edit::Keep);
        assert_eq!((read.value.name.as_str(), read.value.parts.len()), ("a", 1));
        assert_eq!(read.value.parts[0].label, "x");
        assert_eq!(read.places.at("parts/0/label"), (4, 1));
        assert_eq!(read.places.at("parts/0/other"), (3, 1));
    }

    #[test]
    fn a_text_can_be_replaced_before_it_is_read_and_is_not_quoted_when_it_does_not_fit() {
        let mut edit = |_: &str, text: &str| match text {
            "${S}" => Edit::Replace("hunter2".into()),
            _ => Edit::Keep,
        };
        let read = read::<Sample>("x.toml", "name = \"${S}\"\nsize = \"${S}\"", &mut edit);
        assert_eq!(read.value.name, "hunter2");
        assert!(!read.problems[0].to_string().contains("hunter2"), "{}", read.problems[0]);
    }
}
