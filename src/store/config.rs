//! Where storage is: one text, `CONCORD_STORAGE`, becomes a [`Config`].
//!
//! In: `local:<folder>`, an Azure Storage connection string, or a bare account name (then an identity
//! is used). Refused, never quoting a key: parts that are unknown, missing or cannot work.

use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reqwest::Url;
use secrecy::SecretString;

use crate::identity::Credential;

/// Where storage is, how to get in, and what things are called there.
#[derive(Clone, Debug)]
pub struct Config {
    /// A folder or an Azure account.
    pub place: Place,
    /// The names of tables, queues and containers.
    pub names: Names,
    /// Who asks, when the account is used without a key.
    pub credential: Credential,
}

/// Where storage is.
#[derive(Clone, Debug)]
pub enum Place {
    /// A folder on this machine; several processes may use it at once.
    Local {
        /// The folder, made when it is missing.
        folder: PathBuf,
    },
    /// An Azure Storage account, or Azurite.
    Azure(Box<Account>),
}

/// An Azure Storage account and its three endpoints, without a slash at their ends.
#[derive(Clone, Debug)]
pub struct Account {
    /// The account's name.
    pub name: String,
    /// Its key in base64; an identity is used when absent.
    pub key: Option<SecretString>,
    /// The Blob service.
    pub blobs: Url,
    /// The Queue service.
    pub queues: Url,
    /// The Table service.
    pub tables: Url,
}

/// What things are called in the account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// The table of ledger entries.
    pub ledger: String,
    /// The table of error records.
    pub poison: String,
    /// The queue of deferred rows and long work.
    pub work: String,
    /// The queue that names each poisoned row.
    pub poisoned: String,
    /// The container of blobs.
    pub container: String,
    /// The container of quarantined originals.
    pub quarantine: String,
}

impl Default for Names {
    fn default() -> Self {
        Self {
            ledger: "ConcordLedger".into(),
            poison: "ConcordPoison".into(),
            work: "concord-work".into(),
            poisoned: "concord-poison".into(),
            container: "concord".into(),
            quarantine: "concord-quarantine".into(),
        }
    }
}

/// What is wrong with the text.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is none of the three forms.
    #[error(
        "storage is `local:<folder>`, a connection string, or an account name of 3 to 24 lower-case letters and digits"
    )]
    NotUnderstood,
    /// A part of the connection string is not `Name=value`.
    #[error("part {position} of the storage connection string is not `Name=value`")]
    NotAPart {
        /// Counted from one.
        position: usize,
    },
    /// A part that has no meaning here.
    #[error("the storage connection string has the unknown part `{name}`")]
    Unknown {
        /// The part's name.
        name: String,
    },
    /// A part that cannot be used.
    #[error("the storage connection string has `{name}`, which is not supported: {advice}")]
    Unsupported {
        /// The part's name.
        name: String,
        /// What to do.
        advice: &'static str,
    },
    /// A part that is needed.
    #[error(
        "the storage connection string lacks `{name}`; to use an identity, give the account name alone"
    )]
    Missing {
        /// The part's name.
        name: &'static str,
    },
    /// A part whose value cannot be right.
    #[error("`{name}` of the storage connection string is not {expected}")]
    Malformed {
        /// The part's name.
        name: &'static str,
        /// What it should be.
        expected: &'static str,
    },
}

/// The account that Azurite and the older emulator always have (Microsoft Learn, "Use the Azurite
/// emulator", well-known storage account and key). The key is public and protects nothing.
const EMULATED: (&str, &str) = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
);

impl Config {
    /// Reads the text. The credential is the system-assigned managed identity until another is set.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let text = text.trim();
        let place = match text.strip_prefix("local:") {
            Some("") => return Err(ConfigError::NotUnderstood),
            Some(folder) => Place::Local { folder: PathBuf::from(folder) },
            None if text.contains('=') => Place::Azure(Box::new(Parts::read(text)?.account()?)),
            None if is_account_name(text) => Place::Azure(Box::new(identity_account(text)?)),
            None => return Err(ConfigError::NotUnderstood),
        };
        let credential = Credential::ManagedIdentity { client_id: None };
        Ok(Self { place, names: Names::default(), credential })
    }
}

