//! Turns the parts of a rule, as written, into a plan, and complains of everything that cannot work.

use std::sync::Arc;

use regex::{Regex, RegexBuilder};

use super::code::Codes;
use super::condition::{Is, Test};
use super::convert::{Act, Part};
use super::edge::Edges;
use super::expr::Program;
use super::{Plan, Shape, Source, text};
use crate::mapping::config::Defaults;
use crate::mapping::file::{
    Code, Condition, Constant, Empty, Fact, Lookup, Names, OnError, Parts, Policy, Rule,
};
use crate::mapping::problem::Problems;
use crate::mapping::vocabulary::Vocabularies;
use crate::row::Value;
use crate::system::ColumnKind;

/// The largest compiled regular expression, in bytes.
const LARGEST_PATTERN: usize = 1024 * 1024;

/// What compiling needs at hand.
#[derive(Debug)]
pub struct Bench<'b> {
    /// Where complaints go.
    pub problems: &'b mut Problems,
    /// The CSV files.
    pub vocabularies: &'b mut Vocabularies,
    /// The defaults of `concord.toml`.
    pub defaults: &'b Defaults,
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

    fn source(&mut self, path: &str, parts: &Parts) -> (Source, String, Shape) {
        let composite = matches!(parts.lookup, Some(Lookup::Composite { .. }));
        let named = [
            ("from", parts.from.is_some()),
            ("fact", parts.fact.is_some()),
            ("value", parts.value.is_some()),
            ("code", parts.code.is_some()),
            ("edge", parts.edge.is_some()),
            ("join", parts.join.is_some()),
            ("when", parts.when.is_some()),
            ("expr", parts.expr.is_some()),
            ("lookup.by", composite),
        ];
        let named: Vec<&str> = named.iter().filter(|(_, is)| *is).map(|(name, _)| *name).collect();
        if named.is_empty() {
            let message = "the rule has no source: name one of from, fact, value, code, edge, join, \
                           when, expr";
            self.problems.error(path, "no-source", message);
        } else if named.len() > 1 {
            let message = format!("the rule has several sources: {}", named.join(", "));
            self.problems.error(path, "several-sources", message);
        }
        self.one_source(path, parts)
    }

    fn one_source(&mut self, path: &str, parts: &Parts) -> (Source, String, Shape) {
        let text = || Shape { kind: Some(ColumnKind::Text), ..Shape::default() };
        if let Some(value) = &parts.value {
            let value = constant(value);
            let shape = shape_of([&value]);
            return (Source::Constant(value), "the constant".to_owned(), shape);
        }
        if let Some(fact) = parts.fact {
            let kind = match fact {
                Fact::Emitted => ColumnKind::Time,
                Fact::Correlation => ColumnKind::Guid,
                Fact::Key
                | Fact::Id
                | Fact::Version
                | Fact::EventId
                | Fact::Operation
                | Fact::Entity => ColumnKind::Text,
            };
            let shape = Shape { kind: Some(kind), ..Shape::default() };
            return (Source::Fact(fact), format!("fact {fact:?}").to_lowercase(), shape);
        }
        if let Some(code) = &parts.code {
            let (origin, pick) = match code {
                Code::Origin(origin) => (origin.clone(), crate::mapping::file::Pick::default()),
                Code::Pick { origin, pick } => (origin.clone(), *pick),
            };
            self.named(&format!("{path}/code"), &origin);
            let shown = format!("code {origin}");
            return (Source::Code(Codes { origin, pick }), shown, text());
        }
        if let Some(edge) = &parts.edge {
            self.named(&format!("{path}/edge"), &edge.r#type);
            self.named(&format!("{path}/edge"), &edge.origin);
            let codes = Codes { origin: edge.origin.clone(), pick: edge.pick };
            let edges = Edges { kind: edge.r#type.clone(), direction: edge.direction, codes };
            return (Source::Edge(edges), format!("edge {}", edge.r#type), text());
        }
        if let Some(join) = &parts.join {
            if join.from.is_empty() {
                self.problems.error(&format!("{path}/join"), "name-empty", "`from` is missing");
            }
            let shown = join.from.join(" + ");
            let (from, with) = (join.from.clone(), join.with.clone());
            return (Source::Join { from, with }, shown, text());
        }
        if let Some(branches) = &parts.when {
            let (source, shape) = self.branches(&format!("{path}/when"), branches);
            return (source, "when".to_owned(), shape);
        }
        if let Some(code) = &parts.expr {
            let source = self.program(&format!("{path}/expr"), code).map(Source::Expr);
            let none = || Source::Constant(Value::Null);
            return (source.unwrap_or_else(none), "expr".to_owned(), Shape::default());
        }
        if let Some(Lookup::Composite { table, by }) = &parts.lookup {
            let source = self.composite(path, table, by, parts.missing.unwrap_or_default());
            return (source, table.clone(), Shape::default());
        }
        let names = match &parts.from {
            None => Vec::new(),
            Some(Names::One(name)) => vec![name.clone()],
            Some(Names::First(names)) => names.clone(),
        };
        if parts.from.is_some() {
            self.named(&format!("{path}/from"), names.first().map_or("", String::as_str));
        }
        let shown = names.join(" or ");
        (Source::Properties(names), shown, text())
    }

    fn named(&mut self, path: &str, name: &str) {
        if name.trim().is_empty() {
            self.problems.error(path, "name-empty", "a name is missing here");
        }
    }

    fn composite(
        &mut self,
        path: &str,
        table: &str,
        by: &indexmap::IndexMap<String, Rule>,
        missing: crate::row::Missing,
    ) -> Source {
        let mut parts = Vec::new();
        for (column, rule) in by {
            let column_path = column.split('.').map(Arc::from).collect();
            let below = format!("{path}/lookup/by/{column}");
            parts.push((column_path, self.rule(&below, rule)));
        }
        if parts.is_empty() || table.trim().is_empty() {
            let message = "a lookup names its table and, under `by`, its key columns";
            self.problems.error(&format!("{path}/lookup"), "lookup-path", message);
        }
        Source::Composite { table: table.to_owned(), by: parts, missing }
    }

    fn branches(&mut self, path: &str, branches: &[Condition]) -> (Source, Shape) {
        let mut plans = Vec::new();
        let mut otherwise = None;
        for (index, branch) in branches.iter().enumerate() {
            let here = format!("{path}/{index}");
            if let Some(rule) = &branch.r#else {
                if index + 1 < branches.len() || branch.then.is_some() {
                    let message = "`else` stands alone, in the last branch";
                    self.problems.error(&here, "else-place", message);
                }
                otherwise = Some(Box::new(self.rule(&format!("{here}/else"), rule)));
                continue;
            }
            let test = self.condition(&here, branch);
            match &branch.then {
                Some(rule) => plans.push((test, self.rule(&format!("{here}/then"), rule))),
                None => self.problems.error(&here, "then-missing", "the branch has no `then`"),
            }
        }
        if branches.is_empty() {
            self.problems.error(path, "then-missing", "`when` has no branch");
        }
        let shapes: Vec<&Shape> = plans
            .iter()
            .map(|(_, plan)| plan)
            .chain(otherwise.as_deref())
            .map(|plan| &plan.shape)
            .collect();
        let shape = joined(&shapes);
        (Source::When(plans, otherwise), shape)
    }

    /// Compiles a condition; `then` and `else` are for branches and handled there.
    pub fn condition(&mut self, path: &str, condition: &Condition) -> Test {
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
        }
        if let Some(code) = &condition.expr {
            tests.extend(self.program(&format!("{path}/expr"), code).map(Test::Expr));
        }
        for (key, group) in
            [("all", &condition.all), ("any", &condition.any), ("none", &condition.none)]
        {
            let Some(group) = group else { continue };
            let below = self.group(&format!("{path}/{key}"), group);
            tests.push(match key {
                "all" => Test::All(below),
                "any" => Test::Any(below),
                _ => Test::None(below),
            });
        }
        if tests.is_empty() && condition.r#if.is_none() && condition.expr.is_none() {
            self.problems.error(path, "condition-empty", "the condition tests nothing");
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
        let compiled = Program::compile(code);
        compiled.map_err(|message| self.problems.error(path, "expression", message)).ok()
    }

    fn pattern(&mut self, path: &str, pattern: &str) -> Option<Regex> {
        let compiled = RegexBuilder::new(pattern).size_limit(LARGEST_PATTERN).build();
        let complaint = |error: regex::Error| {
            let text = error.to_string();
            let last = text.lines().last().unwrap_or_default();
            let message = format!("this is no regular expression: {}", last.trim());
            self.problems.error(path, "pattern", message);
        };
        compiled.map_err(complaint).ok()
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

/// A constant in the target's types.
pub fn constant(constant: &Constant) -> Value {
    match constant {
        Constant::Boolean(yes) => Value::Boolean(*yes),
        Constant::Integer(number) => Value::Integer(*number),
        Constant::Text(text) => Value::Text(text.clone()),
    }
}

/// What values of these types are.
pub fn shape_of<'v>(values: impl IntoIterator<Item = &'v Value>) -> Shape {
    let (mut kinds, mut numbers, mut longest) = (Vec::new(), Vec::new(), 0);
    for value in values {
        kinds.push(match value {
            Value::Integer(number) => {
                numbers.extend(i32::try_from(*number));
                ColumnKind::Integer
            }
            Value::Boolean(_) => ColumnKind::Boolean,
            other => {
                longest = longest.max(other.to_string().chars().count());
                ColumnKind::Text
            }
        });
    }
    let first = kinds.first().copied();
    let kind = first.filter(|first| kinds.iter().all(|kind| kind == first));
    Shape { kind, numbers, longest: u32::try_from(longest).ok(), lookup: None }
}

fn joined(shapes: &[&Shape]) -> Shape {
    let first = shapes.first().and_then(|shape| shape.kind);
    let kind = first.filter(|kind| shapes.iter().all(|shape| shape.kind == Some(*kind)));
    let numbers = shapes.iter().flat_map(|shape| shape.numbers.iter().copied()).collect();
    let bounded = shapes.iter().all(|shape| shape.longest.is_some());
    let longest = shapes.iter().filter_map(|shape| shape.longest).max().filter(|_| bounded);
    let lookup = shapes.iter().find_map(|shape| shape.lookup.clone());
    Shape { kind, numbers, longest, lookup }
}
