//! `BulkDelete`: rows that a `QueryExpression` names are deleted by a system job. The job runs at once;
//! its row in `asyncoperations` is there when the answer goes out.

use jiff::{Timestamp, civil::Date};
use serde::Deserialize;
use uuid::Uuid;

use crate::emulator::dataverse::address;
use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::body;
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::delete;
use crate::emulator::dataverse::derive::Cells;
use crate::emulator::dataverse::functions;
use crate::emulator::dataverse::model::{Cell, Definition, Record};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render::Object;
use crate::emulator::dataverse::session::Session;

#[derive(Deserialize)]
struct Request {
    #[serde(rename = "JobName", default)]
    name: String,
    #[serde(rename = "QuerySet")]
    queries: Vec<Query>,
}

#[derive(Deserialize)]
struct Query {
    #[serde(rename = "EntityName")]
    table: String,
    #[serde(rename = "Criteria", default)]
    criteria: Filter,
}

#[derive(Default, Deserialize)]
struct Filter {
    #[serde(rename = "FilterOperator", default)]
    operator: String,
    #[serde(rename = "Conditions", default)]
    conditions: Vec<Condition>,
    #[serde(rename = "Filters", default)]
    filters: Vec<Filter>,
}

#[derive(Deserialize)]
struct Condition {
    #[serde(rename = "AttributeName")]
    column: String,
    #[serde(rename = "Operator")]
    operator: String,
    #[serde(rename = "Values", default)]
    values: Vec<Value>,
}

#[derive(Deserialize)]
struct Value {
    #[serde(rename = "Value")]
    value: serde_json::Value,
}

/// Runs the action. Rows that cannot be deleted are left, as the job would report them failed.
pub fn run(session: &mut Session<'_>, call: &Call) -> Result<Answer, Refusal> {
    let request: Request = body::read(&call.body, "BulkDelete")?;
    let mut failed = 0;
    for query in &request.queries {
        for id in chosen(session, query)? {
            let deleted = session.attempt(|session| delete::row(session, &query.table, id));
            failed += usize::from(deleted.is_err());
        }
    }
    let job = record_job(session, &request.name, failed)?;
    let mut body = Object::new();
    body.text("@odata.context", &functions::context(call, "BulkDeleteResponse"));
    body.text("JobId", &job.to_string());
    Ok(Answer::json(200, body.finish()))
}

fn chosen(session: &Session<'_>, query: &Query) -> Result<Vec<Uuid>, Refusal> {
    let table = session.table(&query.table)?;
    let mut ids = Vec::new();
    for record in table.rows.values() {
        if fits(&table.definition, &query.criteria, record)? {
            ids.push(record.id);
        }
    }
    Ok(ids)
}

fn fits(definition: &Definition, filter: &Filter, record: &Record) -> Result<bool, Refusal> {
    let mut all = true;
    let mut any = false;
    for condition in &filter.conditions {
        let fits = holds(definition, condition, record)?;
        (all, any) = (all && fits, any || fits);
    }
    for inner in &filter.filters {
        let fits = fits(definition, inner, record)?;
        (all, any) = (all && fits, any || fits);
    }
    let is_or = filter.operator.eq_ignore_ascii_case("or");
    Ok(if is_or { any } else { all })
}

fn holds(definition: &Definition, condition: &Condition, record: &Record) -> Result<bool, Refusal> {
    let column = condition.column.as_str();
    if definition.column(column).is_none() {
        return Err(Refusal::no_property(column, &definition.logical_name));
    }
    let own = Cell::Guid(record.id);
    let cell = if column == definition.primary_id { Some(&own) } else { record.cells.get(column) };
    let equal = || condition.values.iter().any(|value| cell.is_some_and(|c| same(c, &value.value)));
    match condition.operator.as_str() {
        "In" | "Equal" => Ok(equal()),
        "NotIn" | "NotEqual" => Ok(!equal()),
        "Null" => Ok(cell.is_none()),
        "NotNull" => Ok(cell.is_some()),
        other => {
            let message = format!("The condition operator '{other}' is not supported here.");
            Err(Refusal::bad("0x80040203", message))
        }
    }
}

fn same(cell: &Cell, value: &serde_json::Value) -> bool {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    match cell {
        Cell::Text(own) => own.to_lowercase() == text.to_lowercase(),
        Cell::Integer(own) => text.parse() == Ok(*own),
        Cell::Decimal(own) => text.parse() == Ok(*own),
        Cell::Double(own) => text.parse() == Ok(*own),
        Cell::Boolean(own) => text.parse() == Ok(*own),
        Cell::Time(own) => text.parse().is_ok_and(|moment: Timestamp| moment == *own),
        Cell::Date(own) => text.parse().is_ok_and(|date: Date| date == *own),
        Cell::Guid(own) | Cell::Lookup { id: own, .. } => address::id(&text) == Some(*own),
        Cell::Choices(_) | Cell::Bytes { .. } => false,
    }
}

fn record_job(session: &mut Session<'_>, name: &str, failed: usize) -> Result<Uuid, Refusal> {
    let id = session.chance.uuid();
    if !session.env.tables.contains_key("asyncoperation") {
        return Ok(id);
    }
    let mut cells = Cells::new();
    // 13 is the operation type of a bulk deletion; 30 is succeeded, 31 failed; state 3 is completed.
    let status = if failed == 0 { 30 } else { 31 };
    let numbers = [("operationtype", 13), ("statecode", 3), ("statuscode", status)];
    for (column, number) in numbers {
        cells.insert(column.to_owned(), Cell::Integer(number));
    }
    cells.insert("name".to_owned(), Cell::Text(name.to_owned()));
    cells.insert("createdon".to_owned(), Cell::Time(session.now));
    cells.insert("completedon".to_owned(), Cell::Time(session.now));
    if failed > 0 {
        let text = format!("{failed} rows could not be deleted.");
        cells.insert("message".to_owned(), Cell::Text(text));
    }
    session.insert("asyncoperation", id, cells, Vec::new())?;
    Ok(id)
}
