//! What is wrong with a file a person wrote: where, which rule, and what to do.
//!
//! Problems are collected, never thrown: whoever checks a file finds all of them in one go.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use super::document::Places;

/// One thing that is wrong in a map or in `concord.toml`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Problem {
    /// The file, as it was named when it was read.
    pub file: String,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// Whether anything can run with it.
    pub severity: Severity,
    /// The stable code of the rule that is broken.
    pub rule: &'static str,
    /// What is wrong, in one line, without a secret.
    pub message: String,
    /// What to write instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suggestion: Option<String>,
}

/// How bad a problem is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It cannot work.
    Error,
    /// It works, but somebody should have decided it.
    Warning,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, line, column, rule, message, .. } = self;
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        write!(f, "{file}:{line}:{column}: {severity}[{rule}]: {message}")?;
        self.suggestion.iter().try_for_each(|text| write!(f, "; {text}"))
    }
}

/// Collects the problems of one file, each under the path of the key it is about.
#[derive(Debug)]
pub struct Problems {
    places: Arc<Places>,
    found: Vec<Problem>,
}

impl Problems {
    /// None yet, in the file of these places.
    pub fn new(places: Arc<Places>) -> Self {
        Self { places, found: Vec::new() }
    }

    /// Notes an error at a path such as `fields/name/max`; an unknown path falls back to its parent.
    pub fn error(&mut self, path: &str, rule: &'static str, message: impl Into<String>) {
        self.note(path, (Severity::Error, rule), message.into(), None);
    }

    /// The same for a warning.
    pub fn warning(&mut self, path: &str, rule: &'static str, message: impl Into<String>) {
        self.note(path, (Severity::Warning, rule), message.into(), None);
    }

    /// An error about a name that is not one of `known`: the nearest of them is suggested.
    pub fn unknown<'k>(
        &mut self,
        path: &str,
        (rule, name): (&'static str, &str),
        known: impl IntoIterator<Item = &'k str>,
        message: impl Into<String>,
    ) {
        let suggestion = nearest(name, known).map(|near| format!("did you mean `{near}`?"));
        self.note(path, (Severity::Error, rule), message.into(), suggestion);
    }

    fn note(
        &mut self,
        path: &str,
        (severity, rule): (Severity, &'static str),
        message: String,
        suggestion: Option<String>,
    ) {
        let (line, column) = self.places.at(path);
        let file = self.places.file.to_string();
        self.found.push(Problem { file, line, column, severity, rule, message, suggestion });
    }

    /// The places of the file.
    pub fn places(&self) -> Arc<Places> {
        Arc::clone(&self.places)
    }

    /// Takes over what was found elsewhere.
    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        self.found.extend(problems);
    }

    /// All of them, in the order they were found.
    pub fn into_vec(self) -> Vec<Problem> {
        self.found
    }
}

/// The known name that was most likely meant, if one is near enough to be worth saying.
pub fn nearest<'k>(name: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    let lower = name.to_lowercase();
    let scored = known
        .into_iter()
        .map(|candidate| (candidate, strsim::jaro_winkler(&lower, &candidate.to_lowercase())));
    scored
        .filter(|(_, score)| *score > 0.8)
        .max_by(|(_, a), (_, b)| a.total_cmp(b))
        .map(|(candidate, _)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_name_is_suggested_only_when_it_is_near() {
        let known = ["trim", "trim_start", "telephone1"];
        assert_eq!(nearest("trimm", known), Some("trim"));
        assert_eq!(nearest("Telephon1", known), Some("telephone1"));
        assert_eq!(nearest("zzz", known), None);
    }
}
