//! What the host makes of an answer: success is a 2xx with a JSON object, and nothing else is.
//!
//! Source: Functions custom handler, response.

use serde::Deserialize;
use serde_json::Value;

/// Why an invocation failed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The handler was not ready in time.
    #[error("the handler was not ready within {0} s")]
    NotReady(u64),
    /// No whole answer came: the handler ended or cut the connection.
    #[error("the handler gave no whole answer")]
    Broken(#[source] reqwest::Error),
    /// The call took longer than `functionTimeout`; the handler was killed.
    #[error("the call took longer than functionTimeout and the handler was killed")]
    TimedOut,
    /// Not a 2xx: the host reads neither outputs nor logs.
    #[error("the handler answered {status}{said}")]
    Status {
        /// The HTTP status.
        status: u16,
        /// What an `error.message` in the body says, which the real host shows nobody.
        said: String,
    },
    /// The host has no reader for the body's type.
    #[error("the handler answered with Content-Type {0:?}: it must be application/json")]
    MediaType(String),
    /// The body is not a JSON object with `Outputs` and `Logs` of the right kind.
    #[error("the handler's answer is not what the host reads")]
    Malformed(#[source] serde_json::Error),
    /// An empty body or null: the real host would wait until `functionTimeout` and kill the handler.
    #[error(
        "the handler answered a 2xx without a JSON object, on which the host hangs: answer {{}}"
    )]
    Hangs,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Body {
    logs: Option<Vec<String>>,
}

/// The log lines of a good answer.
pub(super) fn judge(status: u16, media_type: &str, body: &[u8]) -> Result<Vec<String>, Failure> {
    if !(200..300).contains(&status) {
        return Err(Failure::Status { status, said: said(body) });
    }
    let text = body.trim_ascii();
    if text.is_empty() || text == b"null" {
        return Err(Failure::Hangs);
    }
    let essence = media_type.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Failure::MediaType(media_type.to_owned()));
    }
    if !text.starts_with(b"{") {
        return Err(Failure::Hangs);
    }
    let body: Body = serde_json::from_slice(text).map_err(Failure::Malformed)?;
    Ok(body.logs.unwrap_or_default())
}

fn said(body: &[u8]) -> String {
    let body: Option<Value> = serde_json::from_slice(body).ok();
    let message = body.as_ref().and_then(|body| body.get("error")?.get("message")?.as_str());
    message.map_or_else(String::new, |text| {
        format!(": {}", text.chars().take(300).collect::<String>())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_success_and_its_logs_are_read() {
        assert!(judge(200, "application/json", b"{}").unwrap().is_empty());
        let logs =
            judge(202, "application/json; charset=utf-8", br#"{"Outputs":null,"Logs":["a"]}"#);
        assert_eq!(logs.unwrap(), ["a"]);
    }

    #[test]
    fn an_answer_without_an_object_hangs_the_host() {
        for body in ["", " ", "null", "[]", "\"ok\""] {
            let failed = judge(200, "application/json", body.as_bytes());
            assert!(matches!(failed, Err(Failure::Hangs)), "{body}");
        }
        assert!(matches!(judge(204, "", b""), Err(Failure::Hangs)));
    }

    #[test]
    fn other_answers_fail_with_their_reason() {
        let refused = judge(503, "application/json", br#"{"error":{"message":"busy"}}"#);
        assert_eq!(refused.unwrap_err().to_string(), "the handler answered 503: busy");
        assert_eq!(judge(500, "", b"").unwrap_err().to_string(), "the handler answered 500");
        assert!(matches!(judge(200, "text/plain", b"{}"), Err(Failure::MediaType(_))));
        let logs = judge(200, "application/json", br#"{"Logs":[{"a":1}]}"#);
        assert!(matches!(logs, Err(Failure::Malformed(_))));
    }
}
