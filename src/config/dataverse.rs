//! A Dataverse environment as `concord.toml` names it: where it is, who asks, how hard it is pushed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use schemars::JsonSchema;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use uuid::Uuid;

use super::{Settings, Target};
use crate::identity::Credential;
use crate::mapping::file::Read;
use crate::mapping::problem::Problems;
use crate::system::{TableSchema, dataverse};

/// A Dataverse environment.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["kind", "url"]))]
pub struct Dataverse {
    /// What it is.
    pub kind: DataverseKind,
    /// The address of the environment, as a rule a setting: `"${SALES_URL}"`.
    pub url: String,
    /// Who asks.
    pub auth: Auth,
    /// The tenant, for `secret`, `workload` and `cli`.
    pub tenant: Option<String>,
    /// The client id, for `secret`, `workload` and a user-assigned `identity`.
    pub client_id: Option<String>,
    /// The client secret, for `secret`; always a setting: `"${SALES_SECRET}"`.
    #[schemars(with = "Option<String>")]
    pub client_secret: Option<SecretString>,
    /// The file of the federated token, for `workload`; `AZURE_FEDERATED_TOKEN_FILE` when absent.
    pub token_file: Option<PathBuf>,
    /// The longest that a write may still land after it was sent, in seconds.
    pub longest: Option<u64>,
    /// Never more calls at once than this.
    pub parallel: Option<usize>,
    /// Rows in the first UpsertMultiple of a table; adapts from there.
    pub chunk: Option<usize>,
    /// Whether writes carry the correlation id to plug-ins and webhooks (`?tag=`).
    pub tag: bool,
    /// As a source: whether a row is mapped as its event shows it, or read again first.
    pub read: Read,
    /// As a source: what a webhook shows in the header `x-concord-secret`; always a setting,
    /// `"${SALES_WEBHOOK_SECRET}"`. Two with a blank between them are both taken, while one is exchanged
    /// for the other; the first is the new one.
    #[schemars(with = "Option<String>")]
    pub webhook_secret: Option<SecretString>,
    /// As a source: the id of the user in whose name we write there, so that echoes are known by it.
    pub user: Option<String>,
    /// As a source: whether the timer asks what changed, for webhooks that were lost. Yes unless it is
    /// said here.
    pub changes: Option<bool>,
    /// A file beside the maps with saved descriptions of tables, a JSON list; each spares its metadata
    /// calls.
    pub tables: Option<PathBuf>,
}

/// The word `dataverse`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum DataverseKind {
    /// A Dataverse environment.
    #[default]
    Dataverse,
}

/// The shortest secret of a webhook, in bytes.
const SHORTEST_SECRET: usize = 16;

/// What is said of an environment as a source.
#[derive(Clone, Debug, Default)]
pub struct Incoming {
    /// Whether rows are read again.
    pub read: Read,
    /// What callers show; the first is the newest.
    pub secrets: Vec<SecretString>,
    /// Our own user there.
    pub user: Option<Uuid>,
    /// Whether change tracking is asked.
    pub changes: bool,
}

/// Who asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Auth {
    /// The identity that Azure gives the app, on a developer's machine whoever is signed in; nobody for
    /// an address of this machine.
    #[default]
    Identity,
    /// An application with a secret.
    Secret,
    /// An application with a federated token.
    Workload,
    /// Whoever is signed in to the Azure CLI.
    Cli,
    /// Nobody; for an address of this machine only.
    None,
}

impl Dataverse {
    /// The target, or complaints.
    pub(super) fn checked(
        &self,
        name: &str,
        (folder, settings): (&Path, &Settings),
        problems: &mut Problems,
    ) -> Target {
        let path = format!("systems/{name}");
        let mut config = dataverse::Config::new(name, &self.url);
        if self.url.trim().is_empty() {
            problems.error(&path, "key-missing-in-file", "`url` is missing");
        } else if self.url.contains("${") {
            // The setting is missing, and that was said already.
        } else if let Err(fault) = config.root(self.auth != Auth::None) {
            problems.error(&format!("{path}/url"), "url", fault.message);
        }
        for (key, value, most) in [("parallel", self.parallel, 1000), ("chunk", self.chunk, 1000)] {
            if value.is_some_and(|value| !(1..=most).contains(&value)) {
                let message = format!("between 1 and {most}");
                problems.error(&format!("{path}/{key}"), "range", message);
            }
        }
        if self.longest.is_some_and(|longest| !(1..=3600).contains(&longest)) {
            let message =
                "between 1 second and an hour; Dataverse itself gives up after two minutes";
            problems.error(&format!("{path}/longest"), "range", message);
        }
        config.longest = self.longest.map_or(config.longest, Duration::from_secs);
        config.parallel = self.parallel.unwrap_or(config.parallel);
        config.chunk = self.chunk.unwrap_or(config.chunk);
        config.tag = self.tag;
        config.schemas = self.saved(&path, folder, problems);
        let credential = self.credential(&path, settings, problems);
        Target::Dataverse(Box::new(config), credential)
    }

