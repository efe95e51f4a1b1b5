//! What must be so when everything is at rest, computed from what was said and from nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};

use concord::decode::Decoder;
use concord::mapping::{Defaults, Maps, Surroundings};
use concord::store::Property;

use crate::plan::{Said, What};
use crate::world::World;

/// What every instance starts with: maps and decoders.
type Read = (Arc<Maps>, BTreeMap<Arc<str>, Decoder>);

/// The systems that may be targets.
pub(crate) const TARGETS: [&str; 3] = ["sales", "finance", "logistics"];

/// The maps of so many targets. Read once, because they never change.
pub(crate) fn maps(targets: usize) -> Read {
    static READ: LazyLock<Vec<Read>> = LazyLock::new(|| (0..=TARGETS.len()).map(read).collect());
    READ[targets].clone()
}

/// One map for each target, all of them like the one of the first.
fn read(targets: usize) -> Read {
    let text = std::fs::read_to_string("tests/fixtures/simulate/thing.toml").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let targets: Vec<String> = TARGETS[..targets].iter().map(ToString::to_string).collect();
    for target in &targets {
        let text = text.replace("\"thing\"", &format!("\"{target}\""));
        let text = text.replace("\"sales\"", &format!("\"{target}\""));
        std::fs::write(folder.path().join(format!("{target}.toml")), text).unwrap();
    }
    let systems: Vec<String> = ["mdm".to_owned()].into_iter().chain(targets.clone()).collect();
    let around = Surroundings {
        defaults: &Defaults::default(),
        systems: &systems,
        targets: &targets,
        setting: &|_| None,
    };
    let maps = Maps::load(folder.path(), &around);
    let config = serde_json::from_value(serde_json::json!({ "kind": "cluedin" })).unwrap();
    let decoder = Decoder::new(&config).unwrap();
    (Arc::new(maps.unwrap_or_else(|wrong| panic!("{wrong:#?}"))), [("mdm".into(), decoder)].into())
}

/// Compares the whole final state with what was said.
pub(crate) fn check(world: &World) -> Result<(), String> {
    let mut keys = BTreeMap::<u64, Vec<&Said>>::new();
    for said in &world.plan.said {
        keys.entry(said.key).or_default().push(said);
    }
    let (mut wanted, mut parents) = (BTreeMap::new(), BTreeMap::new());
    for (key, said) in keys {
        let accepted = said.iter().filter(|said| matches!(said.what, What::There | What::Gone));
        let newest = accepted.max_by_key(|said| said.second);
        if let Some(newest) = newest.filter(|said| said.what == What::There) {
            wanted.insert(key.to_string(), newest.name());
            let parent = newest.parent.map(|parent| (key.to_string(), parent.to_string()));
            parents.extend(parent);
        }
    }
    for (name, target) in &world.targets {
        let (names, found) = (target.names(), target.parents());
        if names != wanted {
            return Err(format!("{name} holds {names:#?}, not {wanted:#?}"));
        }
        if found != parents {
            return Err(format!("the rows of {name} refer to {found:#?}, not to {parents:#?}"));
        }
    }
    let bad = |said: &&Said| matches!(said.what, What::Unmappable | What::Refused);
    let bodies: BTreeSet<String> = world.plan.said.iter().filter(bad).map(Said::body).collect();
    let records = world.poison.all();
    // A refused version that something newer overtook need not have been tried.
    let unmappable = world.plan.said.iter().filter(|said| said.what == What::Unmappable).count();
    let (most, least) = (bodies.len() * world.targets.len(), unmappable * world.targets.len());
    if records.len() > most || records.len() < least {
        return Err(format!("{} records of poison, not {least} to {most}", records.len()));
    }
    for ((partition, row), entity) in world.ledger.all() {
        let is_there = |part: &&&str| {
            entity.properties.get(**part).is_some_and(|part| *part != Property::Text(String::new()))
        };
        let open = ["intent", "loose", "held"].iter().find(is_there);
        if let Some(part) = open {
            return Err(format!("{partition} {row} is left with {part}: {:?}", entity.properties));
        }
        if row.starts_with('~') || partition.starts_with('~') {
            return Err(format!("index row {partition} {row} is left over"));
        }
    }
    Ok(())
}
