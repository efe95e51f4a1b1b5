//! What a Dataverse environment is called, where it is, and how hard it may be pushed.
//!
//! In comes what the system's section of `concord.toml` says; out goes the root of the Web API.
//! Refused: an address that is no http(s) URL, and one over which a token or data would go in
//! clear.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use reqwest::Url;

use crate::fault::{Fault, Kind};
use crate::retry::Backoff;
use crate::system::TableSchema;

/// The version of the Web API that this target speaks; the path is a contract (Dataverse Web API,
/// addresses).
const API: &str = "/api/data/v9.2";

/// How to reach one environment.
#[derive(Clone, Debug)]
pub struct Config {
    /// The system's name in `concord.toml`.
    pub name: String,
    /// The root of the environment; `/api/data/v9.2` is appended unless it is there.
    pub url: String,
    /// The longest that the service may work on one message: two minutes, and half a minute for the
    /// way there. A call is given up after it.
    pub longest: Duration,
    /// Never more calls at once than this.
    pub parallel: usize,
    /// Over which the service counts what it allows.
    pub window: Duration,
    /// Rows in the first UpsertMultiple of a table; adapts from there.
    pub chunk: usize,
    /// Product and version, for `User-Agent`.
    pub user_agent: String,
    /// Whether writes carry `?tag=`, which reaches plug-ins and webhooks as a shared variable.
    pub tag: bool,
    /// The pauses between attempts.
    pub backoff: Backoff,
    /// Saved descriptions of tables; each spares its metadata calls.
    pub schemas: BTreeMap<String, TableSchema>,
}

impl Config {
    /// The usual settings for an environment.
    pub fn new(name: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            url: url.into(),
            longest: Duration::from_secs(150),
            parallel: 16,
            window: Duration::from_mins(5),
            chunk: 256,
            user_agent: concat!("concord/", env!("CARGO_PKG_VERSION")).to_owned(),
            tag: false,
            backoff: Backoff::default(),
            schemas: BTreeMap::new(),
        }
    }

    /// The root of the Web API without a final slash. Without tokens, and without TLS, the address
    /// must be a loopback one.
    pub fn root(&self, tokens: bool) -> Result<String, Fault> {
        let name = &self.name;
        let wrong = |why: &str| {
            Fault::new(Kind::Misconfigured, format!("system {name}: url {why}")).field("url")
        };
        let url = Url::parse(&self.url)
            .map_err(|error| wrong("is not an address; write https://…").caused_by(error))?;
        if !matches!(url.scheme(), "http" | "https") || url.query().is_some() {
            return Err(wrong("must start with https:// and have no query"));
        }
        if !is_loopback(&url) && url.scheme() == "http" {
            return Err(wrong("must be https:// unless it is on this machine"));
        }
        if !is_loopback(&url) && !tokens {
            return Err(wrong("is not on this machine, so it needs a credential (auth)"));
        }
        let text = url.as_str().trim_end_matches('/');
        Ok(if url.path().contains("/api/data/") { text.to_owned() } else { format!("{text}{API}") })
    }
}

/// Whether an address is one of this machine.
pub fn is_local(url: &str) -> bool {
    Url::parse(url).is_ok_and(|url| is_loopback(&url))
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(url: &str, tokens: bool) -> Option<String> {
        Config::new("sales", url).root(tokens).ok()
    }

    #[test]
    fn the_path_of_the_web_api_is_appended_once() {
        let full = Some("https://acme.crm4.dynamics.com/api/data/v9.2".to_owned());
        assert_eq!(root("https://acme.crm4.dynamics.com", true), full);
        assert_eq!(root("https://acme.crm4.dynamics.com/", true), full);
        assert_eq!(root("https://acme.crm4.dynamics.com/api/data/v9.2/", true), full);
    }

    #[test]
    fn without_a_credential_or_tls_only_this_machine_will_do() {
        assert!(root("http://127.0.0.1:7001", false).is_some());
        assert!(root("http://[::1]:7001", false).is_some());
        assert!(root("https://acme.crm.dynamics.com", false).is_none());
        assert!(root("http://acme.crm.dynamics.com", true).is_none());
        assert!(root("acme.crm.dynamics.com", true).is_none());
    }
}
