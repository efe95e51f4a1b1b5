//! Registered steps, read from their rows: what they listen to, where they post, what they take along.
//! Steps that are disabled, or whose endpoint or message is gone, are left out.

use uuid::Uuid;

use super::{IMAGES, Mode, STEPS, name, several};
use crate::emulator::dataverse::model::{Cell, Environment, Record};
use crate::emulator::dataverse::session::{Change, Message};

/// A step at work.
#[derive(Clone, Debug)]
pub struct Step {
    /// Its id.
    pub id: Uuid,
    /// Its name.
    pub name: String,
    /// When it runs.
    pub mode: Mode,
    /// 10, 20 or 40.
    pub stage: i64,
    /// Its endpoint.
    pub endpoint: Endpoint,
    /// What it takes along.
    pub images: Vec<Image>,
    /// Whether nothing stays of its jobs that went well.
    pub forgotten: bool,
    message: String,
    table: Option<String>,
    filter: Vec<String>,
    rank: i64,
}

/// Where a step posts to.
#[derive(Clone, Debug)]
pub struct Endpoint {
    /// Its name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// The address of a webhook.
    pub url: String,
    /// How a webhook is to show who calls: 4 key, 5 headers, 6 query.
    pub auth: i64,
    /// With what.
    pub secret: String,
}

/// The contract of an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A webhook.
    Webhook,
    /// A queue, topic or event hub.
    Bus,
}

impl Kind {
    /// Whether it is a message broker.
    pub fn is_bus(self) -> bool {
        self == Self::Bus
    }
}

/// An image of a row.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its alias.
    pub alias: String,
    /// Whether it shows the row before.
    pub before: bool,
    /// Whether it shows the row after.
    pub after: bool,
    /// Its columns; all when none is named.
    pub columns: Vec<String>,
}

impl Step {
    /// Whether the step listens to this change. An update counts when one of the filtering attributes
    /// is in the request, changed or not.
    pub(super) fn fits(&self, change: &Change) -> bool {
        let listens = self.message == name(change.message) && self.is_about(&change.table);
        let filtered = change.message == Message::Update && !self.filter.is_empty();
        listens && (!filtered || change.columns.iter().any(|column| self.filter.contains(column)))
    }

    /// Whether the step listens to the message about several rows that this change is part of.
    pub(super) fn fits_several(&self, change: &Change) -> bool {
        several(change.message) == Some(self.message.as_str()) && self.is_about(&change.table)
    }

    fn is_about(&self, table: &str) -> bool {
        self.table.as_ref().is_none_or(|own| own == table)
    }
}

/// All steps that are enabled, by stage and rank.
pub fn registered(env: &Environment) -> Vec<Step> {
    let rows = env.tables.get(STEPS).into_iter().flat_map(|table| table.rows.values());
    let mut steps: Vec<Step> = rows.filter_map(|row| step(env, row)).collect();
    steps.sort_by_key(|step| (step.stage, step.rank));
    steps
}

fn step(env: &Environment, row: &Record) -> Option<Step> {
    if integer(row, "statecode").unwrap_or_default() != 0 {
        return None;
    }
    let message = text(linked(env, row, "sdkmessageid")?, "name");
    let filter = linked(env, row, "sdkmessagefilterid");
    let table = filter.map(|filter| text(filter, "primaryobjecttypecode"));
    let endpoint = linked(env, row, "eventhandler").and_then(endpoint)?;
    let sync = integer(row, "mode").unwrap_or_default() == 0;
    Some(Step {
        id: row.id,
        name: text(row, "name"),
        mode: if sync { Mode::Synchronous } else { Mode::Asynchronous },
        stage: integer(row, "stage").unwrap_or(40),
        endpoint,
        images: images(env, row.id),
        forgotten: row.cells.get("asyncautodelete") == Some(&Cell::Boolean(true)),
        message,
        table: table.filter(|table| table != "none"),
        filter: list(row, "filteringattributes"),
        rank: integer(row, "rank").unwrap_or(1),
    })
}

fn endpoint(row: &Record) -> Option<Endpoint> {
    let kind = match integer(row, "contract")? {
        8 => Kind::Webhook,
        _ => Kind::Bus,
    };
    Some(Endpoint {
        name: text(row, "name"),
        kind,
        url: text(row, "url"),
        auth: integer(row, "authtype").unwrap_or_default(),
        secret: text(row, "authvalue"),
    })
}

fn images(env: &Environment, step: Uuid) -> Vec<Image> {
    let rows = env.tables.get(IMAGES).into_iter().flat_map(|table| table.rows.values());
    let own = rows.filter(|row| lookup(row, "sdkmessageprocessingstepid") == Some(step));
    let image = |row: &Record| {
        let kind = integer(row, "imagetype").unwrap_or_default();
        Image {
            alias: text(row, "entityalias"),
            before: kind != 1,
            after: kind != 0,
            columns: list(row, "attributes"),
        }
    };
    own.map(image).collect()
}

fn linked<'e>(env: &'e Environment, row: &Record, column: &str) -> Option<&'e Record> {
    let Some(Cell::Lookup { table, id }) = row.cells.get(column) else { return None };
    env.tables.get(table)?.rows.get(id)
}

fn lookup(row: &Record, column: &str) -> Option<Uuid> {
    let Some(Cell::Lookup { id, .. }) = row.cells.get(column) else { return None };
    Some(*id)
}

pub(super) fn text(row: &Record, column: &str) -> String {
    let Some(Cell::Text(text)) = row.cells.get(column) else { return String::new() };
    text.clone()
}

pub(super) fn integer(row: &Record, column: &str) -> Option<i64> {
    let Some(Cell::Integer(number)) = row.cells.get(column) else { return None };
    Some(*number)
}

fn list(row: &Record, column: &str) -> Vec<String> {
    let text = text(row, column);
    let names = text.split(',').map(str::trim).filter(|name| !name.is_empty());
    names.map(str::to_owned).collect()
}
