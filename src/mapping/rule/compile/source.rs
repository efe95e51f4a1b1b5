//! Compiling a rule's source: one of the parts that say where the value comes from.

use std::sync::Arc;

use indexmap::IndexMap;

use super::Bench;
use super::shape::{constant, joined, shape_of};
use crate::mapping::file::{Code, Condition, Edge, Fact, Lookup, Names, Parts, Pick, Rule};
use crate::mapping::rule::code::Codes;
use crate::mapping::rule::edge::Edges;
use crate::mapping::rule::{Shape, Source};
use crate::row::{Missing, Value};
use crate::system::ColumnKind;

impl Bench<'_> {
    pub(super) fn source(&mut self, path: &str, parts: &Parts) -> (Source, String, Shape) {
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
        let missing = parts.missing.unwrap_or_default();
        if let Some(value) = &parts.value {
            let value = constant(value);
            let shape = shape_of([&value]);
            (Source::Constant(value), "the constant".to_owned(), shape)
        } else if let Some(fact) = parts.fact {
            (Source::Fact(fact), format!("fact {fact:?}").to_lowercase(), of(kind_of(fact)))
        } else if let Some(code) = &parts.code {
            self.code(path, code)
        } else if let Some(edge) = &parts.edge {
            self.edge(path, edge)
        } else if let Some(join) = &parts.join {
            if join.from.is_empty() {
                self.problems.error(&format!("{path}/join"), "name-empty", "`from` is missing");
            }
            let (from, with) = (join.from.clone(), join.with.clone());
            (Source::Join { from, with }, join.from.join(" + "), of(ColumnKind::Text))
        } else if let Some(branches) = &parts.when {
            let (source, shape) = self.branches(&format!("{path}/when"), branches);
            (source, "when".to_owned(), shape)
        } else if let Some(code) = &parts.expr {
            let source = self.program(&format!("{path}/expr"), code).map(Source::Expr);
            let source = source.unwrap_or(Source::Constant(Value::Null));
            (source, "expr".to_owned(), Shape::default())
        } else if let Some(Lookup::Composite { table, by }) = &parts.lookup {
            (self.composite(path, table, by, missing), table.clone(), Shape::default())
        } else {
            self.properties(path, parts.from.as_ref())
        }
    }

    fn code(&mut self, path: &str, code: &Code) -> (Source, String, Shape) {
        let (origin, pick) = match code {
            Code::Origin(origin) => (origin.clone(), Pick::default()),
            Code::Pick { origin, pick } => (origin.clone(), *pick),
        };
        self.named(&format!("{path}/code"), &origin);
        let shown = format!("code {origin}");
        (Source::Code(Codes { origin, pick }), shown, of(ColumnKind::Text))
    }

    fn edge(&mut self, path: &str, edge: &Edge) -> (Source, String, Shape) {
        self.named(&format!("{path}/edge"), &edge.r#type);
        self.named(&format!("{path}/edge"), &edge.origin);
        let codes = Codes { origin: edge.origin.clone(), pick: edge.pick };
        let edges = Edges { kind: edge.r#type.clone(), direction: edge.direction, codes };
        (Source::Edge(edges), format!("edge {}", edge.r#type), of(ColumnKind::Text))
    }

    fn properties(&mut self, path: &str, from: Option<&Names>) -> (Source, String, Shape) {
        let names = match from {
            None => Vec::new(),
            Some(Names::One(name)) => vec![name.clone()],
            Some(Names::First(names)) => names.clone(),
        };
        if from.is_some() {
            self.named(&format!("{path}/from"), names.first().map_or("", String::as_str));
        }
        let shown = names.join(" or ");
        (Source::Properties(names), shown, of(ColumnKind::Text))
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
        by: &IndexMap<String, Rule>,
        missing: Missing,
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
}

fn of(kind: ColumnKind) -> Shape {
    Shape { kind: Some(kind), ..Shape::default() }
}

fn kind_of(fact: Fact) -> ColumnKind {
    match fact {
        Fact::Emitted => ColumnKind::Time,
        Fact::Correlation => ColumnKind::Guid,
        Fact::Key | Fact::Id | Fact::Version | Fact::EventId | Fact::Operation | Fact::Entity => {
            ColumnKind::Text
        }
    }
}
