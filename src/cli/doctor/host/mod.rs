//! The host's files: `host.json` and every `function.json`, and whether they contradict each other, the
//! settings, or the time that the handler takes.
//!
//! Read as they are, so that a file which the host would refuse is told of too. Source: Functions custom
//! handler, host.json and function.json.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use super::finding::Finding;
use crate::config::{Config, Settings, Target};
use crate::mapping::Maps;

mod function;

const AREA: &str = "host";
/// The host's own limit where host.json says nothing (Flex Consumption).
const TIMEOUT: Duration = Duration::from_mins(30);
/// Clocks of two instances may differ by this much.
const SKEW: Duration = Duration::from_secs(5);

/// Reads and compares.
pub(super) fn check(
    root: &Path,
    settings: &Settings,
    config: &Config,
    maps: &Maps,
) -> Vec<Finding> {
    let path = root.join("host.json");
    let host = match read(&path) {
        Ok(host) => host,
        Err(why) => {
            let told = format!("{} {why}", path.display());
            return vec![
                Finding::missing(AREA, "host.json", told).mend("concord doctor --root FOLDER"),
            ];
        }
    };
    let functions = functions(root);
    let mut findings =
        vec![executable(&host), timeout(&host, config), messages(&host), batch(&host)];
    findings.push(forwarding(&host, &functions));
    findings.push(prefix(&host));
    let lease = lease(config);
    for (name, function) in &functions {
        findings.extend(function::check(name, function, (settings, lease)));
    }
    if maps.iter().next().is_none() {
        findings.push(Finding::warning(AREA, "maps", "there is no map, so nothing will happen"));
    }
    if functions.is_empty() {
        let told = "there is no function.json below it";
        findings.push(Finding::missing(AREA, "functions", told).mend("concord package"));
    }
    findings
}

fn read(path: &Path) -> Result<Value, String> {
    let text = std::fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    serde_json::from_slice(&text).map_err(|error| format!("is no JSON: {error}"))
}

/// Function folders lie beside host.json, or in `functions/` before they are staged.
fn functions(root: &Path) -> BTreeMap<String, Result<Value, String>> {
    let unstaged = root.join("functions");
    let folder = if unstaged.is_dir() { unstaged } else { root.to_owned() };
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let files = entries.map(|entry| entry.path().join("function.json"));
    let named = |path: PathBuf| {
        let name = path.parent()?.file_name()?.to_string_lossy().into_owned();
        path.is_file().then(|| (name, read(&path)))
    };
    files.filter_map(named).collect()
}

fn executable(host: &Value) -> Finding {
    let description = |name: &str| at(host, &["customHandler", "description", name]);
    let path = description("defaultExecutablePath").as_str().unwrap_or_default();
    let arguments = description("arguments").as_array().map(Vec::as_slice).unwrap_or_default();
    let serves = arguments.iter().any(|argument| argument == "serve");
    match (path, serves) {
        ("", _) => Finding::missing(
            AREA,
            "executable",
            "customHandler.description.defaultExecutablePath is not set",
        )
        .mend("\"defaultExecutablePath\": \"concord\""),
        (path, _) if path.starts_with("./") || path.contains('/') => {
            let told = format!(
                "{path} is not exactly the name in the package, so its executable bit is lost"
            );
            Finding::missing(AREA, "executable", told)
                .mend("\"defaultExecutablePath\": \"concord\"")
        }
        (_, false) => {
            Finding::missing(AREA, "executable", "it is started without the argument `serve`")
                .mend("\"arguments\": [\"serve\"]")
        }
        (path, true) => Finding::ok(AREA, "executable", format!("{path} serve")),
    }
}

/// The host ends the process when one call takes longer, and every other call with it.
fn timeout(host: &Value, config: &Config) -> Finding {
    let limits = config.limits;
    let needed = limits.answer_within + limits.grace;
    let given = match at(host, &["functionTimeout"]).as_str() {
        None => TIMEOUT,
        Some("-1") => Duration::MAX,
        Some(text) => match time(text) {
            Some(given) => given,
            None => return Finding::missing(AREA, "functionTimeout", "it is no hh:mm:ss"),
        },
    };
    if given <= needed {
        let told = format!(
            "{given:?} is not above the handler's own {needed:?}: the host kills the process first"
        );
        return Finding::missing(AREA, "functionTimeout", told).mend(
            "raise functionTimeout in host.json, or lower limits.deadline_seconds in concord.toml",
        );
    }
    Finding::ok(AREA, "functionTimeout", format!("above the handler's own {}s", needed.as_secs()))
}

