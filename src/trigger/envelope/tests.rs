//! The host's bodies as it writes them, and as nobody should.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const NOW: Timestamp = Timestamp::UNIX_EPOCH;

fn parse(envelope: &Value) -> Envelope {
    Envelope::parse(Bytes::from(envelope.to_string())).unwrap()
}

/// A value as the host writes text, numbers and arrays: JSON inside a string.
fn quoted(value: &Value) -> Value {
    Value::String(value.to_string())
}

fn bodies(data: &Value) -> Vec<String> {
    let events = parse(&json!({ "Data": { "events": data }, "Metadata": {} })).events(None, NOW);
    events.iter().map(|event| String::from_utf8_lossy(&event.body).into_owned()).collect()
}

/// Two events of an event hub, with metadata as the host sends it.
fn batch() -> Value {
    let context = json!({ "FullyQualifiedNamespace": "ns1.servicebus.windows.net", "EventHubName": "hub1", "ConsumerGroup": "$Default", "PartitionId": "3" });
    json!({
        "Data": { "events": quoted(&json!(["{\"id\":1}", "plain text"])) },
        "Metadata": {
            "TriggerPartitionContext": context,
            "PartitionContext": context,
            "PartitionKeyArray": quoted(&json!([null, "acct-7"])),
            "SequenceNumberArray": quoted(&json!([1041, 1042])),
            "EnqueuedTimeUtcArray": quoted(&json!(["2026-03-02T09:15:30.125", "2026-03-02T09:15:30.9"])),
            "PropertiesArray": quoted(&json!([{ "cloudEvents:id": "e-1", "secret": "x" }, { "Diagnostic-Id": "00-1", "ce-n": 7 }])),
            "SystemPropertiesArray": quoted(&json!([{ "content-type": "application/json" }, {}])),
            "RetryContext": { "RetryCount": 1, "MaxRetryCount": 5, "Exception": null, "Instance": null, "State": {} },
            "sys": { "MethodName": "EhIngest" }
        }
    })
}

#[test]
fn a_batch_of_an_event_hub_is_read_with_its_places() {
    let envelope = parse(&batch());
    assert_eq!(envelope.attempt(), Attempt { count: 1, last: false });
    let [first, second] = envelope.events(Some("events"), NOW).try_into().unwrap();
    assert_eq!((&first.body[..], &second.body[..]), (&b"{\"id\":1}"[..], &b"plain text"[..]));
    assert_eq!(first.origin.stream.as_deref(), Some("ns1.servicebus.windows.net/hub1"));
    assert_eq!(first.origin.partition.as_deref(), Some("3"));
    assert_eq!((first.origin.sequence, second.origin.sequence), (Some(1041), Some(1042)));
    assert_eq!(first.origin.enqueued, Some("2026-03-02T09:15:30.125Z".parse().unwrap()));
    assert_eq!(second.origin.received, Some(NOW));
    let owned = |pairs: &[(&str, &str)]| -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()
    };
    assert_eq!(
        first.properties,
        owned(&[("cloudEvents:id", "e-1"), ("content-type", "application/json")])
    );
    assert_eq!(
        second.properties,
        owned(&[("Diagnostic-Id", "00-1"), ("ce-n", "7"), ("partitionkey", "acct-7")])
    );
    assert!(envelope.events(Some("other"), NOW).is_empty());
}

