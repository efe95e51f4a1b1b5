//! Every shape as a file, what is read from it, and what is refused.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::delivery::Origin;

fn decoder(toml: &str) -> Decoder {
    Decoder::new(&toml::from_str(toml).unwrap()).unwrap()
}

fn problems(toml: &str) -> Vec<String> {
    let problems = Decoder::new(&toml::from_str(toml).unwrap()).unwrap_err();
    problems.into_iter().map(|problem| problem.field).collect()
}

fn event(body: impl Into<Bytes>) -> Event {
    let origin = Origin {
        stream: Some("ns1/hub1".into()),
        partition: Some("3".into()),
        sequence: Some(41),
        enqueued: Some("2026-03-14T09:15:05Z".parse().unwrap()),
        received: Some("2026-03-14T09:15:06Z".parse().unwrap()),
    };
    Event { body: body.into(), origin, ..Event::default() }
}

fn fixture(name: &str) -> Event {
    let path = format!("{}/tests/fixtures/events/{name}.json", env!("CARGO_MANIFEST_DIR"));
    event(std::fs::read(path).unwrap())
}

/// One line a change: what decides and how much there is; of a fault, its kind and place.
fn lines(decoder: &Decoder, event: &Event) -> Vec<String> {
    let line = |decoded: Decoded<'_>| match decoded.change {
        Ok(change) => format!(
            "{:?} {} {} v={} at={} n={:?} codes={} edges={} props={} schema={}",
            change.kind,
            change.entity,
            change.id,
            change.order.version.map_or("-".into(), |version| version.to_string()),
            change.order.emitted,
            change.order.tie.sequence.unwrap(),
            change.codes.join(","),
            change.edges.iter().map(|edge| &*edge.to).collect::<Vec<_>>().join(","),
            change.properties.len(),
            change.schema.map_or("-".into(), |schema| schema.to_string()),
        ),
        Err(fault) => format!("{} {}", fault.kind, fault.field.unwrap_or_default()),
    };
    decoder.decode(event).into_iter().map(line).collect()
}

const EVENTS: &str = r#"
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
"#;

#[test]
fn every_cluedin_shape_reads_as_it_should() {
    const WHOLE: &str = "/Customer#Dynamics365:8f3c2b9e,/Customer#SAP:0000104711";
    const ID: &str = "4b0c8c1e-6d0c-5f0a-9a53-0f3f8a7c2f11";
    let expected: &[(&str, &[String])] = &[
        ("wrapped", &[format!("Upsert /Customer {ID} v=- at=2026-03-14T09:15:02.1183Z n=(41, 0) codes={WHOLE} edges= props=10 schema=-")]),
        ("wrapped-stripped", &[format!("Remove /Customer {ID} v=- at=2026-03-14T09:15:02.1183Z n=(41, 0) codes=/Customer#SAP:0000104711 edges=/Contact#SAP:77 props=4 schema=-")]),
        ("combined", &[
            "Upsert /Customer c-1 v=- at=2026-03-14T09:15:02Z n=(41, 0) codes= edges= props=3 schema=-".into(),
            "malformed-event VersionChangeType".into(),
            "Upsert /Customer c-3 v=- at=2026-03-14T09:15:04Z n=(41, 2) codes= edges= props=3 schema=-".into(),
        ]),
        ("flat", &["Upsert /Customer 4b0c8c1e v=- at=2026-03-14T09:15:05Z n=(41, 0) codes=/Customer#SAP:1 edges= props=5 schema=-".into()]),
        ("http", &["Remove /Customer 4b0c8c1e v=- at=2026-03-14T09:15:02.1183Z n=(41, 0) codes= edges= props=4 schema=-".into()]),
        ("lake-events", &[
            "Upsert /Customer 4b0c8c1e v=12 at=2026-03-14T09:15:02.1183456Z n=(41, 0) codes=/Customer#SAP:1 edges=/Contact#SAP:77 props=13 schema=-".into(),
            "Remove /Customer 4b0c8c1e v=13 at=2026-03-14T09:15:03.118Z n=(41, 1) codes= edges= props=7 schema=-".into(),
        ]),
        ("lake-object", &["Upsert /Customer 4b0c8c1e v=12 at=2026-03-14T09:15:02.1183456Z n=(41, 0) codes=/Customer#SAP:1 edges= props=9 schema=-".into()]),
        ("snapshot-row", &["Upsert /Customer 4b0c8c1e v=12 at=2026-03-14T09:15:02Z n=(41, 0) codes=/Customer#SAP:1,/Customer#CRM:a:b edges=/Contact#SAP:77 props=11 schema=-".into()]),
        ("sql-row", &["Remove /Customer 4b0c8c1e v=12 at=2026-03-14T09:15:02.1183456Z n=(41, 0) codes=/Customer#SAP:1 edges= props=6 schema=-".into()]),
        ("bom", &["Upsert /Customer 4b0c8c1e v=- at=2026-03-14T09:15:02Z n=(41, 0) codes= edges= props=2 schema=-".into()]),
        ("bare", &["Upsert /Customer 4b0c8c1e v=- at=2026-03-14T09:15:02Z n=(41, 0) codes=/Customer#SAP:1 edges= props=3 schema=-".into()]),
    ];
    let decoder = decoder("kind = \"cluedin\"");
    for (name, expected) in expected {
        assert_eq!(lines(&decoder, &fixture(&format!("cluedin-{name}"))), *expected, "{name}");
    }
}

