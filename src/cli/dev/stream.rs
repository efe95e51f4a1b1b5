//! The order in which the shipped input is sent and arrives, with everything a real stream does to it.
//!
//! In come organisations and a seed; out go the bodies as CluedIn sends them, by partition, and the
//! [`Fact`]s behind them, from which a model that knows nothing of Concord computes what must be
//! there in the end. Emit times are explicit and never equal, so that the newest is always one.

use bytes::Bytes;
use jiff::{Timestamp, ToSpan};
use serde_json::{Map, Value, json};

use super::organisation::{Organisation, State, money};
use crate::chance::Chance;

/// How many partitions the hub has.
pub(super) const PARTITIONS: usize = 4;

/// CluedIn sends up to so many events at once, and the broker puts each send on the next partition.
const SEND: usize = 50;

/// When the first event was sent: long ago, so that every hold on a removal is over when the sweep
/// comes at the end of a pass.
const START: &str = "2025-03-03T08:00:00Z";

/// What was sent about one organisation.
#[derive(Clone, Debug)]
pub(super) struct Fact {
    /// Its place among the organisations.
    pub(super) who: usize,
    /// Its emit time.
    pub(super) at: Timestamp,
    /// What it says.
    pub(super) what: What,
}

/// What an event says.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// The whole state, which some consumer may find bad.
    Now(State),
    /// It is gone; the last state is repeated.
    Removed(State),
    /// A body that ends in the middle.
    Truncated(State),
    /// A body without `Id`.
    Nameless(State),
}

/// The input: bodies by send, and the facts behind them.
#[derive(Debug)]
pub(super) struct Stream {
    /// Partition and bodies, in the order of their arrival.
    pub(super) sends: Vec<(usize, Vec<Bytes>)>,
    /// Everything that was sent, copies not repeated.
    pub(super) facts: Vec<Fact>,
}

/// An event before it has a time: when it is sent and when it arrives, on one scale.
struct Planned {
    who: usize,
    what: What,
    sent: u64,
    arrives: Vec<u64>,
}

/// Plans, times and writes the whole stream.
pub(super) fn stream(organisations: &[Organisation], chance: &Chance) -> Stream {
    let mut planned: Vec<Planned> = Vec::new();
    for (who, organisation) in organisations.iter().enumerate() {
        plan(who, organisation, organisations.len() as u64, chance, &mut planned);
    }
    planned.sort_by_key(|event| event.sent);
    let start: Timestamp = START.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let mut arrivals: Vec<(u64, Bytes)> = Vec::new();
    let mut facts = Vec::new();
    for (event, rank) in planned.into_iter().zip(0_i64..) {
        let at = start.saturating_add((rank * 137).milliseconds()).unwrap_or(start);
        let Some(organisation) = organisations.get(event.who) else { continue };
        let body = Bytes::from(body(organisation, &event.what, at));
        arrivals.extend(event.arrives.iter().map(|when| (*when, body.clone())));
        facts.push(Fact { who: event.who, at, what: event.what });
    }
    arrivals.sort_by_key(|(when, _)| *when);
    let bodies: Vec<Bytes> = arrivals.into_iter().map(|(_, body)| body).collect();
    let sends = bodies.chunks(SEND).enumerate();
    let sends = sends.map(|(number, sent)| (number % PARTITIONS, sent.to_vec())).collect();
    Stream { sends, facts }
}

