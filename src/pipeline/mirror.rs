//! Error records shown in a table of a target, for people who work there and not here.
//!
//! The poison store stays the truth. After a record is kept or marked, a row of it is upserted by its
//! id, as far as that succeeds within two seconds; a table that takes longer is left alone for a minute.
//! What fails is logged and not made up for until the record changes again. The event's own bytes go along only where no map secures a column of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use tokio::time::{Instant, timeout};

use super::Pipeline;
use crate::fault::Fault;
use crate::order::Order;
use crate::poison::{Id, Kept, Record, Refusal, Status};
use crate::row::{Action, Columns, Destination, Key, Row, Value};
use crate::system::{Answer, Target, Write};

/// How long the path waits for the table at most.
const PATIENCE: Duration = Duration::from_secs(2);
/// How long a table that took longer is left alone.
const PAUSE: Duration = Duration::from_mins(1);
/// Characters of a reason or a key that are shown.
const TEXT: usize = 400;
/// Characters of an event that are shown.
const PAYLOAD: usize = 100_000;

/// A table of a target that shows error records, beside the poison store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["system", "table", "columns"]))]
pub struct Config {
    /// The target system.
    pub system: String,
    /// The table's logical name.
    pub table: String,
    /// Which column shows what.
    pub columns: Shown,
}

/// Which column shows what of an error record. What has no column is not shown.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(extend("required" = ["id"]))]
pub struct Shown {
    /// The record's id, a text of up to 200 characters; an alternate key of the table.
    pub id: String,
    /// The map, a text; left alone when no map could read the event.
    pub map: Option<String>,
    /// The row's key, a text of up to 400 characters; masked where it is secured.
    pub key: Option<String>,
    /// The code of the fault, a text.
    pub code: Option<String>,
    /// What happened and what to do, a text of up to 400 characters.
    pub reason: Option<String>,
    /// The correlation id, a text of 36 characters.
    pub correlation: Option<String>,
    /// How often the event was refused, a whole number.
    pub attempts: Option<String>,
    /// `open`, `resolved` or `dismissed`, a text.
    pub status: Option<String>,
    /// The event as it came, a text of up to 100,000 characters; left out for maps with secured columns.
    pub payload: Option<String>,
}

/// The table that shows error records.
#[derive(Debug)]
pub struct Mirror {
    target: Arc<dyn Target>,
    to: Arc<Destination>,
    columns: Shown,
    paused: Mutex<Option<Instant>>,
}

impl Mirror {
    /// Over the target that holds the table.
    pub fn new(config: &Config, target: Arc<dyn Target>) -> Self {
        let to = Destination {
            map: "poison".into(),
            system: config.system.clone(),
            table: config.table.clone(),
            key: vec![config.columns.id.clone()],
            ..Destination::default()
        };
        Self { target, to: Arc::new(to), columns: config.columns.clone(), paused: Mutex::default() }
    }

    /// Shows records, each with its event where that may be seen. Never fails and never takes long.
    async fn show(&self, records: &[(Record, Option<String>)]) {
        let writes: Vec<Write> = records
            .iter()
            .map(|(record, payload)| self.write(record, payload.as_deref()))
            .collect();
        let deadline = Instant::now() + PATIENCE;
        if self.is_paused() {
            tracing::warn!(records = records.len(), reason = "paused", "error_records_not_shown");
            return;
        }
        let Ok(answers) = timeout(PATIENCE, self.target.write(&writes, deadline.into())).await
        else {
            *self.paused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
            tracing::warn!(records = records.len(), reason = "timeout", "error_records_not_shown");
            return;
        };
        let refused = answers.iter().filter_map(|answer| match answer {
            Answer::Not(fault) | Answer::Unknown(fault) => Some(fault),
            Answer::Written { .. } | Answer::Kept { .. } | Answer::Absent => None,
        });
        let refused: Vec<&Fault> = refused.collect();
        if let Some(first) = refused.first() {
            tracing::warn!(records = refused.len(), reason = %first, "error_records_not_shown");
        }
    }

    fn is_paused(&self) -> bool {
        let paused = self.paused.lock().unwrap_or_else(PoisonError::into_inner);
        paused.is_some_and(|since| since.elapsed() < PAUSE)
    }

    fn write(&self, record: &Record, payload: Option<&str>) -> Write {
        let columns = &self.columns;
        let text = |text: &str, most: usize| Value::Text(text.chars().take(most).collect());
        let status = match record.status {
            Status::Open => "open",
            Status::Resolved => "resolved",
            Status::Dismissed => "dismissed",
        };
        let cells = [
            (&columns.map, record.map.as_deref().map(|map| text(map, TEXT))),
            (&columns.key, record.key.as_deref().map(|key| text(key, TEXT))),
            (&columns.code, Some(text(record.code.code(), TEXT))),
            (&columns.reason, Some(text(&record.reason, TEXT))),
            (&columns.correlation, Some(Value::Text(record.correlation.to_string()))),
            (&columns.attempts, Some(Value::Integer(record.attempts.into()))),
            (&columns.status, Some(text(status, TEXT))),
            (&columns.payload, payload.map(|payload| text(payload, PAYLOAD))),
        ];
        let values = cells
            .into_iter()
            .filter_map(|(column, value)| Some((Arc::from(column.as_deref()?), value?)));
        let action = Action::Upsert(Columns { values: values.collect(), ..Columns::default() });
        let row = Row {
            to: Arc::clone(&self.to),
            key: Key(vec![(columns.id.as_str().into(), Value::Text(record.id.to_string()))]),
            action: action.into(),
            order: Order::emitted_at(record.last),
            correlation: record.correlation,
            only_if_known: false,
            thing: None,
        };
        Write { row: Arc::new(row), before: None }
    }
}

impl Pipeline {
    /// Sets refused events aside, durably, and shows them where that was asked for.
    pub(super) async fn set_aside(&self, refusals: &[Refusal]) -> Result<(), Fault> {
        let records = self.poison.keep(refusals).await?;
        let Some(mirror) = self.mirror.as_ref().filter(|_| !records.is_empty()) else {
            return Ok(());
        };
        let refused: BTreeMap<Id, &Refusal> =
            refusals.iter().map(|refusal| (Id::of(refusal), refusal)).collect();
        let shown = records.into_iter().map(|record| {
            let payload = refused.get(&record.id).and_then(|refusal| self.payload(refusal));
            (record, payload)
        });
        mirror.show(&shown.collect::<Vec<_>>()).await;
        Ok(())
    }

    /// Marks an error record, unless somebody else changed it since it was read, and shows the mark.
    pub async fn mark(
        &self,
        kept: Kept,
        status: Status,
        note: Option<String>,
    ) -> Result<(), Fault> {
        let record = Record { status, last: self.clock.now(), ..kept.record.clone() };
        self.poison.mark(kept, status, note).await?;
        if let Some(mirror) = &self.mirror {
            mirror.show(&[(record, None)]).await;
        }
        Ok(())
    }

    /// The event as text, where no map of its system that may be about it secures a column.
    fn payload(&self, refusal: &Refusal) -> Option<String> {
        let mut about = self.maps.iter().filter(|map| match &refusal.map {
            Some(name) => map.name == *name,
            None => *map.system == *refusal.system,
        });
        let secured = about.any(|map| !map.destination.secured.is_empty());
        let text = std::str::from_utf8(&refusal.event.body).ok().filter(|_| !secured)?;
        Some(text.to_owned())
    }
}
