//! The tables that maps write and look up, as their targets describe them.
//!
//! In come maps; out come the descriptions of every table that they name, those on the way of a lookup
//! over several hops included. A target that does not answer in time is given up for all its tables:
//! what is known of a half of them would only mislead.

use std::collections::{BTreeMap, BTreeSet};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};

use crate::config::{Config, Target as Configured};
use crate::fault::{Fault, Kind};
use crate::mapping::Maps;
use crate::mapping::check::Schemas;
use crate::mapping::rule::Plan;
use crate::system::dataverse::Dataverse;
use crate::system::{TableSchema, Target as _};

/// How long a target is left alone with one table before it is asked whether it is there.
const WHILE: Duration = Duration::from_secs(4);
/// How often it is asked before it is given up.
const PATIENCE: u32 = 15;
/// How many tables are asked for at once.
const PARALLEL: usize = 6;

/// What is known of the tables.
#[derive(Debug, Default)]
pub(in crate::cli) struct Described {
    /// The descriptions.
    pub(in crate::cli) schemas: Schemas,
    /// The systems that gave none, and why.
    pub(in crate::cli) silent: BTreeMap<String, Fault>,
    /// Tables that a saved copy does not hold.
    absent: BTreeSet<Name>,
    /// Whether a table that is not described may be there all the same.
    pub(super) partial: bool,
}

/// System and table.
type Name = (String, String);

impl Described {
    /// What could not be asked, in a line each.
    pub(super) fn unasked(&self) -> Vec<String> {
        let silent = self.silent.iter().map(|(system, fault)| {
            format!("{system} could not be asked, so its columns were not checked: {fault}")
        });
        let mut absent = BTreeMap::<&str, Vec<&str>>::new();
        for (system, table) in &self.absent {
            absent.entry(system).or_default().push(table);
        }
        let absent = absent.into_iter().map(|(system, tables)| {
            let copied = self.schemas.keys().any(|(of, _)| of == system);
            let what = if copied {
                format!("the saved copy of {system} does not hold {}", tables.join(", "))
            } else {
                format!("there is no saved copy of {system}")
            };
            format!("{what}: run `concord check --save` where {system} can be reached")
        });
        silent.chain(absent).collect()
    }
}

/// Asks the targets.
pub(in crate::cli) async fn live(
    targets: &BTreeMap<String, Arc<Dataverse>>,
    maps: &Maps,
) -> Described {
    let mut described = Described::default();
    let mut asked = BTreeSet::new();
    loop {
        let mut open = wanted(maps, &described.schemas);
        open.retain(|name| {
            targets.contains_key(&name.0)
                && !described.silent.contains_key(&name.0)
                && !asked.contains(name)
        });
        if open.is_empty() {
            break;
        }
        asked.extend(open.iter().cloned());
        let calls = open.into_iter().filter_map(|name| Some((targets.get(&name.0)?, name)));
        let calls =
            calls.map(|(target, name)| async move { (describe(target, &name.1).await, name) });
        let mut answers = stream::iter(calls.collect::<Vec<_>>()).buffer_unordered(PARALLEL);
        while let Some((answer, name)) = answers.next().await {
            match answer {
                Ok(schema) => described.schemas.extend(schema.map(|schema| (name, schema))),
                Err(fault) => drop(described.silent.insert(name.0, fault)),
            }
        }
    }
    let silent = &described.silent;
    described.schemas.retain(|(system, _), _| !silent.contains_key(system));
    described
}

/// Describes a table. Calls are repeated until they succeed, so now and then it is asked whether anybody
/// is there at all.
async fn describe(target: &Dataverse, table: &str) -> Result<Option<TableSchema>, Fault> {
    let mut call = pin!(target.describe(table));
    for _ in 0..PATIENCE {
        if let Ok(answer) = tokio::time::timeout(WHILE, &mut call).await {
            return answer;
        }
        target.ready().await?;
    }
    let message = format!("it takes too long to describe {table}");
    Err(Fault::new(Kind::Timeout, message))
}

/// Takes the copies that the configuration names.
pub(super) fn saved(config: &Config, maps: &Maps) -> Described {
    let mut schemas = Schemas::new();
    for (system, target) in &config.targets {
        let Configured::Dataverse(target, _) = target;
        let tables = target.schemas.iter();
        schemas.extend(tables.map(|(name, table)| ((system.clone(), name.clone()), table.clone())));
    }
    let mut absent = wanted(maps, &schemas);
    absent.retain(|name| config.targets.contains_key(&name.0) && !schemas.contains_key(name));
    Described { schemas, absent, partial: true, ..Described::default() }
}

/// Every table that the maps name, as far as the descriptions at hand show the way to it.
fn wanted(maps: &Maps, schemas: &Schemas) -> BTreeSet<Name> {
    let mut wanted = BTreeSet::new();
    for map in maps.iter() {
        let to = &map.destination;
        let name = |table: &str| (to.system.clone(), table.to_owned());
        wanted.insert(name(&to.table));
        for plan in map.plans() {
            plan.visit(&mut |plan: &Plan| {
                let Some((table, paths)) = &plan.shape.lookup else { return };
                wanted.insert(name(table));
                for path in paths {
                    wanted.extend(hops(name(table), path, schemas));
                }
            });
        }
    }
    wanted.retain(|(system, table)| !system.is_empty() && !table.is_empty());
    wanted
}

/// The tables that the lookup columns of a path lead to; its last column is no lookup.
fn hops(from: Name, path: &[String], schemas: &Schemas) -> BTreeSet<Name> {
    let (mut here, mut all) = (BTreeSet::from([from]), BTreeSet::new());
    for column in path.iter().rev().skip(1).rev() {
        let known = here.iter().filter_map(|name| Some((name, schemas.get(name)?)));
        let references = known.flat_map(|((system, _), table)| {
            let leads = table.lookups.iter().filter(|reference| reference.column == *column);
            leads.map(|reference| (system.clone(), reference.table.clone()))
        });
        here = references.collect();
        all.extend(here.iter().cloned());
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::Reference;

    #[test]
    fn a_path_over_several_hops_is_followed_as_far_as_it_is_known() {
        let name = |table: &str| ("sales".to_owned(), table.to_owned());
        let table = |column: &str, to: &str| TableSchema {
            lookups: vec![Reference {
                column: column.into(),
                table: to.into(),
                navigation: String::new(),
            }],
            ..TableSchema::default()
        };
        let path = ["parent", "country", "iso"].map(str::to_owned);
        let mut schemas = Schemas::from([(name("contact"), table("parent", "account"))]);
        assert_eq!(hops(name("contact"), &path, &schemas), BTreeSet::from([name("account")]));
        schemas.insert(name("account"), table("country", "acme_country"));
        let both = BTreeSet::from([name("account"), name("acme_country")]);
        assert_eq!(hops(name("contact"), &path, &schemas), both);
    }
}
