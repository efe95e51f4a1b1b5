//! Turns the parts of a rule, as written, into a plan, and complains of everything that cannot work.

mod condition;
mod conversion;
mod shape;
mod source;

use self::shape::constant;
use super::convert::{Act, Part};
use super::{Plan, text};
use crate::mapping::config::Defaults;
use crate::mapping::file::{Empty, Names, OnError, Parts, Policy, Rule};
use crate::mapping::problem::Problems;
use crate::mapping::reads::Reads;
use crate::mapping::vocabulary::Vocabularies;
use crate::system::ColumnKind;

/// What compiling needs at hand.
#[derive(Debug)]
pub struct Bench<'b> {
    /// Where complaints go.
    pub problems: &'b mut Problems,
    /// The CSV files.
    pub vocabularies: &'b mut Vocabularies,
    /// The defaults of `concord.toml`.
    pub defaults: &'b Defaults,
    /// What the rules compiled here read.
    pub reads: Reads,
}

impl Bench<'_> {
    /// Compiles the rule that stands at `path`. What cannot be used is left out and complained of.
    pub fn rule(&mut self, path: &str, rule: &Rule) -> Plan {
        let written;
        let parts = match rule {
            Rule::Parts(parts) => parts,
            Rule::Property(name) => {
                let from = Some(Names::One(name.clone()));
                written = Box::new(Parts { from, ..Parts::default() });
                &written
            }
        };
        self.alone(path, parts);
        let (source, shown, shape) = self.source(path, parts);
        self.reads.note(&source);
        let mut plan = Plan {
            source,
            shown,
            parts: Vec::new(),
            max: parts.max.map(|max| (max, parts.over.unwrap_or_default())),
            absent: self.absent(parts),
            null: parts.null.unwrap_or(self.defaults.null),
            on_error: parts.on_error.unwrap_or_default(),
            secured: parts.secured.unwrap_or(false),
            shape,
        };
        self.text_steps(path, parts, &mut plan);
        self.standards(path, parts, &mut plan);
        self.table(path, parts, &mut plan);
        self.conversion(path, parts, &mut plan);
        self.reference(path, parts, &mut plan);
        self.blank(parts, &mut plan);
        self.fits(path, &plan);
        plan
    }

    fn absent(&self, parts: &Parts) -> Policy {
        let rejects = parts.null == Some(Policy::Reject);
        let fallback = if rejects { Policy::Reject } else { self.defaults.absent };
        parts.absent.unwrap_or(fallback)
    }

    /// Keys that mean nothing without another.
    fn alone(&mut self, path: &str, parts: &Parts) {
        let dated = parts.date.is_some() || parts.datetime.is_some();
        let listed = parts.vocabulary.is_some();
        for (key, stands, needs, there) in [
            ("over", parts.over.is_some(), "max", parts.max.is_some()),
            ("missing", parts.missing.is_some(), "lookup", parts.lookup.is_some()),
            ("formats", parts.formats.is_some(), "date or datetime", dated),
            ("column", parts.column.is_some(), "vocabulary", listed),
            ("to", parts.to.is_some(), "vocabulary", listed),
        ] {
            if stands && !there {
                let message = format!("`{key}` means nothing without `{needs}`");
                self.problems.error(&format!("{path}/{key}"), "key-alone", message);
            }
        }
    }

    fn text_steps(&mut self, path: &str, parts: &Parts, plan: &mut Plan) {
        let mut step = |shown: String, step| plan.parts.push(Part { shown, act: Act::Text(step) });
        if let Some(split) = &parts.split {
            if split.on.is_empty() {
                self.problems.error(&format!("{path}/split"), "name-empty", "`on` is missing");
            }
            step("split".into(), text::Step::Split { on: split.on.clone(), at: split.at });
        }
        if parts.nfc == Some(true) {
            step("nfc".into(), text::Step::Nfc);
        }
        if parts.collapse == Some(true) {
            step("collapse".into(), text::Step::Collapse);
        }
        let constant = parts.value.is_some();
        if parts.trim.unwrap_or(self.defaults.trim && !constant) {
            step("trim".into(), text::Step::Trim);
        }
        if let Some(chars) = &parts.trim_start {
            step(format!("trim_start {chars:?}"), text::Step::TrimStart(chars.chars().collect()));
        }
        if let Some(chars) = &parts.trim_end {
            step(format!("trim_end {chars:?}"), text::Step::TrimEnd(chars.chars().collect()));
        }
        for (index, replace) in parts.replace.iter().flatten().enumerate() {
            let here = format!("{path}/replace/{index}/pattern");
            if let Some(pattern) = self.pattern(&here, &replace.pattern) {
                let shown = format!("replace {:?}", replace.pattern);
                step(shown, text::Step::Replace(pattern, replace.with.clone()));
            }
        }
        if let Some(case) = parts.case {
            step(format!("case {case:?}").to_lowercase(), text::Step::Case(case));
        }
    }

    /// An empty text is null unless the column holds text and the map keeps it; then the default.
    fn blank(&self, parts: &Parts, plan: &mut Plan) {
        let converts = |part: &Part| part.act.converts();
        let at = plan.parts.iter().position(converts).unwrap_or(plan.parts.len());
        let keeps = parts.empty.unwrap_or(self.defaults.empty) == Empty::Keep;
        let mut steps = Vec::new();
        if !keeps || at < plan.parts.len() {
            steps.push(Part { shown: "empty is null".into(), act: Act::Blank });
        }
        if let Some(default) = &parts.default {
            let value = constant(default);
            steps.push(Part { shown: format!("default = {value}"), act: Act::Default(value) });
        }
        plan.parts.splice(at..at, steps);
    }

    fn fits(&mut self, path: &str, plan: &Plan) {
        let textual = plan.shape.kind.is_none_or(|kind| kind == ColumnKind::Text);
        if plan.max.is_some() && !textual {
            let message = "`max` counts characters, and this rule yields no text";
            self.problems.error(&format!("{path}/max"), "not-text", message);
        }
        if plan.on_error == OnError::Passthrough && !textual {
            let message = "`passthrough` writes the text as it came, and this rule yields no text";
            self.problems.error(&format!("{path}/on_error"), "not-text", message);
        }
    }
}
