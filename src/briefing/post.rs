//! One post to a workflow: `https`, or an address of this machine; no redirect is followed, and no
//! message of this module carries the address.

use std::time::Duration;

use reqwest::Url;
use reqwest::redirect::Policy;
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

/// How long a workflow may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a card was not posted.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error("url of [digest] is no https address")]
    Address,
    #[error("the workflow could not be reached")]
    Unreachable,
    #[error("the workflow did not answer in time")]
    Slow,
    #[error(
        "the workflow refused the card with status {0}; is its address still the one it shows?"
    )]
    Refused(u16),
}

/// Posts a message.
pub(super) async fn send(url: &SecretString, message: &Value) -> Result<(), Error> {
    let address = Url::parse(url.expose_secret()).map_err(|_| Error::Address)?;
    let is_own = matches!(address.host_str(), Some("127.0.0.1" | "localhost" | "[::1]"));
    if address.scheme() != "https" && !(address.scheme() == "http" && is_own) {
        return Err(Error::Address);
    }
    let http = reqwest::Client::builder().redirect(Policy::none()).timeout(PATIENCE).build();
    let sent = http.map_err(|_| Error::Unreachable)?.post(address).json(message).send().await;
    let response =
        sent.map_err(|error| if error.is_timeout() { Error::Slow } else { Error::Unreachable })?;
    let status = response.status();
    if status.is_success() { Ok(()) } else { Err(Error::Refused(status.as_u16())) }
}
