//! Where a rule's value comes from.

use super::Plan;
use super::code::Codes;
use super::condition::Test;
use super::edge::Edges;
use super::expr::Program;
use super::lookup::Path;
use crate::fault::{Fault, Kind};
use crate::mapping::datum::Datum;
use crate::mapping::file::Fact;
use crate::mapping::scene::Scene;
use crate::mapping::trace::Trail;
use crate::row::{Lookup, Missing, Value};

/// A source.
#[derive(Debug)]
pub enum Source {
    /// The first of these properties that is not empty; without one, what the first of them is.
    Properties(Vec<String>),
    /// A fact of the change.
    Fact(Fact),
    /// A constant.
    Constant(Value),
    /// The change's own code of an origin.
    Code(Codes),
    /// The code at the other end of an edge.
    Edge(Edges),
    /// Several properties in one text.
    Join {
        /// The properties.
        from: Vec<String>,
        /// What stands between them.
        with: String,
    },
    /// The first branch whose condition holds, else the last plan.
    When(Vec<(Test, Plan)>, Option<Box<Plan>>),
    /// A program.
    Expr(Program),
    /// A reference by several key columns.
    Composite {
        /// The table.
        table: String,
        /// Key column's path and its rule.
        by: Vec<(Path, Plan)>,
        /// What is done when there is no such row.
        missing: Missing,
    },
}

impl Source {
    /// Reads the value.
    pub fn read<'c>(&self, scene: &Scene<'c>) -> Result<Datum<'c>, Fault> {
        match self {
            Self::Properties(names) => Ok(first(scene, names)),
            Self::Fact(fact) => Ok(scene.fact(*fact)),
            Self::Constant(value) => Ok(Datum::from(value.clone())),
            Self::Code(codes) => {
                let change = scene.change();
                let all = change.codes.iter().map(|code| &**code);
                Ok(text(codes.find(&change.entity, all)?))
            }
            Self::Edge(edges) => Ok(text(edges.find(scene.change())?)),
            Self::Join { from, with } => join(scene, from, with),
            Self::When(branches, otherwise) => when(scene, branches, otherwise.as_deref()),
            Self::Expr(program) => program.run(scene.input()?),
            Self::Composite { table, by, missing } => composite(scene, table, by, *missing),
        }
    }

    /// Calls `see` with every rule inside.
    pub fn visit<'p>(&'p self, see: &mut dyn FnMut(&'p Plan)) {
        match self {
            Self::When(branches, otherwise) => {
                for (test, plan) in branches {
                    test.visit(see);
                    plan.visit(see);
                }
                if let Some(plan) = otherwise {
                    plan.visit(see);
                }
            }
            Self::Composite { by, .. } => {
                for (_, plan) in by {
                    plan.visit(see);
                }
            }
            Self::Properties(_)
            | Self::Fact(_)
            | Self::Constant(_)
            | Self::Code(_)
            | Self::Edge(_)
            | Self::Join { .. }
            | Self::Expr(_) => {}
        }
    }
}

/// A thing without such a code or edge has null there: a source sends all it has.
fn text(found: Option<&str>) -> Datum<'_> {
    found.map_or(Datum::Null, |text| Datum::Text(text.into()))
}

fn first<'c>(scene: &Scene<'c>, names: &[String]) -> Datum<'c> {
    let mut best = Datum::Missing;
    for name in names {
        let found = scene.property(name);
        if !found.is_blank() {
            return found;
        }
        if best == Datum::Missing {
            best = found;
        }
    }
    best
}

fn join<'c>(scene: &Scene<'c>, names: &[String], with: &str) -> Result<Datum<'c>, Fault> {
    let found: Vec<Datum<'_>> = names.iter().map(|name| scene.property(name)).collect();
    if found.iter().all(|datum| *datum == Datum::Missing) {
        return Ok(Datum::Missing);
    }
    let mut pieces = Vec::with_capacity(found.len());
    for datum in found.iter().filter(|datum| !datum.is_blank()) {
        let piece = datum.text();
        pieces
            .push(piece.ok_or_else(|| super::inconvertible("a list or object cannot be joined"))?);
    }
    Ok(if pieces.is_empty() { Datum::Null } else { Datum::Text(pieces.join(with).into()) })
}

fn when<'c>(
    scene: &Scene<'c>,
    branches: &[(Test, Plan)],
    otherwise: Option<&Plan>,
) -> Result<Datum<'c>, Fault> {
    let mut chosen = otherwise;
    for (test, plan) in branches {
        if test.holds(scene, &mut Trail::off())? {
            chosen = Some(plan);
            break;
        }
    }
    let Some(plan) = chosen else { return Ok(Datum::Missing) };
    Ok(match plan.value(scene, &mut Trail::off())? {
        Some(value) => Datum::from(value),
        None => Datum::Missing,
    })
}

fn composite<'c>(
    scene: &Scene<'c>,
    table: &str,
    by: &[(Path, Plan)],
    missing: Missing,
) -> Result<Datum<'c>, Fault> {
    let mut parts = Vec::with_capacity(by.len());
    let mut blank = 0;
    for (path, plan) in by {
        let datum = plan.datum(scene, &mut Trail::off())?;
        blank += usize::from(datum.is_blank());
        let text = "a part of the key is a list or an object";
        let value = datum.into_value().ok_or_else(|| super::inconvertible(text))?;
        parts.push((path.clone(), value));
    }
    if blank == parts.len() {
        return Ok(Datum::Null);
    }
    if blank > 0 {
        let text = format!("{blank} of the {} key parts of {table} are missing", parts.len());
        return Err(Fault::new(Kind::ValueMissing, text));
    }
    Ok(Datum::Typed(Value::Lookup(Lookup { table: table.into(), by: parts, missing })))
}
