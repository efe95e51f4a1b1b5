//! What every implementation of a storage seam must do: one suite each for tables, queues and blobs,
//! run against a folder and against Azurite.

mod blobs;
mod parking;
mod queue;
mod table;

use std::sync::Arc;

use concord::chance::Chance;
use concord::clock::SystemClock;
use concord::store::{self, Config, Stores};
use tempfile::TempDir;

use crate::support::azurite;

/// Stores of one test alone, and what must live as long as they do.
struct Opened {
    stores: Stores,
    _folder: Option<TempDir>,
}

async fn local() -> Opened {
    let folder = tempfile::tempdir().unwrap();
    let config = Config::parse(&format!("local:{}", folder.path().display())).unwrap();
    Opened { stores: open(&config).await, _folder: Some(folder) }
}

async fn azure() -> Opened {
    Opened { stores: open(&azurite::config()).await, _folder: None }
}

async fn open(config: &Config) -> Stores {
    store::open(config, Arc::new(SystemClock), Chance::from_system()).await.unwrap()
}

/// Runs each behaviour of the module against both places.
macro_rules! everywhere {
    ($($behaviour:ident,)+) => {
        mod local {
            $(#[tokio::test] async fn $behaviour() {
                let opened = crate::contract::local().await;
                super::$behaviour(&opened.stores).await;
            })+
        }
        mod azurite {
            $(#[tokio::test] async fn $behaviour() {
                let opened = crate::contract::azure().await;
                super::$behaviour(&opened.stores).await;
            })+
        }
    };
}
use everywhere;
