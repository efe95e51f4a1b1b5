//! The row's owner and business unit: fixed, by a value, or by a business key.
//!
//! An owner by its GUID is the row's owner. One by a business key is a lookup in the column `ownerid`, and a
//! unit is written to `owningbusinessunit`: rows wait for a team that is not there as they wait for any
//! parent.

use std::sync::Arc;

use uuid::Uuid;

use super::file::{self, Parts, Rule};
use super::rule::compile::Bench;
use super::rule::{Plan, inconvertible};
use super::scene::Scene;
use super::trace::Trail;
use crate::fault::Fault;
use crate::row::{Missing, Owner, Value};

/// The column of the owner.
pub const OWNER: &str = "ownerid";
/// The column of the owning business unit.
pub const UNIT: &str = "owningbusinessunit";

/// A compiled `[owner]`.
#[derive(Debug)]
pub struct OwnerPlan {
    /// The owner, and which kind it is.
    pub owner: Option<(Kind, Principal)>,
    /// The business unit.
    pub unit: Option<Principal>,
}

/// What may own rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A user.
    User,
    /// A team.
    Team,
}

/// Which user, team or unit.
#[derive(Debug)]
pub enum Principal {
    /// This one for all rows.
    Always(Uuid),
    /// The one whose GUID this rule yields, or whose row its lookup finds.
    By(Box<Plan>),
}

/// What a change says about its row's owner.
#[derive(Debug, Default)]
pub struct Owned {
    /// The owner, by GUID.
    pub owner: Option<Owner>,
    /// The owner by business key, and the unit.
    pub columns: Vec<(Arc<str>, Value)>,
}

impl OwnerPlan {
    /// Compiles the section. Settings are in place already.
    pub fn compile(owner: &file::Owner, bench: &mut Bench<'_>) -> Option<Self> {
        let named = match (&owner.user, &owner.team) {
            (Some(rule), None) => Some((Kind::User, "owner/user", "systemuser", rule)),
            (None, Some(rule)) => Some((Kind::Team, "owner/team", "team", rule)),
            (None, None) if owner.unit.is_some() => None,
            (Some(_), Some(_)) | (None, None) => {
                let message = "name either `user` or `team`, and `unit` besides if wanted";
                bench.problems.error("owner", "owner-rule", message);
                return None;
            }
        };
        let owner_plan = named.map(|(kind, path, table, rule)| {
            principal((path, table), rule, bench).map(|principal| (kind, principal))
        });
        let unit = owner.unit.as_ref();
        let unit = unit.map(|rule| principal(("owner/unit", "businessunit"), rule, bench));
        Some(Self { owner: owner_plan.flatten(), unit: unit.flatten() })
    }

    /// The owner of a change; nothing when it is to be left alone.
    pub fn value(&self, scene: &Scene<'_>, trail: &mut Trail) -> Result<Owned, Fault> {
        let mut owned = Owned::default();
        if let Some((kind, principal)) = &self.owner {
            match principal.value(scene, trail)? {
                None | Some(Value::Null) => {}
                Some(Value::Guid(id)) => {
                    owned.owner = Some(match kind {
                        Kind::User => Owner::User(id),
                        Kind::Team => Owner::Team(id),
                    });
                }
                Some(lookup @ Value::Lookup(_)) => owned.columns.push((OWNER.into(), lookup)),
                Some(_) => return Err(inconvertible("an owner is a GUID")),
            }
        }
        let unit = self.unit.as_ref().map(|unit| unit.value(scene, trail)).transpose()?;
        match unit.flatten() {
            None | Some(Value::Null) => {}
            Some(unit @ (Value::Guid(_) | Value::Lookup(_))) => {
                owned.columns.push((UNIT.into(), unit));
            }
            Some(_) => return Err(inconvertible("a business unit is a GUID")),
        }
        Ok(owned)
    }

    /// The rules of the section, each with its path and the column it is for.
    pub fn plans(&self) -> impl Iterator<Item = (&'static str, &Plan)> {
        let owner = self.owner.as_ref().and_then(|(kind, principal)| {
            let path = match kind {
                Kind::User => "owner/user",
                Kind::Team => "owner/team",
            };
            Some((path, principal.plan()?))
        });
        let unit = self.unit.as_ref().and_then(|unit| Some(("owner/unit", unit.plan()?)));
        owner.into_iter().chain(unit)
    }
}

impl Principal {
    fn plan(&self) -> Option<&Plan> {
        match self {
            Self::Always(_) => None,
            Self::By(plan) => Some(plan),
        }
    }

    fn value(&self, scene: &Scene<'_>, trail: &mut Trail) -> Result<Option<Value>, Fault> {
        match self {
            Self::Always(id) => Ok(Some(Value::Guid(*id))),
            Self::By(plan) => plan.value(scene, trail),
        }
    }
}

fn principal((path, table): (&str, &str), rule: &Rule, bench: &mut Bench<'_>) -> Option<Principal> {
    let parts = match rule {
        Rule::Property(text) => {
            if let Ok(id) = Uuid::try_parse(text) {
                return Some(Principal::Always(id));
            }
            let message = format!(
                "this is a GUID, a setting such as \"${{SALES_TEAM}}\" that holds one, a rule such as {{ \
                 from = \"owner\" }} that yields one, or a rule with lookup = \"{table}.column\""
            );
            bench.problems.error(path, "owner-rule", message);
            return None;
        }
        Rule::Parts(parts) => parts,
    };
    if parts.lookup.is_none() {
        let parts = Parts { guid: Some(true), ..(**parts).clone() };
        let plan = bench.rule(path, &Rule::Parts(Box::new(parts)));
        return Some(Principal::By(Box::new(plan)));
    }
    if parts.missing == Some(Missing::Null) {
        let message = "a row has an owner always; say missing = \"park\" or \"poison\"";
        bench.problems.error(&format!("{path}/missing"), "owner-missing", message);
    }
    let plan = bench.rule(path, rule);
    if let Some((named, _)) = plan.shape.lookup.as_ref().filter(|(named, _)| named != table) {
        let message = format!("this is looked up in {table}, not in {named}");
        bench.problems.error(&format!("{path}/lookup"), "owner-rule", message);
    }
    Some(Principal::By(Box::new(plan)))
}