/// Of a hundred organisations: ten change, three are removed, five are overtaken by their own past,
/// five arrive twice, two are sent again; every two hundredth also sends something bad.
fn plan(
    who: usize,
    organisation: &Organisation,
    all: u64,
    chance: &Chance,
    planned: &mut Vec<Planned>,
) {
    let sent = who as u64 * 16;
    let later = |from: u64| from + 1 + chance.below(all * 8);
    let once = |what, sent| Planned { who, what, sent, arrives: vec![sent] };
    let mut first = organisation.first.clone();
    let mut event = once(What::Now(first.clone()), sent);
    match chance.below(100) {
        0..10 => {
            let again = later(sent);
            let changed = first.changed(chance);
            if chance.below(2) == 0 {
                planned.push(once(What::Now(changed.changed(chance)), later(again)));
            }
            planned.push(once(What::Now(changed), again));
        }
        10..13 => planned.push(once(What::Removed(first.clone()), later(sent))),
        13..18 => {
            let newer = later(sent);
            event.arrives = vec![later(newer)];
            planned.push(once(What::Now(first.changed(chance)), newer));
        }
        18..23 => event.arrives.push(later(sent)),
        23..25 => planned.push(once(What::Now(first.clone()), later(sent))),
        25..35 => {
            first.note = Some(format!("Known since {}", first.opened.year()));
            event.what = What::Now(first.clone());
        }
        _ => {}
    }
    planned.push(event);
    if who % 200 == 100 {
        planned.push(once(bad(who / 200, &first), later(sent)));
    }
}

/// One of the five kinds of bad record, in turn.
fn bad(turn: usize, state: &State) -> What {
    let state = state.clone();
    match turn % 5 {
        0 => What::Truncated(state),
        1 => What::Nameless(state),
        2 => What::Now(State { country: "XQQ".to_owned(), ..state }),
        3 => What::Now(State { name: format!("{} {}", state.name, "of ".repeat(100)), ..state }),
        _ => What::Now(State { numbered: false, ..state }),
    }
}

/// A body as CluedIn's Event Hub connector writes it: indented, values as text, nulls as null.
pub(super) fn body(organisation: &Organisation, what: &What, at: Timestamp) -> Vec<u8> {
    let (change, state) = match what {
        What::Now(state) | What::Truncated(state) | What::Nameless(state) => ("Changed", state),
        What::Removed(state) => ("Removed", state),
    };
    let mut data = properties(organisation, state);
    if matches!(what, What::Nameless(_)) {
        data.remove("Id");
    }
    let event = json!({
        "TimeStamp": at.strftime("%Y-%m-%dT%H:%M:%S%.f+00:00").to_string(),
        "Epoch": at.as_second(),
        "VersionChangeType": change,
        "Data": data,
    });
    let mut body = serde_json::to_vec_pretty(&event).unwrap_or_default();
    if matches!(what, What::Truncated(_)) {
        body.truncate(body.len() / 2);
    }
    body
}

fn properties(organisation: &Organisation, state: &State) -> Map<String, Value> {
    let code = |origin: &str, value: &str| Value::from(format!("/Organization#{origin}:{value}"));
    let mut codes = vec![code("ISO3166-2", organisation.code)];
    if state.numbered {
        codes.push(code("SAP", &organisation.number));
    }
    codes.push(code("Registry", &organisation.id.simple().to_string()));
    let data = json!({
        "organization.kind": state.kind,
        "organization.countryIso3": state.country,
        "organization.openedOn": state.opened.to_string(),
        "organization.creditLimit": money(state.credit),
        "organization.segment": state.segment,
        "organization.status": state.status,
        "organization.webPage": state.web_page,
        "organization.note": state.note,
        "Name": state.name,
        "Id": organisation.id.to_string(),
        "PersistHash": hash(organisation, state),
        "OriginEntityCode": codes.first(),
        "EntityType": "/Organization",
        "Codes": codes,
    });
    if let Value::Object(data) = data { data } else { Map::new() }
}

/// 24 characters of base64, as CluedIn's hash of the stored entity looks.
fn hash(organisation: &Organisation, state: &State) -> String {
    use base64::Engine as _;
    let text = format!("{state:?}");
    let digest = uuid::Uuid::new_v5(&organisation.id, text.as_bytes());
    base64::engine::general_purpose::STANDARD.encode(digest.as_bytes())
}

#[cfg(test)]
mod tests;
