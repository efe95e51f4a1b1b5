//! Which rights on tables the maps need, and which of them the user lacks. Pure.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::mapping::owner::OwnerPlan;
use crate::mapping::{Maps, RemovalPolicy};
use crate::row::{Mode, Removal};
use crate::system::dataverse::Privileges;

/// Rights by table: `Read`, `Create`, `Write`, `Append`, `AppendTo`, `Assign`, `Delete`.
pub(super) type Rights = BTreeMap<String, BTreeSet<&'static str>>;

/// What the maps need in a system.
pub(super) fn needed(maps: &Maps, system: &str) -> Rights {
    let mut rights = Rights::new();
    for map in maps.iter().filter(|map| map.destination.system == system) {
        let to = &map.destination;
        let mut own = BTreeSet::from(["Read"]);
        own.extend((to.mode != Mode::Update).then_some("Create"));
        own.extend((to.mode != Mode::Insert).then_some("Write"));
        own.extend(deletes(map.removed).then_some("Delete"));
        own.extend(map.owner.is_some().then_some("Assign"));
        let owner = map.owner.iter().flat_map(OwnerPlan::plans);
        for (table, _) in owner.filter_map(|(_, plan)| plan.shape.lookup.as_ref()) {
            rights.entry(table.clone()).or_default().insert("Read");
        }
        let mut parents = BTreeSet::new();
        for (_, plan) in map.key.iter().chain(&map.fields) {
            plan.visit(&mut |plan| {
                parents.extend(plan.shape.lookup.as_ref().map(|(table, _)| table.clone()));
            });
        }
        own.extend((!parents.is_empty()).then_some("Append"));
        let mut of_parents = vec!["Read", "AppendTo"];
        if to.pairs {
            // A relationship has no rights of its own: rows of both tables are appended to each other.
            of_parents.push("Append");
        } else {
            rights.entry(to.table.clone()).or_default().extend(own);
        }
        for parent in parents {
            rights.entry(parent).or_default().extend(of_parents.iter().copied());
        }
    }
    rights
}

fn deletes(policy: RemovalPolicy) -> bool {
    match policy {
        RemovalPolicy::Now(removal) | RemovalPolicy::Hold { then: removal, .. } => {
            removal == Removal::Delete
        }
        RemovalPolicy::Ignore => false,
    }
}

/// What of it the user does not hold, as far as the environment tells which privilege it takes.
pub(super) fn lacking(
    needed: &BTreeSet<&'static str>,
    of_table: &Privileges,
    held: &BTreeSet<Uuid>,
) -> Vec<&'static str> {
    let lacks = |right: &&&'static str| of_table.get(**right).is_some_and(|id| !held.contains(id));
    needed.iter().filter(lacks).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_and_not_held_is_named() {
        let id = |n| Uuid::from_u128(n);
        let table = Privileges::from([("Read".to_owned(), id(1)), ("Write".to_owned(), id(2))]);
        let needed = BTreeSet::from(["Read", "Write", "Append"]);
        assert_eq!(lacking(&needed, &table, &BTreeSet::from([id(1)])), ["Write"]);
        assert!(lacking(&needed, &table, &BTreeSet::from([id(1), id(2)])).is_empty());
    }

    #[test]
    fn maps_need_what_they_do() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write(
            "concord.toml",
            "[systems.mdm]\nkind = 'cluedin'\n[systems.sales]\nkind = 'dataverse'\nurl = 'http://127.0.0.1:1'\nauth = 'none'\n",
        );
        let map = "map = 'a'\nversion = 1\nfrom = { system = 'mdm', entity = '/A' }\nto = { system = 'sales', table = 'account' }\nkey = { accountnumber = { code = 'SAP' } }\nfields = { parentaccountid = { from = 'parent', lookup = 'acme_country.acme_number' } }\nremoved = { action = 'delete' }\n";
        write("a.toml", map);
        let settings =
            crate::config::Settings::of([("CONCORD_MAPS", folder.path().display().to_string())]);
        let (_, maps, _) = crate::config::inspect(&settings);
        let rights = needed(&maps, "sales");
        assert_eq!(
            rights["account"],
            BTreeSet::from(["Read", "Create", "Write", "Append", "Delete"])
        );
        assert_eq!(rights["acme_country"], BTreeSet::from(["Read", "AppendTo"]));
        assert!(needed(&maps, "finance").is_empty());
    }
}
