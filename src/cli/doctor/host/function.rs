//! One `function.json`: its trigger, and what its trigger asks for.

use std::time::Duration;

use serde_json::Value;

use super::super::finding::Finding;
use super::{at, time};
use crate::config::Settings;

/// What of a function contradicts itself, the settings or the lease of a claim.
pub(super) fn check(
    name: &str,
    function: &Result<Value, String>,
    (settings, lease): (&Settings, Duration),
) -> Vec<Finding> {
    let area = format!("function {name}");
    let function = match function {
        Ok(function) => function,
        Err(why) => return vec![Finding::missing(&area, "function.json", format!("it {why}"))],
    };
    let bindings = at(function, &["bindings"]).as_array().map(Vec::as_slice).unwrap_or_default();
    let trigger = bindings
        .iter()
        .find(|one| at(one, &["type"]).as_str().is_some_and(|kind| kind.ends_with("Trigger")));
    let Some(trigger) = trigger else {
        return vec![Finding::missing(&area, "trigger", "it has no trigger")];
    };
    let mut findings = named(&area, bindings, settings);
    findings.extend(match at(trigger, &["type"]).as_str().unwrap_or_default() {
        "eventHubTrigger" => hub(&area, trigger, (at(function, &["retry"]), lease)),
        "queueTrigger" | "serviceBusTrigger" => queue(&area, trigger, at(function, &["retry"])),
        "timerTrigger" => timer(&area, trigger),
        "httpTrigger" => http(&area, trigger),
        other => vec![Finding::warning(&area, "trigger", format!("{other} is not known here"))],
    });
    findings
}

/// Every `%NAME%` and every connection has its setting.
fn named(area: &str, bindings: &[Value], settings: &Settings) -> Vec<Finding> {
    let mut findings = Vec::new();
    let set = |name: &str| {
        format!(
            "az functionapp config appsettings set --name APP --resource-group GROUP --settings {name}=VALUE"
        )
    };
    for (key, value) in bindings.iter().filter_map(Value::as_object).flatten() {
        let Some(text) = value.as_str() else { continue };
        if key == "connection" {
            if !is_connected(text, settings) {
                let told = format!("no setting {text}, nor any {text}__…");
                findings.push(Finding::missing(area, "connection", told).mend(set(text)));
            }
            continue;
        }
        for name in text.split('%').skip(1).step_by(2).filter(|name| settings.get(name).is_none()) {
            let told = format!("{key} needs the setting {name}");
            findings.push(Finding::missing(area, "setting", told).mend(set(name)));
        }
    }
    if findings.is_empty() {
        findings.push(Finding::ok(area, "settings", "all that it names are set"));
    }
    findings
}

/// A connection string, or an identity's settings. An identity without its credential works while the app
/// is warm and never scales from zero (Azure deployment, identities).
fn is_connected(name: &str, settings: &Settings) -> bool {
    let parts = ["fullyQualifiedNamespace", "queueServiceUri", "accountName", "serviceUri"];
    let of = |part: &str| settings.get(&format!("{name}__{part}")).is_some();
    settings.get(name).is_some() || parts.iter().any(|part| of(part))
}

fn hub(area: &str, trigger: &Value, (retry, lease): (&Value, Duration)) -> Vec<Finding> {
    let mut findings = Vec::new();
    if at(trigger, &["cardinality"]) != "many" {
        let told = "cardinality is not many: one call for each event";
        findings
            .push(Finding::missing(area, "cardinality", told).mend("\"cardinality\": \"many\""));
    }
    findings.extend(data_type(area, trigger));
    findings.push(match window(retry) {
        None => Finding::missing(area, "retry", "without a retry policy a failed batch is lost")
            .mend("copy retry from functions/events/function.json of the project"),
        Some(Window::Endless) => Finding::warning(
            area,
            "retry",
            "maxRetryCount -1 never has a last attempt, so nothing is ever deferred and a partition may stand still",
        )
        .mend("\"maxRetryCount\": 8"),
        Some(Window::Lasts(window)) if window < lease => {
            let told = format!(
                "all attempts are over after {}s, before a crashed claim ends ({}s): its rows are deferred",
                window.as_secs(),
                lease.as_secs()
            );
            Finding::warning(area, "retry", told).mend("raise maxRetryCount or maximumInterval")
        }
        Some(Window::Lasts(window)) => {
            Finding::ok(area, "retry", format!("over {}s, longer than a claim stands", window.as_secs()))
        }
    });
    findings
}

fn data_type(area: &str, trigger: &Value) -> Option<Finding> {
    if matches!(at(trigger, &["dataType"]).as_str(), Some("string" | "binary")) {
        return None;
    }
    let told =
        "without dataType the host parses bodies, and one that is no JSON fails its batch unseen";
    Some(Finding::missing(area, "dataType", told).mend("\"dataType\": \"string\""))
}

fn queue(area: &str, trigger: &Value, retry: &Value) -> Vec<Finding> {
    let mut findings: Vec<Finding> = data_type(area, trigger).into_iter().collect();
    if retry.is_object() {
        let told = "a retry policy on a queue multiplies with the queue's own count";
        findings.push(Finding::missing(area, "retry", told).mend("remove retry"));
    }
    if findings.is_empty() {
        findings.push(Finding::ok(area, "trigger", "as it should be"));
    }
    findings
}

fn timer(area: &str, trigger: &Value) -> Vec<Finding> {
    if at(trigger, &["runOnStartup"]) == true {
        let told = "runOnStartup fires at every start of every instance";
        return vec![Finding::warning(area, "trigger", told).mend("\"runOnStartup\": false")];
    }
    vec![Finding::ok(area, "trigger", "as it should be")]
}

/// Only the function's key opens it, or the master key.
fn http(area: &str, trigger: &Value) -> Vec<Finding> {
    match at(trigger, &["authLevel"]).as_str() {
        Some("function" | "admin") => vec![Finding::ok(area, "authLevel", "closed without a key")],
        Some("anonymous") if area.ends_with(" health") => {
            vec![Finding::ok(area, "authLevel", "open, and says nothing but ok")]
        }
        Some(_) | None => {
            let told = "anybody on the internet may call it";
            vec![Finding::missing(area, "authLevel", told).mend("\"authLevel\": \"function\"")]
        }
    }
}

enum Window {
    Lasts(Duration),
    Endless,
}

/// How long the host goes on with a batch.
fn window(retry: &Value) -> Option<Window> {
    let count = at(retry, &["maxRetryCount"]).as_i64()?;
    if count < 0 {
        return Some(Window::Endless);
    }
    let of = |name: &str| at(retry, &[name]).as_str().and_then(time);
    let mut lasts = Duration::ZERO;
    let first = of("delayInterval").or_else(|| of("minimumInterval")).unwrap_or_default();
    let most = of("delayInterval").or_else(|| of("maximumInterval")).unwrap_or(first);
    let mut pause = first;
    for _ in 0..count.min(1_000) {
        lasts += pause;
        pause = pause.saturating_mul(2).min(most);
    }
    Some(Window::Lasts(lasts))
}