fn is_account_name(text: &str) -> bool {
    (3..=24).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit())
}

fn identity_account(name: &str) -> Result<Account, ConfigError> {
    let parts = Parts::default();
    Ok(Account {
        name: name.to_owned(),
        key: None,
        blobs: parts.endpoint(Service::Blob, name)?,
        queues: parts.endpoint(Service::Queue, name)?,
        tables: parts.endpoint(Service::Table, name)?,
    })
}

/// The parts of a connection string (Microsoft Learn, "Configure Azure Storage connection strings").
#[derive(Default)]
struct Parts<'a> {
    emulated: bool,
    protocol: Option<&'a str>,
    account: Option<&'a str>,
    key: Option<&'a str>,
    suffix: Option<&'a str>,
    blob: Option<&'a str>,
    queue: Option<&'a str>,
    table: Option<&'a str>,
}

#[derive(Clone, Copy)]
enum Service {
    Blob,
    Queue,
    Table,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Result<Self, ConfigError> {
        let mut parts = Self::default();
        for (at, part) in text.split(';').map(str::trim).enumerate() {
            if part.is_empty() {
                continue;
            }
            let position = at + 1;
            let (name, value) = part.split_once('=').ok_or(ConfigError::NotAPart { position })?;
            parts.take(name.trim(), value.trim())?;
        }
        Ok(parts)
    }

    fn take(&mut self, name: &str, value: &'a str) -> Result<(), ConfigError> {
        let value = (!value.is_empty()).then_some(value);
        match name.to_ascii_lowercase().as_str() {
            "usedevelopmentstorage" => {
                self.emulated = value.is_some_and(|value| value.eq_ignore_ascii_case("true"));
            }
            "defaultendpointsprotocol" => self.protocol = value,
            "accountname" => self.account = value,
            "accountkey" => self.key = value,
            "endpointsuffix" => self.suffix = value,
            "blobendpoint" => self.blob = value,
            "queueendpoint" => self.queue = value,
            "tableendpoint" => self.table = value,
            "fileendpoint"
            | "blobsecondaryendpoint"
            | "queuesecondaryendpoint"
            | "tablesecondaryendpoint"
            | "filesecondaryendpoint" => {}
            "sharedaccesssignature" => {
                let advice = "use the account key, or the account name alone for an identity";
                return Err(ConfigError::Unsupported { name: name.to_owned(), advice });
            }
            "developmentstorageproxyuri" => {
                let advice = "name the emulator by BlobEndpoint, QueueEndpoint and TableEndpoint";
                return Err(ConfigError::Unsupported { name: name.to_owned(), advice });
            }
            _ => return Err(ConfigError::Unknown { name: name.to_owned() }),
        }
        Ok(())
    }

    fn account(&self) -> Result<Account, ConfigError> {
        let emulated = |known| self.emulated.then_some(known);
        let name = self.account.or_else(|| emulated(EMULATED.0));
        let name = name.ok_or(ConfigError::Missing { name: "AccountName" })?;
        let key = self.key.or_else(|| emulated(EMULATED.1));
        let key = key.ok_or(ConfigError::Missing { name: "AccountKey" })?;
        if STANDARD.decode(key).is_err() {
            return Err(ConfigError::Malformed { name: "AccountKey", expected: "base64" });
        }
        Ok(Account {
            name: name.to_owned(),
            key: Some(key.into()),
            blobs: self.endpoint(Service::Blob, name)?,
            queues: self.endpoint(Service::Queue, name)?,
            tables: self.endpoint(Service::Table, name)?,
        })
    }

