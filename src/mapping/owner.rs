//! The row's owner: a user or a team, fixed or by a value.

use uuid::Uuid;

use super::file::{self, Parts, Rule};
use super::rule::compile::Bench;
use super::rule::{Plan, inconvertible};
use super::scene::Scene;
use super::trace::Trail;
use crate::fault::Fault;
use crate::row::{Owner, Value};

/// A compiled `[owner]`.
#[derive(Debug)]
pub enum OwnerPlan {
    /// This one for all rows.
    Always(Owner),
    /// The user with the GUID this rule yields.
    User(Plan),
    /// The team with the GUID this rule yields.
    Team(Plan),
}

impl OwnerPlan {
    /// Compiles the section. Settings are in place already.
    pub fn compile(owner: &file::Owner, bench: &mut Bench<'_>) -> Option<Self> {
        let (path, rule, team) = match (&owner.user, &owner.team) {
            (Some(rule), None) => ("owner/user", rule, false),
            (None, Some(rule)) => ("owner/team", rule, true),
            (Some(_), Some(_)) | (None, None) => {
                bench.problems.error("owner", "owner-rule", "name either `user` or `team`");
                return None;
            }
        };
        match rule {
            Rule::Property(text) => {
                if let Ok(id) = Uuid::try_parse(text) {
                    return Some(Self::Always(if team {
                        Owner::Team(id)
                    } else {
                        Owner::User(id)
                    }));
                }
                let message = "an owner is a GUID, a setting such as \"${SALES_TEAM}\" that holds \
                               one, or a rule such as { from = \"owner\" }";
                bench.problems.error(path, "owner-rule", message);
                None
            }
            Rule::Parts(parts) => {
                let parts = Parts { guid: Some(true), ..(**parts).clone() };
                let plan = bench.rule(path, &Rule::Parts(Box::new(parts)));
                Some(if team { Self::Team(plan) } else { Self::User(plan) })
            }
        }
    }

    /// The owner of a change; none when it is to be left alone.
    pub fn value(&self, scene: &Scene<'_>, trail: &mut Trail) -> Result<Option<Owner>, Fault> {
        let (plan, make): (_, fn(Uuid) -> Owner) = match self {
            Self::Always(owner) => return Ok(Some(*owner)),
            Self::User(plan) => (plan, Owner::User),
            Self::Team(plan) => (plan, Owner::Team),
        };
        match plan.value(scene, trail)? {
            Some(Value::Guid(id)) => Ok(Some(make(id))),
            None | Some(Value::Null) => Ok(None),
            Some(_) => Err(inconvertible("an owner is a GUID")),
        }
    }
}