fn messages(host: &Value) -> Finding {
    let queues = |name: &str| at(host, &["extensions", "queues", name]);
    let encoding = queues("messageEncoding").as_str().unwrap_or("base64");
    if encoding != "base64" {
        let told = format!("messageEncoding is {encoding}, and Concord writes base64");
        return Finding::missing(AREA, "queues", told).mend("\"messageEncoding\": \"base64\"");
    }
    let pause = queues("visibilityTimeout").as_str().and_then(time).unwrap_or_default();
    if pause.is_zero() {
        let told = "visibilityTimeout is 0: a message that failed comes again at once and is moved aside within a second";
        return Finding::warning(AREA, "queues", told).mend("\"visibilityTimeout\": \"00:00:30\"");
    }
    Finding::ok(AREA, "queues", "base64, with a pause between attempts")
}

fn batch(host: &Value) -> Finding {
    let batch = at(host, &["extensions", "eventHubs", "maxEventBatchSize"]).as_u64();
    match batch {
        None => Finding::warning(
            AREA,
            "batch",
            "maxEventBatchSize is not set: 10 or 100, by the extension",
        )
        .mend("\"maxEventBatchSize\": 256"),
        Some(0..=9) => {
            Finding::warning(AREA, "batch", "a small maxEventBatchSize makes every change dear")
                .mend("\"maxEventBatchSize\": 256")
        }
        Some(1_025..) => {
            Finding::warning(AREA, "batch", "above 1024 events one call may not end in its time")
                .mend("\"maxEventBatchSize\": 256")
        }
        Some(batch) => Finding::ok(AREA, "batch", format!("{batch} events a call")),
    }
}

/// Pages and webhooks need the request as it came.
fn forwarding(host: &Value, functions: &BTreeMap<String, Result<Value, String>>) -> Finding {
    let flag = |name: &str| at(host, &["customHandler", name]).as_bool().unwrap_or_default();
    let is_http = |function: &Value| {
        let bindings = at(function, &["bindings"]).as_array();
        bindings.is_some_and(|all| all.iter().any(|one| at(one, &["type"]) == "httpTrigger"))
    };
    let any = functions.values().flatten().any(is_http);
    if any && !flag("enableProxyingHttpRequest") && !flag("enableForwardingHttpRequest") {
        let told = "functions with HTTP triggers get an envelope instead of the request";
        return Finding::missing(AREA, "forwarding", told)
            .mend("\"enableProxyingHttpRequest\": true");
    }
    if at(host, &["customHandler", "http", "routes"]).is_array() {
        let told = "customHandler.http.routes cannot stand beside function.json files: the host does not start";
        return Finding::missing(AREA, "forwarding", told).mend("remove customHandler.http");
    }
    Finding::ok(AREA, "forwarding", "HTTP requests come as they are")
}

/// Without a prefix a caller from outside could reach the path of another function.
fn prefix(host: &Value) -> Finding {
    let prefix = at(host, &["extensions", "http", "routePrefix"]).as_str().unwrap_or("api");
    if prefix.trim_matches('/').is_empty() {
        let told =
            "routePrefix is empty: a caller from outside could post to the path of any function";
        return Finding::missing(AREA, "routePrefix", told).mend("\"routePrefix\": \"api\"");
    }
    Finding::ok(AREA, "routePrefix", prefix)
}

/// The longest that a claim stands.
fn lease(config: &Config) -> Duration {
    let longest = config.targets.values().map(|target| {
        let Target::Dataverse(target, _) = target;
        target.longest
    });
    config.limits.answer_within.mul_f64(0.8) + longest.max().unwrap_or_default() + SKEW
}

/// What stands below these names; null where there is nothing.
fn at<'v>(value: &'v Value, names: &[&str]) -> &'v Value {
    names.iter().try_fold(value, |value, name| value.get(name)).unwrap_or(&Value::Null)
}

/// `hh:mm:ss`, with days in front if need be.
fn time(text: &str) -> Option<Duration> {
    let (days, clock) = text.split_once('.').unwrap_or(("0", text));
    let parts: Vec<u64> = clock.split(':').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    let [hours, minutes, seconds] = *parts else { return None };
    let hours = days.parse::<u64>().ok()?.checked_mul(24)?.checked_add(hours)?;
    let minutes = hours.checked_mul(60)?.checked_add(minutes)?;
    Some(Duration::from_secs(minutes.checked_mul(60)?.checked_add(seconds)?))
}

#[cfg(test)]
mod tests;
