use super::*;
use crate::emulator::host::retry::Strategy;
use crate::emulator::host::schedule::Schedule;
use crate::emulator::host::settings::{QueueTrigger, Timer, Trigger};

fn function(name: &str, binding: &str) -> Function {
    let trigger = Trigger::Queue(QueueTrigger { queue: "q".to_owned(), binary: false });
    Function { name: name.to_owned(), binding: binding.to_owned(), trigger, retry: None }
}

fn moment(now: &str) -> Moment {
    let random = "24ad4c06-24ad-4e5b-8294-3da9714877e9".parse().unwrap();
    Moment { now: now.parse().unwrap(), random }
}

fn text(envelope: Map<String, Value>) -> String {
    String::from_utf8(with_retry(envelope, None, 0, None)).unwrap()
}

#[test]
fn a_batch_is_written_as_the_host_writes_it() {
    let hub = Hub::new("ns1.servicebus.windows.net", "hub1", 4);
    let event = |body: &'static str, sequence, enqueued: &str| {
        let enqueued = enqueued.parse().unwrap();
        Arc::new(Event { body: Bytes::from_static(body.as_bytes()), sequence, enqueued })
    };
    let batch = [
        event("{\"id\":1}", 0, "2026-03-02T09:15:30.125Z"),
        event("plain text", 1, "2026-03-02T09:15:30.9Z"),
    ];
    let trigger = EventHub { hub: "hub1".to_owned(), group: "$Default".to_owned(), binary: false };
    let moment = moment("2026-03-02T09:15:31.0041231Z");
    let envelope = events(&function("EhIngest", "events"), &trigger, &hub, 3, &batch, moment);
    assert_eq!(
        text(envelope),
        concat!(
            r#"{"Data":{"events":"[\"{\\\"id\\\":1}\",\"plain text\"]"},"Metadata":{"#,
            r#""TriggerPartitionContext":{"IsCheckpointingAfterInvocation":true,"FullyQualifiedNamespace":"ns1.servicebus.windows.net","EventHubName":"hub1","ConsumerGroup":"$Default","PartitionId":"3"},"#,
            r#""PartitionContext":{"IsCheckpointingAfterInvocation":true,"FullyQualifiedNamespace":"ns1.servicebus.windows.net","EventHubName":"hub1","ConsumerGroup":"$Default","PartitionId":"3"},"#,
            r#""PartitionKeyArray":"[null,null]","#,
            r#""OffsetArray":"[\"4294967296\",\"4294967488\"]","#,
            r#""OffsetStringArray":"[\"4294967296\",\"4294967488\"]","#,
            r#""SequenceNumberArray":"[0,1]","#,
            r#""EnqueuedTimeUtcArray":"[\"2026-03-02T09:15:30.125\",\"2026-03-02T09:15:30.9\"]","#,
            r#""PropertiesArray":"[{},{}]","#,
            r#""SystemPropertiesArray":"[{\"SequenceNumber\":0,\"Offset\":4294967296,\"OffsetString\":\"4294967296\",\"PartitionKey\":null,\"EnqueuedTimeUtc\":\"2026-03-02T09:15:30.125\"},{\"SequenceNumber\":1,\"Offset\":4294967488,\"OffsetString\":\"4294967488\",\"PartitionKey\":null,\"EnqueuedTimeUtc\":\"2026-03-02T09:15:30.9\"}]","#,
            r#""sys":{"MethodName":"EhIngest","UtcNow":"2026-03-02T09:15:31.0041231Z","RandGuid":"24ad4c06-24ad-4e5b-8294-3da9714877e9"}}}"#,
        )
    );
}

