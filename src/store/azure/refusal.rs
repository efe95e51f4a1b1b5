//! What the service says when it does not do something, and which [`Error`] that is.
//!
//! In: a status and a body in JSON (tables) or XML (queues, blobs, and tables that refuse a key).

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use serde::Deserialize;

use crate::identity;
use crate::store::Error;

/// As much of the service's text as an error repeats.
const LONGEST_TEXT: usize = 200;

/// A refusal as the service put it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The service's code, such as `UpdateConditionNotSatisfied`; empty when it gave none.
    pub(super) code: String,
    /// The first line of its text, without the index.
    pub(super) message: String,
    /// Which operation of a transaction it is about: the digits that the text starts with.
    pub(super) index: Option<usize>,
}

/// The service answers with a number in front of the text (`2:The specified entity already exists.`).
fn split_index(message: &str) -> (Option<usize>, &str) {
    match message.split_once(':') {
        Some((digits, rest)) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            (digits.parse().ok(), rest)
        }
        Some(_) | None => (None, message),
    }
}

#[derive(Deserialize)]
struct Json {
    #[serde(rename = "odata.error")]
    error: JsonError,
}

#[derive(Deserialize)]
struct JsonError {
    #[serde(default)]
    code: String,
    message: JsonMessage,
}

#[derive(Deserialize)]
struct JsonMessage {
    #[serde(default)]
    value: String,
}

#[derive(Deserialize)]
struct Xml {
    #[serde(rename = "Code", alias = "code")]
    code: XmlText,
    #[serde(rename = "Message", alias = "message")]
    message: XmlText,
}

#[derive(Deserialize)]
struct XmlText {
    #[serde(rename = "$text", default)]
    text: String,
}

impl Refusal {
    /// Reads a refusal; a body that is neither form leaves the status alone.
    pub(super) fn read(status: StatusCode, body: &[u8]) -> Self {
        let body = String::from_utf8_lossy(body);
        let body = body.trim_start_matches('\u{feff}').trim();
        let (code, message) = json(body).or_else(|| xml(body)).unwrap_or_default();
        let (index, message) = split_index(&message);
        let message = message.lines().next().unwrap_or_default().to_owned();
        Self { status, code, message, index }
    }

    /// The error it is, for a request that held `operations` conditions (zero for a read).
    pub(super) fn error(&self, operations: usize) -> Error {
        let index = self.index.or((operations == 1).then_some(0)).filter(|at| *at < operations);
        match self.meaning() {
            Meaning::TooLarge => Error::TooLarge { index },
            Meaning::Unavailable => self.unavailable(None),
            Meaning::Unauthorised => Error::Unauthorised { reason: self.advice() },
            Meaning::Condition if operations > 0 => match index {
                Some(index) => Error::Conflict { index },
                None => self.unavailable(None),
            },
            Meaning::Condition | Meaning::Defect => {
                let text: String = self.message.chars().take(LONGEST_TEXT).collect();
                Error::Invalid { reason: format!("{self}: {text}") }
            }
        }
    }

    /// Whether the service did not get to the request, and may on another try.
    pub(super) fn is_passing(&self) -> bool {
        self.meaning() == Meaning::Unavailable
    }

    /// [`Error::Unavailable`] with the pause that was asked for.
    pub(super) fn unavailable(&self, retry_after: Option<Duration>) -> Error {
        Error::Unavailable { reason: self.to_string(), retry_after }
    }

    fn meaning(&self) -> Meaning {
        match (self.code.as_str(), self.status.as_u16()) {
            ("RequestBodyTooLarge" | "EntityTooLarge" | "PropertyValueTooLarge", _) | (_, 413) => {
                Meaning::TooLarge
            }
            (
                "TableNotFound" | "QueueNotFound" | "ContainerNotFound" | "ResourceTypeMismatch",
                _,
            )
            | (_, 501) => Meaning::Defect,
            (
                "OperationTimedOut"
                | "ServerBusy"
                | "InternalError"
                | "TableBeingDeleted"
                | "QueueBeingDeleted"
                | "ContainerBeingDeleted",
                _,
            )
            | (_, 408 | 429 | 500..) => Meaning::Unavailable,
            (_, 401 | 403) => Meaning::Unauthorised,
            (_, 404 | 409 | 412) => Meaning::Condition,
            _ => Meaning::Defect,
        }
    }

