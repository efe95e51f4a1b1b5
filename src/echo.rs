//! Echoes: our own writes that come back as changes of the system they were written to.
//!
//! In come a change and what was written to its row; out goes how it is known to be our own, if it is.
//! The content decides: it is an echo when it holds just what was written last. The tag of the request
//! and the user who made it say how it is known, but are not trusted alone, because the row that a tagged
//! event shows may hold somebody's edit of another column besides. An echo is not written again: the
//! ledger remembers that both sides hold it. Nothing depends on an echo being noticed; one that is not is
//! written once more, unchanged, and comes to rest then.
//!
//! Source: Dataverse Web API, bypass and loop prevention.

use rust_decimal::Decimal;
use serde_json::value::RawValue;
use uuid::Uuid;

use crate::change::{Author, Change};
use crate::outcome::Echo;
use crate::row::{Columns, Key, Value};

/// What the tags of our own requests begin with.
pub const TAG: &str = "concord:";

/// Whether its maker says that a change is our own; `own` is the user in whose name we write there.
pub fn told(author: &Author, own: Option<Uuid>) -> Option<Echo> {
    if author.tag.as_ref().is_some_and(|tag| tag.starts_with(TAG)) {
        return Some(Echo::Tag);
    }
    (author.user.is_some() && author.user == own).then_some(Echo::User)
}

/// Whether a change holds what was written: every property that is read of it (`reads`) is a column that
/// was written, with the value that was written. A reference was written by a business key, so it is
/// compared when that key is what is read of it (`acme_hotelid.acme_code`), and is never the same as an id.
pub fn is_same<'n>(
    (key, columns): (&Key, &Columns),
    change: &Change<'_>,
    mut reads: impl Iterator<Item = &'n str>,
) -> bool {
    let written = |name: &str| {
        let mut all = key.0.iter().chain(&columns.values);
        all.find(|(column, _)| **column == *name).map(|(_, value)| value)
    };
    reads.all(|name| match written(name).or_else(|| hop(written, name)) {
        Some(value) => holds(change.property(name), value),
        None => state(columns, name).is_some_and(|number| {
            change.property(name).is_some_and(|raw| raw.get() == number.to_string())
        }),
    })
}

/// The value by which a reference was written, for `lookup.column`.
fn hop<'v>(written: impl Fn(&str) -> Option<&'v Value>, name: &str) -> Option<&'v Value> {
    let (lookup, path) = name.split_once('.')?;
    match written(lookup)? {
        Value::Lookup(lookup) => {
            let mut by = lookup.by.iter();
            by.find(|(columns, _)| columns.join(".") == path).map(|(_, value)| value)
        }
        Value::Null => Some(&Value::Null),
        Value::Text(_)
        | Value::Integer(_)
        | Value::Decimal(_)
        | Value::Boolean(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Guid(_)
        | Value::Choices(_) => None,
    }
}

/// The state or status that was written.
fn state(columns: &Columns, name: &str) -> Option<i32> {
    match name {
        "statecode" => columns.state.map(|state| state.state),
        "statuscode" => columns.state.and_then(|state| state.status),
        _ => None,
    }
}

/// The key of the row that a change of its own table is about, as the columns of the change say it.
pub fn key(columns: &[String], change: &Change<'_>) -> Option<Key> {
    let part = |column: &String| {
        let text = text(change.property(column)?)?;
        Some((column.as_str().into(), Value::Text(text)))
    };
    columns.iter().map(part).collect::<Option<Vec<_>>>().map(Key)
}

fn holds(raw: Option<&RawValue>, value: &Value) -> bool {
    let said = raw.and_then(text);
    match value {
        Value::Null => said.is_none(),
        Value::Lookup(_) => false,
        Value::Decimal(number) => {
            let said = said.and_then(|text| text.parse::<Decimal>().ok());
            said.is_some_and(|said| said == *number)
        }
        Value::Text(_)
        | Value::Integer(_)
        | Value::Boolean(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Guid(_)
        | Value::Choices(_) => said.unwrap_or_default() == value.to_string(),
    }
}

/// The text of a single value; none for null, lists and objects.
fn text(raw: &RawValue) -> Option<String> {
    match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str(raw.get()).ok(),
        Some(b'n' | b'[' | b'{') | None => None,
        Some(_) => Some(raw.get().to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;

    use super::*;
    use crate::decode::dataverse::gone;
    use crate::row::{Lookup, Missing, State};

    fn change(properties: &str) -> Change<'static> {
        let members: indexmap::IndexMap<String, Box<RawValue>> =
            serde_json::from_str(properties).unwrap();
        let properties = members.into_iter().map(|(name, raw)| (name.into(), Cow::Owned(raw)));
        let base = gone("account", Uuid::nil(), jiff::Timestamp::UNIX_EPOCH);
        Change { properties: properties.collect(), ..base }
    }

    fn written() -> (Key, Columns) {
        let key = Key(vec![("number".into(), Value::Text("1".into()))]);
        let values = vec![
            ("name".into(), Value::Text("A".into())),
            ("limit".into(), Value::Decimal("10.50".parse().unwrap())),
            ("phone".into(), Value::Null),
        ];
        let state = Some(State { state: 1, status: Some(2) });
        (key, Columns { values, state, owner: None })
    }

    fn same(properties: &str, reads: &[&str]) -> bool {
        let (key, columns) = written();
        is_same((&key, &columns), &change(properties), reads.iter().copied())
    }

    #[test]
    fn the_same_content_is_an_echo_whatever_the_spelling_of_its_numbers() {
        let all = ["number", "name", "limit", "phone", "statecode", "statuscode"];
        let row = r#"{"number":"1","name":"A","limit":10.5,"phone":null,"statecode":1,"statuscode":2,"more":1}"#;
        assert!(same(row, &all));
        for (from, to) in [("\"A\"", "\"B\""), ("10.5", "10.51"), ("null", "\"5\""), (":2,", ":1,")]
        {
            assert!(!same(&row.replace(from, to), &all), "{from} {to}");
        }
    }

    #[test]
    fn what_was_not_written_or_is_a_reference_is_never_the_same() {
        assert!(!same(r#"{"name":"A","more":1}"#, &["name", "more"]));
        let by = vec![(vec!["code".into()], Value::Text("H1".into()))];
        let lookup = Lookup { table: "t".into(), by, missing: Missing::Park };
        let columns = Columns {
            values: vec![("parent".into(), Value::Lookup(lookup))],
            ..Columns::default()
        };
        let parent = change(r#"{"parent":"5f0c2a11-0d3e-ef11-8409-000d3a1f2b3c"}"#);
        assert!(!is_same((&Key(Vec::new()), &columns), &parent, ["parent"].into_iter()));
        for (code, same) in [("H1", true), ("H2", false)] {
            let parent = change(&format!(r#"{{"parent":"x","parent.code":"{code}"}}"#));
            let reads = ["parent.code"].into_iter();
            assert_eq!(is_same((&Key(Vec::new()), &columns), &parent, reads), same);
        }
    }

    #[test]
    fn the_maker_tells_by_tag_or_by_user() {
        let own = Uuid::from_u128(7);
        let by =
            |user: Option<Uuid>, tag: Option<&str>| Author { user, tag: tag.map(str::to_owned) };
        assert_eq!(told(&by(None, Some("concord:x")), None), Some(Echo::Tag));
        assert_eq!(told(&by(Some(own), Some("other")), Some(own)), Some(Echo::User));
        assert_eq!(told(&by(Some(own), None), None), None);
        assert_eq!(told(&by(None, None), None), None);
    }
}
