//! Business keys in addresses and filters.
//!
//! In goes a value; out comes its OData literal, or word that an address cannot carry it: ten
//! characters are refused by the service in any encoding, and dates with a time hold one of them
//! (Dataverse Web API, addressing by alternate key). Such rows are found by a filter and addressed
//! by id.

use std::borrow::Cow;
use std::fmt::Write as _;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::names::Table;
use crate::row::{Key, Value};

/// Characters that no address by key may hold.
const FORBIDDEN: &[u8] = br"/<>*%&:\?+";

/// Encoded in a path or a query: all but what addresses and filters are made of.
const IN_URL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')')
    .remove(b',')
    .remove(b'=')
    .remove(b'$')
    .remove(b'/')
    .remove(b':');

/// Keys of this namespace give the ids of rows that Concord creates by id.
const NAMESPACE: Uuid = Uuid::from_u128(0x9b1f_6a52_70c4_5d0e_8d6b_36c2_4e0f_a1d7);

/// Where a row is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Address {
    /// Under its alternate key: `accountnumber='C-1'`, not encoded.
    Key(String),
    /// Under its id, because its key cannot stand in an address.
    Id(Uuid),
}

impl Address {
    /// The path of the row below the root of the Web API.
    pub(super) fn path(&self, table: &Table) -> String {
        match self {
            Self::Key(key) => format!("{}({})", table.set, utf8_percent_encode(key, IN_URL)),
            Self::Id(id) => format!("{}({id})", table.set),
        }
    }

    /// The same inside a JSON body, where only what would end an address is encoded: a reader that
    /// does not decode there then still sees every usual key as it is.
    pub(super) fn reference(&self, table: &Table) -> String {
        match self {
            Self::Key(key) => {
                let mut text = String::with_capacity(table.set.len() + key.len() + 8);
                text.push_str(&table.set);
                text.push('(');
                push_replaced(key, ('#', "%23"), &mut text);
                text.push(')');
                text
            }
            Self::Id(id) => format!("{}({id})", table.set),
        }
    }
}

/// The usual length of a key in an address.
const USUAL: usize = 64;

/// Column and value of every part of a key; lookups are resolved to ids before.
pub(super) type Parts = Vec<(String, Value)>;

/// The address of the row with this key; `None` when it must be found by a filter.
pub(super) fn address(table: &Table, parts: &Parts) -> Option<Address> {
    if let [(column, Value::Guid(id))] = parts.as_slice()
        && *column == table.id
    {
        return Some(Address::Id(*id));
    }
    let mut text = String::with_capacity(USUAL);
    for (column, value) in parts {
        if !fits_address(value) {
            return None;
        }
        if !text.is_empty() {
            text.push(',');
        }
        text.push_str(&property(table, column, value));
        text.push('=');
        push_literal(value, &mut text)?;
    }
    Some(Address::Key(text))
}

/// A filter that exactly the rows with this key pass; `None` when a part has no literal.
pub(super) fn filter(table: &Table, parts: &Parts) -> Option<String> {
    let tests = parts.iter().map(|(path, value)| {
        let mut test = property(table, path, value).into_owned();
        test.push_str(" eq ");
        push_literal(value, &mut test)?;
        Some(test)
    });
    Some(tests.collect::<Option<Vec<String>>>()?.join(" and "))
}

/// A text as it stands in the value of a query option.
pub(super) fn encoded(text: &str) -> String {
    utf8_percent_encode(text, IN_URL).to_string()
}

/// The address of a query: at most two rows are wanted, to tell one from several.
pub(super) fn query(table: &Table, columns: &[String], filter: &str) -> String {
    let filter = utf8_percent_encode(filter, IN_URL);
    format!("{}?$select={}&$top=2&$filter={filter}", table.set, columns.join(","))
}

/// The id of a row that is created by id: the same for every instance that creates it.
pub(super) fn made_id(table: &str, key: &Key) -> Uuid {
    let name = format!("{table}\0{}", serde_json::to_string(key).unwrap_or_default());
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// An id in a key column that is not the table's own id is a lookup's, which has a name of its own.
fn property<'p>(table: &Table, path: &'p str, value: &Value) -> Cow<'p, str> {
    let (way, column) = path.rsplit_once('/').map_or((None, path), |(way, name)| (Some(way), name));
    match (value, way) {
        (Value::Guid(_), Some(way)) if column != table.id => {
            format!("{way}/_{column}_value").into()
        }
        (Value::Guid(_), None) if column != table.id => format!("_{column}_value").into(),
        (_, _) => path.into(),
    }
}

