//! The records that a command names, and what is known around them.

use std::sync::Arc;

use super::filters::Filters;
use super::names;
use crate::cli::desk::Desk;
use crate::config;
use crate::fault::Fault;
use crate::ledger::Ledger;
use crate::poison::{Filter, Id, Kept, Poison, Record, Status};

/// Why it is not known which records are meant.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Name(#[from] names::Error),
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Desk {
    pub(super) fn poison(&self) -> &Poison {
        &self.app.pipeline.poison
    }

    pub(super) fn ledger(&self) -> &Ledger {
        &self.app.pipeline.ledger
    }

    /// Every record of every map and source there is.
    pub(super) async fn all(&self) -> Result<Vec<Kept>, Fault> {
        self.poison().list(&self.partitions(), &Filter::default()).await
    }

    /// The records that filters admit, oldest first. A map that is no more can still be asked for.
    pub(super) async fn filtered(
        &self,
        filters: &Filters,
        status: Option<Status>,
    ) -> Result<Vec<Kept>, Fault> {
        let filter = filters.filter(status, self.app.clock.now());
        let partitions = match &filters.map {
            Some(map) => vec![map.clone()],
            None => self.partitions(),
        };
        self.poison().list(&partitions, &filter).await
    }

    /// The records that these texts name, each once; none at all when one names none.
    pub(super) async fn named(&self, texts: &[String]) -> Result<Vec<Kept>, Error> {
        let mut found = Vec::new();
        let mut all = None;
        for text in texts {
            // A whole id is read directly, also when its map is no more.
            if let Ok(id) = text.parse::<Id>()
                && let Some(kept) = self.poison().get(&id).await?
            {
                found.push(kept);
                continue;
            }
            let all: &Vec<Kept> = match &mut all {
                Some(all) => all,
                none @ None => none.insert(self.all().await?),
            };
            let id = names::named(text, all.iter().map(|kept| &kept.record.id))?;
            found.extend(all.iter().find(|kept| kept.record.id == *id).cloned());
        }
        let mut seen = std::collections::HashSet::new();
        found.retain(|kept| seen.insert(kept.record.id.clone()));
        Ok(found)
    }

    /// The record that a text names.
    pub(super) async fn one(&self, text: &str) -> Result<Kept, Error> {
        let mut found = self.named(&[text.to_owned()]).await?;
        found.pop().ok_or_else(|| names::Error::Unknown(text.to_owned()).into())
    }

    /// The source that a record's event came from; none for a row that the ledger itself resumed, and
    /// for a source that is no more.
    pub(super) fn source(&self, record: &Record) -> Option<Arc<str>> {
        self.app.config.sources.keys().find(|name| ***name == *record.system).cloned()
    }

    /// The address of a target environment, without the path of its Web API.
    pub(super) fn address(&self, system: &str) -> Option<String> {
        let config::Target::Dataverse(target, _) = self.app.config.targets.get(system)?;
        let root = target.url.split("/api/data").next()?;
        Some(root.trim_end_matches('/').to_owned())
    }

    /// Every map, and every source for what no map could read.
    fn partitions(&self) -> Vec<String> {
        let maps = self.app.maps.destinations().into_iter().map(|to| to.map.to_string());
        let sources = self.app.config.sources.keys().map(|system| Id::unread(system));
        maps.chain(sources).collect()
    }
}
