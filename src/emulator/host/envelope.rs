//! The body of an invocation, byte for byte as the host writes it.
//!
//! Strings, numbers and arrays are JSON text inside a JSON string; objects, dates and base64 bytes
//! are not. Source: Functions custom handler, invocation request.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::clock::after;
use crate::store::Message;

use super::bus;
use super::hub::{Event, Hub};
use super::retry::Retry;
use super::settings::{EventHub, Function};

/// What every envelope carries of its moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Moment {
    pub(super) now: Timestamp,
    pub(super) random: Uuid,
}

/// A batch of one partition.
pub(super) fn events(
    function: &Function,
    trigger: &EventHub,
    hub: &Hub,
    partition: usize,
    batch: &[Arc<Event>],
    moment: Moment,
) -> Map<String, Value> {
    let bodies = batch.iter().map(|event| body(&event.body, trigger.binary)).collect();
    let array = |of: fn(&Event) -> Value| encoded(&batch.iter().map(|event| of(event)).collect());
    let context = json!({
        "IsCheckpointingAfterInvocation": true,
        "FullyQualifiedNamespace": hub.namespace,
        "EventHubName": trigger.hub,
        "ConsumerGroup": trigger.group,
        "PartitionId": partition.to_string(),
    });
    let mut metadata = Map::new();
    metadata.insert("TriggerPartitionContext".to_owned(), context.clone());
    metadata.insert("PartitionContext".to_owned(), context);
    metadata.insert("PartitionKeyArray".to_owned(), array(|_| Value::Null));
    metadata.insert("OffsetArray".to_owned(), array(|event| event.offset().to_string().into()));
    metadata
        .insert("OffsetStringArray".to_owned(), array(|event| event.offset().to_string().into()));
    metadata.insert("SequenceNumberArray".to_owned(), array(|event| event.sequence.into()));
    metadata.insert("EnqueuedTimeUtcArray".to_owned(), array(|event| bare(event.enqueued).into()));
    metadata.insert("PropertiesArray".to_owned(), array(|_| json!({})));
    metadata.insert("SystemPropertiesArray".to_owned(), array(system_properties));
    finish(function, encoded(&Value::Array(bodies)), metadata, moment)
}

/// Messages of Service Bus, many at once.
pub(super) fn messages(
    function: &Function,
    binary: bool,
    messages: &[bus::Message],
    moment: Moment,
) -> Map<String, Value> {
    let bodies = messages.iter().map(|message| body(&message.body, binary)).collect();
    let array = |of: fn(&bus::Message) -> Value| encoded(&messages.iter().map(of).collect());
    let id = |message: &bus::Message| format!("{:032x}", message.sequence).into();
    let properties = |message: &bus::Message| json!(message.properties);
    let mut metadata = Map::new();
    let mut put = |name: &str, value: Value| metadata.insert(format!("{name}Array"), value);
    put("MessageId", array(id));
    put("DeliveryCount", array(|message| message.delivered.into()));
    put("SequenceNumber", array(|message| message.sequence.into()));
    put("EnqueuedTimeUtc", array(|message| bare(message.enqueued).into()));
    put("EnqueuedTime", array(|message| offset_date(message.enqueued)));
    put("ContentType", array(|_| "application/json".into()));
    put("SessionId", array(|_| Value::Null));
    put("ApplicationProperties", array(properties));
    put("UserProperties", array(properties));
    finish(function, encoded(&Value::Array(bodies)), metadata, moment)
}

/// One message of a queue. `hidden` is how long it stays out of sight.
pub(super) fn message(
    function: &Function,
    binary: bool,
    message: &Message,
    hidden: Duration,
    moment: Moment,
) -> Map<String, Value> {
    const KEPT: Duration = Duration::from_hours(7 * 24);
    let mut metadata = Map::new();
    metadata.insert("DequeueCount".to_owned(), encoded(&message.taken.into()));
    metadata.insert("Id".to_owned(), encoded(&message.id.as_str().into()));
    metadata.insert("PopReceipt".to_owned(), encoded(&message.receipt.as_str().into()));
    metadata.insert("InsertionTime".to_owned(), offset_date(message.inserted));
    metadata.insert("ExpirationTime".to_owned(), offset_date(after(message.inserted, KEPT)));
    metadata.insert("NextVisibleTime".to_owned(), offset_date(after(moment.now, hidden)));
    let body = body(&message.body, binary);
    let data = if binary { body.clone() } else { encoded(&body) };
    if let (false, Ok(Value::Object(leaked))) = (binary, serde_json::from_slice(&message.body)) {
        leak(&mut metadata, leaked);
    }
    finish(function, data, metadata, moment)
}

