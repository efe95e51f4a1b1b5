//! Whether the canaries of `concord.toml` can fly: their maps are there, carry their stamps, and read from
//! sources that can be written.

use std::sync::Arc;

use super::Config;
use crate::canary::Canary;
use crate::mapping::problem::Problems;
use crate::mapping::{Map, Maps, Problem};
use crate::row::Mode;

/// What is wrong with them in the light of the maps.
pub(super) fn problems(config: &Config, maps: &Maps) -> Vec<Problem> {
    let mut problems = Problems::new(Arc::clone(&config.places));
    for (name, canary) in &config.canaries {
        let path = format!("canaries/{name}");
        let Some(map) = maps.get(name) else {
            let known = maps.iter().map(|map| &*map.name);
            let message = format!("`{name}` is no map");
            problems.unknown(&path, ("canary", name), known, message);
            continue;
        };
        if let Some(message) = unfit(config, canary, map) {
            problems.error(&path, "canary", message);
        }
    }
    problems.into_vec()
}

fn unfit(config: &Config, canary: &Canary, map: &Map) -> Option<String> {
    let (source, stamp) = (&map.system, &canary.stamp);
    if !config.targets.contains_key(source) {
        return Some(format!(
            "`{source}` only tells what happens in it and cannot be written, so no row is stamped \
             there; take this canary out, and watch `lag_ms` of its deliveries instead"
        ));
    }
    if map.destination.mode == Mode::Insert {
        return Some("a map that only creates rows brings no second stamp".to_owned());
    }
    let reads = |name: &str| name.eq_ignore_ascii_case(stamp);
    let carried = stamp.is_empty() || map.properties.any() || map.properties.names().any(reads);
    (!carried).then(|| format!("the map does not read `{stamp}`, so no stamp would arrive"))
}