#[test]
fn every_cloudevents_mode_reads_as_it_should() {
    let decoder = decoder("kind = \"cloudevents\"");
    let order = |id: &str, rest: &str| format!("Upsert com.example.order.changed {id} {rest}");
    assert_eq!(
        lines(&decoder, &fixture("cloudevents-structured")),
        [
            "Upsert com.example.order.changed.v2 order-7 v=42 at=2026-03-14T09:15:02.118Z n=(41, 0) codes= edges= props=2 schema=2"
        ]
    );
    assert_eq!(
        lines(&decoder, &fixture("cloudevents-canonical")),
        [
            "Upsert /Customer 4b0c8c1e-6d0c-5f0a-9a53-0f3f8a7c2f11 v=12 at=2026-03-14T09:15:02.118Z n=(41, 0) \
          codes=/Customer#Dynamics365:8f3c2b9e,/Customer#SAP:0000104711 edges=/Contact#SAP:77 props=2 schema=2"
        ]
    );
    assert_eq!(
        lines(&decoder, &fixture("cloudevents-batch")),
        [
            order("order-7", "v=- at=2026-03-14T09:15:02Z n=(41, 0) codes= edges= props=1 schema=-"),
            "Remove com.example.order.deleted order-8 v=- at=2026-03-14T09:15:03Z n=(41, 1) codes= edges= props=0 schema=-".into(),
            "malformed-event type".into(),
            order("order-10", "v=- at=2026-03-14T09:15:05Z n=(41, 3) codes= edges= props=1 schema=-"),
        ]
    );
}