/// When a timer fired last and fires next; none when the host keeps no status.
#[derive(Clone, Copy, Debug)]
pub(super) struct Status {
    pub(super) last: Option<Timestamp>,
    pub(super) next: Timestamp,
}

/// A timer's call.
pub(super) fn timer(
    function: &Function,
    status: Option<Status>,
    moment: Moment,
) -> Map<String, Value> {
    const NEVER: &str = "0001-01-01T00:00:00+00:00";
    let status = status.map(|status| {
        let last = status.last.map_or_else(|| NEVER.into(), offset_date);
        json!({ "Last": last, "Next": offset_date(status.next), "LastUpdated": last })
    });
    let data = json!({
        "Schedule": { "AdjustForDST": true },
        "ScheduleStatus": status,
        "IsPastDue": false,
    });
    finish(function, data, Map::new(), moment)
}

/// Adds what a function with a retry policy is told on every attempt, the first included.
pub(super) fn with_retry(
    mut envelope: Map<String, Value>,
    retry: Option<Retry>,
    attempt: u32,
    failure: Option<&str>,
) -> Vec<u8> {
    if let (Some(retry), Some(Value::Object(metadata))) = (retry, envelope.get_mut("Metadata")) {
        let context = json!({
            "RetryCount": attempt,
            "MaxRetryCount": retry.most.map_or(-1, i64::from),
            "Exception": failure.map(|reason| json!({ "Message": reason })),
            "Instance": null,
            "State": {},
        });
        metadata.insert("RetryContext".to_owned(), context);
    }
    Value::Object(envelope).to_string().into_bytes()
}

fn finish(
    function: &Function,
    data: Value,
    mut metadata: Map<String, Value>,
    moment: Moment,
) -> Map<String, Value> {
    let sys = json!({
        "MethodName": function.name,
        "UtcNow": format!("{}Z", bare(moment.now)),
        "RandGuid": moment.random.to_string(),
    });
    metadata.insert("sys".to_owned(), sys);
    let data = Map::from_iter([(function.binding.clone(), data)]);
    Map::from_iter([("Data".to_owned(), data.into()), ("Metadata".to_owned(), metadata.into())])
}

/// The properties of a body that is a JSON object overwrite metadata of the same name, as the host's
/// binding data does.
fn leak(metadata: &mut Map<String, Value>, body: Map<String, Value>) {
    for (name, value) in body {
        let value = match value {
            Value::Array(_) => continue,
            Value::Null => None,
            Value::Object(_) => Some(value),
            Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(encoded(&value)),
        };
        metadata.retain(|known, _| !known.eq_ignore_ascii_case(&name));
        if let Some(value) = value.filter(|_| !name.to_ascii_lowercase().ends_with("trigger")) {
            metadata.insert(name, value);
        }
    }
}

fn system_properties(event: &Event) -> Value {
    json!({
        "SequenceNumber": event.sequence,
        "Offset": event.offset(),
        "OffsetString": event.offset().to_string(),
        "PartitionKey": null,
        "EnqueuedTimeUtc": bare(event.enqueued),
    })
}

fn body(body: &Bytes, binary: bool) -> Value {
    if binary { STANDARD.encode(body).into() } else { String::from_utf8_lossy(body).into() }
}

fn encoded(value: &Value) -> Value {
    Value::String(value.to_string())
}

/// A moment without zone, sub-seconds as far as there are any; UTC is meant.
fn bare(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%dT%H:%M:%S%.f").to_string()
}

/// A moment with its offset and without sub-seconds.
fn offset_date(moment: Timestamp) -> Value {
    moment.strftime("%Y-%m-%dT%H:%M:%S+00:00").to_string().into()
}

#[cfg(test)]
mod tests;
