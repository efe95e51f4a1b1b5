//! The daily digest and the weekly trend: figures of yesterday come in, an Adaptive Card goes to a Teams
//! workflow, once a day.
//!
//! The sweep asks whether it is due. A table row claims the day, so that of several instances one posts;
//! what fails is told in the log and tried again by a later sweep, at growing pauses. Should a process die
//! between posting and saying so, the card comes twice. The address is a secret: it carries a signature.
//!
//! Refused: an address that is neither `https` nor of this machine; redirects are not followed.

mod card;
mod claim;
mod gather;
mod post;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::{Date, Weekday};
use jiff::tz::TimeZone;
use schemars::JsonSchema;
use secrecy::SecretString;
use serde::Deserialize;
use serde_json::Value;

use self::claim::Claims;
pub use self::gather::{Digest, MapDay, Waiting, Week};
use crate::canary::Logbook;
use crate::clock::SharedClock;
use crate::fault::Fault;
use crate::figures::Figures;
use crate::poison::Poison;
use crate::store::{Queue, Table};

/// A daily digest, posted as an Adaptive Card to a Teams workflow.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The workflow's address; it carries a signature, so it is always a setting: `"${DIGEST_URL}"`.
    #[schemars(with = "Option<String>")]
    pub url: Option<SecretString>,
    /// The hour, in UTC, from which yesterday's digest is posted.
    pub hour: i8,
    /// The day whose digest brings the week's trend as well.
    pub weekly: Day,
    /// Where "Open" of the card leads: the ops page, a workbook.
    pub link: Option<String>,
}

/// A day of the week.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs, reason = "the days of the week")]
pub enum Day {
    #[default]
    Monday,
    Tuesday,
    Wednesday,
    Thursday,
    Friday,
    Saturday,
    Sunday,
}

impl Default for Config {
    fn default() -> Self {
        Self { url: None, hour: 6, weekly: Day::default(), link: None }
    }
}

impl Day {
    fn is(self, day: Date) -> bool {
        let weekday = match self {
            Self::Monday => Weekday::Monday,
            Self::Tuesday => Weekday::Tuesday,
            Self::Wednesday => Weekday::Wednesday,
            Self::Thursday => Weekday::Thursday,
            Self::Friday => Weekday::Friday,
            Self::Saturday => Weekday::Saturday,
            Self::Sunday => Weekday::Sunday,
        };
        day.weekday() == weekday
    }
}

/// Gathers and posts.
pub struct Briefing {
    config: Config,
    figures: Arc<Figures>,
    poison: Poison,
    /// The partitions of error records: maps, and sources for what no map could read.
    partitions: Vec<String>,
    work: Arc<dyn Queue>,
    logbook: Logbook,
    claims: Claims,
    clock: SharedClock,
}

/// Where a digest's facts come from.
#[derive(Debug)]
pub struct Facts {
    /// The sums by map and hour.
    pub figures: Arc<Figures>,
    /// The error records.
    pub poison: Poison,
    /// The partitions of error records.
    pub partitions: Vec<String>,
    /// What is deferred.
    pub work: Arc<dyn Queue>,
    /// What became of canaries.
    pub logbook: Logbook,
}

/// What a tick came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Posted {
    /// It is posted now.
    Now,
    /// It is not due, was posted, or somebody else is about it.
    NotDue,
    /// It could not be posted; a later tick tries again.
    Failed,
}

/// How long a tick may take in all.
const PATIENCE: Duration = Duration::from_secs(30);
/// Figures are kept for so many days.
const KEPT: i64 = 62;

impl Briefing {
    /// Over these facts; `table` keeps which days were posted.
    pub fn new(config: Config, facts: Facts, table: Arc<dyn Table>, clock: SharedClock) -> Self {
        let Facts { figures, poison, partitions, work, logbook } = facts;
        let claims = Claims::new(table);
        Self { config, figures, poison, partitions, work, logbook, claims, clock }
    }

    /// Posts yesterday's digest, when it is time and nobody did. Never fails and takes half a minute at
    /// most.
    pub async fn tick(&self) -> Posted {
        let now = self.clock.now();
        let Some(day) = self.due(now) else { return Posted::NotDue };
        let posted = async {
            if !self.claims.take(day, now).await? {
                return Ok::<_, Fault>(Posted::NotDue);
            }
            let posted = match self.post(day).await {
                Ok(()) => Posted::Now,
                Err(reason) => {
                    tracing::warn!(ev = "digest_failed", %day, %reason, "digest_failed");
                    Posted::Failed
                }
            };
            self.claims.conclude(day, posted == Posted::Now, now).await?;
            Ok(posted)
        };
        match tokio::time::timeout(PATIENCE, posted).await {
            Ok(Ok(posted)) => posted,
            Ok(Err(fault)) => {
                tracing::warn!(ev = "digest_failed", %day, reason = %fault, "digest_failed");
                Posted::Failed
            }
            Err(_) => {
                tracing::warn!(ev = "digest_failed", %day, reason = "it took too long", "digest_failed");
                Posted::Failed
            }
        }
    }

    /// Posts the digest of a day, whether or not it was posted.
    pub async fn post(&self, day: Date) -> Result<(), String> {
        let url = self.config.url.as_ref().ok_or("[digest] of concord.toml has no url")?;
        let digest = self.digest(day).await.map_err(|fault| fault.to_string())?;
        post::send(url, &self.card(&digest)).await.map_err(|error| error.to_string())?;
        let past = day.checked_sub(jiff::Span::new().days(KEPT)).unwrap_or(Date::MIN);
        if let Err(fault) = self.figures.forget(past).await {
            tracing::debug!(%fault, "old figures stay for now");
        }
        Ok(())
    }

    /// The digest of a day, with the week's trend on the day for it.
    pub async fn digest(&self, day: Date) -> Result<Digest, Fault> {
        let posted_on = day.tomorrow().unwrap_or(day);
        gather::digest(self, day, self.config.weekly.is(posted_on)).await
    }

    /// The message that a workflow takes.
    pub fn card(&self, digest: &Digest) -> Value {
        card::message(digest, self.config.link.as_deref(), self.clock.now())
    }

    /// The day before today.
    pub fn yesterday(&self) -> Date {
        let today = self.clock.now().to_zoned(TimeZone::UTC).date();
        today.yesterday().unwrap_or(today)
    }

    /// The day whose digest should be posted by now.
    fn due(&self, now: Timestamp) -> Option<Date> {
        self.config.url.as_ref()?;
        let time = now.to_zoned(TimeZone::UTC);
        (time.hour() >= self.config.hour).then(|| self.yesterday())
    }
}

impl fmt::Debug for Briefing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Briefing").field("hour", &self.config.hour).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
