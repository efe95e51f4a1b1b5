//! Storage: reachable, and with the tables, queues and container that Concord uses. Nothing is made.

use super::PATIENCE;
use super::finding::Finding;
use crate::chance::Chance;
use crate::clock::SharedClock;
use crate::config::Settings;
use crate::store::{self, Error, Place, Thing};

const AREA: &str = "storage";

/// Looks for each thing.
pub(super) async fn check(
    settings: &Settings,
    (clock, chance): (&SharedClock, &Chance),
) -> Vec<Finding> {
    // What is wrong with the setting is told among the settings.
    let Ok(config) = settings.storage() else { return Vec::new() };
    let account = match &config.place {
        Place::Local { folder } => folder.display().to_string(),
        Place::Azure(account) => account.name.clone(),
    };
    let looked = store::look(&config, clock.clone(), chance.clone());
    let Ok(things) = tokio::time::timeout(PATIENCE, looked).await else {
        return vec![Finding::unknown(
            AREA,
            "reachable",
            format!("{account} did not answer in time"),
        )];
    };
    let mut findings: Vec<Finding> =
        things.into_iter().map(|(thing, there)| finding(&account, &thing, there)).collect();
    findings.dedup();
    if let Place::Azure(account) = &config.place
        && account.key.is_some()
    {
        let told = "storage is used with a key: whoever has the key has everything";
        let mend = format!("CONCORD_STORAGE={}, and the identity's roles on it", account.name);
        findings.push(Finding::warning(AREA, "key", told).mend(mend));
    }
    findings
}

fn finding(account: &str, thing: &Thing, there: Result<Option<bool>, Error>) -> Finding {
    let name = thing.to_string();
    match there {
        Ok(Some(true)) => Finding::ok(AREA, "there", name),
        Ok(None) => {
            Finding::unknown(AREA, "there", format!("the role does not allow to look for {name}"))
        }
        Ok(Some(false)) => {
            let mend = match thing {
                Thing::Table(name) => format!(
                    "az storage table create --auth-mode login --account-name {account} --name {name}"
                ),
                Thing::Queue(name) => format!(
                    "az storage queue create --auth-mode login --account-name {account} --name {name}"
                ),
                Thing::Container(name) => format!(
                    "az storage container create --auth-mode login --account-name {account} --name {name}"
                ),
                Thing::Folder(_) => {
                    "it is made at the first start; see that its parent may be written to"
                        .to_owned()
                }
            };
            Finding::missing(AREA, "there", format!("{name} is not there")).mend(mend)
        }
        Err(Error::Unauthorised { reason }) => {
            let told = format!("{account} refused the credential: {reason}");
            let scope = "/subscriptions/…/storageAccounts/";
            let mend = format!(
                "az role assignment create --assignee CLIENT_ID --role \"Storage Table Data Contributor\" --scope {scope}{account}, and the same for \"Storage Queue Data Contributor\" and \"Storage Blob Data Contributor\""
            );
            Finding::missing(AREA, "rights", told).mend(mend)
        }
        Err(error @ Error::Unavailable { .. }) => {
            Finding::unknown(AREA, "reachable", format!("{account}: {error}"))
        }
        Err(error @ (Error::Conflict { .. } | Error::TooLarge { .. } | Error::Invalid { .. })) => {
            Finding::missing(AREA, "there", format!("{name}: {error}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::cli::doctor::finding::State;
    use crate::clock::SystemClock;

    async fn found(storage: &str) -> Vec<Finding> {
        let clock: SharedClock = Arc::new(SystemClock);
        let settings = Settings::of([("CONCORD_STORAGE", storage)]);
        check(&settings, (&clock, &Chance::seeded(1))).await
    }

    #[tokio::test]
    async fn a_folder_is_looked_for_and_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("none");
        let missing = found(&format!("local:{}", path.display())).await;
        assert_eq!((missing.len(), missing[0].state), (1, State::Missing));
        assert!(!path.exists());
        let there = found(&format!("local:{}", folder.path().display())).await;
        assert_eq!(there[0].state, State::Ok);
        assert!(found("nonsense text").await.is_empty());
    }

    #[tokio::test]
    async fn an_account_that_is_away_is_silence_and_a_key_is_told() {
        let away = "UseDevelopmentStorage=true;BlobEndpoint=http://127.0.0.1:1/a;\
                    QueueEndpoint=http://127.0.0.1:1/a;TableEndpoint=http://127.0.0.1:1/a";
        let found = found(away).await;
        assert!(found.iter().any(|one| (one.check, one.state) == ("reachable", State::Unknown)));
        assert!(found.iter().any(|one| (one.check, one.state) == ("key", State::Warning)));
        assert!(!format!("{found:?}").contains("Eby8"), "the key is not shown");
    }

    #[test]
    fn a_role_that_is_missing_and_a_table_that_is_missing_lead_to_commands() {
        let table = Thing::Table("ConcordLedger".into());
        let refused = finding("acme", &table, Err(Error::Unauthorised { reason: "x".into() }));
        assert!(refused.mend.unwrap().starts_with("az role assignment create"));
        let gone = finding("acme", &table, Ok(Some(false)));
        let expected =
            "az storage table create --auth-mode login --account-name acme --name ConcordLedger";
        assert_eq!(gone.mend.as_deref(), Some(expected));
        assert_eq!(finding("acme", &table, Ok(None)).state, State::Unknown);
    }
}
