//! The shipped maps and the model know nothing of each other: here they must agree, event by event.

use std::path::Path;

use bytes::Bytes;
use serde_json::{Value as Json, json};

use super::*;
use crate::cli::dev::environment::countries;
use crate::cli::dev::expected::{Columns, Countries, Made};
use crate::cli::dev::stream::{Fact, What, body};
use crate::decode::{Config, Decoder};
use crate::delivery::Event;
use crate::mapping::{Defaults, Mapped, Maps, Surroundings};
use crate::row::{Action, Removal, Row, Value};

fn shipped_maps() -> (Maps, Countries) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("maps");
    let systems = ["mdm", "sales", "finance", "logistics"].map(str::to_owned);
    let around = Surroundings {
        defaults: &Defaults::default(),
        systems: &systems,
        targets: &systems[1..],
        setting: &|_| None,
    };
    let maps = Maps::load(&folder, &around);
    let maps = maps.unwrap_or_else(|problems| panic!("{problems:#?}"));
    assert!(maps.warnings.is_empty(), "{:#?}", maps.warnings);
    (maps, countries(&folder).unwrap())
}

fn event(organisation: &Organisation, fact: &Fact) -> Event {
    Event { body: Bytes::from(body(organisation, &fact.what, fact.at)), ..Event::default() }
}

/// What the maps make of an event, by system.
fn mapped(maps: &Maps, event: &Event) -> Result<BTreeMap<String, Mapped>, &'static str> {
    let decoder = Decoder::new(&Config::default()).unwrap();
    let decoded = decoder.decode(event).remove(0);
    let change = decoded.change.map_err(|fault| fault.kind.code())?;
    let rows = maps.rows("mdm", &change).into_iter();
    Ok(rows
        .map(|mapped| (maps.get(&mapped.0).unwrap().destination.system.clone(), mapped))
        .collect())
}

fn plain(value: &Value) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Text(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Decimal(decimal) => serde_json::from_str(&decimal.to_string()).unwrap(),
        Value::Date(date) => json!(date.to_string()),
        Value::Lookup(lookup) => plain(&lookup.by[0].1),
        Value::Boolean(_) | Value::Time(_) | Value::Guid(_) | Value::Choices(_) => {
            panic!("no shipped map makes {value:?}")
        }
    }
}

/// A mapped row as the model writes it: what a map leaves out is empty in a fresh row.
fn columns(consumer: Consumer, row: &Row) -> Columns {
    let Action::Upsert(columns) = &*row.action else { panic!("{row:?}") };
    let mut found: Columns = consumer
        .columns()
        .iter()
        .map(|name| ((*name).to_owned(), if *name == "statecode" { json!(0) } else { Json::Null }))
        .collect();
    for (name, value) in &columns.values {
        let shown = match name.as_ref() {
            "acme_countryid" => "_acme_countryid_value",
            name => name,
        };
        found.insert(shown.to_owned(), plain(value));
    }
    if let Some(state) = columns.state {
        found.insert("statecode".to_owned(), json!(state.state));
        if consumer.columns().contains(&"statuscode") {
            found.insert("statuscode".to_owned(), json!(state.status));
        }
    }
    found
}

fn made(consumer: Consumer, mapped: &Mapped) -> Made {
    match &mapped.1 {
        Ok(Some(row)) if matches!(*row.action, Action::Upsert(_)) => {
            Made::Row(columns(consumer, row))
        }
        // It is removed if it was ever written.
        Ok(Some(_) | None) => Made::Unwanted,
        Err(fault) => Made::Refused(fault.kind.code()),
    }
}

#[test]
fn maps_and_model_make_the_same_of_every_event() {
    let (maps, countries) = shipped_maps();
    let shipped = Shipped::plan(usize::MAX, 1);
    for fact in &shipped.stream.facts {
        let organisation = &shipped.organisations[fact.who];
        let found = mapped(&maps, &event(organisation, fact));
        let What::Now(state) = &fact.what else {
            let unreadable = matches!(fact.what, What::Truncated(_) | What::Nameless(_));
            assert_eq!(found.err(), unreadable.then_some("malformed-event"));
            continue;
        };
        let found = found.unwrap();
        for consumer in Consumer::ALL {
            let wanted = consumer.make(organisation, state, &countries);
            let got = made(consumer, &found[consumer.system()]);
            assert_eq!(wanted, got, "{consumer:?} {}", organisation.code);
            if let (Made::Row(_), Ok(Some(row))) = (&wanted, &found[consumer.system()].1) {
                assert_eq!(
                    json!(row.key.0[0].1.clone()),
                    json!(Value::Text(consumer.key_of(organisation)))
                );
            }
        }
    }
}

#[test]
fn each_consumer_has_its_own_way_with_removals() {
    let (maps, _) = shipped_maps();
    let shipped = Shipped::plan(1_000, 1);
    let removed = shipped.stream.facts.iter().find(|fact| matches!(fact.what, What::Removed(_)));
    let removed = removed.unwrap();
    let found = mapped(&maps, &event(&shipped.organisations[removed.who], removed)).unwrap();
    let action = |system: &str| found[system].1.as_ref().unwrap().as_ref().unwrap().action.clone();
    assert!(matches!(*action("sales"), Action::Hold { then: Removal::Deactivate(_), .. }));
    assert!(matches!(*action("finance"), Action::Remove(Removal::Deactivate(_))));
    assert!(matches!(*action("logistics"), Action::Remove(Removal::Delete)));
}
