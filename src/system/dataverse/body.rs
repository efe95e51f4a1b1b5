//! A row to the JSON that the service takes.
//!
//! In goes a planned row; out come bytes, written straight. Numbers keep their digits: a decimal is
//! never a float. Key columns stand in the body only where the address is an id (Dataverse Web API,
//! what upsert really does: a key column in the body beats the address).

use jiff::Timestamp;
use rust_decimal::Decimal;
use serde::ser::{Error as _, SerializeMap};
use serde::{Serialize, Serializer};
use serde_json::value::RawValue;

use super::classify::{Cause, Failure, Fate};
use super::keys::Address;
use super::names::Table;
use super::plan::Item;
use crate::fault::{Fault, Kind};
use crate::row::{Action, HandOff, Owner, State, Value};

/// The body of an upsert of one row by its address.
pub(super) fn row(item: &Item<'_>, table: &Table) -> Result<Vec<u8>, Failure> {
    serde_json::to_vec(&Body { item, table, bulk: false }).map_err(unwritable)
}

/// The body of UpsertMultiple.
pub(super) fn rows(items: &[Item<'_>], table: &Table) -> Result<Vec<u8>, Failure> {
    #[derive(Serialize)]
    struct Bodies<'a> {
        #[serde(rename = "Targets")]
        targets: Vec<Body<'a>>,
    }
    let targets = items.iter().map(|item| Body { item, table, bulk: true }).collect();
    let mut json = Vec::with_capacity(items.len() * 768);
    serde_json::to_writer(&mut json, &Bodies { targets }).map_err(unwritable)?;
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

fn unwritable(error: serde_json::Error) -> Failure {
    let message = "a value has no form that the target takes; correct the field in the map";
    let fault = Fault::new(Kind::Inconvertible, message).caused_by(error);
    Failure::unanswered(Cause::Refused, Fate::Not, fault)
}

struct Body<'a> {
    item: &'a Item<'a>,
    table: &'a Table,
    bulk: bool,
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { item, table, bulk } = self;
        let mut map = serializer.serialize_map(None)?;
        if *bulk {
            map.serialize_entry(
                "@odata.type",
                &format_args!("Microsoft.Dynamics.CRM.{}", table.name),
            )?;
            match &item.address {
                Address::Key(_) => {
                    map.serialize_entry("@odata.id", &item.address.reference(table))?;
                }
                Address::Id(id) => map.serialize_entry(&table.id, id)?,
            }
        }
        if matches!(item.address, Address::Id(_)) {
            for (column, value) in item.row.key.0.iter().filter(|(name, _)| **name != *table.id) {
                self.cell(&mut map, column, value)?;
            }
        }
        if let Action::Upsert(columns) = &*item.row.action {
            for (column, value) in &columns.values {
                self.cell(&mut map, column, value)?;
            }
            if let (Some(hand_off), Some(state)) = (&item.row.to.hand_off, columns.state) {
                map.serialize_entry(&hand_off.column, &hand_off.value(state))?;
            }
            if let Some(owner) = columns.owner {
                map.serialize_entry("ownerid@odata.bind", &owner_address(owner))?;
            }
        }
        map.end()
    }
}

impl Body<'_> {
    fn cell<M: SerializeMap>(
        &self,
        map: &mut M,
        column: &str,
        value: &Value,
    ) -> Result<(), M::Error> {
        match self.item.links.get(column) {
            Some(link) => {
                map.serialize_entry(&format_args!("{}@odata.bind", link.navigation), &link.to)
            }
            None => map.serialize_entry(column, &Cell(value)),
        }
    }
}

fn owner_address(owner: Owner) -> String {
    match owner {
        Owner::User(id) => format!("/systemusers({id})"),
        Owner::Team(id) => format!("/teams({id})"),
    }
}

/// A value as a column of the service takes it.
struct Cell<'a>(&'a Value);

impl Serialize for Cell<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            Value::Null => serializer.serialize_unit(),
            Value::Text(text) => serializer.serialize_str(text),
            Value::Integer(number) => serializer.serialize_i64(*number),
            Value::Decimal(number) => exact(number)?.serialize(serializer),
            Value::Boolean(yes) => serializer.serialize_bool(*yes),
            Value::Date(date) => serializer.collect_str(date),
            Value::Time(time) => serializer.collect_str(&whole_seconds(*time)),
            Value::Guid(id) => serializer.collect_str(id),
            Value::Choices(_) => serializer.collect_str(self.0),
            Value::Lookup(_) => Err(S::Error::custom("a lookup that was not resolved")),
        }
    }
}

/// Without a fraction, as `2026-03-14T09:15:02Z`.
fn whole_seconds(time: Timestamp) -> Timestamp {
    let before_1970 = i64::from(time.subsec_nanosecond() < 0);
    Timestamp::from_second(time.as_second() - before_1970).unwrap_or(time)
}

fn exact<E: serde::ser::Error>(number: &Decimal) -> Result<Box<RawValue>, E> {
    RawValue::from_string(number.to_string()).map_err(E::custom)
}
