//! `GET /set?fetchXml=…`: the page of lines as JSON, with paging cookie and `morerecords` for those who
//! ask for these annotations (Dataverse Web API, FetchXML paging).

use jiff::Timestamp;

use super::bind::{Bound, Joined, column, intersects};
use super::join::{Line, Seen, lines};
use super::plan::{Attribute, Fetch, Order};
use super::read::invalid;
use super::totals::totals;
use crate::emulator::dataverse::formatted;
use crate::emulator::dataverse::model::{ColumnDefinition, Environment, Record};
use crate::emulator::dataverse::prefer::FORMATTED;
use crate::emulator::dataverse::query::aggregate::group;
use crate::emulator::dataverse::query::cookie::Cookie;
use crate::emulator::dataverse::query::expression::Subject;
use crate::emulator::dataverse::query::list::{next_link, notes};
use crate::emulator::dataverse::query::operand::Operand;
use crate::emulator::dataverse::query::page::{By, Keyed, LARGEST, Paging};
use crate::emulator::dataverse::query::shown::Asked;
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render::{self, Object, View, array};

/// How a further page is announced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pages {
    /// By annotations, when the caller wants them.
    Cookie,
    /// By `@odata.nextLink`.
    Link,
}

/// The JSON body of the answer.
pub fn answer(
    asked: Asked<'_>,
    fetch: &Fetch,
    pages: Pages,
    now: Timestamp,
) -> Result<String, Refusal> {
    let env = asked.view.env;
    let extra = intersects(env);
    let bound = Bound::new(env, &extra, fetch, now)?;
    let found = lines(&bound)?;
    let total = found.len();
    let (shown, next) = if fetch.aggregate {
        let mut shown = totals(&bound, fetch, found)?;
        shown.truncate(fetch.top.or(fetch.count).unwrap_or(LARGEST).min(LARGEST));
        (shown, None)
    } else {
        let (page, next) = page(asked, fetch, &bound, found)?;
        let columns = columns(env, fetch, &bound)?;
        (page.iter().map(|line| columns.json(asked, fetch, line)).collect(), next)
    };
    let set = bound.nodes.first().map_or("", |root| &root.table.definition.entity_set);
    let mut body = Object::new();
    body.text("@odata.context", &format!("{}/$metadata#{set}", asked.base));
    notes(&mut body, asked, fetch.total.then_some(total));
    match pages {
        Pages::Cookie => announce(&mut body, asked, next.as_ref()),
        Pages::Link => {}
    }
    body.raw("value", &array(shown));
    if let (Pages::Link, Some(cookie)) = (pages, &next) {
        body.text("@odata.nextLink", &next_link(asked, cookie));
    }
    Ok(body.finish())
}

fn announce(body: &mut Object, asked: Asked<'_>, next: Option<&Cookie>) {
    let cookie = "Microsoft.Dynamics.CRM.fetchxmlpagingcookie";
    // without a place the caller can only count pages
    if let Some(next) = next.filter(|next| next.place.is_some())
        && asked.prefer().wants(cookie)
    {
        body.text(&format!("@{cookie}"), &next.outer());
    }
    let more = "Microsoft.Dynamics.CRM.morerecords";
    if asked.prefer().wants(more) {
        body.raw(&format!("@{more}"), &next.is_some().to_string());
    }
}

type Page<'a> = (Vec<Line<'a>>, Option<Cookie>);

fn page<'a>(
    asked: Asked<'_>,
    fetch: &Fetch,
    bound: &Bound<'a>,
    mut lines: Vec<Line<'a>>,
) -> Result<Page<'a>, Refusal> {
    if fetch.distinct {
        let key = |line: &Line<'a>| distinct_key(bound, line);
        let groups = group(lines, key).into_iter();
        lines = groups.filter_map(|(_, lines)| lines.into_iter().next()).collect();
    }
    if fetch.top == Some(0) {
        return Ok((Vec::new(), None));
    }
    let size = fetch.top.or(fetch.count).or(asked.prefer().page_size).unwrap_or(LARGEST);
    let mut paging = Paging::after(None, size);
    paging.page = fetch.page.unwrap_or(1).max(1);
    paging.place.clone_from(&fetch.place);
    let orders = orders(bound)?;
    // each root row stands once when every other table is joined by its primary id
    let once = |joined: &Joined<'_>| {
        joined
            .to
            .is_none_or(|(link, _)| link.exists || link.from == joined.table.definition.primary_id)
    };
    let own = orders.iter().all(|(path, _)| path.first().is_some_and(String::is_empty));
    paging.exact = own && !fetch.distinct && bound.nodes.iter().all(once);
    let keyed = lines.into_iter().map(|line| {
        let seen = Seen { bound, line: &line };
        let keys = orders.iter().map(|(path, _)| seen.value(path)).collect();
        let id = line.records.first().copied().flatten().map(|record| record.id);
        Keyed { keys, id: id.unwrap_or_default(), item: line }
    });
    let by: Vec<By> = orders.iter().map(|(_, by)| by.clone()).collect();
    let primary = bound.nodes.first().map_or("", |root| &root.table.definition.primary_id);
    let (page, next) = paging.cut(keyed.collect(), &by, primary)?;
    Ok((page, next.filter(|_| fetch.top.is_none())))
}

