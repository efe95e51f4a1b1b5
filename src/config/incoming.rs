//! How the events and rows of the Dataverse environments are decoded: what the maps read of each table
//! comes in, one decoder for each environment goes out.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Config, Target};
use crate::decode::Decoder;
use crate::decode::dataverse::{Table, Tables};
use crate::mapping::file::Read;
use crate::mapping::{Map, Maps};
use crate::system::ColumnKind;

/// Names the table of a reference; no column.
const ENTITY_TYPE: &str = "_entitytype";

/// A decoder for every Dataverse environment.
pub(super) fn decoders(config: &Config, maps: &Maps) -> BTreeMap<Arc<str>, Decoder> {
    let names = config.incoming.keys();
    names.map(|name| (Arc::clone(name), Decoder::dataverse(tables(config, name, maps)))).collect()
}

fn tables(config: &Config, system: &str, maps: &Maps) -> Tables {
    let usual = config.incoming.get(system).map(|incoming| incoming.read).unwrap_or_default();
    let mut tables = BTreeMap::<String, Table>::new();
    for map in maps.iter().filter(|map| map.system == system) {
        let name = map.entity.trim_start_matches('/').to_lowercase();
        let table = tables.entry(name).or_default();
        note(table, map);
        table.pairs |= map.pairs;
        table.fetch |= map.read.unwrap_or(usual) == Read::Fetch;
    }
    if let Some(Target::Dataverse(saved, _)) = config.targets.get(system) {
        for (name, table) in &mut tables {
            let columns = saved.schemas.get(name).into_iter().flat_map(|schema| &schema.columns);
            let dates = columns.filter(|(_, column)| column.kind == ColumnKind::Date);
            table.dates = dates.map(|(name, _)| name.clone()).collect();
        }
    }
    Tables(tables)
}

/// Logical names are lower-case, however a map writes them.
fn note(table: &mut Table, map: &Map) {
    table.all |= map.properties.any();
    for name in map.properties.names().map(str::to_lowercase) {
        match name.split_once('.') {
            Some((lookup, _)) => {
                table.columns.insert(lookup.to_owned());
                table.hops.insert(name);
            }
            None if name.ends_with(ENTITY_TYPE) => {}
            None => {
                table.columns.insert(name);
            }
        }
    }
}
