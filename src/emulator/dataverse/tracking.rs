//! Change tracking: a first full read that ends in a delta link, and the changes since such a link.
//! Rows come whole and in the order of their versions, deletions last with nothing but their id; tokens
//! die of age and of changes to the table's definition (Dataverse, change tracking).

use jiff::civil::DateTime;
use jiff::{Timestamp, ToSpan, tz::TimeZone};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use uuid::Uuid;

use crate::emulator::dataverse::answer::Answer;
use crate::emulator::dataverse::call::Call;
use crate::emulator::dataverse::model::{Cell, ColumnDefinition, Environment, Record, Table};
use crate::emulator::dataverse::refusal::Refusal;
use crate::emulator::dataverse::render::{self, Object, View};
use crate::emulator::dataverse::session::Session;

/// The most rows on a page.
const PAGE: usize = 5000;
/// How long a token lives when the organization does not say, in days.
const LIFE: i64 = 7;
const TOKEN_TIME: &str = "%m/%d/%Y %H:%M:%S";

/// Whether a request is for a tracked list, the changes since one, or a further page of either.
pub fn is_tracked(call: &Call) -> bool {
    call.prefer.track_changes
        || call.option("$deltatoken").is_some()
        || call.option("$skiptoken").is_some_and(|token| Place::parse(token).is_some())
}

/// Where a page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// A full read that began at version `until`, after the row `last`.
    Full { until: i64, last: Uuid },
    /// A read of the changes from version `since` to `until`, after the row version `last`.
    Delta { since: i64, until: i64, last: i64 },
}

impl Place {
    fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("tracked,")?.split(',');
        let (kind, until) = (parts.next()?, parts.next()?.parse().ok()?);
        let last = parts.next()?;
        match kind {
            "full" => Some(Self::Full { until, last: last.parse().ok()? }),
            "delta" => {
                let (last, since) = (last.parse().ok()?, parts.next()?.parse().ok()?);
                Some(Self::Delta { since, until, last })
            }
            _ => None,
        }
    }

    fn text(self) -> String {
        match self {
            Self::Full { until, last } => format!("tracked,full,{until},{last}"),
            Self::Delta { since, until, last } => {
                format!("tracked,delta,{until},{last},{since}")
            }
        }
    }
}

/// One page.
pub fn page(session: &Session<'_>, call: &Call, table: &Table) -> Result<Answer, Refusal> {
    check(call, table)?;
    let size = call.prefer.page_size.unwrap_or(PAGE).min(PAGE);
    let place = call.option("$skiptoken").and_then(Place::parse);
    let (items, next, until) = match (place, call.option("$deltatoken")) {
        (Some(Place::Full { until, last }), _) => full(table, Some(last), until, size),
        (Some(Place::Delta { since, until, last }), _) => delta(table, (since, last), until, size),
        (None, Some(token)) => {
            let since = since(session, table, token)?;
            delta(table, (since, since), session.env.version, size)
        }
        (None, None) => full(table, None, session.env.version, size),
    };
    let columns = selected(call, table)?;
    let view = View { env: session.env, table, prefer: &call.prefer };
    let shown = items.into_iter().map(|item| item.json(&view, &columns, &call.base));
    let mut body = Object::new();
    body.text("@odata.context", &context(call, table));
    if next.is_none() {
        let token = format!("{until}!{}", session.now.strftime(TOKEN_TIME));
        body.text("@odata.deltaLink", &link(call, table, "$deltatoken", &token));
    }
    body.raw("value", &render::array(shown));
    if let Some(next) = next {
        body.text("@odata.nextLink", &link(call, table, "$skiptoken", &next.text()));
    }
    Ok(Answer::json(200, body.finish()))
}

/// How many changes there are since the token.
pub fn count(session: &Session<'_>, call: &Call, table: &Table) -> Result<usize, Refusal> {
    check(call, table)?;
    let since = since(session, table, call.option("$deltatoken").unwrap_or_default())?;
    Ok(delta(table, (since, since), session.env.version, usize::MAX).0.len())
}

enum Item<'t> {
    Row(&'t Record),
    Deleted(Uuid),
}

impl Item<'_> {
    fn json(&self, view: &View<'_>, columns: &[&ColumnDefinition], base: &str) -> String {
        let mut object = Object::new();
        match self {
            Self::Row(record) => view.write(&mut object, record, columns),
            Self::Deleted(id) => {
                let set = &view.table.definition.entity_set;
                object.text("@odata.context", &format!("{base}$metadata#{set}/$deletedEntity"));
                object.text("id", &id.to_string());
                object.text("reason", "deleted");
            }
        }
        object.finish()
    }
}

type Page<'t> = (Vec<Item<'t>>, Option<Place>, i64);

