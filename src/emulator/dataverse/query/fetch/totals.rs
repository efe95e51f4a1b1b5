//! Groups and totals of joined lines.

use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::bind::Bound;
use super::join::{Line, Seen};
use super::plan::{Attribute, Fetch, Order};
use super::read::invalid;
use crate::emulator::dataverse::query::aggregate::{Function, bounded, group};
use crate::emulator::dataverse::query::expression::Subject;
use crate::emulator::dataverse::query::operand::Operand;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render::Object;

/// One JSON object a group, sorted as asked.
pub(super) fn totals(
    bound: &Bound<'_>,
    fetch: &Fetch,
    lines: Vec<Line<'_>>,
) -> Result<Vec<String>, Refusal> {
    bounded(lines.len())?;
    let columns = columns(bound)?;
    let grouped = |line: &Line<'_>| {
        let seen = Seen { bound, line };
        columns
            .iter()
            .filter(|(_, one)| one.group)
            .map(|(path, one)| key(&seen, path, one))
            .collect()
    };
    let mut groups = group(lines, grouped);
    if groups.is_empty() && columns.iter().all(|(_, one)| !one.group) {
        groups.push((Vec::new(), Vec::new()));
    }
    let mut found: Vec<Vec<Operand>> =
        groups.into_iter().map(|(keys, lines)| line(bound, &columns, keys, &lines)).collect();
    for order in orders(fetch).into_iter().rev() {
        let at = columns.iter().position(|(_, one)| name(one) == order.name);
        let at = at.ok_or_else(|| invalid("an order of an aggregate names one of its aliases"))?;
        found.sort_by(|left, right| {
            let compared = match (left.get(at), right.get(at)) {
                (Some(left), Some(right)) => left.sort(right),
                _ => std::cmp::Ordering::Equal,
            };
            if order.descending { compared.reverse() } else { compared }
        });
    }
    let show = |values: Vec<Operand>| {
        let mut object = Object::new();
        for ((_, one), value) in columns.iter().zip(&values) {
            object.raw(name(one), &value.json());
        }
        object.finish()
    };
    Ok(found.into_iter().map(show).collect())
}

type Column<'a> = ([String; 2], &'a Attribute);

/// Every column of the answer and where it is found.
fn columns<'a>(bound: &Bound<'a>) -> Result<Vec<Column<'a>>, Refusal> {
    let mut columns = Vec::new();
    for joined in &bound.nodes {
        for attribute in &joined.node.attributes {
            if attribute.function != Some(Function::Count) || attribute.name != "*" {
                super::bind::column(&joined.table.definition, &attribute.name)?;
            }
            if attribute.alias.is_none() || attribute.function.is_some() == attribute.group {
                return Err(invalid(
                    "an attribute of an aggregate needs an alias, and either aggregate or groupby",
                ));
            }
            columns.push(([joined.node.alias.clone(), attribute.name.clone()], attribute));
        }
    }
    Ok(columns)
}

fn orders(fetch: &Fetch) -> Vec<&Order> {
    fetch.root.orders.iter().collect()
}

fn name(attribute: &Attribute) -> &str {
    attribute.alias.as_deref().unwrap_or(&attribute.name)
}

fn key(seen: &Seen<'_, '_>, path: &[String; 2], attribute: &Attribute) -> Operand {
    let value = seen.value(path);
    let Some(part) = attribute.date_part.as_deref() else { return value };
    let date = if let Operand::Time(time) = value {
        time.to_zoned(TimeZone::UTC).date()
    } else if let Operand::Date(date) = value {
        date
    } else {
        return value;
    };
    date_part(date, part)
}

fn date_part(date: Date, part: &str) -> Operand {
    let number = match part {
        "day" => i64::from(date.day()),
        "week" => i64::from(date.iso_week_date().week()),
        "month" => i64::from(date.month()),
        "quarter" => i64::from((date.month() + 2) / 3),
        "year" => i64::from(date.year()),
        _ => return Operand::Null,
    };
    Operand::Number(number.into())
}

/// The values of one group, in the order of the columns.
fn line(
    bound: &Bound<'_>,
    columns: &[Column<'_>],
    keys: Vec<Operand>,
    lines: &[Line<'_>],
) -> Vec<Operand> {
    let mut keys = keys.into_iter();
    let value = |(path, one): &Column<'_>| match one.function {
        None => keys.next().unwrap_or(Operand::Null),
        Some(function) => {
            let values = lines.iter().map(|line| Seen { bound, line }.value(path));
            function.of(&values.collect::<Vec<_>>())
        }
    };
    columns.iter().map(value).collect()
}
