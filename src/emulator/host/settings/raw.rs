//! The members of `host.json` and `function.json` that the stand-in reads.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawHost {
    pub(super) function_timeout: Option<String>,
    pub(super) custom_handler: RawHandler,
    #[serde(default)]
    pub(super) extensions: RawExtensions,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawHandler {
    pub(super) description: RawDescription,
    pub(super) initialization_timeout: Option<String>,
    #[serde(default)]
    pub(super) enable_proxying_http_request: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawDescription {
    pub(super) default_executable_path: String,
    #[serde(default)]
    pub(super) arguments: Vec<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawExtensions {
    pub(super) event_hubs: RawEventHubs,
    pub(super) http: RawHttp,
    pub(super) queues: RawQueues,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawHttp {
    pub(super) route_prefix: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawEventHubs {
    pub(super) max_event_batch_size: Option<usize>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct RawQueues {
    pub(super) batch_size: Option<usize>,
    pub(super) max_dequeue_count: Option<u32>,
    pub(super) visibility_timeout: Option<String>,
}

#[derive(Deserialize)]
pub(super) struct RawFunction {
    pub(super) bindings: Vec<RawBinding>,
    pub(super) retry: Option<RawRetry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawBinding {
    #[serde(rename = "type")]
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) data_type: Option<String>,
    pub(super) cardinality: Option<String>,
    pub(super) event_hub_name: Option<String>,
    pub(super) consumer_group: Option<String>,
    pub(super) queue_name: Option<String>,
    pub(super) topic_name: Option<String>,
    pub(super) subscription_name: Option<String>,
    pub(super) schedule: Option<String>,
    #[serde(default)]
    pub(super) run_on_startup: bool,
    pub(super) use_monitor: Option<bool>,
    pub(super) auth_level: Option<String>,
    pub(super) route: Option<String>,
    #[serde(default)]
    pub(super) methods: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawRetry {
    pub(super) strategy: String,
    pub(super) max_retry_count: i64,
    pub(super) delay_interval: Option<String>,
    pub(super) minimum_interval: Option<String>,
    pub(super) maximum_interval: Option<String>,
}