/// A page of all rows, by id. Rows written since the read began are in it with their new values, and
/// once more in the first delta.
fn full(table: &Table, after: Option<Uuid>, until: i64, size: usize) -> Page<'_> {
    let mut rows: Vec<&Record> =
        table.rows.values().filter(|row| after.is_none_or(|after| row.id > after)).collect();
    let more = rows.len() > size;
    if more {
        rows.select_nth_unstable_by_key(size, |row| row.id);
        rows.truncate(size);
    }
    rows.sort_unstable_by_key(|row| row.id);
    let last = rows.last().filter(|_| more);
    let next = last.map(|row| Place::Full { until, last: row.id });
    (rows.into_iter().map(Item::Row).collect(), next, until)
}

/// A page of the changes after version `since`: rows by version from `last` on, then deletions.
fn delta(table: &Table, (since, last): (i64, i64), until: i64, size: usize) -> Page<'_> {
    let mut rows: Vec<&Record> = table.rows.values().filter(|row| row.version > last).collect();
    rows.sort_unstable_by_key(|row| row.version);
    // Pages go by version; deletions stand behind all rows, so they travel with the last page.
    let more = rows.len() > size;
    rows.truncate(size);
    let last = rows.last().filter(|_| more);
    let next = last.map(|row| Place::Delta { since, until, last: row.version });
    let mut items: Vec<Item<'_>> = rows.into_iter().map(Item::Row).collect();
    if next.is_none() {
        let gone = table
            .deleted
            .iter()
            .filter(|(version, id)| *version > since && !table.rows.contains_key(id));
        items.extend(gone.map(|(_, id)| Item::Deleted(*id)));
    }
    (items, next, until)
}

fn check(call: &Call, table: &Table) -> Result<(), Refusal> {
    let name = &table.definition.logical_name;
    if !table.definition.change_tracking {
        let message = format!("Entity {name} isn't enabled for change tracking.");
        return Err(Refusal::bad("0x80072491", message));
    }
    let forbidden = ["$filter", "$orderby", "$expand", "$top", "$apply", "fetchXml"];
    match forbidden.into_iter().find(|name| call.option(name).is_some()) {
        None => Ok(()),
        Some(option) => Err(Refusal::bad(
            "0x80060888",
            format!(
                "The \"{option}\" query parameter isn't supported when Change Tracking is enabled."
            ),
        )),
    }
}

/// The version that a delta token stands for. Refuses tokens that cannot be read or are dead.
fn since(session: &Session<'_>, table: &Table, token: &str) -> Result<i64, Refusal> {
    let unreadable = || Refusal::bad("0x80040203", format!("Invalid delta token '{token}'."));
    let (version, time) = token.split_once('!').ok_or_else(unreadable)?;
    let version: i64 = version.parse().map_err(|_| unreadable())?;
    let made = moment(time).ok_or_else(unreadable)?;
    let redefined = session.redefined.get(&table.definition.logical_name);
    let end = made.checked_add((life(session.env) * 24).hours()).unwrap_or(Timestamp::MAX);
    if redefined.is_some_and(|at| *at > version)
        || session.now > end
        || version > session.env.version
    {
        let message = "Version stamp associated with the client has expired. Please perform a full \
                       sync.";
        return Err(Refusal::bad("0x80044352", message));
    }
    Ok(version)
}

fn moment(text: &str) -> Option<Timestamp> {
    let civil = DateTime::strptime(TOKEN_TIME, text).ok()?;
    civil.to_zoned(TimeZone::UTC).ok().map(|zoned| zoned.timestamp())
}

/// `expirechangetrackingindays` of the organization.
fn life(env: &Environment) -> i64 {
    let row = env.tables.get("organization").and_then(|table| table.rows.first());
    let Some(Cell::Integer(days)) =
        row.and_then(|(_, row)| row.cells.get("expirechangetrackingindays"))
    else {
        return LIFE;
    };
    (*days).clamp(0, 365)
}

fn selected<'t>(call: &Call, table: &'t Table) -> Result<Vec<&'t ColumnDefinition>, Refusal> {
    let Some(select) = call.option("$select") else {
        return Ok(table.definition.columns.iter().collect());
    };
    let names = select.split(',').map(str::trim).filter(|name| !name.is_empty());
    names
        .map(|name| {
            let mut columns = table.definition.columns.iter();
            columns
                .find(|column| render::property(column) == name || column.logical_name == name)
                .ok_or_else(|| Refusal::no_property(name, &table.definition.logical_name))
        })
        .collect()
}

fn context(call: &Call, table: &Table) -> String {
    let set = &table.definition.entity_set;
    let select = call.option("$select").map(|select| format!("({select})")).unwrap_or_default();
    format!("{}$metadata#{set}{select}/$delta", call.base)
}

fn link(call: &Call, table: &Table, option: &str, token: &str) -> String {
    let set = &table.definition.entity_set;
    let select =
        call.option("$select").map(|select| format!("$select={}&", select.replace(' ', "")));
    let token = utf8_percent_encode(token, NON_ALPHANUMERIC);
    format!("{}{set}?{}{option}={token}", call.base, select.unwrap_or_default())
}