fn fits_address(value: &Value) -> bool {
    match value {
        Value::Text(text) => !text.bytes().any(|byte| FORBIDDEN.contains(&byte)),
        Value::Time(_) | Value::Null | Value::Choices(_) | Value::Lookup(_) => false,
        Value::Integer(_)
        | Value::Decimal(_)
        | Value::Boolean(_)
        | Value::Date(_)
        | Value::Guid(_) => true,
    }
}

/// Appends the OData literal of a value; none for what no key can hold.
fn push_literal(value: &Value, to: &mut String) -> Option<()> {
    match value {
        Value::Text(text) => {
            to.push('\'');
            push_replaced(text, ('\'', "''"), to);
            to.push('\'');
        }
        Value::Integer(_)
        | Value::Decimal(_)
        | Value::Boolean(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Guid(_) => {
            let _infallible = write!(to, "{value}");
        }
        Value::Null | Value::Choices(_) | Value::Lookup(_) => return None,
    }
    Some(())
}

/// Appends a text with each of a character replaced.
fn push_replaced(text: &str, (char, by): (char, &str), to: &mut String) {
    for (place, piece) in text.split(char).enumerate() {
        if place > 0 {
            to.push_str(by);
        }
        to.push_str(piece);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(values: &[(&str, Value)]) -> Parts {
        values.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
    }

    fn path(values: &[(&str, Value)]) -> Option<String> {
        let table = Table::guessed("acme_customer");
        address(&table, &parts(values)).map(|address| address.path(&table))
    }

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn keys_are_written_as_the_service_reads_them() {
        let id = Uuid::from_u128(0xaa);
        let composite = [("acme_company", text("US01")), ("acme_seq", Value::Integer(5))];
        for (key, wanted) in [
            (
                vec![("acme_number", text("O'Neil & é#1".replace('&', "_").as_str()))],
                "(acme_number='O''Neil%20_%20%C3%A9%231')",
            ),
            (composite.to_vec(), "(acme_company='US01',acme_seq=5)"),
            (vec![("acme_rate", Value::Decimal("1.50".parse().unwrap()))], "(acme_rate=1.50)"),
            (
                vec![("acme_parentid", Value::Guid(id))],
                "(_acme_parentid_value=00000000-0000-0000-0000-0000000000aa)",
            ),
            (vec![("acme_customerid", Value::Guid(id))], "(00000000-0000-0000-0000-0000000000aa)"),
        ] {
            assert_eq!(path(&key), Some(format!("acme_customers{wanted}")));
        }
    }

    #[test]
    fn every_forbidden_character_and_every_time_goes_by_a_filter() {
        for char in FORBIDDEN.iter().copied().map(char::from) {
            assert_eq!(path(&[("acme_number", text(&format!("a{char}b")))]), None, "{char}");
        }
        let time = Value::Time(jiff::Timestamp::UNIX_EPOCH);
        assert_eq!(path(&[("acme_at", time.clone())]), None);
        let table = Table::guessed("acme_customer");
        let key = parts(&[("acme_number", text("a/b+c&'%")), ("acme_at", time)]);
        let filter = filter(&table, &key).unwrap();
        assert_eq!(filter, "acme_number eq 'a/b+c&''%' and acme_at eq 1970-01-01T00:00:00Z");
        assert!(query(&table, &["acme_customerid".into()], &filter).ends_with(
            "$filter=acme_number%20eq%20'a/b%2Bc%26''%25'%20and%20acme_at%20eq%201970-01-01T00:00:00Z"
        ));
    }

    #[test]
    fn in_a_body_only_the_fragment_sign_is_encoded() {
        let table = Table::guessed("acme_customer");
        let address = address(&table, &parts(&[("acme_number", text("é #1"))])).unwrap();
        assert_eq!(address.reference(&table), "acme_customers(acme_number='é %231')");
    }

    #[test]
    fn a_key_part_that_is_empty_has_neither_address_nor_filter() {
        let table = Table::guessed("acme_customer");
        let key = parts(&[("acme_number", Value::Null)]);
        assert_eq!((address(&table, &key), filter(&table, &key)), (None, None));
    }

    #[test]
    fn two_instances_make_the_same_id_for_the_same_key() {
        let key = |text: &str| Key(vec![("n".into(), Value::Text(text.into()))]);
        assert_eq!(made_id("a", &key("1/2")), made_id("a", &key("1/2")));
        assert_ne!(made_id("a", &key("1/2")), made_id("b", &key("1/2")));
        assert_ne!(made_id("a", &key("1/2")), made_id("a", &key("1/3")));
    }
}
