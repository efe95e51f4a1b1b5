//! A condition as a person writes it: in filters, in validations and in the branches of `when`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{Constant, Rule};

/// A test of one value (`if` with one or more of the tests), a jq program, or a group of conditions.
/// Everything that is written in one condition must hold.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Condition {
    /// The value to test: a property, or a rule.
    pub r#if: Option<Rule>,
    /// It is this, compared as text.
    pub is: Option<Constant>,
    /// It is one of these, compared as text.
    pub r#in: Option<Vec<Constant>>,
    /// Whether it is missing, null or empty.
    pub null: Option<bool>,
    /// Whether its property is missing altogether.
    pub missing: Option<bool>,
    /// A regular expression finds something in it.
    pub matches: Option<String>,
    /// A jq program over the properties yields `true`.
    pub expr: Option<String>,
    /// All of these hold.
    pub all: Option<Vec<Condition>>,
    /// At least one of these holds.
    pub any: Option<Vec<Condition>>,
    /// None of these holds.
    pub none: Option<Vec<Condition>>,
    /// In `when` of a field: the rule to use when the condition holds.
    pub then: Option<Box<Rule>>,
    /// In `when` of a field, alone and last: the rule to use when no condition held.
    pub r#else: Option<Box<Rule>>,
}
