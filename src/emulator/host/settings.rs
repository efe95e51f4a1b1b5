//! `host.json` and every `function.json`, read as the host reads them.
//!
//! In come the files under the app's root (functions lie in first-level folders there, or in
//! `functions/` before they are staged) and the app settings; out go typed triggers. Refused are
//! names the host refuses, `%NAME%` without a setting, and triggers this stand-in does not imitate.

mod raw;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::de::DeserializeOwned;

use self::raw::{RawBinding, RawFunction, RawHost, RawRetry};
use super::Error;
use super::http::{Level, Route};
use super::retry::{Retry, Strategy};
use super::schedule::{Schedule, span};

/// An app, as its files describe it.
#[derive(Clone, Debug)]
pub struct Settings {
    pub(super) host: HostFile,
    pub(super) functions: Vec<Function>,
}

impl Settings {
    /// The consumer group and hub of the first event hub trigger.
    pub fn hub(&self) -> Option<(&str, &str)> {
        self.functions.iter().find_map(|function| match &function.trigger {
            Trigger::EventHub(trigger) => Some((trigger.group.as_str(), trigger.hub.as_str())),
            Trigger::Queue(_) | Trigger::Bus(_) | Trigger::Timer(_) | Trigger::Http(_) => None,
        })
    }

    /// The names of the timer functions.
    pub fn timers(&self) -> impl Iterator<Item = &str> {
        let timers = self.functions.iter().filter(|f| matches!(f.trigger, Trigger::Timer(_)));
        timers.map(|function| function.name.as_str())
    }

    /// The queues that triggers listen to.
    pub fn queues(&self) -> impl Iterator<Item = &str> {
        self.functions.iter().filter_map(|function| match &function.trigger {
            Trigger::Queue(trigger) => Some(trigger.queue.as_str()),
            Trigger::EventHub(_) | Trigger::Bus(_) | Trigger::Timer(_) | Trigger::Http(_) => None,
        })
    }
}

/// What `host.json` says, with the host's defaults (Functions custom handler, host.json).
#[derive(Clone, Debug)]
pub(super) struct HostFile {
    pub(super) executable: String,
    pub(super) arguments: Vec<String>,
    pub(super) start_within: Duration,
    pub(super) function_timeout: Duration,
    pub(super) batch: usize,
    pub(super) queues: Queues,
    /// What every HTTP function's route stands under.
    pub(super) prefix: String,
    /// Whether HTTP calls are passed through to the handler.
    pub(super) proxying: bool,
}

/// The queues section of `host.json`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Queues {
    pub(super) parallel: usize,
    pub(super) most_taken: u32,
    pub(super) hidden: Duration,
}

/// One function.
#[derive(Clone, Debug)]
pub(super) struct Function {
    pub(super) name: String,
    pub(super) binding: String,
    pub(super) trigger: Trigger,
    pub(super) retry: Option<Retry>,
}

/// What starts a function.
#[derive(Clone, Debug)]
pub(super) enum Trigger {
    EventHub(EventHub),
    Queue(QueueTrigger),
    Bus(BusTrigger),
    Timer(Timer),
    Http(Route),
}

#[derive(Clone, Debug)]
pub(super) struct EventHub {
    pub(super) hub: String,
    pub(super) group: String,
    pub(super) binary: bool,
}

#[derive(Clone, Debug)]
pub(super) struct QueueTrigger {
    pub(super) queue: String,
    pub(super) binary: bool,
}

#[derive(Clone, Debug)]
pub(super) struct BusTrigger {
    /// A queue's name, or `topic/subscription`.
    pub(super) entity: String,
    pub(super) binary: bool,
}

#[derive(Clone, Debug)]
pub(super) struct Timer {
    pub(super) schedule: Schedule,
    pub(super) run_on_startup: bool,
    pub(super) monitored: bool,
}

/// Reads an app from its root.
pub fn read(root: &Path, settings: &BTreeMap<String, String>) -> Result<Settings, Error> {
    let host = host_file(&root.join("host.json"))?;
    let unstaged = root.join("functions");
    let folder = if unstaged.is_dir() { unstaged } else { root.to_owned() };
    let mut functions = Vec::new();
    for path in function_files(&folder)? {
        if !is_disabled(&path, settings) {
            functions.push(Reading { path: &path, settings }.function()?);
        }
    }
    Ok(Settings { host, functions })
}

