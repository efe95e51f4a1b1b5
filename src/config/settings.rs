//! The settings of the process: environment variables, read once.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::identity::Credential;
use crate::mapping::{Problem, Severity};
use crate::store;
use crate::telemetry::otlp;

/// The names that Concord itself reads; everything else is read because a file names it.
const MAPS: &str = "CONCORD_MAPS";
const STORAGE: &str = "CONCORD_STORAGE";
const LOG: &str = "CONCORD_LOG";
const COLLECTOR: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const COLLECTOR_HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const SERVICE: &str = "OTEL_SERVICE_NAME";
const PORT: &str = "FUNCTIONS_CUSTOMHANDLER_PORT";
const ROOT: &str = "FUNCTIONS_APP_ROOT_PATH";

/// Names and values. Values are secrets as a rule and are never shown.
#[derive(Clone, Default)]
pub struct Settings(BTreeMap<String, String>);

impl Settings {
    /// Those of the process. Ones that are not Unicode are left out.
    pub fn from_environment() -> Self {
        let unicode = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(unicode).collect())
    }

    /// These and no others.
    pub fn of<N: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (N, V)>) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.into(), value.into())).collect())
    }

    /// The same with another folder of maps, taken from the current one.
    #[must_use]
    pub fn with_maps(mut self, folder: &Path) -> Self {
        self.0.remove(ROOT);
        self.0.insert(MAPS.to_owned(), folder.display().to_string());
        self
    }

    /// A setting; an empty one counts as not set.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.trim().is_empty())
    }

    /// The folder of the maps: `CONCORD_MAPS`, else `maps`; from the function app's folder when the
    /// host names one, else from the current one.
    pub fn maps(&self) -> PathBuf {
        let root = self.get(ROOT).map(PathBuf::from).unwrap_or_default();
        root.join(self.get(MAPS).unwrap_or("maps"))
    }

    /// Whether it is said where storage is.
    pub fn names_storage(&self) -> bool {
        self.get(STORAGE).is_some()
    }

    /// Where storage is, `CONCORD_STORAGE`, and who asks for it.
    pub fn storage(&self) -> Result<store::Config, Problem> {
        let Some(text) = self.get(STORAGE) else {
            return Err(problem(
                STORAGE,
                "is not set: write local:<folder>, a connection string or the name of an account",
            ));
        };
        let mut config =
            store::Config::parse(text).map_err(|error| problem(STORAGE, &error.to_string()))?;
        config.credential = Credential::from_settings(|name| self.get(name).map(str::to_owned));
        Ok(config)
    }

    /// What is logged, `CONCORD_LOG`, in the words of `tracing`'s filters.
    pub fn log(&self) -> Option<&str> {
        self.get(LOG)
    }

    /// Where spans and metrics are sent, `OTEL_EXPORTER_OTLP_ENDPOINT`; nowhere when it is not set.
    pub fn collector(&self) -> Result<Option<otlp::Config>, Problem> {
        let Some(endpoint) = self.get(COLLECTOR) else { return Ok(None) };
        let headers = self.get(COLLECTOR_HEADERS).unwrap_or_default();
        let service = self.get(SERVICE).unwrap_or("concord");
        otlp::Config::parse(endpoint, headers, service).map(Some).map_err(|error| {
            let name = match error {
                otlp::ConfigError::Endpoint | otlp::ConfigError::Plain => COLLECTOR,
                otlp::ConfigError::Headers => COLLECTOR_HEADERS,
            };
            problem(name, &error.to_string())
        })
    }

    /// The port that the host expects the handler on.
    pub fn port(&self) -> Result<u16, Problem> {
        let port = self.get(PORT).and_then(|port| port.parse().ok());
        let message = "is not set to a port; the Functions host sets it when it starts the handler";
        port.ok_or_else(|| problem(PORT, message))
    }
}

fn problem(name: &str, message: &str) -> Problem {
    Problem {
        file: "app settings".to_owned(),
        line: 1,
        column: 1,
        severity: Severity::Error,
        rule: "setting",
        message: format!("{name} {message}"),
        suggestion: None,
    }
}

impl fmt::Debug for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_are_beside_the_function_app_unless_named_otherwise() {
        let maps = |pairs: &[(&str, &str)]| Settings::of(pairs.iter().copied()).maps();
        assert_eq!(maps(&[]), PathBuf::from("maps"));
        assert_eq!(maps(&[(ROOT, "/home/site")]), PathBuf::from("/home/site/maps"));
        assert_eq!(maps(&[(ROOT, "/home/site"), (MAPS, "/m")]), PathBuf::from("/m"));
    }

    #[test]
    fn a_missing_or_wrong_setting_is_named_and_never_quoted() {
        assert!(Settings::default().storage().unwrap_err().message.contains(STORAGE));
        let wrong = Settings::of([(STORAGE, "AccountKey=hunter2"), (PORT, "http")]);
        assert!(!wrong.storage().unwrap_err().to_string().contains("hunter2"));
        assert!(wrong.port().is_err());
        assert!(!format!("{wrong:?}").contains("hunter2"));
        assert_eq!(Settings::of([(PORT, "7071")]).port(), Ok(7071));
    }
}