    /// What is said of it as a source.
    pub(super) fn incoming(&self, name: &str, problems: &mut Problems) -> Incoming {
        let path = format!("systems/{name}");
        let user = self.user.as_ref().filter(|user| !user.contains("${")).and_then(|user| {
            let parsed = user.trim().parse().ok();
            if parsed.is_none() {
                let message = "`user` is the id of a user, a GUID (`WhoAmI` tells it)";
                problems.error(&format!("{path}/user"), "wrong-type", message.to_owned());
            }
            parsed
        });
        let text = self.webhook_secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        let text = text.filter(|text| !text.contains("${")).unwrap_or_default();
        let secrets: Vec<&str> = text.split_whitespace().collect();
        if secrets.len() > 2 || secrets.iter().any(|secret| secret.len() < SHORTEST_SECRET) {
            let message = format!(
                "one secret or two with a blank between them, each of at least {SHORTEST_SECRET} \
                 characters"
            );
            problems.error(&format!("{path}/webhook_secret"), "webhook-secret", message);
        }
        Incoming {
            read: self.read,
            secrets: secrets.into_iter().map(SecretString::from).collect(),
            user,
            changes: self.changes.unwrap_or(true),
        }
    }

    fn saved(
        &self,
        path: &str,
        folder: &Path,
        problems: &mut Problems,
    ) -> BTreeMap<String, TableSchema> {
        let Some(file) = &self.tables else { return BTreeMap::new() };
        let text = std::fs::read(folder.join(file)).map_err(|error| error.to_string());
        let read = text.and_then(|text| {
            serde_json::from_slice::<Vec<TableSchema>>(&text).map_err(|error| error.to_string())
        });
        match read {
            Ok(tables) => tables.into_iter().map(|table| (table.name.clone(), table)).collect(),
            Err(error) => {
                let message = format!("{} cannot be read: {error}", file.display());
                problems.error(&format!("{path}/tables"), "tables-unreadable", message);
                BTreeMap::new()
            }
        }
    }

    fn credential(
        &self,
        path: &str,
        settings: &Settings,
        problems: &mut Problems,
    ) -> Option<Credential> {
        let mut needed = |key: &str, value: Option<String>| {
            if value.is_none() {
                let message = format!("`auth` needs `{key}` too");
                problems.error(&format!("{path}/auth"), "auth-incomplete", message);
            }
            value.unwrap_or_default()
        };
        let (tenant, client_id) = (self.tenant.clone(), self.client_id.clone());
        match self.auth {
            Auth::None => None,
            // What stands in for an environment here asks for no token, and is to be shown none.
            Auth::Identity if dataverse::is_local(&self.url) => None,
            Auth::Identity => Some(identity(client_id, settings)),
            Auth::Cli => Some(Credential::AzureCli { tenant }),
            Auth::Secret => {
                let (tenant, client_id) =
                    (needed("tenant", tenant), needed("client_id", client_id));
                let there = self.client_secret.as_ref().map(|_| String::new());
                needed("client_secret", there);
                let secret = self.client_secret.clone().unwrap_or_default();
                Some(Credential::ClientSecret { tenant, client_id, secret })
            }
            Auth::Workload => {
                let setting = |name: &str| settings.get(name).map(str::to_owned);
                let tenant = needed("tenant", tenant.or_else(|| setting("AZURE_TENANT_ID")));
                let client_id =
                    needed("client_id", client_id.or_else(|| setting("AZURE_CLIENT_ID")));
                let file = self.token_file.as_ref().map(|file| file.display().to_string());
                let file = file.or_else(|| setting("AZURE_FEDERATED_TOKEN_FILE"));
                let token_file = needed("token_file", file).into();
                Some(Credential::WorkloadIdentity { tenant, client_id, token_file })
            }
        }
    }
}

/// The identity of this process, as the settings tell it; `client_id` when the system names its own.
fn identity(client_id: Option<String>, settings: &Settings) -> Credential {
    match client_id {
        Some(client_id) => Credential::ManagedIdentity { client_id: Some(client_id) },
        None => Credential::from_settings(|name| settings.get(name).map(str::to_owned)),
    }
}
