//! The order in which tables are written: parents before the rows that refer to them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Map;

/// Groups the names of maps so that a map comes after every map that writes a table it looks up. Maps
/// in a circle, and maps that look up their own table, share a group: the rows that come too early are
/// tried again once the others are written.
pub(super) fn levels(maps: &[Arc<Map>]) -> Vec<Vec<String>> {
    let mut open: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for map in maps {
        let parents = maps.iter().filter(|parent| {
            parent.name() != map.name()
                && parent.destination.system == map.destination.system
                && looks_up(map, &parent.destination.table)
        });
        open.entry(map.name()).or_default().extend(parents.map(|parent| parent.name()));
    }
    let mut levels = Vec::new();
    while !open.is_empty() {
        let waits = |parents: &BTreeSet<&str>| parents.iter().any(|name| open.contains_key(name));
        let free: Vec<&str> =
            open.iter().filter(|(_, parents)| !waits(parents)).map(|(name, _)| *name).collect();
        let level = if free.is_empty() { open.keys().copied().collect() } else { free };
        open.retain(|name, _| !level.contains(name));
        levels.push(level.into_iter().map(str::to_owned).collect());
    }
    levels
}

fn looks_up(map: &Map, table: &str) -> bool {
    let plans = map.fields.iter().chain(&map.key).map(|(_, plan)| plan);
    plans.filter_map(|plan| plan.shape.lookup.as_ref()).any(|(looked, _)| looked == table)
}
