//! The rows that every environment has before anyone writes: the organization, its unit, users, the base
//! currency, and what says which tables offer bulk messages.

use std::collections::BTreeMap;

use jiff::Timestamp;
use rust_decimal::Decimal;
use uuid::Uuid;

use crate::emulator::dataverse::merge;
use crate::emulator::dataverse::model::{Cell, Environment, Record, Table};
use crate::emulator::dataverse::schema::stable_id;

/// The application user in whose name requests run.
pub fn user() -> Uuid {
    stable_id("systemuser/application")
}

/// Another user, to impersonate and to own rows.
pub fn other_user() -> Uuid {
    stable_id("systemuser/person")
}

/// Cells by column name.
type Named = Vec<(&'static str, Cell)>;

/// Fills a new environment.
pub fn environment(env: &mut Environment, now: Timestamp) {
    let now = Cell::Time(Timestamp::from_second(now.as_second()).unwrap_or(now));
    let text = |value: &str| Cell::Text(value.to_owned());
    let unit = stable_id("businessunit");
    let in_unit = || Cell::Lookup { table: "businessunit".to_owned(), id: unit };
    let rows: Vec<(&str, Uuid, Named)> = vec![
        (
            "organization",
            stable_id("organization"),
            vec![
                ("name", text("acme")),
                ("expirechangetrackingindays", Cell::Integer(7)),
                ("languagecode", Cell::Integer(1033)),
            ],
        ),
        ("businessunit", unit, vec![("name", text("acme")), ("isdisabled", Cell::Boolean(false))]),
        ("systemuser", user(), person("# Integration", "integration@acme.example", in_unit())),
        ("systemuser", other_user(), person("Robin Person", "robin@acme.example", in_unit())),
        (
            "team",
            stable_id("team"),
            vec![
                ("name", text("acme")),
                ("isdefault", Cell::Boolean(true)),
                ("teamtype", Cell::Integer(0)),
                ("businessunitid", in_unit()),
            ],
        ),
        ("role", stable_id("role"), vec![("name", text("Concord")), ("businessunitid", in_unit())]),
        (
            "transactioncurrency",
            stable_id("transactioncurrency"),
            vec![
                ("currencyname", text("US Dollar")),
                ("isocurrencycode", text("USD")),
                ("currencysymbol", text("$")),
                ("currencyprecision", Cell::Integer(2)),
                ("exchangerate", Cell::Decimal(Decimal::ONE)),
                ("statecode", Cell::Integer(0)),
                ("statuscode", Cell::Integer(1)),
            ],
        ),
    ];
    for (table, id, mut cells) in rows {
        cells.push(("createdon", now.clone()));
        cells.push(("modifiedon", now.clone()));
        add(env, table, id, cells);
    }
    for message in MESSAGES {
        let name = vec![("name", text(message))];
        add(env, "sdkmessage", stable_id(&format!("sdkmessage/{message}")), name);
    }
    message_filters(env);
    if let Some(own) =
        env.tables.get_mut("systemuser").and_then(|users| users.rows.get_mut(&user()))
    {
        own.cells.insert("applicationid".to_owned(), Cell::Guid(stable_id("entra/application")));
    }
    let mut roles = env.many_to_many.iter_mut();
    if let Some(roles) = roles.find(|relation| relation.intersect == "systemuserroles") {
        roles.pairs.insert((user(), stable_id("role")));
    }
}

fn person(name: &str, mail: &str, unit: Cell) -> Named {
    let object = stable_id(&format!("entra/{mail}"));
    vec![
        ("fullname", Cell::Text(name.to_owned())),
        ("domainname", Cell::Text(mail.to_owned())),
        ("internalemailaddress", Cell::Text(mail.to_owned())),
        ("azureactivedirectoryobjectid", Cell::Guid(object)),
        ("isdisabled", Cell::Boolean(false)),
        ("businessunitid", unit),
    ]
}

/// UpsertMultiple has no filters of its own (Dataverse, bulk operation messages).
const MESSAGES: [&str; 9] = [
    "Create",
    "Update",
    "Delete",
    "Associate",
    "Disassociate",
    "Merge",
    "CreateMultiple",
    "UpdateMultiple",
    "UpsertMultiple",
];

/// Says for every table which messages it takes: one row of `sdkmessagefilters` each. Tables that have
/// their rows already are left alone. Associate and Disassociate are of no table.
pub fn message_filters(env: &mut Environment) {
    let facts = |table: &Table| {
        let definition = &table.definition;
        (definition.logical_name.clone(), definition.bulk, merge::is_offered(definition))
    };
    let tables: Vec<(String, bool, bool)> = env.tables.values().map(facts).collect();
    for (table, bulk, merges) in tables {
        let single = ["Create", "Update", "Delete"].into_iter();
        let merge = ["Merge"].into_iter().filter(|_| merges);
        let many = ["CreateMultiple", "UpdateMultiple"].into_iter().filter(|_| bulk);
        for message in single.chain(merge).chain(many) {
            let id = stable_id(&format!("sdkmessagefilter/{message}/{table}"));
            let message = stable_id(&format!("sdkmessage/{message}"));
            let cells = vec![
                ("primaryobjecttypecode", Cell::Text(table.clone())),
                ("secondaryobjecttypecode", Cell::Text("none".to_owned())),
                ("iscustomprocessingstepallowed", Cell::Boolean(true)),
                ("sdkmessageid", Cell::Lookup { table: "sdkmessage".to_owned(), id: message }),
            ];
            add(env, "sdkmessagefilter", id, cells);
        }
    }
}

/// Adds a row unless it is there.
fn add(env: &mut Environment, table: &str, id: Uuid, cells: Vec<(&str, Cell)>) {
    let Some(table) = env.tables.get_mut(table) else { return };
    if table.rows.contains_key(&id) {
        return;
    }
    env.version += 1;
    let known = cells.into_iter().filter(|(name, _)| table.definition.column(name).is_some());
    let cells: BTreeMap<String, Cell> = known.map(|(name, cell)| (name.to_owned(), cell)).collect();
    table.rows.insert(id, Record { id, version: env.version, cells });
}
