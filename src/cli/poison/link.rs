//! Where the row of a record stands in its target, for people to look at it.
//!
//! The key comes from the event itself, read again, else from the ledger; the row from the target, when
//! it answers soon, else from the ledger's memory. All of it is best effort: nothing here fails.

use std::time::Duration;

use serde::Serialize;
use uuid::Uuid;

use crate::cli::desk::Desk;
use crate::fault::Fault;
use crate::mapping::Map;
use crate::poison::Record;
use crate::row::Key;
use crate::system::{Fetched, Target as _};

/// How long the target may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is known of the row.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Link {
    /// Where it can be looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) url: Option<String>,
    /// What is to be said about that.
    pub(super) note: String,
}

pub(super) async fn to_row(desk: &Desk, record: &Record) -> Link {
    let note = |note: &str| Link { url: None, note: note.to_owned() };
    let named = record.map.as_ref().and_then(|name| desk.app.maps.get(name));
    let Some(map) = named else { return note("no map could read the event") };
    let (key, remembered) = known(desk, record, map).await;
    let to = &map.destination;
    let Some(target) = desk.app.environments.get(&to.system) else {
        return note("its target is no more in concord.toml");
    };
    let url = |id: Uuid| {
        let address = desk.address(&to.system).unwrap_or_default();
        format!("{address}/main.aspx?pagetype=entityrecord&etn={}&id={id}", to.table)
    };
    let asked = async {
        let Some(key) = key else { return Asked::Not("its key is not known".to_owned()) };
        let keys = [key];
        let fetched = target.fetch(&to.table, &keys, &[]);
        match tokio::time::timeout(PATIENCE, fetched).await {
            Ok(answer) => asked(answer),
            Err(_) => Asked::Not(format!("{} did not answer", to.system)),
        }
    };
    match (asked.await, remembered) {
        (Asked::There(id), _) => Link { url: Some(url(id)), note: "it is there".to_owned() },
        (Asked::Absent, _) => note("it is not in the target"),
        (Asked::Not(why), Some(id)) => {
            Link { url: Some(url(id)), note: format!("as the ledger remembers it; {why}") }
        }
        (Asked::Not(why), None) => Link { url: None, note: why },
    }
}

/// What the target says.
enum Asked {
    There(Uuid),
    Absent,
    Not(String),
}

fn asked(answer: Result<Vec<Option<Fetched>>, Fault>) -> Asked {
    let found = match answer {
        Ok(rows) => rows.into_iter().next().flatten(),
        Err(fault) => return Asked::Not(fault.to_string()),
    };
    match found {
        None => Asked::Absent,
        Some(Fetched { id: Some(id), .. }) => Asked::There(id),
        Some(_) => Asked::Not("the target did not tell its id".to_owned()),
    }
}

/// The key, and the id that the target gave the row when it was last written.
async fn known(desk: &Desk, record: &Record, map: &Map) -> (Option<Key>, Option<Uuid>) {
    let sent = sent(desk, record, map).await;
    let shown = sent.as_ref().map(Key::to_string).or_else(|| record.key.clone());
    let Some(shown) = shown else { return (None, None) };
    match desk.ledger().find(&map.name, &shown).await {
        Ok(Some((entry, typed))) => {
            (sent.or(typed), entry.applied.and_then(|applied| applied.target_id))
        }
        Ok(None) | Err(_) => (sent, None),
    }
}

/// The key that the event itself has.
async fn sent(desk: &Desk, record: &Record, map: &Map) -> Option<Key> {
    let original = desk.poison().original(record).await.ok()?;
    let decoder = desk.app.config.sources.get(&desk.source(record)?)?;
    let decoded = decoder.decode(&original.event).into_iter();
    decoded.filter_map(|decoded| decoded.change.ok()).find_map(|change| map.key_of(&change))
}
