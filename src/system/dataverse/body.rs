//! A row to the JSON that the service takes.
//!
//! In goes a planned row; out come bytes, written straight. Numbers keep their digits: a decimal is
//! never a float. Key columns stand in the body only where the address is an id (Dataverse Web API,
//! what upsert really does: a key column in the body beats the address).

use jiff::Timestamp;

use super::classify::{Cause, Failure, Fate};
use super::keys::Address;
use super::names::Table;
use super::plan::Item;
use crate::fault::{Fault, Kind};
use crate::quote;
use crate::row::{Action, HandOff, Owner, State, Value};

/// The usual length of a row.
const USUAL: usize = 768;
/// What is written behind the name of a lookup.
const BIND: &str = "@odata.bind";

/// The body of an upsert of one row by its address.
pub(super) fn row(item: &Item<'_>, table: &Table) -> Result<Vec<u8>, Failure> {
    let mut json = Vec::with_capacity(USUAL);
    push_row(item, table, false, &mut json)?;
    Ok(json)
}

/// The body of UpsertMultiple.
pub(super) fn rows(items: &[Item<'_>], table: &Table) -> Result<Vec<u8>, Failure> {
    let mut json = Vec::with_capacity(items.len() * USUAL);
    json.extend_from_slice(br#"{"Targets":["#);
    for (place, item) in items.iter().enumerate() {
        if place > 0 {
            json.push(b',');
        }
        push_row(item, table, true, &mut json)?;
    }
    json.extend_from_slice(b"]}");
    Ok(json)
}

/// The body that gives a row its state, or hands it off.
pub(super) fn state(state: State, hand_off: Option<&HandOff>) -> Vec<u8> {
    if let Some(hand_off) = hand_off {
        let value = hand_off.value(state);
        return serde_json::json!({ &hand_off.column: value }).to_string().into_bytes();
    }
    match state.status {
        Some(status) => format!(r#"{{"statecode":{},"statuscode":{status}}}"#, state.state),
        None => format!(r#"{{"statecode":{}}}"#, state.state),
    }
    .into_bytes()
}

fn push_row(item: &Item<'_>, table: &Table, bulk: bool, json: &mut Vec<u8>) -> Result<(), Failure> {
    json.push(b'{');
    let mut members = Members { json, empty: true };
    if bulk {
        members.name("@odata.type", "").text(&["Microsoft.Dynamics.CRM.", &table.name]);
        match &item.address {
            Address::Key(_) => {
                members.name("@odata.id", "").text(&[&item.address.reference(table)]);
            }
            Address::Id(id) => members.name(&table.id, "").text(&[&id.to_string()]),
        }
    }
    if matches!(item.address, Address::Id(_)) {
        for (column, value) in item.row.key.0.iter().filter(|(name, _)| **name != *table.id) {
            members.cell(item, column, value)?;
        }
    }
    if let Action::Upsert(columns) = &*item.row.action {
        for (column, value) in &columns.values {
            members.cell(item, column, value)?;
        }
        if let (Some(hand_off), Some(state)) = (&item.row.to.hand_off, columns.state) {
            let value = hand_off.value(state);
            members.name(&hand_off.column, "").bare(value.map_or("null".into(), |v| v.to_string()));
        }
        if let Some(owner) = columns.owner {
            members.name("ownerid", BIND).text(&[&owner_address(owner)]);
        }
    }
    json.push(b'}');
    Ok(())
}

/// The members of a row, as they are written.
struct Members<'j> {
    json: &'j mut Vec<u8>,
    empty: bool,
}

impl Members<'_> {
    fn cell(&mut self, item: &Item<'_>, column: &str, value: &Value) -> Result<(), Failure> {
        let Some(link) = item.links.get(column) else {
            return self.name(column, "").value(value);
        };
        self.name(&link.navigation, BIND);
        match &link.to {
            Some(address) => self.text(&[address]),
            None => self.bare("null"),
        }
        Ok(())
    }

    /// A name in two pieces, of which the second needs no escape, and the colon behind it.
    fn name(&mut self, name: &str, ending: &str) -> &mut Self {
        self.json.extend_from_slice(if self.empty { b"\"" } else { b",\"" });
        self.empty = false;
        quote::push_inner(name, self.json);
        self.json.extend_from_slice(ending.as_bytes());
        self.json.extend_from_slice(b"\":");
        self
    }

    fn text(&mut self, pieces: &[&str]) {
        self.json.push(b'"');
        for piece in pieces {
            quote::push_inner(piece, self.json);
        }
        self.json.push(b'"');
    }

    fn bare(&mut self, text: impl AsRef<str>) {
        self.json.extend_from_slice(text.as_ref().as_bytes());
    }

    /// A value as a column of the service takes it.
    fn value(&mut self, value: &Value) -> Result<(), Failure> {
        match value {
            Value::Null => self.bare("null"),
            Value::Text(text) => self.text(&[text]),
            Value::Integer(number) => quote::push_number(*number, self.json),
            Value::Decimal(number) => self.bare(number.to_string()),
            Value::Boolean(yes) => self.bare(if *yes { "true" } else { "false" }),
            Value::Date(date) => quote::push_date(*date, self.json),
            Value::Time(time) => quote::push_time(whole_seconds(*time), self.json),
            Value::Guid(id) => quote::push_id(*id, self.json),
            Value::Choices(_) => self.text(&[&value.to_string()]),
            Value::Lookup(_) => return Err(unwritable()),
        }
        Ok(())
    }
}

fn unwritable() -> Failure {
    let message = "a lookup has no form that the target takes; correct the field in the map";
    Failure::unanswered(Cause::Refused, Fate::Not, Fault::new(Kind::Inconvertible, message))
}

fn owner_address(owner: Owner) -> String {
    match owner {
        Owner::User(id) => format!("/systemusers({id})"),
        Owner::Team(id) => format!("/teams({id})"),
    }
}

/// Without a fraction, as `2026-03-14T09:15:02Z`.
fn whole_seconds(time: Timestamp) -> Timestamp {
    let before_1970 = i64::from(time.subsec_nanosecond() < 0);
    Timestamp::from_second(time.as_second() - before_1970).unwrap_or(time)
}
