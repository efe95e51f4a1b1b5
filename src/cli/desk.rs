//! Where somebody sits who looks or commands: the open application, who it is and what they may do.
//!
//! Nothing is opened before it is known who asks, and no deed is done before it is on record.

use std::error::Error as Any;

use super::person;
use crate::app::{self, App};
use crate::audit::Deed;
use crate::clock::{SharedClock, SystemClock};
use crate::config::{self, Settings};
use crate::fault::Fault;
use crate::operator::{Person, Refused, Role};

/// The open application, and somebody before it.
pub(super) struct Desk {
    pub(super) app: App,
    pub(super) person: Person,
}

/// Why a deed is not done.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Refused(#[from] Refused),
    #[error("nothing was done, because it could not be put on the audit record")]
    Unrecorded(#[source] Fault),
}

impl Desk {
    /// Opens the application for somebody with this role.
    pub(super) async fn open(
        settings: &Settings,
        needed: Role,
    ) -> Result<Self, Box<dyn Any + Send + Sync>> {
        let loaded = config::load_to_run(settings).map_err(app::Error::Configuration)?;
        let clock: SharedClock = std::sync::Arc::new(SystemClock);
        let person = person::signed_in((settings, &loaded.2), &loaded.0.roles, &clock).await?;
        person.must_be(needed)?;
        Ok(Self { app: App::build(settings, loaded).await?, person })
    }

    /// Puts deeds on record before they are done. Refused to whoever lacks the role.
    pub(super) async fn record(&self, role: Role, deeds: &[Deed]) -> Result<(), Error> {
        self.person.must_be(role)?;
        self.app.audit.record(&self.person, deeds).await.map_err(Error::Unrecorded)
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::audit::{Filter, Verb};
    use crate::cli::{Cli, Command, Outcome, holds, pause, reconcile};
    use crate::store::{Entity, Operation};

    const SYSTEMS: &str = "[systems.mdm]\nkind = 'cluedin'\n[systems.sales]\nkind = 'dataverse'\n\
                           url = 'http://127.0.0.1:9'\nauth = 'none'\n";
    const MAP: &str = "map = 'customer'\nversion = 1\n\
                       from = { system = 'mdm', entity = '/Customer' }\n\
                       to = { system = 'sales', table = 'account' }\n\
                       [key]\naccountnumber = { from = 'number' }\n\
                       [fields]\nname = { from = 'Name', max = 160 }\n\
                       [removed]\naction = 'delete'\n";

    /// Somebody with one role before a folder of their own.
    async fn desk(folder: &tempfile::TempDir, role: Role) -> Desk {
        let path = |name: &str| folder.path().join(name);
        std::fs::create_dir_all(path("maps")).unwrap();
        std::fs::write(path("maps/concord.toml"), SYSTEMS).unwrap();
        std::fs::write(path("maps/customer.toml"), MAP).unwrap();
        let settings = Settings::of([
            ("CONCORD_MAPS", path("maps").display().to_string()),
            ("CONCORD_STORAGE", format!("local:{}", path("storage").display())),
        ]);
        let name = role.word().to_owned();
        let person = Person { id: name.clone(), name, roles: [role].into() };
        Desk { app: App::open(&settings).await.unwrap(), person }
    }

    async fn say(desk: &Desk, line: &str) -> Outcome {
        let words = line.split(' ');
        match Cli::try_parse_from([&["concord"], &*words.collect::<Vec<_>>()].concat()) {
            Ok(Cli { command: Command::Pause(args) }) => pause::at(args, desk).await,
            Ok(Cli { command: Command::Resume(args) }) => pause::resume_at(&args, desk).await,
            Ok(Cli { command: Command::Holds(command) }) => holds::at(command, desk).await,
            Ok(Cli { command: Command::Reconcile(args) }) => reconcile::at(args, desk).await,
            other => panic!("{line}: {other:?}"),
        }
    }

    /// Who did what, oldest first.
    async fn deeds(desk: &Desk) -> Vec<(String, Verb, Option<String>)> {
        let mut entries = desk.app.audit.list(&Filter::default(), 99).await.unwrap();
        entries.reverse();
        let told =
            entries.into_iter().map(|entry| (entry.who.name, entry.deed.verb, entry.deed.why));
        told.collect()
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_lacks_the_role_changes_nothing_and_leaves_no_deed() {
        let folder = tempfile::tempdir().unwrap();
        let operator = desk(&folder, Role::Operator).await;
        say(&operator, "pause customer --why closing").await.unwrap();
        operator.app.pipeline.control.hold("customer", "too many".into()).await.unwrap();
        let stands = operator.app.pipeline.control.look().await.unwrap();
        let decides = ["holds approve customer --why x", "holds reject customer --why x"];
        let does = [
            "pause customer --why x",
            "resume customer --discard --yes",
            "reconcile --map customer --full --repair",
            "reconcile --map customer --counts",
        ];
        for (role, lines) in [
            (Role::Viewer, [&decides[..], &does].concat()),
            (Role::Operator, decides.to_vec()),
            (Role::Approver, does.to_vec()),
        ] {
            let desk = desk(&folder, role).await;
            for line in lines {
                let refused = say(&desk, line).await.unwrap_err().to_string();
                assert!(refused.contains("may not do this"), "{role} {line}: {refused}");
            }
            assert_eq!(desk.app.pipeline.control.look().await.unwrap(), stands, "{role}");
        }
        assert_eq!(
            deeds(&operator).await,
            [("operator".into(), Verb::Pause, Some("closing".into()))]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_decided_about_a_map_is_on_record_with_who_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let operator = desk(&folder, Role::Operator).await;
        say(&operator, "pause customer --why closing").await.unwrap();
        say(&operator, "resume customer --replay").await.unwrap();
        say(&operator, "resume customer --replay --yes --why closed").await.unwrap();
        let approver = desk(&folder, Role::Approver).await;
        let control = &approver.app.pipeline.control;
        control.hold("customer", "too many".into()).await.unwrap();
        say(&approver, "holds approve customer --why meant").await.unwrap();
        say(&approver, "holds reject customer --why not").await.unwrap();
        say(&operator, "reconcile --map customer --full --repair").await.unwrap();
        let deed = |who: &str, verb, why: Option<&str>| (who.into(), verb, why.map(Into::into));
        let expected = [
            deed("operator", Verb::Pause, Some("closing")),
            deed("operator", Verb::Resume, Some("closed")),
            deed("approver", Verb::Approve, Some("meant")),
            deed("approver", Verb::Reject, Some("not")),
            deed("operator", Verb::Write, None),
        ];
        assert_eq!(deeds(&operator).await, expected);
        let subject = Filter { verb: Some(Verb::Approve), ..Filter::default() };
        let entry = operator.app.audit.list(&subject, 1).await.unwrap().remove(0);
        let detail = entry.deed.detail.unwrap();
        assert!(detail.starts_with("too many; 0 events held since "), "{detail}");
    }

    #[tokio::test]
    async fn what_cannot_be_put_on_record_is_not_done() {
        let folder = tempfile::tempdir().unwrap();
        let operator = desk(&folder, Role::Operator).await;
        // Nothing can follow an entry that cannot be read.
        let entity = Entity { row: "0".into(), properties: [].into() };
        let damaged = vec![Operation::Insert(entity)];
        operator.app.stores.poison.transact("~audit", damaged).await.unwrap();
        let failed = say(&operator, "pause customer --why closing").await.unwrap_err();
        assert!(failed.to_string().contains("could not be put on the audit record"), "{failed}");
        let standing = operator.app.pipeline.control.look().await.unwrap();
        assert!(standing.pauses.is_empty());
    }
}
