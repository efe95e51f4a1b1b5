//! The target against a stand-in for the service, over real HTTP.

#![allow(clippy::match_bool, reason = "what is answered to what reads best as a table")]

mod reading;
mod refusals;
mod stub;
mod writing;

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Config, Dataverse};
use crate::chance::Chance;
use crate::change::Correlation;
use crate::clock::SystemClock;
use crate::fault::Kind;
use crate::order::Order;
use crate::retry::Backoff;
use crate::row::{Action, Columns, Destination, Key, Lookup, Missing, Removal, Row, State, Value};
use crate::system::{
    AlternateKey, Answer, Before, Lane, Reference, TableSchema, Target, Until, Write,
};

const CORRELATION: &str = "0af76519-16cd-43dd-8448-eb211c80319c";

fn config(url: &str) -> Config {
    let backoff = Backoff { first: Duration::from_millis(1), longest: Duration::from_millis(5) };
    let schemas = [customer(), region(), country()].map(|schema| (schema.name.clone(), schema));
    Config { backoff, schemas: schemas.into(), ..Config::new("sales", url) }
}

fn target(url: &str) -> Dataverse {
    built(config(url))
}

fn built(config: Config) -> Dataverse {
    Dataverse::new(config, None, Arc::new(SystemClock), Chance::seeded(7)).unwrap()
}

fn table(name: &str, set: &str, key: &str, lookups: &[(&str, &str, &str)]) -> TableSchema {
    let lookups = lookups.iter().map(|(column, table, navigation)| Reference {
        column: (*column).into(),
        table: (*table).into(),
        navigation: (*navigation).into(),
    });
    TableSchema {
        name: name.into(),
        set: set.into(),
        id: format!("{name}id"),
        bulk: true,
        keys: vec![AlternateKey { name: "k".into(), columns: vec![key.into()], active: true }],
        lookups: lookups.collect(),
        ..TableSchema::default()
    }
}

fn customer() -> TableSchema {
    let lookups = [
        ("acme_regionid", "acme_region", "acme_RegionId"),
        ("acme_parentid", "acme_customer", "acme_ParentId"),
    ];
    table("acme_customer", "acme_customers", "acme_number", &lookups)
}

fn region() -> TableSchema {
    table(
        "acme_region",
        "acme_regions",
        "acme_code",
        &[("acme_countryid", "acme_country", "acme_CountryId")],
    )
}

fn country() -> TableSchema {
    table("acme_country", "acme_countries", "acme_iso", &[])
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn lookup(table: &str, path: &[&str], value: &str, missing: Missing) -> Value {
    let path = path.iter().map(|part| (*part).into()).collect();
    Value::Lookup(Lookup { table: table.into(), by: vec![(path, text(value))], missing })
}

fn columns(values: &[(&str, Value)]) -> Columns {
    let values = values.iter().map(|(name, value)| ((*name).into(), value.clone()));
    Columns { values: values.collect(), ..Columns::default() }
}

fn write(number: &str, action: Action) -> Write {
    let to = Destination {
        map: "m".into(),
        system: "sales".into(),
        table: "acme_customer".into(),
        key: vec!["acme_number".into()],
        ..Destination::default()
    };
    let row = Row {
        to: Arc::new(to),
        key: Key(vec![("acme_number".into(), text(number))]),
        action: action.into(),
        order: Order::emitted_at(Timestamp::UNIX_EPOCH),
        correlation: Correlation(CORRELATION.parse().unwrap()),
        only_if_known: false,
        thing: None,
    };
    Write { row: Arc::new(row), before: None }
}

fn upsert(number: &str, values: &[(&str, Value)]) -> Write {
    write(number, Action::Upsert(columns(values)))
}

fn named(number: &str) -> Write {
    upsert(number, &[("acme_name", text("N"))])
}

fn soon() -> Until {
    (Instant::now() + Duration::from_secs(5)).into()
}

/// Enough for a few attempts, when all of them fail.
fn shortly() -> Until {
    (Instant::now() + Duration::from_millis(250)).into()
}

/// `written`, `not <code>` or `unknown <code>`, with the field a fault names.
fn told(answers: &[Answer]) -> Vec<String> {
    let of = |word: &str, fault: &crate::fault::Fault| match &fault.field {
        Some(field) => format!("{word} {} {field}", fault.kind),
        None => format!("{word} {}", fault.kind),
    };
    answers
        .iter()
        .map(|answer| match answer {
            Answer::Written { .. } => "written".to_owned(),
            Answer::Kept { .. } => "kept".to_owned(),
            Answer::Absent => "absent".to_owned(),
            Answer::Not(fault) => of("not", fault),
            Answer::Unknown(fault) => of("unknown", fault),
        })
        .collect()
}
