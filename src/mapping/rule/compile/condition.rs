//! Compiling conditions, patterns and programs.

use regex::{Regex, RegexBuilder};

use super::Bench;
use super::shape::constant;
use crate::mapping::file::Condition;
use crate::mapping::rule::condition::{Is, Test};
use crate::mapping::rule::expr::Program;

/// The largest compiled regular expression, in bytes.
const LARGEST_PATTERN: usize = 1024 * 1024;

impl Bench<'_> {
    /// Compiles a condition; `then` and `else` are for branches and handled there.
    pub fn condition(&mut self, path: &str, condition: &Condition) -> Test {
        let groups = [("all", &condition.all), ("any", &condition.any), ("none", &condition.none)];
        let mut tests = Vec::new();
        if let Some(rule) = &condition.r#if {
            let of = Box::new(self.rule(&format!("{path}/if"), rule));
            let (is, shown) = self.value_tests(path, condition);
            if is.is_empty() {
                let message = "`if` needs a test: is, in, null, missing or matches";
                self.problems.error(path, "condition-empty", message);
            }
            tests.push(Test::Value { of, is, shown });
        } else if condition.is.is_some()
            || condition.r#in.is_some()
            || condition.null.is_some()
            || condition.missing.is_some()
            || condition.matches.is_some()
        {
            self.problems.error(path, "key-alone", "the test has no `if` that names its value");
        } else if condition.expr.is_none() && groups.iter().all(|(_, group)| group.is_none()) {
            self.problems.error(path, "condition-empty", "the condition tests nothing");
        }
        if let Some(code) = &condition.expr {
            tests.extend(self.program(&format!("{path}/expr"), code).map(Test::Expr));
        }
        for (key, group) in groups {
            let Some(group) = group else { continue };
            let below = self.group(&format!("{path}/{key}"), group);
            tests.push(match key {
                "all" => Test::All(below),
                "any" => Test::Any(below),
                _ => Test::None(below),
            });
        }
        Test::All(tests)
    }

    /// Compiles conditions that stand in filters and validations.
    pub fn group(&mut self, path: &str, conditions: &[Condition]) -> Vec<Test> {
        let mut tests = Vec::new();
        for (index, condition) in conditions.iter().enumerate() {
            let here = format!("{path}/{index}");
            if condition.then.is_some() || condition.r#else.is_some() {
                let message = "`then` and `else` belong to `when` of a field";
                self.problems.error(&here, "else-place", message);
            }
            tests.push(self.condition(&here, condition));
        }
        tests
    }

    fn value_tests(&mut self, path: &str, condition: &Condition) -> (Vec<Is>, String) {
        let mut tests = Vec::new();
        let mut shown = Vec::new();
        if let Some(one) = &condition.is {
            let text = constant(one).to_string();
            shown.push(format!("is {text}"));
            tests.push(Is::OneOf(vec![text]));
        }
        if let Some(list) = &condition.r#in {
            let texts: Vec<String> = list.iter().map(|one| constant(one).to_string()).collect();
            shown.push(format!("in {}", texts.join(", ")));
            tests.push(Is::OneOf(texts));
        }
        if let Some(null) = condition.null {
            shown.push(format!("null = {null}"));
            tests.push(Is::Null(null));
        }
        if let Some(missing) = condition.missing {
            shown.push(format!("missing = {missing}"));
            tests.push(Is::Missing(missing));
        }
        if let Some(pattern) = &condition.matches {
            shown.push(format!("matches {pattern}"));
            tests.extend(self.pattern(&format!("{path}/matches"), pattern).map(Is::Matches));
        }
        (tests, shown.join(" and "))
    }

    /// Compiles a program.
    pub fn program(&mut self, path: &str, code: &str) -> Option<Program> {
        self.reads.any = true;
        let compiled = Program::compile(code);
        compiled.map_err(|message| self.problems.error(path, "expression", message)).ok()
    }

    pub(super) fn pattern(&mut self, path: &str, pattern: &str) -> Option<Regex> {
        let compiled = RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).build();
        let complaint = |error: regex::Error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let message = format!("this is no regular expression: {}", last.trim());
            self.problems.error(path, "pattern", message);
        };
        compiled.map_err(complaint).ok()
    }
}
