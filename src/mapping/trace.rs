//! What a rule did to a value, step by step, for `explain`. Written by the very code that maps rows.

use serde::Serialize;

use super::datum::Datum;
use crate::fault::Fault;
use crate::row::MASK;

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Step {
    /// The column it is about, or the section of the map in brackets.
    pub column: String,
    /// Where the value came from.
    pub source: String,
    /// The value before.
    pub input: String,
    /// The rule.
    pub rule: String,
    /// The value after, when the rule could be applied.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<String>,
    /// Why it could not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
}

/// Collects steps, or nothing at all when nobody asked.
#[derive(Debug, Default)]
pub struct Trail {
    steps: Option<Vec<Step>>,
    column: String,
    masked: bool,
    secret: Vec<String>,
}

impl Trail {
    /// Nobody asked.
    pub fn off() -> Self {
        Self::default()
    }

    /// Collects; values of these properties are masked wherever they come up.
    pub fn on(secret: Vec<String>) -> Self {
        Self { steps: Some(Vec::new()), secret, ..Self::default() }
    }

    /// The steps that follow are about this column.
    pub fn column(&mut self, name: &str, masked: bool) {
        if self.steps.is_some() {
            name.clone_into(&mut self.column);
            self.masked = masked;
        }
    }

    /// Notes a step.
    pub fn step(
        &mut self,
        source: &str,
        input: &Datum<'_>,
        rule: &str,
        outcome: Result<&Datum<'_>, &Fault>,
    ) {
        let Some(steps) = &mut self.steps else { return };
        let names = || source.split(" or ").flat_map(|part| part.split(" + "));
        let masked = self.masked || names().any(|name| self.secret.iter().any(|one| one == name));
        let show = |value: &Datum<'_>| {
            if masked && !value.is_absent() { MASK.to_owned() } else { value.show() }
        };
        steps.push(Step {
            column: self.column.clone(),
            source: source.to_owned(),
            input: show(input),
            rule: rule.to_owned(),
            output: outcome.ok().map(show),
            fault: outcome.err().map(ToString::to_string),
        });
    }

    /// What was collected.
    pub fn into_steps(self) -> Vec<Step> {
        self.steps.unwrap_or_default()
    }
}
