//! Posts to the collector, beside the work that is told about.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Url;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;
use serde_json::Value;

use super::encode;
use super::sink::Sink;

/// How often is exported at least.
const INTERVAL: Duration = Duration::from_secs(10);
/// How long a post may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where to, and as whom.
#[derive(Clone)]
pub struct Config {
    /// The collector's address; `/v1/traces` and `/v1/metrics` are appended.
    pub endpoint: Url,
    /// Headers of every post; secrets as a rule.
    pub headers: HeaderMap,
    /// The name of this installation.
    pub service: String,
}

/// What is wrong with the settings; no value is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// The endpoint.
    #[error("is no http or https address of a collector")]
    Endpoint,
    /// Headers over a connection that anybody can read.
    #[error("must be https, because OTEL_EXPORTER_OTLP_HEADERS go along")]
    Plain,
    /// The headers.
    #[error("is not name=value, with a comma between two")]
    Headers,
}

impl Config {
    /// Reads the texts of the well-known settings (OpenTelemetry, OTLP exporter configuration).
    pub fn parse(endpoint: &str, headers: &str, service: &str) -> Result<Self, ConfigError> {
        let endpoint = Url::parse(endpoint.trim()).map_err(|_| ConfigError::Endpoint)?;
        if !matches!(endpoint.scheme(), "http" | "https") || !endpoint.has_host() {
            return Err(ConfigError::Endpoint);
        }
        let headers = read_headers(headers)?;
        let is_own = matches!(endpoint.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
        if endpoint.scheme() == "http" && !is_own && !headers.is_empty() {
            return Err(ConfigError::Plain);
        }
        Ok(Self { endpoint, headers, service: service.to_owned() })
    }
}

fn read_headers(text: &str) -> Result<HeaderMap, ConfigError> {
    let mut headers = HeaderMap::new();
    for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
        let (name, value) = part.split_once('=').ok_or(ConfigError::Headers)?;
        let value = percent_encoding::percent_decode_str(value.trim()).decode_utf8();
        let value = value.map_err(|_| ConfigError::Headers)?;
        let name = HeaderName::try_from(name.trim()).map_err(|_| ConfigError::Headers)?;
        let mut value = HeaderValue::from_str(&value).map_err(|_| ConfigError::Headers)?;
        value.set_sensitive(true);
        headers.insert(name, value);
    }
    Ok(headers)
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config").field("service", &self.service).finish_non_exhaustive()
    }
}

/// Posts what a sink collects.
#[derive(Debug)]
pub struct Exporter {
    config: Config,
    sink: Arc<Sink>,
    http: reqwest::Client,
}

impl Exporter {
    /// Posts what this sink collects.
    pub fn new(config: Config, sink: Arc<Sink>) -> Result<Self, ConfigError> {
        let http = reqwest::Client::builder()
            .redirect(Policy::none())
            .timeout(PATIENCE)
            .default_headers(config.headers.clone())
            .build()
            .map_err(|_| ConfigError::Headers)?;
        Ok(Self { config, sink, http })
    }

    /// What is collected.
    pub fn sink(&self) -> &Arc<Sink> {
        &self.sink
    }

    /// Exports while `work` goes on, and once more when it is over.
    pub async fn beside<T>(&self, work: impl Future<Output = T>) -> T {
        let done = tokio::select! {
            done = work => done,
            never = self.always() => match never {},
        };
        self.export().await;
        done
    }

    async fn always(&self) -> std::convert::Infallible {
        loop {
            // Whichever comes first: time, or many spans.
            let _time_is_up = tokio::time::timeout(INTERVAL, self.sink.full.notified()).await;
            self.export().await;
        }
    }

    /// Posts what is collected now.
    pub async fn export(&self) {
        let batch = self.sink.take();
        if !batch.spans.is_empty() {
            let body = encode::traces(&self.config.service, &batch);
            if !self.post("v1/traces", &body).await {
                self.sink.dropped(batch.spans.len());
            }
        }
        if !batch.series.is_empty() {
            let body = encode::metrics(&self.config.service, &batch);
            if !self.post("v1/metrics", &body).await {
                self.sink.give_back(batch.series, batch.since);
            }
        }
    }

    async fn post(&self, path: &str, body: &Value) -> bool {
        let endpoint = self.config.endpoint.as_str().trim_end_matches('/');
        let sent = self.http.post(format!("{endpoint}/{path}")).json(body).send().await;
        let reason = match sent {
            Ok(response) if response.status().is_success() => return true,
            Ok(response) => format!("status {}", response.status().as_u16()),
            Err(error) if error.is_timeout() => "no answer in time".to_owned(),
            Err(_) => "no connection".to_owned(),
        };
        tracing::debug!(path, reason, "telemetry was not taken");
        false
    }
}
