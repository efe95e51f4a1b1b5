//! Microsoft Entra identities: in goes a [`Credential`] chosen by configuration, out come bearer
//! tokens for one scope, always valid and never fetched twice at once ([`Tokens`]).
//!
//! `azure_identity` speaks to the identity provider. It is wrapped because its own cache asks the
//! provider on every call during a token's last five minutes and fails while the token is still valid.
//! Kinds of credentials are never guessed one after the other: which one is used is a decision that
//! can be read in the settings.

pub mod person;
mod tokens;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use azure_core::credentials::{Secret, TokenCredential};
use azure_core::error::ErrorKind;
use azure_identity::{
    AzureCliCredential, AzureCliCredentialOptions, ClientSecretCredential,
    DeveloperToolsCredential, ManagedIdentityCredential, ManagedIdentityCredentialOptions,
    UserAssignedId, WorkloadIdentityCredential, WorkloadIdentityCredentialOptions,
};
use secrecy::{ExposeSecret, SecretString};

pub use tokens::Tokens;

/// The scope of tokens for tables, queues and blobs.
pub const STORAGE_SCOPE: &str = "https://storage.azure.com/.default";

/// How this process proves who it is.
#[derive(Clone, Debug)]
pub enum Credential {
    /// The identity that Azure gives the function app or machine.
    ManagedIdentity {
        /// The client id of a user-assigned identity; the system-assigned one when absent.
        client_id: Option<String>,
    },
    /// A federated token in a file, as Kubernetes and pipelines provide it.
    WorkloadIdentity {
        /// The tenant's id.
        tenant: String,
        /// The client id of the identity.
        client_id: String,
        /// The file that holds the federated token and is replaced when it is renewed.
        token_file: PathBuf,
    },
    /// An application with a secret.
    ClientSecret {
        /// The tenant's id.
        tenant: String,
        /// The client id of the application.
        client_id: String,
        /// Its secret.
        secret: SecretString,
    },
    /// Whoever is signed in to the Azure CLI.
    AzureCli {
        /// The tenant, when it is not the home tenant.
        tenant: Option<String>,
    },
    /// Whoever is signed in to the Azure CLI or, failing that, the Azure Developer CLI.
    DeveloperTools,
}

impl Credential {
    /// The credential that the well-known settings name, by the first rule that holds: a client secret
    /// (`AZURE_TENANT_ID`, `AZURE_CLIENT_ID`, `AZURE_CLIENT_SECRET`), a federated token
    /// (`AZURE_FEDERATED_TOKEN_FILE` with tenant and client), a managed identity when Azure offers one
    /// (`IDENTITY_ENDPOINT`; `AZURE_CLIENT_ID` for a user-assigned one), else the developer's tools.
    pub fn from_settings(setting: impl Fn(&str) -> Option<String>) -> Self {
        let setting = |name: &str| setting(name).filter(|value| !value.trim().is_empty());
        let (tenant, client_id) = (setting("AZURE_TENANT_ID"), setting("AZURE_CLIENT_ID"));
        if let (Some(tenant), Some(client_id)) = (tenant, client_id.clone()) {
            if let Some(secret) = setting("AZURE_CLIENT_SECRET") {
                return Self::ClientSecret { tenant, client_id, secret: secret.into() };
            }
            if let Some(file) = setting("AZURE_FEDERATED_TOKEN_FILE") {
                return Self::WorkloadIdentity { tenant, client_id, token_file: file.into() };
            }
        }
        match setting("IDENTITY_ENDPOINT") {
            Some(_) => Self::ManagedIdentity { client_id },
            None => Self::DeveloperTools,
        }
    }

