//! Storage in Azurite, under names that no other test uses.

#[path = "../../azurite.rs"]
mod process;

use std::sync::OnceLock;

use concord::store::{Config, Names};

/// Names of its own in one account.
pub(crate) fn config() -> Config {
    let mut config = Config::parse(&connection()).unwrap();
    let unique = uuid::Uuid::new_v4().simple().to_string();
    config.names = Names {
        ledger: format!("Ledger{unique}"),
        poison: format!("Poison{unique}"),
        work: format!("work-{unique}"),
        poisoned: format!("poison-{unique}"),
        container: format!("c{unique}"),
        quarantine: format!("q{unique}"),
    };
    config
}

/// A connection string, for an installation that uses the usual names.
pub(crate) fn connection() -> String {
    static ACCOUNT: OnceLock<process::Account> = OnceLock::new();
    let account = ACCOUNT.get_or_init(process::Account::new);
    account.connection(&account.roots)
}
