//! Change tracking: what became of a table since a token.
//!
//! Out come whole rows in their present state and the ids of those that are gone. A token that the
//! service no longer takes, for whatever reason but a passing one, means that the table must be read
//! whole (Dataverse Web API, change tracking).

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;
use uuid::Uuid;

use super::Dataverse;
use super::classify::Failure;
use super::client::{Call, Errand};
use super::source::{misread, record};
use crate::fault::{Act, Kind};
use crate::system::source::{Asked, Changes, Delta, Selection, Token};

const TRACK: &str = "odata.track-changes,odata.maxpagesize=5000";

#[derive(Deserialize)]
struct Tracked<'a> {
    #[serde(borrow)]
    value: Vec<&'a RawValue>,
    #[serde(borrow, rename = "@odata.nextLink")]
    next: Option<Cow<'a, str>>,
    #[serde(borrow, rename = "@odata.deltaLink")]
    delta: Option<Cow<'a, str>>,
}

/// A row that is gone: its id and why, and nothing of the row.
#[derive(Deserialize)]
struct Gone {
    id: Uuid,
    #[serde(rename = "reason")]
    _reason: String,
}

impl Dataverse {
    pub(super) async fn read_changes(
        &self,
        asked: &Asked,
        token: Option<&Token>,
        errand: &Errand,
    ) -> Result<Delta, Failure> {
        let names = self.table(&asked.table, false, errand).await?;
        let path = if let Some(Token(path)) = token {
            path.clone()
        } else {
            let columns = Selection { parents: Vec::new(), ..asked.columns.clone() };
            let options = self.selected(&asked.table, &columns, errand).await?;
            format!("{}?{}", names.set, options.trim_start_matches('&'))
        };
        let call = Call { prefer: Some(TRACK), ..Call::get(path) };
        let reply = match self.client.persist(&call, errand).await {
            Ok(reply) => reply,
            Err(failure) if is_dead(&failure, token) => return Ok(Delta::Expired),
            Err(failure) => return Err(failure),
        };
        let page: Tracked<'_> = serde_json::from_slice(&reply.body).map_err(|_| misread())?;
        let gone = page.value.iter().filter_map(|raw| serde_json::from_str::<Gone>(raw.get()).ok());
        let removed: Vec<Uuid> = gone.map(|gone| gone.id).collect();
        let rows = page.value.iter().filter(|raw| serde_json::from_str::<Gone>(raw.get()).is_err());
        let rows = rows.map(|raw| reply.body.slice_ref(raw.get().as_bytes()));
        let rows = rows.map(|body| record(&body, &names.id)).collect::<Option<_>>();
        let rows = rows.ok_or_else(misread)?;
        let more = page.next.is_some();
        let link = page.next.or(page.delta).ok_or_else(misread)?;
        let token = Token(self.relative(&link));
        Ok(Delta::Changes(Changes { rows, removed, token, more }))
    }
}

/// Whether it is the token that is not taken: anything but a passing fault or one of rights.
fn is_dead(failure: &Failure, token: Option<&Token>) -> bool {
    let judged = failure.status.is_some_and(|status| (400..500).contains(&status));
    let rights = matches!(failure.fault.kind, Kind::Credential | Kind::Forbidden);
    token.is_some() && judged && !rights && failure.fault.act() != Act::Retry
}
