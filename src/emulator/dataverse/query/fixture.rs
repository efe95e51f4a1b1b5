//! A small environment for tests of queries: accounts with a parent and a price, contacts of accounts,
//! and tags that accounts share.

use uuid::Uuid;

use crate::emulator::dataverse::model::{
    Cell, ColumnDefinition, Definition, Environment, Kind, LookupTarget, ManyToMany, OnDelete,
    Ownership, Record, Side, Table,
};

/// The id of the row with this number.
pub(crate) fn id(number: u128) -> Uuid {
    Uuid::from_u128(number)
}

/// Accounts 1 Alpha (500), 2 beta (20.50, child of 1), 3 BETA (null, child of 1); contacts 11 Anna and
/// 12 Bo of 1, 13 Cy of nobody; tag 21 on accounts 1 and 2.
pub(crate) fn environment() -> Environment {
    let mut env = Environment::default();
    let parent = lookup("parentaccountid", "account", "parentaccountid", "account_parent_account");
    let customer = lookup(
        "parentcustomerid",
        "account",
        "parentcustomerid_account",
        "contact_customer_accounts",
    );
    add(
        &mut env,
        "account",
        "accounts",
        vec![
            ("revenue", Kind::Money),
            ("createdon", Kind::DateTime),
            ("kinds", Kind::MultiSelectPicklist),
        ],
        vec![parent],
    );
    add(&mut env, "contact", "contacts", vec![("active", Kind::Boolean)], vec![customer]);
    add(&mut env, "tag", "tags", vec![], vec![]);
    rows(&mut env);
    env.many_to_many.push(ManyToMany {
        schema_name: "account_tag".into(),
        intersect: "account_tag".into(),
        first: Side { table: "account".into(), navigation: "tags".into() },
        second: Side { table: "tag".into(), navigation: "accounts".into() },
        metadata_id: id(99),
        pairs: [(id(1), id(21)), (id(2), id(21))].into_iter().collect(),
    });
    env
}

fn rows(env: &mut Environment) {
    let time = |text: &str| Cell::Time(text.parse().unwrap());
    let money = |text: &str| Cell::Decimal(text.parse().unwrap());
    row(
        env,
        "account",
        1,
        "Alpha",
        vec![
            ("revenue", money("500")),
            ("createdon", time("2024-05-01T10:00:00Z")),
            ("kinds", Cell::Choices(vec![1, 3])),
        ],
    );
    row(
        env,
        "account",
        2,
        "beta",
        vec![
            ("revenue", money("20.50")),
            ("createdon", time("2024-06-01T10:00:00Z")),
            ("parentaccountid", refers("account", 1)),
        ],
    );
    row(env, "account", 3, "BETA", vec![("parentaccountid", refers("account", 1))]);
    row(
        env,
        "contact",
        11,
        "Anna",
        vec![("parentcustomerid", refers("account", 1)), ("active", Cell::Boolean(true))],
    );
    row(
        env,
        "contact",
        12,
        "Bo",
        vec![("parentcustomerid", refers("account", 1)), ("active", Cell::Boolean(false))],
    );
    row(env, "contact", 13, "Cy", vec![]);
    row(env, "tag", 21, "Hot", vec![]);
}

fn refers(table: &str, number: u128) -> Cell {
    Cell::Lookup { table: table.into(), id: id(number) }
}

fn lookup(name: &str, table: &str, navigation: &str, collection: &str) -> ColumnDefinition {
    let target = LookupTarget {
        table: table.into(),
        navigation: navigation.into(),
        collection: collection.into(),
        on_delete: OnDelete::RemoveLink,
    };
    ColumnDefinition { targets: vec![target], ..ColumnDefinition::of(name, Kind::Lookup) }
}

fn add(
    env: &mut Environment,
    name: &str,
    set: &str,
    columns: Vec<(&str, Kind)>,
    lookups: Vec<ColumnDefinition>,
) {
    let primary = format!("{name}id");
    let plain = columns.into_iter().map(|(name, kind)| ColumnDefinition::of(name, kind));
    let first = [
        ColumnDefinition::of(&primary, Kind::Uniqueidentifier),
        ColumnDefinition::of("name", Kind::String),
    ];
    let definition = Definition {
        logical_name: name.into(),
        schema_name: name.into(),
        entity_set: set.into(),
        display_name: name.into(),
        primary_id: primary,
        primary_name: "name".into(),
        ownership: Ownership::None,
        change_tracking: false,
        bulk: true,
        optimistic_concurrency: true,
        columns: first.into_iter().chain(plain).chain(lookups).collect(),
        keys: Vec::new(),
        metadata_id: id(name.len() as u128),
    };
    env.tables.insert(name.into(), Table::new(definition));
}

fn row(env: &mut Environment, table: &str, number: u128, name: &str, cells: Vec<(&str, Cell)>) {
    let mut cells: std::collections::BTreeMap<String, Cell> =
        cells.into_iter().map(|(name, cell)| (name.to_owned(), cell)).collect();
    cells.insert("name".into(), Cell::Text(name.into()));
    let record = Record { id: id(number), version: i64::try_from(number).unwrap(), cells };
    env.tables.get_mut(table).unwrap().rows.insert(id(number), record);
}