    fn connect(&self) -> azure_core::Result<Arc<dyn TokenCredential>> {
        Ok(match self {
            Self::ManagedIdentity { client_id } => {
                ManagedIdentityCredential::new(Some(ManagedIdentityCredentialOptions {
                    user_assigned_id: client_id.clone().map(UserAssignedId::ClientId),
                    ..Default::default()
                }))?
            }
            Self::WorkloadIdentity { tenant, client_id, token_file } => {
                WorkloadIdentityCredential::new(Some(WorkloadIdentityCredentialOptions {
                    tenant_id: Some(tenant.clone()),
                    client_id: Some(client_id.clone()),
                    token_file_path: Some(token_file.clone()),
                    ..Default::default()
                }))?
            }
            Self::ClientSecret { tenant, client_id, secret } => {
                let secret = Secret::new(secret.expose_secret().to_owned());
                ClientSecretCredential::new(tenant, client_id.clone(), secret, None)?
            }
            Self::AzureCli { tenant } => {
                AzureCliCredential::new(Some(AzureCliCredentialOptions {
                    tenant_id: tenant.clone(),
                    ..Default::default()
                }))?
            }
            Self::DeveloperTools => DeveloperToolsCredential::new(None)?,
        })
    }
}

impl fmt::Display for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ManagedIdentity { client_id: None } => "system-assigned managed identity",
            Self::ManagedIdentity { client_id: Some(_) } => "user-assigned managed identity",
            Self::WorkloadIdentity { .. } => "workload identity",
            Self::ClientSecret { .. } => "client secret",
            Self::AzureCli { .. } => "Azure CLI sign-in",
            Self::DeveloperTools => "developer tools sign-in",
        })
    }
}

/// Why there is no token. The provider's own words are in the chained source.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// The credential's settings cannot work.
    #[error("the {credential} cannot be used: correct its tenant, client id or token file")]
    Misconfigured {
        /// The kind of credential.
        credential: String,
        /// The reason.
        #[source]
        source: Arc<azure_core::Error>,
    },
    /// The provider said no; asking again does not help.
    #[error(
        "no token for {scope}: the provider refused; check that the identity exists, is assigned to this app and may reach the scope"
    )]
    Refused {
        /// What the token was for.
        scope: String,
        /// The provider's answer.
        #[source]
        source: Arc<azure_core::Error>,
    },
    /// The provider did not answer, or not sensibly.
    #[error("no token for {scope}: the identity provider did not answer")]
    Unreachable {
        /// What the token was for.
        scope: String,
        /// What was seen; absent when it took too long.
        #[source]
        source: Option<Arc<azure_core::Error>>,
    },
}

impl Error {
    fn from_provider(scope: &str, error: azure_core::Error) -> Self {
        let (scope, passing) = (scope.to_owned(), is_passing(&error));
        let source = Arc::new(error);
        if passing {
            Self::Unreachable { scope, source: Some(source) }
        } else {
            Self::Refused { scope, source }
        }
    }
}

/// Whether the failure may be gone in a moment: the provider's answer, if there was one, decides.
fn is_passing(error: &azure_core::Error) -> bool {
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(here) = cause {
        match here.downcast_ref::<azure_core::Error>().map(azure_core::Error::kind) {
            Some(ErrorKind::HttpResponse { status, .. }) => {
                let status = u16::from(*status);
                return status == 404 || status == 410 || status == 429 || status >= 500;
            }
            Some(ErrorKind::Io | ErrorKind::Connection) => return true,
            Some(_) | None => cause = here.source(),
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(settings: &[(&str, &str)]) -> Credential {
        Credential::from_settings(|name| {
            settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
        })
    }

    #[test]
    fn settings_choose_the_credential() {
        let client = [("AZURE_TENANT_ID", "t"), ("AZURE_CLIENT_ID", "c")];
        let with = |more: (&'static str, &'static str)| chosen(&[client[0], client[1], more]);
        assert!(matches!(with(("AZURE_CLIENT_SECRET", "s")), Credential::ClientSecret { .. }));
        assert!(matches!(
            with(("AZURE_FEDERATED_TOKEN_FILE", "/f")),
            Credential::WorkloadIdentity { .. }
        ));
        assert!(matches!(
            with(("IDENTITY_ENDPOINT", "http://x")),
            Credential::ManagedIdentity { client_id: Some(id) } if id == "c"
        ));
        assert!(matches!(chosen(&[("AZURE_CLIENT_SECRET", "s")]), Credential::DeveloperTools));
    }

    #[test]
    fn a_secret_is_never_shown() {
        let credential = Credential::ClientSecret {
            tenant: "t".into(),
            client_id: "c".into(),
            secret: "hunter2".into(),
        };
        assert!(!format!("{credential:?} {credential}").contains("hunter2"));
    }
}
