//! What must be so when everything is at rest, computed from what was said and from nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use concord::decode::Decoder;
use concord::mapping::{Defaults, Maps, Surroundings};

use crate::world::{Said, What, World};

/// The maps and decoders that every instance starts with.
pub(crate) fn maps() -> (Arc<Maps>, BTreeMap<Arc<str>, Decoder>) {
    let around = Surroundings {
        defaults: &Defaults::default(),
        systems: &["mdm".to_owned(), "sales".to_owned()],
        targets: &["sales".to_owned()],
        setting: &|_| None,
    };
    let maps = Maps::load(Path::new("tests/fixtures/simulate"), &around);
    let config = serde_json::from_value(serde_json::json!({ "kind": "cluedin" })).unwrap();
    let decoder = Decoder::new(&config).unwrap();
    (Arc::new(maps.unwrap_or_else(|wrong| panic!("{wrong:#?}"))), [("mdm".into(), decoder)].into())
}

/// Compares the whole final state with what was said.
pub(crate) fn check(world: &World) -> Result<(), String> {
    let mut keys = BTreeMap::<u64, Vec<&Said>>::new();
    for said in &world.said {
        keys.entry(said.key).or_default().push(said);
    }
    let names = world.target.names();
    let mut wanted = BTreeMap::new();
    for (key, said) in keys {
        let accepted = said.iter().filter(|said| matches!(said.what, What::There | What::Gone));
        let newest = accepted.max_by_key(|said| said.second);
        if let Some(newest) = newest.filter(|said| said.what == What::There) {
            let body: serde_json::Value = serde_json::from_str(&newest.body).unwrap();
            wanted.insert(key.to_string(), body["Data"]["Name"].as_str().unwrap().to_owned());
        }
    }
    if names != wanted {
        return Err(format!("the target holds {names:#?}, not {wanted:#?}"));
    }
    let bad = |said: &&Said| matches!(said.what, What::Unmappable | What::Refused);
    let bodies: BTreeSet<&str> = world.said.iter().filter(bad).map(|s| s.body.as_str()).collect();
    let records = world.poison.all();
    // A refused version that something newer overtook need not have been tried.
    let unmappable = world.said.iter().filter(|said| said.what == What::Unmappable).count();
    if records.len() > bodies.len() || records.len() < unmappable {
        return Err(format!("{} records of poison for {} bad events", records.len(), bodies.len()));
    }
    for ((partition, row), entity) in world.ledger.all() {
        let open =
            ["intent", "loose", "held"].iter().find(|part| entity.properties.contains_key(**part));
        if let Some(part) = open {
            return Err(format!("{partition} {row} is left with {part}: {:?}", entity.properties));
        }
        if row.starts_with('~') {
            return Err(format!("index row {partition} {row} is left over"));
        }
    }
    Ok(())
}
