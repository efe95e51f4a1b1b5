//! Business keys in addresses and filters.
//!
//! In goes a value; out comes its OData literal, or word that an address cannot carry it: ten
//! characters are refused by the service in any encoding, and dates with a time hold one of them
//! (Dataverse Web API, addressing by alternate key). Such rows are found by a filter and addressed by id.

use std::fmt::Write as _;

use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use super::names::Table;
use crate::row::{Key, Value};

/// Characters that no address by key may hold.
const FORBIDDEN: &[char] = &['/', '<', '>', '*', '%', '&', ':', '\\', '?', '+'];

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

/// Encoded in an address inside a JSON body: only what would end it. A reader that does not decode
/// there then still sees every usual key as it is.
const IN_BODY: &AsciiSet = &CONTROLS.add(b'#');

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

    /// The same inside a JSON body.
    pub(super) fn reference(&self, table: &Table) -> String {
        match self {
            Self::Key(key) => format!("{}({})", table.set, utf8_percent_encode(key, IN_BODY)),
            Self::Id(id) => format!("{}({id})", table.set),
        }
    }
}

/// Column and value of every part of a key; lookups are resolved to ids before.
pub(super) type Parts<'k> = Vec<(String, &'k Value)>;

/// The address of the row with this key; `None` when it must be found by a filter.
pub(super) fn address(table: &Table, parts: &Parts<'_>) -> Option<Address> {
    if let [(column, Value::Guid(id))] = parts.as_slice()
        && *column == table.id
    {
        return Some(Address::Id(*id));
    }
    let mut text = String::new();
    for (column, value) in parts {
        if !fits_address(value) {
            return None;
        }
        let comma = if text.is_empty() { "" } else { "," };
        _ = write!(text, "{comma}{}={}", property(table, column, value), literal(value)?);
    }
    Some(Address::Key(text))
}

/// A filter that exactly the rows with this key pass; `None` when a part has no literal.
pub(super) fn filter(table: &Table, parts: &Parts<'_>) -> Option<String> {
    let tests = parts.iter().map(|(path, value)| {
        Some(format!("{} eq {}", property(table, path, value), literal(value)?))
    });
    Some(tests.collect::<Option<Vec<String>>>()?.join(" and "))
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
fn property(table: &Table, path: &str, value: &Value) -> String {
    let own = path == table.id || path.ends_with(&format!("/{}", table.id));
    match (value, path.rsplit_once('/')) {
        (Value::Guid(_), _) if own => path.to_owned(),
        (Value::Guid(_), Some((way, column))) => format!("{way}/_{column}_value"),
        (Value::Guid(_), None) => format!("_{path}_value"),
        (_, _) => path.to_owned(),
    }
}

fn fits_address(value: &Value) -> bool {
    match value {
        Value::Text(text) => !text.contains(FORBIDDEN),
        Value::Time(_) | Value::Null | Value::Choices(_) | Value::Lookup(_) => false,
        Value::Integer(_)
        | Value::Decimal(_)
        | Value::Boolean(_)
        | Value::Date(_)
        | Value::Guid(_) => true,
    }
}

/// The OData literal of a value; none for what no key can hold.
fn literal(value: &Value) -> Option<String> {
    match value {
        Value::Text(text) => Some(format!("'{}'", text.replace('\'', "''"))),
        Value::Integer(_)
        | Value::Decimal(_)
        | Value::Boolean(_)
        | Value::Date(_)
        | Value::Time(_)
        | Value::Guid(_) => Some(value.to_string()),
        Value::Null | Value::Choices(_) | Value::Lookup(_) => None,
    }
}
