//! What a check found: its state, what it saw, and the command that mends it.

use serde::Serialize;

use crate::cli::columns::Columns;
use crate::cli::wording::plural;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should be.
    Ok,
    /// It works, and might not always.
    Warning,
    /// It could not be found out.
    Unknown,
    /// It cannot work.
    Missing,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Finding {
    /// What was checked: `settings`, `host`, `storage` or a system.
    pub(super) area: String,
    /// Which check: a word that stays the same.
    pub(super) check: &'static str,
    /// How it ended.
    pub(super) state: State,
    /// What was seen.
    pub(super) told: String,
    /// What mends it: a command, or words where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) mend: Option<String>,
}

impl Finding {
    fn new(area: &str, check: &'static str, state: State, told: impl Into<String>) -> Self {
        Self { area: area.to_owned(), check, state, told: told.into(), mend: None }
    }

    /// As it should be.
    pub(super) fn ok(area: &str, check: &'static str, told: impl Into<String>) -> Self {
        Self::new(area, check, State::Ok, told)
    }

    /// It works, and might not always.
    pub(super) fn warning(area: &str, check: &'static str, told: impl Into<String>) -> Self {
        Self::new(area, check, State::Warning, told)
    }

    /// It could not be found out.
    pub(super) fn unknown(area: &str, check: &'static str, told: impl Into<String>) -> Self {
        Self::new(area, check, State::Unknown, told)
    }

    /// It cannot work.
    pub(super) fn missing(area: &str, check: &'static str, told: impl Into<String>) -> Self {
        Self::new(area, check, State::Missing, told)
    }

    /// Says what mends it.
    #[must_use]
    pub(super) fn mend(mut self, mend: impl Into<String>) -> Self {
        self.mend = Some(mend.into());
        self
    }
}

/// The findings as a table, what is missing last, where it is seen.
pub(super) fn lines(findings: &[Finding]) -> Vec<String> {
    let mut sorted: Vec<&Finding> = findings.iter().collect();
    sorted.sort_by_key(|finding| finding.state);
    let mut columns = Columns::indented(0).firm(3);
    for finding in sorted {
        let mark = match finding.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Unknown => "unknown",
            State::Missing => "MISSING",
        };
        columns.row([mark, &finding.area, finding.check, &finding.told]);
        finding.mend.iter().for_each(|mend| columns.remark(mend.clone()));
    }
    columns.lines()
}

/// `23 checks: 20 ok, 1 warning, 1 unknown, 1 missing`.
pub(super) fn summary(findings: &[Finding]) -> String {
    let of = |state| findings.iter().filter(|finding| finding.state == state).count();
    format!(
        "{}: {} ok, {}, {} unknown, {} missing",
        plural(findings.len(), "check"),
        of(State::Ok),
        plural(of(State::Warning), "warning"),
        of(State::Unknown),
        of(State::Missing)
    )
}

/// 0 when nothing is missing, 1 when something is, 2 when it could not be found out whether.
pub(super) fn code(findings: &[Finding]) -> u8 {
    let any = |state| findings.iter().any(|finding| finding.state == state);
    match (any(State::Missing), findings.iter().any(Finding::is_silence)) {
        (true, _) => 1,
        (false, true) => 2,
        (false, false) => 0,
    }
}

impl Finding {
    /// Nobody answered; other than a question that an environment does not serve.
    fn is_silence(&self) -> bool {
        self.state == State::Unknown && self.check == "reachable"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_code_tells_missing_from_silent_and_what_is_missing_stands_last() {
        let ok = || Finding::ok("sales", "token", "there");
        let silent = || Finding::unknown("sales", "reachable", "no answer");
        let missing = || Finding::missing("host", "routes", "x").mend("do y");
        let unserved = || Finding::unknown("sales", "privileges", "not told");
        assert_eq!(code(&[ok(), unserved(), Finding::warning("a", "b", "c")]), 0);
        assert_eq!(code(&[ok(), silent()]), 2);
        assert_eq!(code(&[missing(), silent()]), 1);
        let lines = lines(&[missing(), ok()]);
        assert!(lines[0].starts_with("ok ") && lines[2].ends_with("do y"), "{lines:#?}");
        assert_eq!(summary(&[missing(), ok()]), "2 checks: 1 ok, 0 warnings, 0 unknown, 1 missing");
    }
}