#[test]
fn a_binary_event_reads_like_the_structured_one() {
    let decoder = decoder("kind = \"cloudevents\"\nentity = \"order\"");
    let attributes = [
        ("specversion", "1.0"),
        ("id", "evt-1"),
        ("source", "/shop"),
        ("type", "com.example.order.changed.v2"),
        ("subject", "order-7"),
        ("time", "2026-03-14T09:15:02.118Z"),
        ("sequence", "42"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ];
    let structured = fixture("cloudevents-structured");
    let expected = decoder.decode(&structured).remove(0).change.unwrap();
    for prefix in ["cloudEvents:", "cloudEvents_", "ce-", "CE-"] {
        let mut event = fixture("cloudevents-binary-body");
        let properties = attributes.map(|(name, value)| (format!("{prefix}{name}"), value.into()));
        event.properties = properties.to_vec();
        event.properties.push(("content-type".into(), "application/json".into()));
        let decoded = decoder.decode(&event).remove(0);
        assert_eq!(*decoded.raw, event.body[..]);
        assert_eq!(format!("{:?}", decoded.change.unwrap()), format!("{expected:?}"), "{prefix}");
        event.body = Bytes::from_static(b"<xml/>");
        assert_eq!(lines(&decoder, &event), ["malformed-event "]);
    }
}

#[test]
fn any_json_reads_by_its_paths_and_is_brought_to_the_newest_schema() {
    let (decoder, event) = (decoder(EVENTS), fixture("events-order"));
    let change = decoder.decode(&event).remove(0).change.unwrap();
    assert_eq!((&*change.entity, &*change.id, change.schema), ("order", "7", Some(3)));
    assert_eq!(change.order.version, Some(42));
    assert_eq!(change.event_id.as_deref(), Some("evt-1"));
    assert_eq!(change.correlation.to_string(), "0af76519-16cd-43dd-8448-eb211c80319c");
    let properties: Vec<_> =
        change.properties.iter().map(|(name, raw)| format!("{name}={}", raw.get())).collect();
    assert_eq!(properties, ["total=12.50", "customer=\"C-1\"", "currency=\"DKK\""]);
}

#[test]
fn one_bad_member_harms_one_member() {
    assert_eq!(
        lines(&decoder(EVENTS), &fixture("events-array")),
        [
            "Upsert order 7 v=- at=2026-03-14T09:15:02Z n=(41, 0) codes= edges= props=1 schema=-",
            "malformed-event /meta/op",
            "Remove order 9 v=- at=2026-03-14T09:15:02Z n=(41, 2) codes= edges= props=0 schema=-",
            "malformed-event order.id",
            "malformed-event meta.at",
            "malformed-event ",
        ]
    );
}

#[test]
fn a_member_can_be_decoded_again_by_itself() {
    let decoder = decoder("kind = \"cluedin\"");
    let combined = fixture("cluedin-combined");
    for decoded in decoder.decode(&combined) {
        let alone = event(decoded.raw.to_vec());
        let again = decoder.decode(&alone);
        match (decoded.change, &again[0].change) {
            (Ok(first), Ok(second)) => {
                assert_eq!((first.id, first.codes), (second.id.clone(), second.codes.clone()));
            }
            (Err(first), Err(second)) => assert_eq!(first.to_string(), second.to_string()),
            (first, second) => panic!("{first:?} {second:?}"),
        }
    }
}

#[test]
fn what_is_no_event_is_refused_as_a_whole() {
    let decoder = decoder("kind = \"cluedin\"\nlimits = { bytes = 200, changes = 2, depth = 4 }");
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(9), "]".repeat(9));
    let (long, many) = ("x".repeat(201), "[{},{},{}]");
    let texts: &[(&[u8], &str)] = &[
        (b"", "malformed-event "),
        (b"  ", "malformed-event "),
        (b"plain text", "malformed-event "),
        (b"{\"Id\":\"1\"", "malformed-event "),
        (b"{\"Id\":\"1\"} x", "malformed-event "),
        (b"\xff\xfe{\x00}\x00", "malformed-event "),
        (b"{\"Id\":\"\xc3\x28\"}", "malformed-event "),
        (b"17", "malformed-event "),
        (b"{\"Id\":\"1\",\"Id\":\"2\"}", "malformed-event Id"),
        (deep.as_bytes(), "malformed-event "),
        (long.as_bytes(), "too-large "),
        (many.as_bytes(), "too-large "),
    ];
    for (text, expected) in texts {
        let event = event(text.to_vec());
        assert_eq!(lines(&decoder, &event), [*expected], "{}", String::from_utf8_lossy(text));
        assert_eq!(*decoder.decode(&event)[0].raw, **text);
    }
    assert!(lines(&decoder, &event("[]")).is_empty());
}

