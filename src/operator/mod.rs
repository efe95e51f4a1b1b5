//! Who operates Concord, and what each may do: `[roles]` of `concord.toml` names Entra groups, and a
//! person's groups decide. Pure: who somebody is comes from [`crate::identity`], or from whoever signed
//! them in.
//!
//! A role guards the tool. What protects the data itself are the rights that the same groups have on
//! storage and targets (`docs/security.md`).

use std::collections::BTreeSet;
use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A person, or an application, that asks for something.
#[derive(Clone, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Person {
    /// What names it for ever: the Entra object id, or `os:<user>` where nobody signs in.
    pub id: String,
    /// What people call it: the user principal name, or the application's id.
    pub name: String,
    /// What it may do.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roles: BTreeSet<Role>,
}

/// What somebody may do.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Looks: records, figures, plans, audit.
    Viewer,
    /// Retries, edits, dismisses, assigns, pauses and resumes; looks, too.
    Operator,
    /// Approves what others prepared; looks, too.
    Approver,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Operator, Self::Approver];

    /// The word in settings and messages.
    pub fn word(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Operator => "operator",
            Self::Approver => "approver",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// The Entra groups of each role, by object id. With none at all, whoever reaches the storage may do
/// everything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Roles {
    /// Who may look.
    pub viewer: Vec<String>,
    /// Who may retry, edit, dismiss, assign, pause and resume.
    pub operator: Vec<String>,
    /// Who may approve.
    pub approver: Vec<String>,
}

/// Somebody may not do what was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{name} may not do this: it needs the role {needed}, which the groups under [roles] of concord.toml give"
)]
pub struct Refused {
    /// Who.
    pub name: String,
    /// What is needed.
    pub needed: Role,
}

impl Roles {
    /// Whether any group is named.
    pub fn are_set(&self) -> bool {
        Role::ALL.iter().any(|role| !self.groups(*role).is_empty())
    }

    /// Every group that is named, each once.
    pub fn named(&self) -> Vec<String> {
        let groups = Role::ALL.iter().flat_map(|role| self.groups(*role));
        let distinct: BTreeSet<&String> = groups.collect();
        distinct.into_iter().cloned().collect()
    }

    /// The roles that membership in these groups gives; every role when no group is named at all.
    pub fn of(&self, groups: &[String]) -> BTreeSet<Role> {
        let is_member = |role: &Role| {
            let named = self.groups(*role);
            named.iter().any(|name| groups.iter().any(|group| group.eq_ignore_ascii_case(name)))
        };
        Role::ALL.into_iter().filter(|role| !self.are_set() || is_member(role)).collect()
    }

    fn groups(&self, role: Role) -> &[String] {
        match role {
            Role::Viewer => &self.viewer,
            Role::Operator => &self.operator,
            Role::Approver => &self.approver,
        }
    }
}

impl Person {
    /// Fails when the person lacks the role. Whoever has any role may look.
    pub fn must_be(&self, needed: Role) -> Result<(), Refused> {
        let looks = needed == Role::Viewer && !self.roles.is_empty();
        if looks || self.roles.contains(&needed) {
            return Ok(());
        }
        Err(Refused { name: self.name.clone(), needed })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles() -> Roles {
        Roles {
            viewer: vec!["V".into()],
            operator: vec!["O".into(), "B".into()],
            approver: vec!["A".into(), "B".into()],
        }
    }

    fn person(groups: &[&str]) -> Person {
        let groups: Vec<String> = groups.iter().map(|group| (*group).to_owned()).collect();
        Person { name: "ann".into(), roles: roles().of(&groups), ..Person::default() }
    }

    #[test]
    fn groups_give_roles_and_any_role_may_look() {
        let may = |groups: &[&str]| {
            let person = person(groups);
            Role::ALL.map(|role| person.must_be(role).is_ok())
        };
        assert_eq!(may(&[]), [false, false, false]);
        assert_eq!(may(&["x"]), [false, false, false]);
        assert_eq!(may(&["v"]), [true, false, false]);
        assert_eq!(may(&["O"]), [true, true, false]);
        assert_eq!(may(&["A"]), [true, false, true]);
        assert_eq!(may(&["b"]), [true, true, true]);
        let refused = person(&["V"]).must_be(Role::Operator).unwrap_err();
        assert!(refused.to_string().starts_with("ann may not do this: it needs the role operator"));
    }

    #[test]
    fn without_any_group_everybody_may_do_everything() {
        assert!(!Roles::default().are_set() && roles().are_set());
        assert_eq!(Roles::default().of(&[]).len(), 3);
        assert_eq!(roles().named(), ["A", "B", "O", "V"]);
    }
}