#[test]
fn a_body_is_found_however_it_was_wrapped() {
    let object = json!({ "id": 1 });
    let text = object.to_string();
    let base64 = "eyJpZCI6MX0=";
    for data in [
        quoted(&json!([text])),
        json!([text]),
        quoted(&json!([object])),
        json!([object]),
        quoted(&json!([base64])),
        json!([base64]),
        quoted(&json!(text)),
        json!(text),
        json!(base64),
        object,
    ] {
        assert_eq!(bodies(&data), [r#"{"id":1}"#], "{data}");
    }
}

#[test]
fn what_is_not_json_is_handed_on_as_it_is() {
    assert_eq!(bodies(&quoted(&json!(["plain", "", "\u{feff}{}"]))), ["plain", "", "\u{feff}{}"]);
    assert_eq!(bodies(&quoted(&json!([1, null, [2]]))), ["1", "null", "[2]"]);
    assert_eq!(bodies(&json!("plain text")), ["plain text"]);
    assert_eq!(bodies(&quoted(&json!("[1,2]"))), ["[1,2]"]);
    for nothing in [json!(null), json!("null"), json!("[]"), json!([])] {
        assert!(bodies(&nothing).is_empty(), "{nothing}");
    }
}

#[test]
fn binary_bodies_keep_every_byte() {
    let zipped = "H4sIAAAAAAAA/6tWSlSyMqwFAA==";
    let data = quoted(&json!([zipped, "eyJpZCI6MX0="]));
    let events = parse(&json!({ "Data": { "events": data } })).events(None, NOW);
    assert_eq!(events[0].body[..3], [0x1f, 0x8b, 0x08]);
    assert_eq!(&events[1].body[..], b"{\"id\":1}");
}

#[test]
fn metadata_that_does_not_fit_is_not_trusted() {
    let mut envelope = batch();
    envelope["Metadata"]["SequenceNumberArray"] = quoted(&json!([1041]));
    envelope["Metadata"]["EnqueuedTimeUtcArray"] = quoted(&json!(["soon", "2026-03-02T09:15:30"]));
    envelope["Metadata"]["PropertiesArray"] = json!("broken");
    envelope["Metadata"]["TriggerPartitionContext"] = json!(7);
    let [first, second] = parse(&envelope).events(None, NOW).try_into().unwrap();
    assert_eq!((first.origin.sequence, second.origin.sequence), (None, None));
    assert_eq!(first.origin.enqueued, None);
    assert_eq!(second.origin.enqueued, Some("2026-03-02T09:15:30Z".parse().unwrap()));
    assert_eq!(first.origin.partition.as_deref(), Some("3"));
    assert_eq!(second.properties, [("partitionkey".into(), "acct-7".into())]);
    envelope["Metadata"] = json!(null);
    assert_eq!(parse(&envelope).events(None, NOW)[1].origin.sequence, None);
}

#[test]
fn the_last_attempt_is_the_one_after_which_nothing_comes() {
    let attempt = |retry: Value| {
        parse(&json!({ "Data": {}, "Metadata": { "RetryContext": retry } })).attempt()
    };
    let of = |count: i64, most: i64| attempt(json!({ "RetryCount": count, "MaxRetryCount": most }));
    assert_eq!(attempt(json!(null)), Attempt { count: 0, last: true });
    assert_eq!(attempt(json!("broken")), Attempt { count: 0, last: true });
    assert_eq!(of(0, 5), Attempt { count: 0, last: false });
    assert_eq!(of(5, 5), Attempt { count: 5, last: true });
    assert_eq!(of(90, -1), Attempt { count: 90, last: false });
    assert!(parse(&json!({ "Data": {} })).attempt().last);
}

#[test]
fn a_queue_message_is_read_with_its_count() {
    let envelope = parse(&json!({
        "Data": { "msg": quoted(&json!("{\"account\":\"A1\"}")) },
        "Metadata": { "DequeueCount": "2", "Id": "\"800ae4b3\"", "InsertionTime": "2026-03-02T09:15:30+00:00", "account": "\"A1\"" }
    }));
    assert_eq!(envelope.queued(), Queued { id: Some("800ae4b3".into()), dequeued: Some(2) });
    let event = envelope.events(None, NOW).remove(0);
    assert_eq!(&event.body[..], b"{\"account\":\"A1\"}");
    assert_eq!(event.origin.enqueued, Some("2026-03-02T09:15:30Z".parse().unwrap()));
}

#[test]
fn a_sender_cannot_write_the_metadata_of_a_single_message() {
    let body = json!({ "retrycontext": {}, "DequeueCount": 0, "sequencenumber": 9, "PartitionContext": {} });
    let retry = json!({ "RetryCount": 0, "MaxRetryCount": -1 });
    let metadata =
        json!({ "RetryContext": retry, "DequeueCount": "0", "SequenceNumber": "9", "Id": "\"1\"" });
    let envelope = parse(
        &json!({ "Data": { "msg": quoted(&json!(body.to_string())) }, "Metadata": metadata }),
    );
    assert!(envelope.attempt().last);
    assert_eq!(envelope.queued(), Queued { id: Some("1".into()), dequeued: None });
    assert_eq!(envelope.events(None, NOW)[0].origin.sequence, None);
    let envelope = parse(
        &json!({ "Data": { "msg": quoted(&json!("{ not: 'json' }")) }, "Metadata": metadata }),
    );
    assert_eq!(envelope.queued(), Queued::default());
}

#[test]
fn service_bus_messages_are_read_one_or_many() {
    let one = parse(&json!({
        "Data": { "msg": quoted(&json!("{\"op\":\"upsert\"}")) },
        "Metadata": { "MessageId": "\"m-1\"", "SequenceNumber": "77", "EnqueuedTimeUtc": "2026-03-02T09:15:30", "ApplicationProperties": { "traceparent": "00-1" }, "Client": { "big": [1] } }
    }));
    let event = one.events(None, NOW).remove(0);
    assert_eq!((event.origin.sequence, event.property("traceparent")), (Some(77), Some("00-1")));
    let many = parse(&json!({
        "Data": { "msg": quoted(&json!(["{}", "{}"])) },
        "Metadata": { "SequenceNumberArray": "[77,78]", "ApplicationPropertiesArray": quoted(&json!([{}, { "traceparent": "00-1" }])) }
    }));
    let event = many.events(None, NOW).remove(1);
    assert_eq!((event.origin.sequence, event.property("traceparent")), (Some(78), Some("00-1")));
}

#[test]
fn a_timer_says_whether_a_run_was_missed() {
    let timer = |status: Value| {
        parse(&json!({ "Data": { "timer": { "Schedule": { "AdjustForDST": true }, "ScheduleStatus": status, "IsPastDue": true } }, "Metadata": { "sys": {} } })).timer()
    };
    let last = |text: &str| timer(json!({ "Last": text, "Next": text })).unwrap().last;
    assert_eq!(timer(json!(null)), Some(Timer { past_due: true, last: None }));
    assert_eq!(last("0001-01-01T00:00:00+00:00"), None);
    assert_eq!(last("2026-03-02T09:10:00+00:00"), Some("2026-03-02T09:10:00Z".parse().unwrap()));
    assert_eq!(parse(&batch()).timer(), None);
}

#[test]
fn a_lone_surrogate_harms_one_event() {
    let bodies = |text: &str| {
        let envelope = Envelope::parse(Bytes::from(text.to_owned())).unwrap();
        let events = envelope.events(None, NOW).into_iter();
        events.map(|event| std::str::from_utf8(&event.body).is_ok()).collect::<Vec<_>>()
    };
    assert_eq!(bodies(r#"{"Data":{"e":["\ud800","{}"]}}"#), [false, true]);
    assert_eq!(bodies(r#"{"Data":{"e":"[\"\\ud800\",\"{}\"]"}}"#), [false, true]);
    assert_eq!(bodies(r#"{"Data":{"e":"[\"\ud800\",\"{}\"]"}}"#), [true, true]);
}

#[test]
fn what_is_no_envelope_is_refused() {
    for text in
        ["", "[]", "{}", "null", r#"{"Data":null}"#, r#"{"Data":[]}"#, r#"{"Data":{}"#, "\u{1}"]
    {
        let fault = Envelope::parse(Bytes::from(text.to_owned())).unwrap_err();
        assert_eq!(fault.kind, Kind::Malformed, "{text}");
    }
    assert!(Envelope::parse(Bytes::from_static(b"{\"Data\":{\"e\":\"\xff\"}}")).is_err());
}

proptest! {
    #[test]
    fn every_batch_of_texts_comes_through_as_it_was(
        texts in proptest::collection::vec("[ -~\u{e9}\u{1f600}\"\\\\]{0,20}", 1..5),
    ) {
        // A text with a character outside base64 keeps the whole batch text.
        let mut sent = texts;
        sent.push("{}".into());
        prop_assert_eq!(&bodies(&quoted(&json!(sent))), &sent);
        prop_assert_eq!(&bodies(&json!(sent)), &sent);
    }

    #[test]
    fn no_damage_to_an_envelope_makes_it_panic(
        at in any::<prop::sample::Index>(),
        put in prop::sample::select(vec!["", "\"", "{", "}", "[", "]", ",", "\\", "\\\\\"", "\\ud800", "null", "-1", "\u{e9}"]),
    ) {
        let mut body = batch().to_string().into_bytes();
        let at = at.index(body.len());
        body.splice(at..=at, put.bytes());
        if let Ok(envelope) = Envelope::parse(Bytes::from(body)) {
            envelope.attempt();
            envelope.timer();
            prop_assert!(envelope.events(None, NOW).len() < 50);
        }
    }
}
