//! Puts the rows of the query's tables together: lines, one row of each table or none of an outer one.

use std::collections::HashMap;

use super::bind::{Bound, Joined};
use crate::emulator::dataverse::model::Record;
use crate::emulator::dataverse::query::expression::{Expression, Subject};
use crate::emulator::dataverse::query::operand::Operand;
use crate::emulator::dataverse::refusal::Refusal;

/// The most lines a join may grow to.
const MOST: usize = 500_000;

/// One row of each table of the query, in the order of the tables.
#[derive(Clone, Debug)]
pub(super) struct Line<'a> {
    pub(super) records: Vec<Option<&'a Record>>,
}

/// A line as conditions see it: paths are alias and column.
#[derive(Debug)]
pub(super) struct Seen<'a, 'b> {
    pub(super) bound: &'b Bound<'a>,
    pub(super) line: &'b Line<'a>,
}

impl Subject for Seen<'_, '_> {
    fn value(&self, path: &[String]) -> Operand {
        let [alias, column] = path else { return Operand::Null };
        let mut pairs = self.bound.nodes.iter().zip(&self.line.records);
        match pairs.find(|(joined, _)| joined.node.alias == *alias) {
            Some((joined, Some(record))) => {
                Operand::of_column(&joined.table.definition, record, column)
            }
            _ => Operand::Null,
        }
    }

    fn members(&self, _: &[String]) -> Vec<Box<dyn Subject + '_>> {
        Vec::new()
    }
}

/// All lines of which the conditions are true.
pub(super) fn lines<'a>(bound: &Bound<'a>) -> Result<Vec<Line<'a>>, Refusal> {
    let root = bound.nodes.first().map(|joined| joined.table.rows.values());
    let root = root.into_iter().flatten().map(|record| Line { records: vec![Some(record)] });
    // conditions on the root alone thin it out before anything is joined
    let early = bound.filter.as_ref().filter(|filter| only_root(filter));
    let mut lines: Vec<Line<'a>> = root.filter(|line| holds(early, bound, line)).collect();
    for joined in bound.nodes.iter().skip(1) {
        lines = join(bound, joined, lines)?;
    }
    lines.retain(|line| holds(bound.filter.as_ref(), bound, line));
    Ok(lines)
}

fn join<'a>(
    bound: &Bound<'a>,
    joined: &Joined<'a>,
    lines: Vec<Line<'a>>,
) -> Result<Vec<Line<'a>>, Refusal> {
    let Some((link, outer)) = joined.to else { return Ok(lines) };
    let Some(outer) = bound.nodes.get(outer) else { return Ok(lines) };
    let partners = partners(joined, &link.from);
    let to = [outer.node.alias.clone(), link.to.clone()];
    let mut grown = Vec::new();
    for line in lines {
        let value = Seen { bound, line: &line }.value(&to);
        let found = partners.get(&key(&value)).map(Vec::as_slice).unwrap_or_default();
        let found = if value == Operand::Null { &[] } else { found };
        let before = grown.len();
        for record in found {
            let mut records = line.records.clone();
            records.push(Some(*record));
            let candidate = Line { records };
            if holds(joined.filter.as_ref(), bound, &candidate) {
                grown.push(candidate);
                if link.exists {
                    break;
                }
            }
        }
        if grown.len() == before && link.outer {
            let mut records = line.records;
            records.push(None);
            grown.push(Line { records });
        }
        if grown.len() > MOST {
            let message = "The query result grew too large: narrow it with conditions.";
            return Err(Refusal::bad("0x80044151", message));
        }
    }
    Ok(grown)
}

/// The rows of a table by the value of one column.
fn partners<'a>(joined: &Joined<'a>, column: &str) -> HashMap<String, Vec<&'a Record>> {
    let mut partners: HashMap<String, Vec<&Record>> = HashMap::new();
    for record in joined.table.rows.values() {
        let value = Operand::of_column(&joined.table.definition, record, column);
        partners.entry(key(&value)).or_default().push(record);
    }
    partners
}

fn key(value: &Operand) -> String {
    value.text().to_lowercase()
}

fn holds(filter: Option<&Expression>, bound: &Bound<'_>, line: &Line<'_>) -> bool {
    filter.is_none_or(|filter| filter.holds(&Seen { bound, line }))
}

/// Whether a condition names no table but the root.
fn only_root(filter: &Expression) -> bool {
    match filter {
        Expression::Path(path) => path.first().is_some_and(String::is_empty),
        Expression::Value(_) => true,
        Expression::Compare(_, left, right) | Expression::Text(_, left, right) => {
            only_root(left) && only_root(right)
        }
        Expression::And(parts) | Expression::Or(parts) => parts.iter().all(only_root),
        Expression::Not(part) | Expression::In(part, _) | Expression::Holds(part, _) => {
            only_root(part)
        }
        Expression::Related(_) => false,
    }
}
