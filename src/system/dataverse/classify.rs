//! What an answer of the service means.
//!
//! In goes a status, a pause that was asked for and a body of any shape: either JSON envelope,
//! plain text, a gateway's HTML. Out comes a [`Failure`]: the condition for people, the cause for
//! the code that must go on, and whether the write may have happened. Codes and texts are those of
//! "Dataverse Web API, errors"; the service's own words go to the fault's detail only.

use std::time::Duration;

use serde_json::Value as Json;

use crate::fault::{Fault, Kind};

/// The service's own words are kept up to this many characters.
const DETAIL: usize = 2000;

/// Why a call did not do what it was to do, as far as the next step depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// Time was up: no call was made.
    Late,
    /// A pause was asked for.
    Throttled,
    /// Victim of a deadlock, or an aborted transaction.
    Deadlock,
    /// Took too long for its size.
    Slow,
    /// The body was too large.
    TooLarge,
    /// No usable answer.
    Unreachable,
    /// The token was not taken.
    Token,
    /// The addressed row, or one that the row binds to, is not there.
    NoRow,
    /// Nothing is served under this name.
    NoResource,
    /// The id or key is held already.
    Taken,
    /// The content, the rights or the names in it.
    Refused,
}

impl Cause {
    /// Whether the same call may go through a little later.
    pub(super) fn passes(self) -> bool {
        match self {
            Self::Throttled | Self::Deadlock | Self::Unreachable => true,
            Self::Late
            | Self::Slow
            | Self::TooLarge
            | Self::Token
            | Self::NoRow
            | Self::NoResource
            | Self::Taken
            | Self::Refused => false,
        }
    }

    /// Whether the service looked at the content and said no.
    pub(super) fn is_judgement(self) -> bool {
        match self {
            Self::TooLarge | Self::NoRow | Self::NoResource | Self::Taken | Self::Refused => true,
            Self::Late
            | Self::Throttled
            | Self::Deadlock
            | Self::Slow
            | Self::Unreachable
            | Self::Token => false,
        }
    }
}

/// Whether the write may have happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It did not, and will not.
    Not,
    /// Nobody knows.
    Unknown,
}

/// A call, or one part of a batch, that did not do what it was to do.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    /// What the next step depends on.
    pub(super) cause: Cause,
    /// Whether the write may have happened.
    pub(super) fate: Fate,
    /// The status, when there was an answer.
    pub(super) status: Option<u16>,
    /// For people.
    pub(super) fault: Fault,
}

impl Failure {
    /// A failure without an answer of the service.
    pub(super) fn unanswered(cause: Cause, fate: Fate, fault: Fault) -> Self {
        Self { cause, fate, status: None, fault }
    }

    /// Time was up before it could be sent.
    pub(super) fn late() -> Self {
        let fault = Fault::new(
            Kind::Timeout,
            "time was up before it could be sent; it is tried again with the next delivery",
        );
        Self::unanswered(Cause::Late, Fate::Not, fault)
    }

    /// What is said of a call that was made before, `earlier`, and once more with this result: what
    /// was said last counts, but only a judgement on the content makes an unknown fate certain.
    pub(super) fn after(mut self, earlier: Option<&Self>) -> Self {
        let Some(earlier) = earlier else { return self };
        if self.cause == Cause::Late {
            return earlier.clone();
        }
        if earlier.fate == Fate::Unknown && !self.cause.is_judgement() {
            self.fate = Fate::Unknown;
        }
        self
    }

    /// Whether the service has no such resource or verb at all, as an endpoint without metadata or
    /// a table without bulk messages answers.
    pub(super) fn is_not_served(&self) -> bool {
        matches!(self.status, Some(404 | 405 | 501))
    }
}

/// What the service said, taken out of its envelope.
struct Said {
    code: Option<u32>,
    text: String,
    json: bool,
}

/// The meaning of an answer that is no success.
pub(super) fn classify(status: u16, pause: Option<Duration>, body: &[u8]) -> Failure {
    let said = Said::read(body);
    let (cause, fate, kind, message) =
        said.by_code().unwrap_or_else(|| said.by_status(status, pause));
    let mut fault = Fault::new(kind, message).detail(said.detail(status)).retry_after(pause);
    if matches!(kind, Kind::Refused | Kind::SchemaGone) {
        fault.field = column(&said.text).map(str::to_owned);
    }
    Failure { cause, fate, status: Some(status), fault }
}

/// A success status with a body that cannot be the service's: somebody in between answered.
pub(super) fn gateway(status: u16, body: &[u8]) -> Failure {
    let said = Said::read(body);
    let fault = Fault::new(
        Kind::Unreachable,
        "something in front of the target answered with a page of its own; check url, proxy and \
         firewall",
    );
    Failure {
        cause: Cause::Unreachable,
        fate: Fate::Unknown,
        status: Some(status),
        fault: fault.detail(said.detail(status)),
    }
}

