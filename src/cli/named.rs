//! What a command means by the names it is given: a map, or the source of events.

use crate::mapping::Maps;

/// A name that names nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Error {
    #[error("no map is called `{name}`; there are: {}", known.join(", "))]
    Map { name: String, known: Vec<String> },
    #[error("say with --system which source the event comes from: {}", known.join(", "))]
    System { known: Vec<String> },
}

/// Fails when no map is called so.
pub(super) fn map(maps: &Maps, name: &str) -> Result<(), Error> {
    if maps.get(name).is_some() {
        return Ok(());
    }
    Err(Error::Map { name: name.to_owned(), known: all(maps) })
}

/// The maps named, all without names.
pub(super) fn maps(maps: &Maps, named: &[String]) -> Result<Vec<String>, Error> {
    named.iter().try_for_each(|name| map(maps, name))?;
    Ok(if named.is_empty() { all(maps) } else { named.to_vec() })
}

/// The source of events: the one named, that of the map named, or the only one that maps read.
pub(super) fn source<'s>(
    (system, map): (Option<&String>, Option<&String>),
    maps: &Maps,
    sources: impl Iterator<Item = &'s str> + Clone,
) -> Result<String, Error> {
    let of_map = || Some(maps.get(map?)?.system.clone());
    let named = system.cloned().or_else(of_map).or_else(|| maps.only_source());
    named
        .filter(|name| sources.clone().any(|known| known == name))
        .ok_or_else(|| Error::System { known: sources.map(str::to_owned).collect() })
}

fn all(maps: &Maps) -> Vec<String> {
    maps.destinations().iter().map(|to| to.map.to_string()).collect()
}
