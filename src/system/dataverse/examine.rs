//! What an environment says about itself and about who asks: for `concord doctor`, which only reads.
//!
//! What an endpoint does not serve is `None`: nothing is made of silence. Source: Dataverse Web API,
//! limits and metadata; `RetrieveUserPrivileges`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use serde::Deserialize;
use uuid::Uuid;

use super::Dataverse;
use super::client::Call;
use super::describe::Page;
use crate::fault::{Fault, Kind};

/// What an environment answers to "who am I".
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Examined {
    /// The user in whose name calls run.
    pub user: Uuid,
    /// The environment's clock, to the second.
    pub date: Option<Timestamp>,
    /// Calls at once that it recommends.
    pub parallel: Option<u32>,
    /// Requests left in the window of the web server that answered.
    pub requests: Option<u64>,
    /// Seconds of execution left in that window.
    pub seconds: Option<f64>,
}

/// The user in whose name calls run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct User {
    /// The name that is shown.
    #[serde(default, rename = "fullname")]
    pub name: Option<String>,
    /// The application's id; absent for a person.
    #[serde(default, rename = "applicationid")]
    pub application: Option<Uuid>,
    /// Whether it may not sign in.
    #[serde(default, rename = "isdisabled")]
    pub disabled: bool,
}

/// What may be done to a table, and the privilege that it takes.
pub type Privileges = BTreeMap<String, Uuid>;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct WhoAmI {
    user_id: Uuid,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfTable {
    privileges: Vec<Privilege>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Privilege {
    privilege_id: Uuid,
    privilege_type: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfUser {
    role_privileges: Vec<Held>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Held {
    privilege_id: Uuid,
}

#[derive(Deserialize)]
struct Role {
    name: String,
}

impl Dataverse {
    /// Asks who we are, once.
    pub async fn examine(&self, within: Duration) -> Result<Examined, Fault> {
        let reply = self.client.once(&Call::get("WhoAmI"), &self.errand(within)).await;
        let reply = reply.map_err(|failure| failure.fault)?;
        let who: WhoAmI = serde_json::from_slice(&reply.body).map_err(|error| {
            let message =
                "its answer is none of Dataverse's; is the address that of an environment?";
            Fault::new(Kind::Misconfigured, message).caused_by(error)
        })?;
        let text = |name: &str| reply.headers.get(name).and_then(|value| value.to_str().ok());
        let number = |name: &str| text(name).and_then(|text| text.parse::<f64>().ok());
        let date = text("date").and_then(|date| rfc2822::parse(date).ok());
        Ok(Examined {
            user: who.user_id,
            date: date.map(|date| date.timestamp()),
            parallel: text("x-ms-dop-hint").and_then(|hint| hint.parse().ok()),
            requests: text("x-ms-ratelimit-burst-remaining-xrm-requests")
                .and_then(|left| left.parse().ok()),
            seconds: number("x-ms-ratelimit-time-remaining-xrm-requests"),
        })
    }

    /// The user of this id.
    pub async fn user(&self, id: Uuid, within: Duration) -> Result<Option<User>, Fault> {
        let path = format!("systemusers({id})?$select=fullname,applicationid,isdisabled");
        self.asked(&path, within).await
    }

    /// The names of the security roles that the user was given directly.
    pub async fn roles(&self, user: Uuid, within: Duration) -> Result<Option<Vec<String>>, Fault> {
        let path = format!("systemusers({user})/systemuserroles_association?$select=name");
        let roles: Option<Page<Role>> = self.asked(&path, within).await?;
        Ok(roles.map(|roles| roles.value.into_iter().map(|role| role.name).collect()))
    }

    /// The privileges that the user holds by all roles, those of teams included.
    pub async fn held(
        &self,
        user: Uuid,
        within: Duration,
    ) -> Result<Option<BTreeSet<Uuid>>, Fault> {
        let path = format!("systemusers({user})/Microsoft.Dynamics.CRM.RetrieveUserPrivileges()");
        let held: Option<OfUser> = self.asked(&path, within).await?;
        Ok(held.map(|held| held.role_privileges.iter().map(|held| held.privilege_id).collect()))
    }

    /// The privileges of a table by what they allow: `Create`, `Read`, `Write`, `Delete`, `Append`,
    /// `AppendTo`, `Assign`.
    pub async fn privileges(
        &self,
        table: &str,
        within: Duration,
    ) -> Result<Option<Privileges>, Fault> {
        let path =
            format!("EntityDefinitions(LogicalName='{table}')?$select=LogicalName,Privileges");
        let found: Option<OfTable> = self.asked(&path, within).await?;
        let of = |one: Privilege| (one.privilege_type, one.privilege_id);
        Ok(found.map(|found| found.privileges.into_iter().map(of).collect()))
    }

    async fn asked<T: serde::de::DeserializeOwned>(
        &self,
        path: &str,
        within: Duration,
    ) -> Result<Option<T>, Fault> {
        let answer = self.metadata(path, &self.errand(within)).await;
        answer.map_err(|failure| failure.fault)
    }
}
