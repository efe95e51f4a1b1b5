//! The container of blobs, through `object_store`.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use object_store::azure::{AzureCredential, MicrosoftAzureBuilder};
use object_store::client::{HttpClient, HttpConnector};
use object_store::{ClientOptions, CredentialProvider, ObjectStore, RetryConfig};
use secrecy::ExposeSecret;

use super::client::{Access, Client};
use crate::identity::Tokens;
use crate::store::counted::Counted;
use crate::store::{Account, Counters, Error};

const RETRIES: usize = 3;
const PATIENCE: Duration = Duration::from_secs(10);

/// Opens the container; makes no request.
pub(super) fn open(
    account: &Account,
    client: &Client,
    container: &str,
    counters: Arc<Counters>,
) -> Result<Arc<dyn ObjectStore>, Error> {
    let is_plain = account.blobs.scheme() == "http";
    let options = ClientOptions::new().with_allow_http(is_plain);
    let retry =
        RetryConfig { max_retries: RETRIES, retry_timeout: PATIENCE, ..RetryConfig::default() };
    let builder = MicrosoftAzureBuilder::new()
        .with_account(&account.name)
        .with_container_name(container)
        .with_endpoint(account.blobs.as_str().trim_end_matches('/').to_owned())
        .with_client_options(options)
        .with_http_connector(Shared(client.http().clone()))
        .with_retry(retry);
    let builder = match client.access() {
        Access::Key(key) => builder.with_access_key(key.expose_secret()),
        Access::Identity(tokens) => builder.with_credentials(Arc::new(Bearer(tokens.clone()))),
    };
    let store = builder.build().map_err(|error| Error::Invalid { reason: error.to_string() })?;
    Ok(Arc::new(Counted::new(store, counters)))
}

/// The client of the other services: its connections, its certificates and its limits of time.
#[derive(Debug)]
struct Shared(reqwest::Client);

impl HttpConnector for Shared {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.0.clone()))
    }
}

/// Our tokens, as `object_store` asks for them.
#[derive(Debug)]
struct Bearer(Arc<Tokens>);

#[async_trait]
impl CredentialProvider for Bearer {
    type Credential = AzureCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AzureCredential>> {
        match self.0.bearer().await {
            Ok(token) => {
                Ok(Arc::new(AzureCredential::BearerToken(token.expose_secret().to_owned())))
            }
            Err(error) => {
                Err(object_store::Error::Generic { store: "identity", source: Box::new(error) })
            }
        }
    }
}
