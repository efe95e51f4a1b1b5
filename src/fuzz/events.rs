//! The way in: the host's envelope, and events of every shape through a map that uses every rule.
//!
//! What is read must be readable again: each change by itself from its own bytes, and each row from the
//! JSON that the ledger keeps.

use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use jiff::Timestamp;

use crate::decode::dataverse::{TABLE, Table, Tables};
use crate::decode::{Config, Decoder};
use crate::delivery::{Event, Origin, Packed};
use crate::mapping::{Maps, load};
use crate::row::{Action, Key, Row};
use crate::trigger::Envelope;

/// A map that uses every kind of rule; the entity is put in for each shape.
const EVERYTHING: &str = include_str!("../../fuzz/everything.toml");

/// What the seeds are about, by shape.
const ENTITIES: [&str; 4] = ["/Customer", "order", "com.example.order.changed", "acme_customer"];

static MAPS: LazyLock<Maps> = LazyLock::new(|| {
    let texts = ENTITIES.iter().enumerate().map(|(number, entity)| {
        EVERYTHING.replace("NAME", &format!("map-{number}")).replace("ENTITY", entity)
    });
    let (maps, problems) = load::texts(&texts.collect::<Vec<_>>());
    assert!(problems.is_empty(), "the map of the fuzzer is wrong: {problems:#?}");
    maps
});

pub(super) fn envelope(data: &[u8]) {
    let Ok(envelope) = Envelope::parse(Bytes::copy_from_slice(data)) else { return };
    let events = envelope.events(None, Timestamp::UNIX_EPOCH);
    for event in &events {
        let packed = serde_json::to_string(&Packed::of(event)).expect("an event can be written");
        let packed: Packed = serde_json::from_str(&packed).expect("and read again");
        assert!(packed.unpack().is_ok_and(|back| back == *event), "an event that was kept differs");
    }
    let (_, _, _) = (envelope.attempt(), envelope.timer(), envelope.queued());
}

/// A decoder from TOML as it stands in `concord.toml`.
fn decoder(text: &str) -> Decoder {
    let config: Config = toml::from_str(text).expect("a configuration");
    Decoder::new(&config).expect("a decoder")
}

pub(super) fn cluedin(data: &[u8]) {
    static DECODER: LazyLock<Decoder> = LazyLock::new(|| decoder("kind = 'cluedin'"));
    read(&DECODER, &event(data, &[]));
}

pub(super) fn cloudevents(data: &[u8]) {
    static DECODER: LazyLock<Decoder> = LazyLock::new(|| {
        decoder(
            "kind = 'cloudevents'\nversion = 'sequence'\nschema = { path = 'type' }\n\
             entity = 'order'",
        )
    });
    read(&DECODER, &event(data, &[]));
    let binary = [
        ("cloudEvents:specversion", "1.0"),
        ("cloudEvents:id", "evt-1"),
        ("cloudEvents:source", "/shop"),
        ("cloudEvents:type", "order"),
        ("cloudEvents:subject", "order-7"),
        ("content-type", "application/json"),
    ];
    read(&DECODER, &event(data, &binary));
}

pub(super) fn paths(data: &[u8]) {
    static DECODER: LazyLock<Decoder> = LazyLock::new(|| {
        decoder(
            r#"
            kind = "events"
            entity = { path = "type" }
            key = "order.id"
            version = "rev"
            emitted = "meta.at"
            operation = { path = "/meta/op", remove = ["d"], upsert = ["i", "u"] }
            properties = "after"
            event_id = "meta.id"
            correlation = "meta.trace"
            schema = { path = "meta.schema" }
            upcasts = [
              { from = 1, to = 2, rename = { client = "customer" }, remove = ["old"] },
              { from = 2, to = 3, default = { currency = "DKK", total = 0 } },
            ]
            "#,
        )
    });
    read(&DECODER, &event(data, &[]));
}

pub(super) fn dataverse(data: &[u8]) {
    static DECODER: LazyLock<Decoder> = LazyLock::new(|| {
        let columns = ["acme_name", "acme_number", "acme_opened"].map(str::to_owned).into();
        let dates = ["acme_opened".to_owned()].into();
        let table = Table { columns, dates, ..Table::default() };
        Decoder::dataverse(Tables([("acme_customer".to_owned(), table)].into()))
    });
    read(&DECODER, &event(data, &[]));
    read(&DECODER, &event(data, &[(TABLE, "acme_customer")]));
}

fn event(data: &[u8], properties: &[(&str, &str)]) -> Event {
    let origin = Origin {
        stream: Some("ns1/hub1".into()),
        partition: Some("3".into()),
        sequence: Some(41),
        enqueued: Some(Timestamp::UNIX_EPOCH),
        received: Some(Timestamp::UNIX_EPOCH),
    };
    let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let properties = properties.iter().map(owned).collect();
    Event { body: Bytes::copy_from_slice(data), origin, properties, ..Event::default() }
}

fn read(decoder: &Decoder, event: &Event) {
    let decoded = decoder.decode(event);
    assert!(
        !decoded.is_empty() || event.body.len() < 4_096,
        "much was sent and nothing said of it"
    );
    for one in decoded.iter().take(16) {
        let Ok(change) = &one.change else { continue };
        let alone = Event { body: Bytes::copy_from_slice(&one.raw), ..event.clone() };
        let again = decoder.decode(&alone);
        assert!(
            matches!(again.as_slice(), [one] if one.change.as_ref().is_ok_and(|other| other.id == change.id)),
            "a change cannot be read again by itself"
        );
        for (_, row) in MAPS.rows("mdm", change) {
            if let Ok(Some(row)) = row {
                kept(&row);
            }
        }
        for trace in MAPS.traces("mdm", change) {
            assert!(trace.steps.iter().all(|step| !format!("{step:?}").is_empty()));
        }
    }
}

/// A row comes back as it was from what the ledger keeps.
fn kept(row: &Row) {
    let key = serde_json::to_string(&row.key).expect("a key can be written");
    let action = serde_json::to_string(&row.action).expect("a row can be written");
    let back: Row = Row {
        to: Arc::clone(&row.to),
        key: serde_json::from_str::<Key>(&key).expect("a key can be read"),
        action: serde_json::from_str::<Action>(&action).expect("a row can be read").into(),
        ..row.clone()
    };
    assert!(back == *row && back.hash() == row.hash(), "a row that was kept differs");
}
