//! Whose command it is: the person signed in to the Azure CLI where storage is an account that takes
//! identities, the user of this machine where it is a folder or an account with a key.
//!
//! Refused: a configuration with `[roles]` over an account with a key, because a key is nobody.

use std::collections::BTreeSet;

use crate::clock::SharedClock;
use crate::config::Settings;
use crate::identity::person::{self, GRAPH, GRAPH_SCOPE};
use crate::identity::{self, Tokens};
use crate::operator::{Person, Role, Roles};
use crate::store::{Config, Place};

/// Why it is not known whose command it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Credential(#[from] identity::Error),
    #[error(transparent)]
    Unknown(#[from] person::Unknown),
    #[error(
        "[roles] needs to know who asks, and a storage key is nobody: set CONCORD_STORAGE to the account's name alone and sign in with `az login`"
    )]
    Key,
}

/// Who is signed in before this storage, with what these groups let them do.
pub(super) async fn signed_in(
    (settings, storage): (&Settings, &Config),
    roles: &Roles,
    clock: &SharedClock,
) -> Result<Person, Error> {
    match &storage.place {
        Place::Local { .. } => Ok(user(settings)),
        Place::Azure(account) if account.key.is_some() && roles.are_set() => Err(Error::Key),
        Place::Azure(account) if account.key.is_some() => Ok(user(settings)),
        Place::Azure(_) => {
            let tokens = Tokens::new(&storage.credential, GRAPH_SCOPE, clock.clone())?;
            let known = person::signed_in(&tokens, &roles.named(), GRAPH).await?;
            let roles = roles.of(&known.groups);
            Ok(Person { id: known.id, name: known.name, roles })
        }
    }
}

/// The user of this machine, who may do everything here.
fn user(settings: &Settings) -> Person {
    let named = ["USER", "LOGNAME", "USERNAME"].into_iter().find_map(|name| settings.get(name));
    let name = named.unwrap_or("unknown").to_owned();
    let roles = BTreeSet::from(Role::ALL);
    Person { id: format!("os:{name}"), name, roles }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::clock::SystemClock;

    async fn asked(storage: &str, roles: &str) -> Result<Person, Error> {
        let settings = Settings::of([("USER", "ann")]);
        let storage = Config::parse(storage).unwrap();
        let clock: SharedClock = Arc::new(SystemClock);
        signed_in((&settings, &storage), &toml::from_str(roles).unwrap(), &clock).await
    }

    #[tokio::test]
    async fn a_folder_belongs_to_the_user_of_the_machine_and_a_key_to_nobody() {
        let set = "operator = [\"7\"]";
        let local = asked("local:x", set).await.unwrap();
        assert_eq!((local.id.as_str(), local.roles.len()), ("os:ann", 3));
        assert_eq!(asked("UseDevelopmentStorage=true", "").await.unwrap().name, "ann");
        let refused = asked("UseDevelopmentStorage=true", set).await;
        assert!(matches!(refused, Err(Error::Key)));
    }
}