fn function_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let unreadable = |source| Error::Unreadable { path: folder.to_owned(), source };
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path().join("function.json");
        if path.is_file() {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// Whether a setting switches the function off (Functions, disable functions).
fn is_disabled(path: &Path, settings: &BTreeMap<String, String>) -> bool {
    let name = path.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    let value = settings.get(&format!("AzureWebJobs.{name}.Disabled"));
    value.is_some_and(|value| value == "1" || value.eq_ignore_ascii_case("true"))
}

fn parse<T: DeserializeOwned>(path: &Path) -> Result<T, Error> {
    let text = std::fs::read(path)
        .map_err(|source| Error::Unreadable { path: path.to_owned(), source })?;
    serde_json::from_slice(&text)
        .map_err(|source| Error::Malformed { path: path.to_owned(), source })
}

fn host_file(path: &Path) -> Result<HostFile, Error> {
    let file: RawHost = parse(path)?;
    let time = |text: &Option<String>, default: u64| match text.as_deref() {
        None => Ok(Duration::from_secs(default)),
        Some("-1") => Ok(Duration::MAX),
        Some(text) => span(text).ok_or_else(|| Error::Wrong {
            path: path.to_owned(),
            what: format!("{text:?} is no time of the form hh:mm:ss"),
        }),
    };
    let hidden = time(&file.extensions.queues.visibility_timeout, 0)?;
    Ok(HostFile {
        executable: file.custom_handler.description.default_executable_path,
        arguments: file.custom_handler.description.arguments,
        start_within: time(&file.custom_handler.initialization_timeout, 30)?,
        function_timeout: time(&file.function_timeout, 30 * 60)?,
        batch: file.extensions.event_hubs.max_event_batch_size.unwrap_or(100).max(1),
        queues: Queues {
            parallel: file.extensions.queues.batch_size.unwrap_or(16).clamp(1, 32),
            most_taken: file.extensions.queues.max_dequeue_count.unwrap_or(5).max(1),
            hidden,
        },
        prefix: file.extensions.http.route_prefix.unwrap_or_else(|| "api".to_owned()),
        proxying: file.custom_handler.enable_proxying_http_request,
    })
}

/// One `function.json` while it is read.
struct Reading<'a> {
    path: &'a Path,
    settings: &'a BTreeMap<String, String>,
}