    fn endpoint(&self, service: Service, account: &str) -> Result<Url, ConfigError> {
        let (given, name, word, port) = match service {
            Service::Blob => (self.blob, "BlobEndpoint", "blob", 10000),
            Service::Queue => (self.queue, "QueueEndpoint", "queue", 10001),
            Service::Table => (self.table, "TableEndpoint", "table", 10002),
        };
        let text = match given {
            Some(given) => given.trim_end_matches('/').to_owned(),
            None if self.emulated => format!("http://127.0.0.1:{port}/{account}"),
            None => {
                let protocol = self.protocol.unwrap_or("https");
                let suffix = self.suffix.unwrap_or("core.windows.net");
                format!("{protocol}://{account}.{word}.{suffix}")
            }
        };
        let plain = |url: &Url| {
            matches!(url.scheme(), "http" | "https") && url.has_host() && url.query().is_none()
        };
        let malformed =
            ConfigError::Malformed { name, expected: "an http or https address without a query" };
        Url::parse(&text).ok().filter(plain).ok_or(malformed)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn account(text: &str) -> Account {
        match Config::parse(text).unwrap().place {
            Place::Azure(account) => *account,
            Place::Local { folder } => panic!("a folder: {}", folder.display()),
        }
    }

    fn refusal(text: &str) -> ConfigError {
        Config::parse(text).unwrap_err()
    }

    #[test]
    fn a_folder_is_local() {
        let config = Config::parse(" local:./data dir ").unwrap();
        let Place::Local { folder } = config.place else { panic!("not local") };
        assert_eq!(folder, PathBuf::from("./data dir"));
        assert_eq!(refusal("local:"), ConfigError::NotUnderstood);
    }

    #[test]
    fn a_bare_name_means_an_identity_on_the_public_cloud() {
        let account = account("acmeledger");
        assert!(account.key.is_none());
        assert_eq!(account.tables.as_str(), "https://acmeledger.table.core.windows.net/");
        assert_eq!(refusal("Acme-Ledger"), ConfigError::NotUnderstood);
        assert_eq!(refusal(""), ConfigError::NotUnderstood);
    }

    #[test]
    fn a_connection_string_as_the_portal_gives_it() {
        let account = account(
            "DefaultEndpointsProtocol=https;AccountName=acme;AccountKey=c2VjcmV0cw==;\
             EndpointSuffix=core.chinacloudapi.cn",
        );
        assert_eq!(account.queues.as_str(), "https://acme.queue.core.chinacloudapi.cn/");
        assert_eq!(account.key.unwrap().expose_secret(), "c2VjcmV0cw==");
    }

    #[test]
    fn the_emulator_is_known_and_its_ports_can_be_named() {
        let usual = account("UseDevelopmentStorage=true");
        assert_eq!(usual.blobs.as_str(), "http://127.0.0.1:10000/devstoreaccount1");
        assert_eq!(usual.name, "devstoreaccount1");
        let other = account(
            "UseDevelopmentStorage=true;TableEndpoint=http://azurite:7002/devstoreaccount1/;",
        );
        assert_eq!(other.tables.as_str(), "http://azurite:7002/devstoreaccount1");
    }

    #[test]
    fn what_is_wrong_is_named_and_the_key_is_not() {
        assert_eq!(refusal("AccountName=acme"), ConfigError::Missing { name: "AccountKey" });
        assert_eq!(refusal("AccountKey=c2Vj"), ConfigError::Missing { name: "AccountName" });
        assert_eq!(refusal("AccountName=a;nonsense"), ConfigError::NotAPart { position: 2 });
        let secret = "not base64 at all";
        for text in [
            format!("AccountName=acme;AccountKey={secret}"),
            format!("AccountName=acme;AccountKye={secret}"),
            format!("AccountName=acme;SharedAccessSignature={secret}"),
            format!("AccountName=acme;AccountKey=c2Vj;BlobEndpoint={secret}"),
            format!("AccountName=acme;AccountKey=c2Vj;BlobEndpoint=https://x/?sig={secret}"),
        ] {
            let shown = format!("{0} {0:?}", refusal(&text));
            assert!(!shown.contains(secret), "{shown}");
        }
    }

    #[test]
    fn a_config_can_be_logged() {
        let config = Config::parse("AccountName=acme;AccountKey=c2VjcmV0").unwrap();
        assert!(!format!("{config:?}").contains("c2VjcmV0"));
    }
}
