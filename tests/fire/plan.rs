//! What is said and how it is cut: one seed makes one plan, always the same.

use fastrand::Rng;
use jiff::Timestamp;
use serde_json::json;

use crate::envelope::Held;

/// How large a run is, and how rough.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    /// Different changes; some are delivered more than once.
    pub(crate) changes: usize,
    pub(crate) keys: usize,
    pub(crate) partitions: usize,
    pub(crate) processes: usize,
    pub(crate) kills: usize,
    /// Whether target and storage fail, and batches are handed to two processes at once.
    pub(crate) rough: bool,
}

/// What one change says about its key, and what is to become of it.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    pub(crate) key: usize,
    /// Decides which of two changes of a key is newer.
    pub(crate) place: u64,
    pub(crate) what: What,
    pub(crate) name: String,
    pub(crate) note: Option<String>,
    pub(crate) body: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    There,
    Gone,
    /// No map can read it.
    Unreadable,
    /// Both maps refuse it: no code of the key.
    Keyless,
    /// Both maps refuse it: the name is too long.
    LongForBoth,
    /// The map of contacts refuses it: the name is too long for them.
    LongForContact,
    /// The target refuses the account, and takes the contact.
    RefusedAccount,
    /// The target refuses the contact, and takes the account.
    RefusedContact,
}

/// A batch of one partition, and whether two processes get it at once.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) events: Vec<Held>,
    pub(crate) doubled: bool,
    /// How many outcomes its events have: one for each map, or one when no map can read it.
    pub(crate) outcomes: u64,
}

#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) said: Vec<Said>,
    pub(crate) partitions: Vec<Vec<Batch>>,
    /// Before which delivery a process is killed, counted over all partitions, and which one.
    pub(crate) kills: Vec<(usize, usize)>,
}

impl Plan {
    pub(crate) fn new(seed: u64, size: Size) -> Self {
        let mut dice = Rng::with_seed(seed);
        let said = everything_said(&mut dice, size);
        let partitions = partitions(&mut dice, size, &said);
        let batches: usize = partitions.iter().map(Vec::len).sum();
        let kill = |_| (dice.usize(0..batches), dice.usize(0..size.processes));
        let mut kills: Vec<_> = (0..size.kills).map(kill).collect();
        kills.sort_unstable();
        Self { said, partitions, kills }
    }

    /// How many events are delivered if all goes well.
    pub(crate) fn events(&self) -> usize {
        self.partitions.iter().flatten().map(|batch| batch.events.len()).sum()
    }
}

/// Some keys change all the time, most now and then; the changes of a key are in order.
fn everything_said(dice: &mut Rng, size: Size) -> Vec<Said> {
    let mut places = vec![0; size.keys];
    let hot = (size.keys / 100).max(1);
    let mut said = Vec::with_capacity(size.changes);
    for number in 0..size.changes {
        let key = match dice.u32(0..100) {
            0..12 => dice.usize(0..hot),
            _ => dice.usize(0..size.keys),
        };
        places[key] += 1;
        said.push(change(dice, number, key, places[key]));
    }
    said
}

fn change(dice: &mut Rng, number: usize, key: usize, place: u64) -> Said {
    let what = match dice.u32(0..1_000) {
        0..100 => What::Gone,
        100..106 => What::Unreadable,
        106..110 => What::Keyless,
        110..116 => What::LongForBoth,
        116..124 => What::LongForContact,
        124..132 => What::RefusedAccount,
        132..140 => What::RefusedContact,
        _ => What::There,
    };
    // Now and then a change says what the one before it said.
    let told = place - u64::from(dice.u32(0..10) == 0);
    let spare = 51 + dice.usize(0..100);
    let long = (what == What::LongForContact).then_some(spare);
    let length = if what == What::LongForBoth { 161 } else { long.unwrap_or_default() };
    let name = format!("{:x<length$}", format!("thing {key} {told}."));
    let note = (!told.is_multiple_of(7)).then(|| format!("note {told}"));
    let body = body((key, place, number), what, &name, note.as_deref());
    Said { key, place, what, name, note, body }
}

/// Half of the keys have versions, and their emit times mean nothing.
fn body(
    (key, place, number): (usize, u64, usize),
    what: What,
    name: &str,
    note: Option<&str>,
) -> String {
    let versioned = key % 2 == 1;
    let start = 1_760_000_000_000;
    let odd = i64::try_from(number * 7_919 % 100_000).unwrap();
    let second = i64::try_from(place).unwrap();
    let millis = if versioned { start + odd } else { start + second * 10 };
    let mut codes = vec![format!("/Thing#ERP:{number}"), format!("/Thing#SAP:K{key:06}")];
    codes.truncate(if what == What::Keyless { 1 } else { 2 });
    let mut event = json!({
        "TimeStamp": Timestamp::from_millisecond(millis).unwrap().to_string(),
        "VersionChangeType": if what == What::Gone { "Removed" } else { "Changed" },
        "Data": {
            "Id": format!("id-{key}"),
            "EntityType": "/Thing",
            "Codes": codes,
            "Name": name,
            "thing.count": if what == What::RefusedAccount { -1 } else { 7 },
            "thing.gender": if what == What::RefusedContact { 99 } else { 1 },
            "thing.note": note,
        },
    });
    if versioned {
        event["Data"]["PersistVersion"] = place.into();
    }
    let mut text = event.to_string();
    if what == What::Unreadable {
        text.truncate(text.len() - 9);
    }
    text
}

/// Deals the changes to the partitions: most in order and at their key's partition, some twice, some
/// late, some elsewhere; then cuts each partition into batches.
fn partitions(dice: &mut Rng, size: Size, said: &[Said]) -> Vec<Vec<Batch>> {
    let mut sent = Vec::new();
    for (index, one) in said.iter().enumerate() {
        let times = 1 + usize::from(dice.u32(0..8) == 0);
        for _ in 0..times {
            let late = match dice.u32(0..20) {
                0 => dice.usize(0..=size.changes / 2),
                1..5 => dice.usize(0..30),
                _ => 0,
            };
            let home = one.key % size.partitions;
            let elsewhere = dice.u32(0..10) == 0;
            let partition = if elsewhere { dice.usize(0..size.partitions) } else { home };
            let outcomes = if one.what == What::Unreadable { 1 } else { 2 };
            sent.push((index + late, sent.len(), partition, (one.body.as_str(), outcomes)));
        }
    }
    sent.sort_unstable();
    let mut partitions: Vec<Vec<Batch>> = vec![Vec::new(); size.partitions];
    let mut sequences = vec![0; size.partitions];
    let mut room = vec![0; size.partitions];
    for (_, _, partition, (body, outcomes)) in sent {
        let batches = &mut partitions[partition];
        if room[partition] == 0 {
            room[partition] = if dice.bool() { dice.usize(1..20) } else { dice.usize(20..257) };
            let doubled = size.rough && size.processes > 1 && dice.u32(0..12) == 0;
            batches.push(Batch { events: Vec::new(), doubled, outcomes: 0 });
        }
        room[partition] -= 1;
        sequences[partition] += 1;
        let held = Held { body: body.to_owned(), sequence: sequences[partition] };
        let batch = batches.last_mut().unwrap();
        batch.outcomes += outcomes;
        batch.events.push(held);
    }
    partitions
}