    fn advice(&self) -> String {
        let check = match self.code.as_str() {
            "AuthorizationPermissionMismatch" => {
                "give the identity the Data Contributor role for tables, queues and blobs"
            }
            // The firewall's answer; Azurite's to a wrong key.
            "AuthorizationFailure" => {
                "let the account's firewall admit this machine, and check the account's name and key, \
                 or the identity"
            }
            "KeyBasedAuthenticationNotPermitted" => {
                "the account does not take keys: give its name alone"
            }
            _ => "check the account's name and key, or the identity, and the machine's clock",
        };
        format!("{self}: {check}")
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Meaning {
    TooLarge,
    Unavailable,
    Unauthorised,
    Condition,
    Defect,
}

/// Status and code. The text belongs to defects of ours alone: it helps nobody else.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.as_u16();
        if self.code.is_empty() {
            write!(f, "{status}")
        } else {
            write!(f, "{status} {}", self.code)
        }
    }
}

fn json(body: &str) -> Option<(String, String)> {
    let error = serde_json::from_str::<Json>(body).ok()?.error;
    Some((error.code, error.message.value))
}

fn xml(body: &str) -> Option<(String, String)> {
    let error = quick_xml::de::from_str::<Xml>(body).ok()?;
    Some((error.code.text, error.message.text))
}

/// No token could be had.
pub(super) fn token(error: &identity::Error) -> Error {
    match error {
        identity::Error::Unreachable { .. } => {
            Error::Unavailable { reason: error.to_string(), retry_after: None }
        }
        identity::Error::Misconfigured { .. } | identity::Error::Refused { .. } => {
            Error::Unauthorised { reason: error.to_string() }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(status: u16, body: &str) -> Refusal {
        Refusal::read(StatusCode::from_u16(status).unwrap(), body.as_bytes())
    }

    fn coded(status: u16, code: &str, message: &str) -> Refusal {
        read(
            status,
            &serde_json::json!({ "odata.error": {
                "code": code, "message": { "lang": "en-US", "value": message },
            }})
            .to_string(),
        )
    }

    #[test]
    fn json_and_both_kinds_of_xml_are_read() {
        let json = coded(409, "EntityAlreadyExists", "2:It exists.\nRequestId:1");
        assert_eq!((json.index, json.message.as_str()), (Some(2), "It exists."));
        let xml = read(
            403,
            "\u{feff}<?xml version=\"1.0\" encoding=\"utf-8\"?><Error>\
             <Code>AuthenticationFailed</Code><Message>No &amp; no.</Message></Error>",
        );
        assert_eq!((xml.code.as_str(), xml.message.as_str()), ("AuthenticationFailed", "No & no."));
        let table = read(
            404,
            "<error xmlns=\"http://x\"><code>TableNotFound</code>\
             <message xml:lang=\"en-US\">Gone.</message></error>",
        );
        assert_eq!((table.code.as_str(), table.message.as_str()), ("TableNotFound", "Gone."));
        assert_eq!(read(502, "<html>Bad gateway").code, "");
    }

    #[test]
    fn a_condition_names_its_operation() {
        let at_two = coded(412, "UpdateConditionNotSatisfied", "2:No.");
        assert!(matches!(at_two.error(4), Error::Conflict { index: 2 }));
        let unnamed = coded(404, "ResourceNotFound", "No: nothing.");
        assert!(matches!(unnamed.error(1), Error::Conflict { index: 0 }));
        assert!(matches!(unnamed.error(4), Error::Unavailable { .. }), "which one is not known");
        assert!(matches!(at_two.error(2), Error::Unavailable { .. }), "there is no such operation");
    }

    #[test]
    fn a_refused_credential_says_what_to_check() {
        for status in [401, 403] {
            assert!(matches!(read(status, "").error(1), Error::Unauthorised { .. }), "{status}");
        }
        let role = coded(403, "AuthorizationPermissionMismatch", "No.").error(0);
        assert!(role.to_string().contains("Data Contributor"), "{role}");
    }

    #[test]
    fn each_refusal_has_its_error() {
        let large = coded(400, "PropertyValueTooLarge", "1:Too large.");
        assert!(matches!(large.error(3), Error::TooLarge { index: Some(1) }));
        assert!(matches!(read(413, "").error(3), Error::TooLarge { index: None }));
        for status in [408, 429, 500, 502, 503, 504] {
            assert!(matches!(read(status, "").error(1), Error::Unavailable { .. }), "{status}");
        }
        for code in ["TableNotFound", "QueueNotFound"] {
            assert!(matches!(coded(404, code, "").error(1), Error::Invalid { .. }), "{code}");
        }
        assert!(matches!(coded(409, "TableBeingDeleted", "").error(1), Error::Unavailable { .. }));
        assert!(matches!(coded(400, "InvalidInput", "0:No.").error(1), Error::Invalid { .. }));
    }
}
