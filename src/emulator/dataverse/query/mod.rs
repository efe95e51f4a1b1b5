//! Queries: OData system query options, FetchXML and SQL come in, pages of rows go out. Unknown names,
//! unreadable texts and options that the service does not offer are refused with its own codes.

pub mod aggregate;
pub mod apply;
pub mod cookie;
pub mod expression;
pub mod fetch;
pub mod filter;
pub mod lex;
pub mod like;
pub mod list;
pub mod literal;
pub mod operand;
pub mod options;
pub mod page;
pub mod related;
pub mod shape;
pub mod shown;
pub mod sql;

#[cfg(test)]
pub(crate) mod fixture;

use jiff::Timestamp;

use crate::emulator::dataverse::model::{Environment, Record, Table};
use crate::emulator::dataverse::prefer::Prefer;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render::{Object, View};
use fetch::Pages;
use options::Options;
use shown::{Asked, Shown};

/// What a query is asked of, and how its answer is addressed.
#[derive(Clone, Copy, Debug)]
pub struct Source<'a> {
    /// Everything.
    pub env: &'a Environment,
    /// The table in the path.
    pub table: &'a Table,
    /// The service root of answers: `https://host/api/data/v9.2/`.
    pub base: &'a str,
}

/// `GET /set`: the JSON body for system query options, `fetchXml` or `sql`.
pub fn collection(
    source: Source<'_>,
    options: &[(String, String)],
    prefer: &Prefer,
    now: Timestamp,
) -> Result<String, Refusal> {
    let Source { env, table, base } = source;
    let view = View { env, table, prefer };
    let asked = Asked { view, base: base.trim_end_matches('/'), query: options };
    let option = |name: &str| {
        options.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    };
    if let Some(xml) = option("fetchXml") {
        return fetch::answer(asked, &fetch::read(xml)?, Pages::Cookie, now);
    }
    if let Some(statement) = option("sql") {
        let mut plan = sql::read(statement)?;
        if let Some(token) = option("$skiptoken") {
            plan.resume(cookie::Cookie::read_outer(token)?);
        }
        return fetch::answer(asked, &plan, Pages::Link, now);
    }
    list::answer(asked, &Options::read(options)?)
}

/// `GET /set/$count`: how many rows, at most 5000.
pub fn count(source: Source<'_>, options: &[(String, String)]) -> Result<usize, Refusal> {
    let Source { env, table, base } = source;
    let view = View { env, table, prefer: &Prefer::default() };
    list::count(Asked { view, base, query: options }, &Options::read(options)?)
}

/// `GET /set(key)`: the JSON body of one row, by `$select` and `$expand`.
pub fn single(
    source: Source<'_>,
    record: &Record,
    options: &[(String, String)],
    prefer: &Prefer,
) -> Result<String, Refusal> {
    let Source { env, table, base } = source;
    let options = Options::read(options)?;
    let shown = Shown::new(View { env, table, prefer }, &options)?;
    let set = &table.definition.entity_set;
    let mut body = Object::new();
    body.text("@odata.context", &format!("{base}$metadata#{set}{}/$entity", shown.context()));
    shown.write(&mut body, record);
    Ok(body.finish())
}