#[test]
fn facts_that_cannot_be_right_are_refused_by_name() {
    let decoder = decoder("kind = \"cluedin\"");
    for (text, field) in [
        (r#"{"VersionChangeType":"Added","Data":{"EntityType":"/C"}}"#, "Id"),
        (r#"{"VersionChangeType":"Added","Data":{"Id":"","EntityType":"/C"}}"#, "Id"),
        (r#"{"VersionChangeType":"Added","Data":{"Id":null,"EntityType":"/C"}}"#, "Id"),
        (r#"{"Data":{"Id":"1","EntityType":"/C"}}"#, "VersionChangeType"),
        (r#"{"ChangeType":0,"Id":"1","EntityType":"/C"}"#, "ChangeType"),
        (r#"{"ChangeType":{},"Id":"1","EntityType":"/C"}"#, "ChangeType"),
        (r#"{"Id":"1"}"#, "EntityType"),
        (r#"{"Id":"1","EntityType":"/C","PersistVersion":-1}"#, "PersistVersion"),
        (r#"{"Id":"1","EntityType":"/C","PersistVersion":1.5}"#, "PersistVersion"),
        (r#"{"Id":"1","EntityType":"/C","PersistVersion":99999999999999999999}"#, "PersistVersion"),
        (r#"{"Id":"1","EntityType":"/C","TimeStamp":"secret","Epoch":1}"#, "TimeStamp"),
        (r#"{"Id":"1","EntityType":"/C","Epoch":[]}"#, "Epoch"),
        (r#"{"Id":"1","EntityType":"/C","Codes":{"a":1}}"#, "Codes"),
        (r#"{"Id":"1","EntityType":"/C","Codes":["/C#a:1",7]}"#, "Codes"),
        (r#"{"Id":"1","EntityType":"/C","Codes":"secret"}"#, "Codes"),
        (r#"{"Id":"1","EntityType":"/C","IncomingEdges":["secret"]}"#, "IncomingEdges"),
    ] {
        let event = event(text);
        let fault = decoder.decode(&event).remove(0).change.unwrap_err();
        assert_eq!(
            (fault.kind, fault.field.as_deref()),
            (fault::Kind::Malformed, Some(field)),
            "{text}"
        );
        assert!(!fault.to_string().contains("secret"), "{fault}");
    }
}

#[test]
fn the_envelope_dates_the_event_before_a_property_of_that_name() {
    let decoder = decoder("kind = \"cluedin\"");
    let event = event(
        r#"{"Epoch":1773479702,"VersionChangeType":"Added","Data":{"Id":"1","EntityType":"/C","Timestamp":"someday","ChangeType":"odd"}}"#,
    );
    let order = decoder.decode(&event).remove(0).change.unwrap().order;
    assert_eq!(order.emitted, "2026-03-14T09:15:02Z".parse().unwrap());
}

#[test]
fn edges_in_an_unknown_shape_can_be_left_out() {
    let decoder = decoder("kind = \"cluedin\"\nedges = false");
    let event = event(r#"{"Id":"1","EntityType":"/C","IncomingEdges":["odd"]}"#);
    assert!(decoder.decode(&event)[0].change.as_ref().unwrap().edges.is_empty());
}

#[test]
fn the_correlation_comes_from_the_sender_else_from_the_place_else_from_the_text() {
    let decoder = decoder("kind = \"cluedin\"");
    let id = |event: &Event| decoder.decode(event)[0].change.as_ref().unwrap().correlation;
    let mut sent = fixture("cluedin-flat");
    let by_place = id(&sent);
    sent.properties = vec![(
        "Diagnostic-Id".into(),
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    )];
    assert_eq!(id(&sent).to_string(), "0af76519-16cd-43dd-8448-eb211c80319c");
    sent.properties.push((
        "traceparent".into(),
        "00-1af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".into(),
    ));
    assert_eq!(id(&sent).to_string(), "1af76519-16cd-43dd-8448-eb211c80319c");
    sent.properties = vec![("traceparent".into(), "broken".into())];
    assert_eq!(id(&sent), by_place);
    sent.origin.sequence = Some(42);
    assert_ne!(id(&sent), by_place);
    sent.origin = Origin { received: sent.origin.received, ..Origin::default() };
    let by_text = id(&sent);
    sent.origin.received = Some(Timestamp::UNIX_EPOCH);
    assert_eq!(id(&sent), by_text);
}

#[test]
fn an_event_that_nothing_dates_is_refused() {
    let undated = Event { origin: Origin::default(), ..fixture("cluedin-flat") };
    let decoder = decoder("kind = \"cluedin\"");
    assert!(decoder.decode(&undated)[0].change.is_err());
    let seen = Event {
        origin: Origin { received: Some(Timestamp::UNIX_EPOCH), ..Origin::default() },
        ..undated
    };
    let order = decoder.decode(&seen).remove(0).change.unwrap().order;
    assert_eq!(order, crate::order::Order::emitted_at(Timestamp::UNIX_EPOCH));
}

#[test]
fn an_upcast_for_one_entity_goes_before_one_for_all_and_never_guesses() {
    let decoder = decoder(
        r#"
        kind = "events"
        entity = { path = "type" }
        key = "id"
        schema = 1
        upcasts = [
          { from = 1, to = 2, rename = { a = "b" } },
          { entity = "order", from = 1, to = 3, default = { a = 9 } },
        ]"#,
    );
    let line = |text| {
        let event = event(text);
        let change = decoder.decode(&event).remove(0).change;
        change.map(|change| change.schema).map_err(|fault| fault.field)
    };
    assert_eq!(line(r#"{"type":"order","id":1,"a":null}"#), Ok(Some(3)));
    assert_eq!(line(r#"{"type":"other","id":1,"a":1}"#), Ok(Some(2)));
    assert_eq!(line(r#"{"type":"other","id":1,"a":1,"b":2}"#), Err(Some("a".into())));
}

#[test]
fn all_problems_of_a_configuration_are_said_at_once() {
    assert_eq!(
        problems(
            r#"
            kind = "events"
            version = "a..b"
            operation = { path = "", remove = [] }
            upcasts = [{ from = 2, to = 1 }, { from = 1, to = 2 }, { from = 1, to = 3 }]"#
        ),
        ["version", "operation", "key", "entity", "operation.remove", "upcasts.0", "upcasts.2"]
    );
    assert_eq!(problems("kind = \"cluedin\"\nkey = \"Id\""), ["key"]);
    assert!(toml::from_str::<Config>("kind = \"cluedin\"\nkeys = 1").is_err());
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        for toml in ["kind = \"cluedin\"", "kind = \"cloudevents\"", EVENTS] {
            prop_assert!(decoder(toml).decode(&event(bytes.clone())).len() < 200);
        }
    }

    #[test]
    fn no_damage_to_an_event_makes_a_decoder_panic(
        which in 0..4_usize,
        at in any::<prop::sample::Index>(),
        put in prop::sample::select(vec!["", "\"", "{", "}", "[", "]", ",", "\\", "\\ud800", "null", "1e999", "\u{feff}", "é"]),
    ) {
        let (name, toml) = [
            ("cluedin-lake-events", "kind = \"cluedin\""),
            ("cluedin-snapshot-row", "kind = \"cluedin\""),
            ("cloudevents-batch", "kind = \"cloudevents\""),
            ("events-order", EVENTS),
        ][which];
        let sent = fixture(name);
        let mut body = sent.body.to_vec();
        let at = at.index(body.len());
        body.splice(at..=at, put.bytes());
        for decoded in decoder(toml).decode(&event(body)) {
            if let Ok(change) = decoded.change {
                prop_assert!(!change.id.is_empty());
            }
        }
    }
}