#[test]
fn binary_bodies_travel_as_base64_inside_the_array() {
    let hub = Hub::new("ns", "hub", 1);
    let batch = [Arc::new(Event {
        body: Bytes::from_static(&[0xff, 0]),
        sequence: 0,
        enqueued: Timestamp::UNIX_EPOCH,
    })];
    let trigger = EventHub { hub: String::new(), group: String::new(), binary: true };
    let moment = moment("2026-03-02T09:15:31Z");
    let envelope = events(&function("f", "e"), &trigger, &hub, 0, &batch, moment);
    assert_eq!(envelope["Data"]["e"], r#"["/wA="]"#);
}

fn queued(body: &'static str) -> Message {
    Message {
        id: "800ae4b3-bdd2-4c08-badd-f08e5a34b865".to_owned(),
        receipt: "AgAAAAMAAAA=".to_owned(),
        body: Bytes::from_static(body.as_bytes()),
        taken: 1,
        inserted: "2026-03-02T09:15:30Z".parse().unwrap(),
    }
}

#[test]
fn a_queue_message_is_written_as_the_host_writes_it() {
    let moment = moment("2026-03-02T09:15:31.2Z");
    let message = queued("{\"account\":\"A1\"}");
    let hidden = Duration::from_mins(10);
    let envelope = super::message(&function("QueueIn", "msg"), false, &message, hidden, moment);
    assert_eq!(
        text(envelope),
        concat!(
            r#"{"Data":{"msg":"\"{\\\"account\\\":\\\"A1\\\"}\""},"Metadata":{"#,
            r#""DequeueCount":"1","Id":"\"800ae4b3-bdd2-4c08-badd-f08e5a34b865\"","PopReceipt":"\"AgAAAAMAAAA=\"","#,
            r#""InsertionTime":"2026-03-02T09:15:30+00:00","ExpirationTime":"2026-03-09T09:15:30+00:00","NextVisibleTime":"2026-03-02T09:25:31+00:00","#,
            r#""account":"\"A1\"","#,
            r#""sys":{"MethodName":"QueueIn","UtcNow":"2026-03-02T09:15:31.2Z","RandGuid":"24ad4c06-24ad-4e5b-8294-3da9714877e9"}}}"#,
        )
    );
}

#[test]
fn the_body_of_a_message_overwrites_metadata_of_the_same_name() {
    let message = queued(r#"{"dequeuecount":7,"id":null,"list":[1],"deep":{"a":1},"myTrigger":1}"#);
    let envelope = super::message(
        &function("f", "m"),
        false,
        &message,
        Duration::ZERO,
        moment("2026-03-02T09:15:31Z"),
    );
    let metadata = envelope["Metadata"].as_object().unwrap();
    assert_eq!(metadata["dequeuecount"], "7");
    assert_eq!(metadata["deep"], json!({ "a": 1 }));
    for gone in ["DequeueCount", "Id", "id", "list", "myTrigger"] {
        assert!(!metadata.contains_key(gone), "{gone}");
    }
}

#[test]
fn a_timer_that_never_ran_was_last_run_in_year_one() {
    let schedule = Schedule::parse("0 */5 * * * *").unwrap();
    let timer = Timer { schedule, run_on_startup: false, monitored: true };
    let mut function = function("Sweep", "timer");
    function.trigger = Trigger::Timer(timer);
    let status = Status { last: None, next: "2026-03-02T09:15:00Z".parse().unwrap() };
    let envelope = super::timer(&function, Some(status), moment("2026-03-02T09:10:00.0172Z"));
    assert_eq!(
        text(envelope),
        concat!(
            r#"{"Data":{"timer":{"Schedule":{"AdjustForDST":true},"ScheduleStatus":{"Last":"0001-01-01T00:00:00+00:00","Next":"2026-03-02T09:15:00+00:00","LastUpdated":"0001-01-01T00:00:00+00:00"},"IsPastDue":false}},"#,
            r#""Metadata":{"sys":{"MethodName":"Sweep","UtcNow":"2026-03-02T09:10:00.0172Z","RandGuid":"24ad4c06-24ad-4e5b-8294-3da9714877e9"}}}"#,
        )
    );
}

#[test]
fn a_function_with_a_policy_is_told_its_attempt_from_the_first_on() {
    let retry = Retry { most: Some(5), strategy: Strategy::Fixed(Duration::from_secs(1)) };
    let envelope = timer(&function("f", "t"), None, moment("2026-03-02T09:15:31Z"));
    let told = |attempt, failure| -> Value {
        let body = with_retry(envelope.clone(), Some(retry), attempt, failure);
        serde_json::from_slice::<Value>(&body).unwrap()["Metadata"]["RetryContext"].take()
    };
    assert_eq!(
        told(0, None).to_string(),
        r#"{"RetryCount":0,"MaxRetryCount":5,"Exception":null,"Instance":null,"State":{}}"#
    );
    assert_eq!(told(5, Some("503"))["Exception"]["Message"], "503");
}
