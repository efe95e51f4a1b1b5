//! One event, followed through decoding, its maps and the ledger.

use serde_json::{Value as Json, json};

use crate::change::Change;
use crate::cli::wording::{self, Told};
use crate::decode::Decoder;
use crate::delivery::Event;
use crate::fault::Fault;
use crate::ledger::{Entry, Ledger, Preview};
use crate::mapping::{Maps, Trace};

/// One change of an event, and what each map makes of it.
#[derive(Debug)]
pub(in crate::cli) struct Explained {
    /// Which event of the input, from 1.
    pub(in crate::cli) event: usize,
    /// The change, or why it could not be read.
    pub(in crate::cli) change: Result<Change<'static>, Fault>,
    /// What each map makes of it.
    pub(in crate::cli) maps: Vec<Mapped>,
}

/// What one map makes of a change.
#[derive(Debug)]
pub(in crate::cli) struct Mapped {
    /// The row and the way to it.
    pub(in crate::cli) trace: Trace,
    /// What the ledger knows and would decide; absent when it was not asked, or there is no row.
    pub(in crate::cli) known: Option<Result<(Entry, Preview), Fault>>,
}

/// Reads an event and maps it; `only` leaves out all other maps.
pub(in crate::cli) fn explain(
    decoder: &Decoder,
    maps: &Maps,
    system: &str,
    event: &Event,
    only: Option<&str>,
) -> Vec<Explained> {
    let explained = decoder.decode(event).into_iter().map(|decoded| {
        let traces = match &decoded.change {
            Ok(change) => maps.traces(system, change),
            Err(_) => Vec::new(),
        };
        let wanted = |trace: &Trace| only.is_none_or(|only| *trace.map.name == *only);
        let maps = traces.into_iter().filter(wanted);
        Explained {
            event: 1,
            maps: maps.map(|trace| Mapped { trace, known: None }).collect(),
            change: decoded.change.map(Change::into_owned),
        }
    });
    explained.collect()
}

impl Explained {
    /// Asks the ledger about each row.
    pub(in crate::cli) async fn ask(&mut self, ledger: &Ledger) {
        for mapped in &mut self.maps {
            if let Ok(Some(row)) = &mapped.trace.row {
                mapped.known = Some(ledger.preview(row).await);
            }
        }
    }

    /// As JSON.
    pub(in crate::cli) fn json(&self) -> Json {
        match &self.change {
            Err(fault) => json!({ "event": self.event, "fault": Told::from(fault) }),
            Ok(change) => json!({
                "event": self.event,
                "change": {
                    "entity": change.entity,
                    "id": change.id,
                    "kind": change.kind,
                    "order": change.order,
                    "schema": change.schema,
                    "event_id": change.event_id,
                    "correlation": change.correlation,
                },
                "maps": self.maps.iter().map(Mapped::json).collect::<Vec<_>>(),
            }),
        }
    }
}

impl Mapped {
    fn json(&self) -> Json {
        let to = &self.trace.map.destination;
        let (row, fault) = match &self.trace.row {
            Ok(row) => (row.as_ref().map(wording::row_json), None),
            Err(fault) => (None, Some(Told::from(fault))),
        };
        let known = self.known.as_ref();
        let asked = known.and_then(|known| known.as_ref().ok());
        let unasked = known.and_then(|known| known.as_ref().err());
        json!({
            "map": to.map,
            "version": to.version,
            "contract": to.contract,
            "steps": self.trace.steps,
            "row": row,
            "fault": fault,
            "entry": asked.map(|(entry, _)| wording::entry_json(to, entry)),
            "decision": asked.map(|(_, preview)| preview),
            "ledger_fault": unasked.map(Told::from),
        })
    }
}
