//! What can go wrong, named by condition, and what is then done.
//!
//! [`Kind`] is closed; [`Kind::act`] is the one match that gives each condition its act. Every kind has
//! a stable code and a page, `docs/faults/<code>.md`, that says what it means and how to mend it.

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// What is done about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Act {
    /// Tried again in place, then redelivered, then deferred to the work queue.
    Retry,
    /// Waits for a row it refers to; given up visibly after a while.
    Park,
    /// Set aside with its reason; the rest of the batch goes on.
    Poison,
    /// Nothing is claimed and nothing poisoned: somebody has to mend the installation.
    Halt,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $code:literal => $act:ident,)+) => {
        /// A condition, named by what is the case and not by who reported it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum Kind { $($(#[$doc])* #[serde(rename = $code)] $name,)+ }

        impl Kind {
            /// Every kind, for pages and reports.
            pub const ALL: &[Self] = &[$(Self::$name,)+];

            /// The stable code that users see and search for.
            pub fn code(self) -> &'static str {
                match self { $(Self::$name => $code,)+ }
            }

            /// What is done about it.
            pub fn act(self) -> Act {
                match self { $(Self::$name => Act::$act,)+ }
            }

            /// What it means and how to mend it, in Markdown.
            pub fn page(self) -> &'static str {
                match self { $(Self::$name => include_str!(concat!("../docs/faults/", $code, ".md")),)+ }
            }
        }
    };
}

kinds! {
    /// The other side asked for a pause (429, 503 with Retry-After).
    Throttled = "throttled" => Retry,
    /// No answer could be had: connection refused, cut, or a 5xx.
    Unreachable = "unreachable" => Retry,
    /// The answer did not come in time; the write may or may not have happened.
    Timeout = "timeout" => Retry,
    /// Somebody else changed the row between our look and our write.
    Conflict = "conflict" => Retry,
    /// The target's database chose this call as the victim of a deadlock.
    Deadlock = "deadlock" => Retry,
    /// Another instance is writing a newer version of the row; whether it succeeds is not known yet.
    Busy = "busy" => Retry,
    /// Our own storage did not answer.
    Storage = "storage-unavailable" => Retry,
    /// A row that this one refers to is not in the target yet.
    ParentMissing = "parent-missing" => Park,
    /// The event is not what its source is said to send.
    Malformed = "malformed-event" => Poison,
    /// The event's schema version is one that no map accepts.
    SchemaUnknown = "schema-unknown" => Poison,
    /// A part of the target's key is missing or empty.
    KeyMissing = "key-missing" => Poison,
    /// A value that must be there is missing, null or empty.
    ValueMissing = "value-missing" => Poison,
    /// A value is not in the map's value table or vocabulary.
    ValueUnknown = "value-unknown" => Poison,
    /// A value cannot be converted to what the column holds.
    Inconvertible = "inconvertible" => Poison,
    /// A text is longer than its column.
    TooLong = "too-long" => Poison,
    /// A validation rule of the map said no.
    RuleBroken = "rule-broken" => Poison,
    /// More than one row fits what a lookup or a key asks for.
    Ambiguous = "ambiguous" => Poison,
    /// The target refused the row: a plug-in, a business rule, or a value it does not take.
    Refused = "refused-by-target" => Poison,
    /// The key is held by another row of the target.
    KeyTaken = "key-taken" => Poison,
    /// The event, row or message is larger than what can be carried.
    TooLarge = "too-large" => Poison,
    /// The credential is missing, wrong or expired.
    Credential = "credential" => Halt,
    /// The credential is right but lacks a role or privilege.
    Forbidden = "forbidden" => Halt,
    /// A table, column or key that a map names does not exist in the target.
    SchemaGone = "schema-gone" => Halt,
    /// The configuration cannot work.
    Misconfigured = "misconfigured" => Halt,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// One thing that went wrong, for one row, one event or one call.
///
/// `message` may be shown to an operator: it names columns, rules and limits but carries no value of a
/// payload. The target's own text, which may quote values, is kept apart in `detail` and goes to the
/// error record only, never to a log.
#[derive(Debug)]
pub struct Fault {
    /// The condition.
    pub kind: Kind,
    /// What, where and what to do, in one line.
    pub message: Cow<'static, str>,
    /// The other side's own code and text, for the error record.
    pub detail: Option<String>,
    /// The column of the target, or the property of the source, that it is about.
    pub field: Option<String>,
    /// The pause that the other side asked for.
    pub retry_after: Option<Duration>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Fault {
    /// A fault of this kind with a line that says what, where and what to do.
    pub fn new(kind: Kind, message: impl Into<Cow<'static, str>>) -> Self {
        let message = message.into();
        Self { kind, message, detail: None, field: None, retry_after: None, source: None }
    }

    /// Names the column or property it is about.
    #[must_use]
    pub fn field(mut self, field: impl Into<String>) -> Self {
        self.field = Some(field.into());
        self
    }

    /// Adds the other side's own words.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds the pause that was asked for.
    #[must_use]
    pub fn retry_after(mut self, pause: Option<Duration>) -> Self {
        self.retry_after = pause;
        self
    }

    /// Chains the cause.
    #[must_use]
    pub fn caused_by(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What is done about it.
    pub fn act(&self) -> Act {
        self.kind.act()
    }
}

/// Several rows can fail of one cause (a refused chunk, a token that could not be had): each gets its
/// own copy, without the chained cause, which stays with the first.
impl Clone for Fault {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            message: self.message.clone(),
            detail: self.detail.clone(),
            field: self.field.clone(),
            retry_after: self.retry_after,
            source: None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}: {field}: {}", self.kind, self.message),
            None => write!(f, "{}: {}", self.kind, self.message),
        }
    }
}

impl StdError for Fault {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_page_starts_with_its_code() {
        for kind in Kind::ALL {
            assert!(kind.page().starts_with(&format!("# {kind}\n")), "{kind}");
        }
    }

    #[test]
    fn what_could_mend_itself_is_retried_and_what_could_not_is_not() {
        assert_eq!(Kind::Throttled.act(), Act::Retry);
        assert_eq!(Kind::ParentMissing.act(), Act::Park);
        assert_eq!(Kind::Refused.act(), Act::Poison);
        assert_eq!(Kind::Forbidden.act(), Act::Halt);
    }
}