/// The columns that lines of a distinct query must differ in.
fn distinct_key(bound: &Bound<'_>, line: &Line<'_>) -> Vec<Operand> {
    let seen = Seen { bound, line };
    let columns = bound.nodes.iter().flat_map(|joined| {
        let alias = &joined.node.alias;
        let own = |name: &String| seen.value(&[alias.clone(), name.clone()]);
        joined.node.attributes.iter().map(move |one| own(&one.name))
    });
    columns.collect()
}

type Sorted = ([String; 2], By);

/// Where each sort column is found. It may be named by its column or by an alias.
fn orders(bound: &Bound<'_>) -> Result<Vec<Sorted>, Refusal> {
    let mut orders = Vec::new();
    for joined in &bound.nodes {
        for order in &joined.node.orders {
            orders.push(sorted(bound, joined, order)?);
        }
    }
    Ok(orders)
}

fn sorted(bound: &Bound<'_>, joined: &Joined<'_>, order: &Order) -> Result<Sorted, Refusal> {
    let joined = match &order.table {
        Some(name) => {
            bound.named(name).ok_or_else(|| invalid("an order names an unknown entity"))?
        }
        None => joined,
    };
    let aliased = joined.node.attributes.iter().find(|one| one.alias.as_ref() == Some(&order.name));
    let name = aliased.map_or(&order.name, |one| &one.name);
    let kind = column(&joined.table.definition, name)?.kind;
    let by = By { name: name.clone(), kind, descending: order.descending };
    Ok(([joined.node.alias.clone(), name.clone()], by))
}

/// What a line shows: the root's columns under their own names, the others under an alias.
struct Columns<'a> {
    env: &'a Environment,
    root: &'a Joined<'a>,
    own: Vec<&'a ColumnDefinition>,
    aliased: Vec<Aliased<'a>>,
}

struct Aliased<'a> {
    /// Which table of the line.
    at: usize,
    joined: &'a Joined<'a>,
    name: String,
    column: &'a ColumnDefinition,
}

fn columns<'a>(
    env: &'a Environment,
    fetch: &Fetch,
    bound: &'a Bound<'a>,
) -> Result<Columns<'a>, Refusal> {
    let root = bound.nodes.first().ok_or_else(|| invalid("there is no <entity> element"))?;
    let (mut own, mut aliased) = (Vec::new(), Vec::new());
    for (at, joined) in bound.nodes.iter().enumerate() {
        if joined.to.is_some_and(|(link, _)| link.exists) {
            continue;
        }
        for (column, alias) in chosen(joined)? {
            let name = match alias {
                Some(alias) => alias.clone(),
                None if at == 0 && fetch.distinct => render::property(column),
                None if at == 0 => {
                    own.push(column);
                    continue;
                }
                None => format!("{}.{}", joined.node.alias, column.logical_name),
            };
            aliased.push(Aliased { at, joined, name, column });
        }
    }
    Ok(Columns { env, root, own, aliased })
}

type Chosen<'a> = (&'a ColumnDefinition, Option<&'a String>);

/// The columns asked for of one table, and their aliases. A root without any shows all.
fn chosen<'a>(joined: &Joined<'a>) -> Result<Vec<Chosen<'a>>, Refusal> {
    let definition = &joined.table.definition;
    let node = joined.node;
    if node.all || (joined.to.is_none() && node.attributes.is_empty()) {
        return Ok(definition.columns.iter().map(|column| (column, None)).collect());
    }
    let one = |attribute: &'a Attribute| {
        Ok((column(definition, &attribute.name)?, attribute.alias.as_ref()))
    };
    node.attributes.iter().map(one).collect()
}

impl Columns<'_> {
    fn json(&self, asked: Asked<'_>, fetch: &Fetch, line: &Line<'_>) -> String {
        let mut object = Object::new();
        if let Some(Some(record)) = line.records.first()
            && !fetch.distinct
        {
            let View { prefer, .. } = asked.view;
            let view = View { env: self.env, table: self.root.table, prefer };
            view.write(&mut object, record, &self.own);
        }
        for one in &self.aliased {
            if let Some(Some(record)) = line.records.get(one.at) {
                self.aliased(&mut object, asked, one, record);
            }
        }
        object.finish()
    }

    /// A column under an alias; a null one is left out, as the service does.
    fn aliased(&self, object: &mut Object, asked: Asked<'_>, one: &Aliased<'_>, record: &Record) {
        let column = one.column;
        let definition = &one.joined.table.definition;
        let value = Operand::of_column(definition, record, &column.logical_name);
        if value == Operand::Null {
            return;
        }
        let Some(cell) = record.cells.get(&column.logical_name) else {
            object.raw(&one.name, &value.json());
            return;
        };
        if asked.prefer().wants(FORMATTED)
            && let Some(text) = formatted::text(self.env, column, record, cell)
        {
            object.text(&format!("{}@{FORMATTED}", one.name), &text);
        }
        object.raw(&one.name, &render::json(cell, column.kind));
    }
}
