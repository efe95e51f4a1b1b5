//! The floor: what it takes to parse the host's envelopes and to write rows as JSON with `serde` alone.
//! Nothing is mapped, nothing checked, nothing remembered; no handler can do with less.

use std::borrow::Cow;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::work::Work;

#[derive(Deserialize)]
struct Envelope {
    #[serde(rename = "Data")]
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    /// JSON in a string: an array of strings that hold JSON.
    events: String,
}

#[derive(Deserialize)]
struct Event<'a> {
    #[serde(borrow, rename = "Data")]
    data: Properties<'a>,
}

/// The twenty properties that are mapped, under the names of their columns when written.
#[derive(Deserialize, Serialize)]
struct Properties<'a> {
    #[serde(borrow, rename(deserialize = "Codes", serialize = "@odata.id"))]
    codes: (Cow<'a, str>, Cow<'a, str>),
    #[serde(borrow, rename(deserialize = "Name", serialize = "acme_name"))]
    name: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.legalName", serialize = "acme_legalname"))]
    legal_name: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.countryIso3", serialize = "acme_country"))]
    country: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.currency", serialize = "acme_currency"))]
    currency: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.language", serialize = "acme_language"))]
    language: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.segment", serialize = "acme_segment"))]
    segment: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.creditLimit", serialize = "acme_creditlimit"))]
    credit_limit: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.balance", serialize = "acme_balance"))]
    balance: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.employees", serialize = "acme_employees"))]
    employees: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.active", serialize = "acme_active"))]
    active: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.openedOn", serialize = "acme_openedon"))]
    opened_on: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.reviewedAt", serialize = "acme_reviewedat"))]
    reviewed_at: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.email", serialize = "acme_email"))]
    email: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.phone", serialize = "acme_phone"))]
    phone: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.street", serialize = "acme_street"))]
    street: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.postalCode", serialize = "acme_postalcode"))]
    postal_code: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.city", serialize = "acme_city"))]
    city: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.webPage", serialize = "acme_webpage"))]
    web_page: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.note", serialize = "acme_note"))]
    note: Cow<'a, str>,
    #[serde(borrow, rename(deserialize = "partner.revision", serialize = "acme_revision"))]
    revision: Cow<'a, str>,
}

/// Parses one envelope and writes its rows as one body; answers that body's length.
pub(crate) fn once(envelope: &[u8]) -> usize {
    let envelope: Envelope = serde_json::from_slice(envelope).unwrap();
    let events: Vec<String> = serde_json::from_str(&envelope.data.events).unwrap();
    let rows: Vec<Properties<'_>> = events
        .iter()
        .filter_map(|event| serde_json::from_str::<Event<'_>>(event).ok())
        .map(|event| event.data)
        .collect();
    serde_json::to_vec(&rows).unwrap().len()
}

/// What it takes per thousand events, in milliseconds of one CPU.
#[allow(dead_code, reason = "only the load compares with it")]
pub(crate) fn cpu_per_thousand(work: &Work) -> f64 {
    let batches: Vec<_> = work.batches.iter().flatten().take(200).collect();
    // The least of some rounds: nothing but the work itself.
    let round = || {
        let since = (Instant::now(), cpu());
        let written: usize = batches.iter().map(|batch| once(batch)).sum();
        assert!(written > 0, "nothing was written");
        match since.1.zip(cpu()) {
            Some((from, to)) => to - from,
            None => since.0.elapsed().as_secs_f64(),
        }
    };
    let least = (0..5).map(|_| round()).fold(f64::INFINITY, f64::min);
    let share = batches.len() as f64 / work.batches.iter().flatten().count() as f64;
    least * 1_000_000.0 / (work.events as f64 * share)
}

/// Seconds of CPU that this thread has had; nothing is known outside Linux.
#[allow(dead_code, reason = "only the load compares with it")]
fn cpu() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos: f64 = text.split(' ').next()?.parse().ok()?;
    Some(nanos / 1e9)
}