type Meaning = (Cause, Fate, Kind, &'static str);

impl Said {
    fn read(body: &[u8]) -> Self {
        let Ok(json) = serde_json::from_slice::<Json>(body) else {
            let text = String::from_utf8_lossy(body.get(..DETAIL).unwrap_or(body)).into_owned();
            return Self { code: None, text, json: false };
        };
        let inner = json.get("error").unwrap_or(&json);
        let code = inner.get("code").or_else(|| inner.get("ErrorCode")).and_then(code);
        let texts = ["message", "Message", "ExceptionMessage"];
        let text = texts.iter().find_map(|name| inner.get(name)).and_then(Json::as_str);
        Self { code, text: text.unwrap_or_default().to_owned(), json: true }
    }

    fn detail(&self, status: u16) -> String {
        let code = self.code.map(|code| format!(" {code:#010x}")).unwrap_or_default();
        let text: String = self.text.chars().take(DETAIL).collect();
        format!("HTTP {status}{code}: {text}")
    }

    fn mentions(&self, part: &str) -> bool {
        self.text.to_ascii_lowercase().contains(part)
    }

    /// What the code alone decides, whatever status it came with.
    fn by_code(&self) -> Option<Meaning> {
        use Cause::{Deadlock, NoResource, NoRow, Refused, Slow, Taken, Throttled};
        use Fate::{Not, Unknown};
        Some(match self.code? {
            0x8007_2321 | 0x8007_2322 | 0x8007_2326 | 0x8005_F103 => {
                (Throttled, Not, Kind::Throttled, PAUSE)
            }
            0x8004_4150 if self.mentions("1205") || self.mentions("deadlock") => {
                (Deadlock, Not, Kind::Deadlock, DEADLOCK)
            }
            0x8004_0255 => (Deadlock, Not, Kind::Deadlock, DEADLOCK),
            0x8004_4151 => (Slow, Unknown, Kind::Timeout, SQL_TIMEOUT),
            0x8004_0217 | 0x8006_0891 => (NoRow, Not, Kind::ParentMissing, NO_ROW),
            0x8006_088A => (NoResource, Not, Kind::SchemaGone, NO_RESOURCE),
            0x8006_0890 => (Refused, Not, Kind::SchemaGone, NO_KEY),
            0x8006_089D => (Refused, Not, Kind::Ambiguous, SEVERAL),
            0x8004_0237 | 0x8006_0892 => (Taken, Not, Kind::KeyTaken, TAKEN),
            0x8006_0882 => (Refused, Not, Kind::Conflict, CONFLICT),
            0x8004_0333 => (Refused, Not, Kind::Refused, DUPLICATE_RULE),
            0x8004_0220 | 0x8004_2F09 | 0x8004_F507 | 0x8004_F504 | 0x8004_8405 | 0x8004_0256
            | 0x8004_A110 => (Refused, Not, Kind::Forbidden, FORBIDDEN),
            0x8004_0265 | 0x8004_0224 | 0x8004_0251 => (Refused, Not, Kind::Refused, PLUGIN),
            0x8004_0227 => (Refused, Not, Kind::Refused, RESTRICTED),
            0x8004_8408 | 0x8004_F00E | 0x8004_0230 => (Refused, Not, Kind::Refused, STATE),
            0x8004_4331 => (Refused, Not, Kind::Refused, LENGTH),
            0x8004_0203 | 0x8004_431A | 0x8004_431C | 0x8004_432F | 0x8004_4330 | 0x8004_0239
            | 0x8004_0363 => (Refused, Not, Kind::Refused, VALUE),
            0x8006_0883 | 0x8006_088D => (Refused, Not, Kind::Misconfigured, CONCURRENCY),
            _ => return None,
        })
    }

    /// What is left for the status to say.
    fn by_status(&self, status: u16, pause: Option<Duration>) -> Meaning {
        use Cause::{
            NoResource, NoRow, Refused, Slow, Taken, Throttled, Token, TooLarge, Unreachable,
        };
        use Fate::{Not, Unknown};
        match status {
            429 => (Throttled, Not, Kind::Throttled, PAUSE),
            503 if pause.is_some() => (Throttled, Unknown, Kind::Throttled, PAUSE),
            401 => (Token, Not, Kind::Credential, CREDENTIAL),
            403 => (Refused, Not, Kind::Forbidden, FORBIDDEN),
            404 if self.is_row() => (NoRow, Not, Kind::ParentMissing, NO_ROW),
            404 | 501 => (NoResource, Not, Kind::SchemaGone, NO_RESOURCE),
            405 => (Refused, Not, Kind::Refused, RESTRICTED),
            408 => (Slow, Unknown, Kind::Timeout, NO_ANSWER),
            412 => (Taken, Not, Kind::KeyTaken, TAKEN),
            413 => (TooLarge, Not, Kind::TooLarge, TOO_LARGE),
            300..=399 => (Refused, Not, Kind::Misconfigured, REDIRECT),
            400..=499 if self.is_unknown_name() => (Refused, Not, Kind::SchemaGone, NO_COLUMN),
            400..=499 => (Refused, Not, Kind::Refused, REFUSED),
            _ => (Unreachable, Unknown, Kind::Unreachable, NO_ANSWER),
        }
    }

    /// Whether a 404 speaks of a row: older answers have no code (Dataverse Web API, outcome
    /// table), and a part of a batch may have no body at all.
    fn is_row(&self) -> bool {
        let resource = self.mentions("resource not found") || self.mentions("no http resource");
        (self.json || self.text.is_empty()) && !resource
    }

    fn is_unknown_name(&self) -> bool {
        [
            "undeclared property",
            "invalid property",
            "could not find a property",
            "the key in the request uri is not valid",
        ]
        .iter()
        .any(|text| self.mentions(text))
    }
}

/// `0x80040217`, its signed or unsigned decimal, as text or as a number: the same 32 bits.
fn code(json: &Json) -> Option<u32> {
    let text = match json {
        Json::Number(number) => number.to_string(),
        Json::String(text) => text.trim().to_ascii_lowercase(),
        Json::Null | Json::Bool(_) | Json::Array(_) | Json::Object(_) => return None,
    };
    if let Some(hex) = text.strip_prefix("0x") {
        return u32::from_str_radix(hex, 16).ok();
    }
    let number: i64 = text.parse().ok()?;
    let signed = i32::try_from(number).ok().map(i32::cast_unsigned);
    signed.or_else(|| u32::try_from(number).ok())
}

/// The column that a text of the service names: a quoted or bracketed name beside a word that says
/// so.
fn column(text: &str) -> Option<&str> {
    let mut rest = text;
    loop {
        let start = rest.find(['\'', '"', '['])?;
        let (before, quoted) = rest.split_at(start);
        let close = if quoted.starts_with('[') { ']' } else { quoted.chars().next()? };
        let inside = quoted.get(1..)?;
        let end = inside.find(close)?;
        let (name, after) = inside.split_at(end);
        let after = after.get(1..)?;
        if is_name(name) && speaks_of_column(before, after) {
            return Some(name);
        }
        rest = after;
    }
}

fn is_name(text: &str) -> bool {
    let name = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    name && text.starts_with(|char: char| char.is_ascii_alphabetic())
}

fn speaks_of_column(before: &str, after: &str) -> bool {
    let word = |text: Option<&str>| {
        let word = text.unwrap_or_default();
        word.trim_matches(|char: char| !char.is_ascii_alphabetic()).to_ascii_lowercase()
    };
    let last = word(before.split_whitespace().next_back());
    let next = word(after.split_whitespace().next());
    let is = |word: &str| matches!(word, "attribute" | "column" | "property" | "field");
    is(&last) || is(&next) || last == "named" || (last == "of" && next == "on")
}

const PAUSE: &str = "the target asked for a pause; it is tried again by itself";
const DEADLOCK: &str = "\
    the target's database undid the call in favour of another; it is tried again by itself";
const SQL_TIMEOUT: &str = "\
    the target's database took too long; it is tried again in smaller pieces";
const NO_ROW: &str = "a row that this one refers to is not in the target; it waits until it is";
const NO_RESOURCE: &str = "\
    the target serves nothing under this name; check url, table and the map's version of the \
    schema (concord check)";
const NO_KEY: &str = "\
    the target has no alternate key on the map's key columns; create it, or correct [key] in the \
    map";
const NO_COLUMN: &str = "\
    the target does not know a column or key that the map names; correct the map or the table \
    (concord check)";
const SEVERAL: &str = "\
    more than one row of the target has this key; merge them or use a key that is unique";
const TAKEN: &str = "\
    another row of the target holds this key; merge the two, or correct the key at the source";
const CONFLICT: &str = "somebody changed the row in between; it is tried again by itself";
const DUPLICATE_RULE: &str = "\
    a duplicate-detection rule of the target matched; merge the rows or relax the rule";
const FORBIDDEN: &str = "\
    the application user lacks a role or privilege for this; an administrator of the target must \
    grant it";
const PLUGIN: &str = "\
    a plug-in or synchronous webhook of the target refused the row; its own words are in the \
    error record";
const RESTRICTED: &str = "\
    the target does not allow this: other rows still refer to it, or the table takes no such \
    message";
const STATE: &str = "\
    the target does not allow this state or status, or the row is closed; check the status pair \
    in the map";
const LENGTH: &str = "\
    a text is longer than its column; shorten it at the source, or set max and cut in the map";
const VALUE: &str = "\
    the target does not take a value: wrong type, range or choice; correct it at the source or \
    in the map";
const CONCURRENCY: &str = "\
    the table does not allow conditional writes; turn on optimistic concurrency or drop the \
    condition";
const CREDENTIAL: &str = "\
    the target did not accept the token, also not a fresh one; check the credential and the \
    application user";
const NO_ANSWER: &str = "the target gave no usable answer; it is tried again by itself";
const TOO_LARGE: &str = "\
    the target found the row too large, even alone; leave out or shorten its largest column";
const REDIRECT: &str = "the address answers with a redirect; correct url to the environment itself";
const REFUSED: &str = "the target refused the row; its own words are in the error record";

#[cfg(test)]
mod tests;
