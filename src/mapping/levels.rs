//! The order in which the maps of one batch are written: parents before children.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::map::Map;

/// The names of maps by level. A map comes after those that write a table it refers to; what refers
/// to itself or in a circle comes last, together.
pub(super) fn levels(maps: &[Arc<Map>]) -> Vec<Vec<String>> {
    let mut open: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for map in maps {
        let tables = referred(map);
        let parents = maps.iter().filter(|parent| {
            let to = &parent.destination;
            to.system == map.destination.system
                && tables.contains(&to.table)
                && parent.name != map.name
        });
        let parents = parents.map(|parent| parent.name.to_string());
        open.entry(map.name.to_string()).or_default().extend(parents);
    }
    let mut levels = Vec::new();
    while !open.is_empty() {
        let waits = |parents: &BTreeSet<String>| parents.iter().any(|name| open.contains_key(name));
        let mut ready: Vec<String> = open
            .iter()
            .filter(|(_, parents)| !waits(parents))
            .map(|(name, _)| name.clone())
            .collect();
        if ready.is_empty() {
            ready = open.keys().cloned().collect();
        }
        open.retain(|name, _| !ready.contains(name));
        levels.push(ready);
    }
    levels
}

/// The tables that a map's lookups refer to.
fn referred(map: &Map) -> BTreeSet<String> {
    let mut tables = BTreeSet::new();
    for plan in map.plans() {
        plan.visit(&mut |plan| {
            tables.extend(plan.shape.lookup.as_ref().map(|(table, _)| table.clone()));
        });
    }
    tables
}