impl Reading<'_> {
    fn function(&self) -> Result<Function, Error> {
        let folder = self.path.parent().and_then(Path::file_name);
        let name = folder.map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
        if !named(&name, legal) || name.eq_ignore_ascii_case("host") {
            return Err(self.wrong(format!("{name:?} is no name of a function")));
        }
        let file: RawFunction = parse(self.path)?;
        let binding = match file.bindings.as_slice() {
            [binding] => binding,
            [binding, answer] if binding.kind == "httpTrigger" && answer.kind == "http" => binding,
            _ => {
                let what = "one binding, the trigger, is imitated here, and for HTTP its answer";
                return Err(self.wrong(what.to_owned()));
            }
        };
        if !named(&binding.name, |c| c.is_ascii_alphanumeric()) {
            return Err(
                self.wrong(format!("binding {:?} may hold letters and digits only", binding.name))
            );
        }
        Ok(Function {
            trigger: self.trigger(&name, binding)?,
            name,
            binding: binding.name.clone(),
            retry: file.retry.as_ref().map(|retry| self.retry(retry)).transpose()?,
        })
    }

    fn trigger(&self, name: &str, binding: &RawBinding) -> Result<Trigger, Error> {
        match binding.kind.as_str() {
            "eventHubTrigger" if binding.cardinality.as_deref() == Some("many") => {
                Ok(Trigger::EventHub(EventHub {
                    hub: self.text(binding.event_hub_name.as_ref(), "eventHubName")?,
                    group: self.resolve(binding.consumer_group.as_deref().unwrap_or("$Default"))?,
                    binary: self.binary(binding)?,
                }))
            }
            "serviceBusTrigger" if binding.cardinality.as_deref() == Some("many") => {
                let topic = || self.text(binding.topic_name.as_ref(), "topicName");
                let subscription =
                    || self.text(binding.subscription_name.as_ref(), "subscriptionName");
                let entity = match &binding.queue_name {
                    Some(queue) => self.resolve(queue)?,
                    None => format!("{}/{}", topic()?, subscription()?),
                };
                Ok(Trigger::Bus(BusTrigger { entity, binary: self.binary(binding)? }))
            }
            "eventHubTrigger" | "serviceBusTrigger" => {
                Err(self.wrong("write \"cardinality\": \"many\"".to_owned()))
            }
            "queueTrigger" => Ok(Trigger::Queue(QueueTrigger {
                queue: self.text(binding.queue_name.as_ref(), "queueName")?,
                binary: self.binary(binding)?,
            })),
            "timerTrigger" => {
                let schedule = self.text(binding.schedule.as_ref(), "schedule")?;
                Ok(Trigger::Timer(Timer {
                    schedule: Schedule::parse(&schedule).map_err(|what| self.wrong(what))?,
                    run_on_startup: binding.run_on_startup,
                    monitored: binding.use_monitor.unwrap_or(true),
                }))
            }
            "httpTrigger" => Ok(Trigger::Http(self.route(name, binding)?)),
            other => Err(self.wrong(format!("a trigger of type {other:?} is not imitated here"))),
        }
    }

    fn route(&self, name: &str, binding: &RawBinding) -> Result<Route, Error> {
        let level = match binding.auth_level.as_deref() {
            Some("anonymous") => Level::Anonymous,
            None | Some("function" | "admin") => Level::Key,
            Some(other) => return Err(self.wrong(format!("there is no authLevel {other:?}"))),
        };
        let path = self.resolve(binding.route.as_deref().unwrap_or(name))?;
        let methods = binding.methods.iter().map(|method| method.to_uppercase()).collect();
        Ok(Route { path, methods, level })
    }

    /// Without a data type the host parses bodies itself, and one body that is no JSON fails the batch.
    fn binary(&self, binding: &RawBinding) -> Result<bool, Error> {
        match binding.data_type.as_deref() {
            Some("string") => Ok(false),
            Some("binary") => Ok(true),
            Some(_) | None => {
                Err(self.wrong("write \"dataType\": \"string\" or \"binary\"".to_owned()))
            }
        }
    }

    fn retry(&self, raw: &RawRetry) -> Result<Retry, Error> {
        let time = |value: &Option<String>, key: &str| {
            let found = value.as_deref().and_then(span);
            found.ok_or_else(|| self.wrong(format!("retry.{key} must be a time hh:mm:ss")))
        };
        let strategy = match raw.strategy.as_str() {
            "fixedDelay" => Strategy::Fixed(time(&raw.delay_interval, "delayInterval")?),
            "exponentialBackoff" => Strategy::Exponential(
                time(&raw.minimum_interval, "minimumInterval")?,
                time(&raw.maximum_interval, "maximumInterval")?,
            ),
            other => return Err(self.wrong(format!("there is no retry strategy {other:?}"))),
        };
        Ok(Retry { most: u32::try_from(raw.max_retry_count).ok(), strategy })
    }

    fn text(&self, value: Option<&String>, key: &str) -> Result<String, Error> {
        let value = value.ok_or_else(|| self.wrong(format!("{key} is missing")))?;
        self.resolve(value)
    }

    /// Replaces `%NAME%` by the setting NAME.
    fn resolve(&self, text: &str) -> Result<String, Error> {
        let Some((before, rest)) = text.split_once('%') else { return Ok(text.to_owned()) };
        let Some((name, after)) = rest.split_once('%') else { return Ok(text.to_owned()) };
        let value = self
            .settings
            .get(name)
            .ok_or_else(|| self.wrong(format!("%{name}% needs an app setting {name}")))?;
        Ok(format!("{before}{value}{}", self.resolve(after)?))
    }

    fn wrong(&self, what: String) -> Error {
        Error::Wrong { path: self.path.to_owned(), what }
    }
}

/// A letter first, then what is legal, 128 in all at most.
fn named(name: &str, legal: impl Fn(char) -> bool) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic())
        && name.len() <= 128
        && name.chars().all(legal)
}

#[cfg(test)]
mod tests;
