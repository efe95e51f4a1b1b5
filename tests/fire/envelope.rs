//! The bodies that the Functions host posts, byte for byte: strings, numbers and arrays are JSON text
//! inside a JSON string; objects are not.

use serde_json::{Map, Value, json};

/// One event of a partition as the broker holds it.
#[derive(Clone, Debug)]
pub(crate) struct Held {
    pub(crate) body: String,
    pub(crate) sequence: i64,
}

/// What the host says of its attempts; nothing without a retry policy.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Retry {
    pub(crate) count: u32,
    pub(crate) most: Option<u32>,
}

/// A batch of a partition.
pub(crate) fn events(partition: usize, batch: &[Held], retry: Retry) -> String {
    let array = |of: fn(&Held) -> Value| encoded(&batch.iter().map(of).collect());
    let context = json!({
        "IsCheckpointingAfterInvocation": true,
        "FullyQualifiedNamespace": "fire.servicebus.windows.net",
        "EventHubName": "master-data",
        "ConsumerGroup": "$Default",
        "PartitionId": partition.to_string(),
    });
    let mut metadata = json!({
        "TriggerPartitionContext": context,
        "PartitionContext": context,
        "PartitionKeyArray": array(|_| Value::Null),
        "OffsetArray": array(|held| (held.sequence * 512).to_string().into()),
        "OffsetStringArray": array(|held| (held.sequence * 512).to_string().into()),
        "SequenceNumberArray": array(|held| held.sequence.into()),
        "EnqueuedTimeUtcArray": array(|held| enqueued(held.sequence).into()),
        "PropertiesArray": array(|_| json!({})),
        "SystemPropertiesArray": array(|held| json!({ "SequenceNumber": held.sequence })),
        "sys": sys("events"),
    });
    if let Some(most) = retry.most {
        metadata["RetryContext"] = json!({
            "RetryCount": retry.count,
            "MaxRetryCount": most,
            "Exception": (retry.count > 0).then(|| json!({ "Message": "it failed" })),
            "Instance": null,
            "State": {},
        });
    }
    let data = array(|held| held.body.as_str().into());
    json!({ "Data": { "events": data }, "Metadata": metadata }).to_string()
}

/// A message of the work queue.
pub(crate) fn message(id: &str, body: &str, taken: u32) -> String {
    let mut metadata = Map::new();
    metadata.insert("DequeueCount".to_owned(), encoded(&taken.into()));
    metadata.insert("Id".to_owned(), encoded(&id.into()));
    metadata.insert("InsertionTime".to_owned(), "2026-03-01T00:00:00+00:00".into());
    // What the body says at its top is binding data too.
    if let Ok(Value::Object(leaked)) = serde_json::from_str(body) {
        for (name, value) in leaked.into_iter().filter(|(_, value)| !value.is_array()) {
            let value = if value.is_object() { value } else { encoded(&value) };
            metadata.insert(name, value);
        }
    }
    metadata.insert("sys".to_owned(), sys("work"));
    json!({ "Data": { "msg": encoded(&body.into()) }, "Metadata": metadata }).to_string()
}

/// The sweep's timer.
pub(crate) fn timer() -> String {
    let timer = json!({
        "Schedule": { "AdjustForDST": true },
        "ScheduleStatus": null,
        "IsPastDue": false,
    });
    json!({ "Data": { "timer": timer }, "Metadata": { "sys": sys("sweep") } }).to_string()
}

fn sys(function: &str) -> Value {
    json!({
        "MethodName": function,
        "UtcNow": "2026-03-01T00:00:00.1234567Z",
        "RandGuid": "5f6c9a0e-6f0b-4f53-8f52-0d7d3f2b0d11",
    })
}

fn enqueued(sequence: i64) -> String {
    let (minutes, seconds) = (sequence / 60 % 60, sequence % 60);
    let (days, hours) = (1 + sequence / 86_400 % 28, sequence / 3_600 % 24);
    format!("2026-02-{days:02}T{hours:02}:{minutes:02}:{seconds:02}.5")
}

fn encoded(value: &Value) -> Value {
    Value::String(value.to_string())
}
