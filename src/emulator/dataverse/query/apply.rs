//! `$apply`: `filter(…)`, `groupby((a,b),aggregate(…))` and `aggregate(x with sum as total)`, one after the
//! other. Dates cannot be grouped by, and aggregates cannot be ordered by (Dataverse Web API, aggregate data).

use super::aggregate::{Function, bounded, group};
use super::expression::Subject;
use super::filter::{self, Aliases};
use super::list::notes;
use super::operand::{Family, Operand};
use super::options::{Options, split};
use super::related::{Row, Rows};
use super::shape::{self, Shape};
use super::shown::{self, Asked};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render::{Object, array};

#[derive(Debug, Default)]
struct Plan {
    keys: Vec<Vec<String>>,
    results: Vec<Computed>,
}

#[derive(Debug)]
struct Computed {
    path: Vec<String>,
    function: Function,
    alias: String,
}

/// The JSON body of the answer.
pub fn answer(asked: Asked<'_>, text: &str, options: &Options) -> Result<String, Refusal> {
    let rows = Rows { env: asked.view.env, table: asked.view.table };
    shown::check(rows, &Options { order: Vec::new(), ..options.clone() })?;
    let mut found = shown::filtered(shown::all(rows.env, rows.table), options.filter.as_ref());
    let mut plan = Plan::default();
    for step in split(text, '/')? {
        let step = step.trim();
        if let Some(inner) = call(step, "filter") {
            let condition = filter::read(inner, &Aliases::new())?;
            shape::check(&condition, &rows)?;
            found = shown::filtered(found, Some(&condition));
        } else {
            plan = plan.with(step)?;
        }
    }
    plan.check(rows)?;
    bounded(found.len())?;
    let names: Vec<String> = plan.names();
    let mut lines = plan.lines(found);
    order(&mut lines, &plan, options)?;
    let lines = lines.into_iter().take(options.top.unwrap_or(super::page::LARGEST));
    let set = &rows.table.definition.entity_set;
    let mut body = Object::new();
    body.text("@odata.context", &format!("{}/$metadata#{set}({})", asked.base, names.join(",")));
    notes(&mut body, asked, None);
    body.raw("value", &array(lines.map(|line| json(&names, &line))));
    Ok(body.finish())
}

fn json(names: &[String], line: &[Operand]) -> String {
    let mut object = Object::new();
    for (name, value) in names.iter().zip(line) {
        object.raw(name, &value.json());
    }
    object.finish()
}

fn order(lines: &mut [Vec<Operand>], plan: &Plan, options: &Options) -> Result<(), Refusal> {
    for sort in options.order.iter().rev() {
        let at = plan.keys.iter().position(|key| *key == sort.path).ok_or_else(|| {
            Refusal::bad("0x80060888", "$orderby is supported on grouped columns only.")
        })?;
        lines.sort_by(|left, right| {
            let order = match (left.get(at), right.get(at)) {
                (Some(left), Some(right)) => left.sort(right),
                _ => std::cmp::Ordering::Equal,
            };
            if sort.descending { order.reverse() } else { order }
        });
    }
    Ok(())
}

impl Plan {
    fn with(mut self, step: &str) -> Result<Self, Refusal> {
        if let Some(inner) = call(step, "groupby") {
            let parts = split(inner, ',')?;
            let (keys, rest) = parts.split_first().ok_or_else(|| wrong(step))?;
            let keys = keys.trim().strip_prefix('(').and_then(|keys| keys.strip_suffix(')'));
            let keys = split(keys.ok_or_else(|| wrong(step))?, ',')?;
            self.keys = keys.iter().map(|key| path(key.trim())).collect();
            return match rest {
                [] => Ok(self),
                [one] => self.with(one.trim()),
                _ => Err(wrong(step)),
            };
        }
        let inner = call(step, "aggregate").ok_or_else(|| wrong(step))?;
        let computed = split(inner, ',')?.into_iter().map(computed);
        self.results = computed.collect::<Result<_, _>>()?;
        Ok(self)
    }

    fn check(&self, rows: Rows<'_>) -> Result<(), Refusal> {
        for key in &self.keys {
            if rows.family(key)? == Family::Time {
                let message = "Grouping by a date and time column is not supported.";
                return Err(Refusal::bad("0x80060888", message));
            }
        }
        let mut paths = self.results.iter().filter(|computed| computed.function != Function::Count);
        paths.try_for_each(|computed| rows.family(&computed.path).map(|_| ()))
    }

    fn names(&self) -> Vec<String> {
        let keys = self.keys.iter().map(|key| key.join("_"));
        keys.chain(self.results.iter().map(|computed| computed.alias.clone())).collect()
    }

    /// One line of values for each group: its keys, then its results.
    fn lines(&self, rows: Vec<Row<'_>>) -> Vec<Vec<Operand>> {
        let key = |row: &Row<'_>| self.keys.iter().map(|path| row.value(path)).collect();
        let mut groups = group(rows, key);
        if groups.is_empty() && self.keys.is_empty() {
            groups.push((Vec::new(), Vec::new()));
        }
        let line = |(mut line, rows): (Vec<Operand>, Vec<Row<'_>>)| {
            for computed in &self.results {
                let values: Vec<Operand> =
                    rows.iter().map(|row| row.value(&computed.path)).collect();
                line.push(computed.function.of(&values));
            }
            line
        };
        groups.into_iter().map(line).collect()
    }
}

/// `revenue with sum as total` or `$count as n`.
fn computed(text: &str) -> Result<Computed, Refusal> {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        ["$count", "as", alias] => {
            Ok(Computed { path: Vec::new(), function: Function::Count, alias: (*alias).to_owned() })
        }
        [column, "with", method, "as", alias] => {
            let function = match *method {
                "sum" => Function::Sum,
                "min" => Function::Min,
                "max" => Function::Max,
                "average" => Function::Average,
                "countdistinct" => Function::CountDistinct,
                _ => return Err(wrong(text)),
            };
            Ok(Computed { path: path(column), function, alias: (*alias).to_owned() })
        }
        _ => Err(wrong(text)),
    }
}

fn path(text: &str) -> Vec<String> {
    text.split('/').map(str::to_owned).collect()
}

fn call<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.strip_prefix(name)?.trim_start().strip_prefix('(')?.strip_suffix(')')
}

fn wrong(text: &str) -> Refusal {
    Refusal::bad("0x80060888", format!("'{text}' is not a supported $apply transformation."))
}
