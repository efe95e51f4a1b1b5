//! `GET /set?…`: filters, sorts, pages and shows the rows of one table (Dataverse Web API, query data).

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use crate::emulator::dataverse::model::Kind;
use crate::emulator::dataverse::query::apply;
use crate::emulator::dataverse::query::cookie::Cookie;
use crate::emulator::dataverse::query::expression::Subject;
use crate::emulator::dataverse::query::operand::Family;
use crate::emulator::dataverse::query::options::{Options, Sort};
use crate::emulator::dataverse::query::page::{By, Keyed, LARGEST, Paging};
use crate::emulator::dataverse::query::related::{Row, Rows};
use crate::emulator::dataverse::query::shape::Shape;
use crate::emulator::dataverse::query::shown::{self, Asked, Shown};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render::{Object, array};

/// The JSON body of the answer.
pub fn answer(asked: Asked<'_>, options: &Options) -> Result<String, Refusal> {
    if let Some(text) = &options.apply {
        return apply::answer(asked, text, options);
    }
    let rows = Rows { env: asked.view.env, table: asked.view.table };
    shown::check(rows, options)?;
    let shape = Shown::new(asked.view, options)?;
    let (page, next, total) = if is_by_id(rows, options) {
        let (page, next) = by_id(asked, options, rows)?;
        (page, next, rows.table.rows.len())
    } else {
        let found = shown::filtered(shown::all(rows.env, rows.table), options.filter.as_ref());
        let total = found.len();
        let (page, next) = page(asked, options, found)?;
        (page, next, total)
    };
    let set = &rows.table.definition.entity_set;
    let mut body = Object::new();
    body.text("@odata.context", &format!("{}/$metadata#{set}{}", asked.base, shape.context()));
    if options.count {
        body.raw("@odata.count", &total.min(LARGEST).to_string());
    }
    notes(&mut body, asked, options.count.then_some(total));
    body.raw("value", &array(page.iter().map(|row| shape.json(row.record))));
    if let Some(cookie) = next {
        body.text("@odata.nextLink", &next_link(asked, &cookie));
    }
    Ok(body.finish())
}

/// `GET /set/$count?$filter=…`: how many rows, at most 5000.
pub fn count(asked: Asked<'_>, options: &Options) -> Result<usize, Refusal> {
    let rows = Rows { env: asked.view.env, table: asked.view.table };
    shown::check(rows, options)?;
    let found = shown::filtered(shown::all(rows.env, rows.table), options.filter.as_ref());
    Ok(found.len().min(LARGEST))
}

/// The annotations of a whole answer, for callers that want them.
pub fn notes(body: &mut Object, asked: Asked<'_>, total: Option<usize>) {
    let wants = |name: &str| asked.prefer().wants(&format!("Microsoft.Dynamics.CRM.{name}"));
    let mut note = |name: &str, json: &str| {
        if wants(name) {
            body.raw(&format!("@Microsoft.Dynamics.CRM.{name}"), json);
        }
    };
    let shown = total.map_or_else(|| "-1".to_owned(), |total| total.min(LARGEST).to_string());
    note("totalrecordcount", &shown);
    let exceeded = total.is_some_and(|total| total > LARGEST);
    note("totalrecordcountlimitexceeded", &exceeded.to_string());
    note("globalmetadataversion", &format!("\"{}\"", asked.view.env.metadata_version));
}

fn page<'a>(
    asked: Asked<'a>,
    options: &Options,
    rows: Vec<Row<'a>>,
) -> Result<(Vec<Row<'a>>, Option<Cookie>), Refusal> {
    let token = options.skip_token.as_deref().map(Cookie::read_outer).transpose()?;
    // `$top` counts only when no page size is asked for
    let top = options.top.filter(|_| asked.prefer().page_size.is_none());
    if top == Some(0) {
        return Ok((Vec::new(), None));
    }
    let size = asked.prefer().page_size.or(top).unwrap_or(LARGEST);
    let mut paging = Paging::after(token, size);
    let table = Rows { env: asked.view.env, table: asked.view.table };
    paging.exact = options.order.iter().all(|sort| sort.path.len() == 1);
    let by = options.order.iter().map(|sort| by(table, sort)).collect::<Result<Vec<_>, _>>()?;
    let keyed = rows.into_iter().map(|row| Keyed {
        keys: options.order.iter().map(|sort| row.value(&sort.path)).collect(),
        id: row.record.id,
        item: row,
    });
    let primary = &table.table.definition.primary_id;
    let (page, next) = paging.cut(keyed.collect(), &by, primary)?;
    Ok((page, next.filter(|_| top.is_none())))
}

/// Whether all rows are asked for, in the order of their ids: what readers of large tables do.
fn is_by_id(rows: Rows<'_>, options: &Options) -> bool {
    let primary = &rows.table.definition.primary_id;
    let by_id = |sort: &Sort| !sort.descending && sort.path == [primary.as_str()];
    options.filter.is_none() && options.top.is_none() && options.order.iter().all(by_id)
}

/// A page of such a query, without sorting the table for each.
fn by_id<'a>(
    asked: Asked<'a>,
    options: &Options,
    rows: Rows<'a>,
) -> Result<(Vec<Row<'a>>, Option<Cookie>), Refusal> {
    let token = options.skip_token.as_deref().map(Cookie::read_outer).transpose()?;
    let paging = Paging::after(token, asked.prefer().page_size.unwrap_or(LARGEST));
    let primary = &rows.table.definition.primary_id;
    let records = rows.table.rows.values().map(|record| (record.id, record));
    let (page, next) = paging.cut_by_id(records, primary)?;
    let row = |record| Row { table: rows.table, env: rows.env, record };
    Ok((page.into_iter().map(row).collect(), next))
}

fn by(rows: Rows<'_>, sort: &Sort) -> Result<By, Refusal> {
    let kind = match sort.path.as_slice() {
        [name] => rows.column(name).map_or(Kind::Uniqueidentifier, |column| column.kind),
        path => match rows.family(path)? {
            Family::Text | Family::Any => Kind::String,
            Family::Number => Kind::Decimal,
            Family::Boolean => Kind::Boolean,
            Family::Time => Kind::DateTime,
            Family::Guid => Kind::Uniqueidentifier,
        },
    };
    let name = sort.path.last().cloned().unwrap_or_default();
    Ok(By { name, kind, descending: sort.descending })
}

/// The address of the next page: the request again, with the cookie.
pub fn next_link(asked: Asked<'_>, cookie: &Cookie) -> String {
    let encoded = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let sent = asked.query.iter().filter(|(name, _)| name != "$skiptoken");
    // the option names stay readable, as the service writes them
    let sent = sent.map(|(name, value)| format!("{name}={}", encoded(value)));
    let token = format!("$skiptoken={}", encoded(&cookie.outer()));
    let query = sent.chain([token]).collect::<Vec<_>>().join("&");
    format!("{}/{}?{query}", asked.base, asked.view.table.definition.entity_set)
}

#[cfg(test)]
mod tests;
