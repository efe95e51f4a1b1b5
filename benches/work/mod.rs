//! The work that is measured: events of a master-data stream as the Functions host posts them, and what
//! must stand in the target when all of them were handled. Computed from a seed, so that every
//! contender gets the same bytes.

#[allow(dead_code, reason = "messages and timers are for others")]
#[path = "../../tests/fire/envelope.rs"]
mod envelope;

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use fastrand::Rng;
use serde_json::{Value, json};

use envelope::{Held, Retry};

/// How much work, and of what kind. Shares are of a thousand events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Size {
    pub(crate) events: usize,
    pub(crate) keys: usize,
    pub(crate) partitions: usize,
    pub(crate) batch: usize,
    pub(crate) duplicates: u32,
    pub(crate) late: u32,
    pub(crate) removals: u32,
    pub(crate) bad: u32,
    pub(crate) seed: u64,
}

impl Default for Size {
    fn default() -> Self {
        Self {
            events: 100_000,
            keys: 50_000,
            partitions: 4,
            batch: 256,
            duplicates: 50,
            late: 50,
            removals: 30,
            bad: 1,
            seed: 1,
        }
    }
}

/// What is posted, and what it comes to.
#[derive(Debug)]
pub(crate) struct Work {
    /// The host's envelopes of each partition, in order.
    pub(crate) batches: Vec<Vec<Bytes>>,
    /// Every row that is there at the end, with its revision.
    pub(crate) rows: BTreeMap<String, u64>,
    /// Events that must end in the poison queue.
    pub(crate) bad: usize,
    /// How many events there are.
    pub(crate) events: usize,
    /// The length of an average one.
    pub(crate) event_bytes: usize,
}

/// How far back a duplicate or a late event reaches.
const RECENT: usize = 500;

impl Work {
    /// Makes the work of this size.
    pub(crate) fn new(size: &Size) -> Self {
        let (batches, rows) = (Vec::new(), BTreeMap::new());
        let mut work = Self { batches, rows, bad: 0, events: 0, event_bytes: 0 };
        for partition in 0..size.partitions {
            let mut stream = Stream::new(partition, size);
            let events: Vec<Held> = (0..size.events / size.partitions)
                .map(|sequence| Held {
                    body: stream.next(size),
                    sequence: i64::try_from(sequence).unwrap(),
                })
                .collect();
            work.events += events.len();
            work.event_bytes += events.iter().map(|event| event.body.len()).sum::<usize>();
            let retry = Retry { count: 0, most: Some(8) };
            let batches = events.chunks(size.batch);
            let batches = batches.map(|batch| envelope::events(partition, batch, retry).into());
            work.batches.push(batches.collect());
            work.rows.extend(stream.rows());
            work.bad += stream.bad;
        }
        work.event_bytes /= work.events.max(1);
        work
    }
}

/// The events of one partition. Keys belong to one partition.
struct Stream {
    partition: usize,
    dice: Rng,
    things: Vec<Thing>,
    /// What was said lately: which thing, and the event.
    recent: VecDeque<(usize, String)>,
    tick: u64,
    bad: usize,
}

/// One thing of master data: its newest revision, zero when nothing was said of it yet.
#[derive(Clone, Copy, Debug, Default)]
struct Thing {
    revision: u64,
    gone: bool,
}

impl Stream {
    fn new(partition: usize, size: &Size) -> Self {
        let things = vec![Thing::default(); (size.keys / size.partitions).max(1)];
        let dice = Rng::with_seed(size.seed * 1_000 + partition as u64);
        Self { partition, dice, things, recent: VecDeque::new(), tick: 0, bad: 0 }
    }

    fn next(&mut self, size: &Size) -> String {
        let mut share = self.dice.u32(0..1_000);
        let mut falls = |part: u32| {
            let falls = share < part;
            share = share.saturating_sub(part);
            falls
        };
        let (bad, duplicate) = (falls(size.bad), falls(size.duplicates));
        let (late, removal) = (falls(size.late), falls(size.removals));
        let earlier = self.dice.choice(self.recent.iter()).cloned();
        match earlier {
            _ if bad => self.broken(),
            Some((_, event)) if duplicate => event,
            // Older than what was said last of the same thing, and never said before.
            Some((thing, _)) if late => {
                self.event(thing, self.things[thing].revision - 1, "Changed")
            }
            Some((thing, _)) if removal => self.said(thing, "Removed"),
            Some(_) | None => {
                let thing = self.dice.usize(0..self.things.len());
                self.said(thing, "Changed")
            }
        }
    }

    /// A new revision of a thing.
    fn said(&mut self, number: usize, change: &str) -> String {
        self.tick += 2;
        self.things[number] = Thing { revision: self.tick, gone: change == "Removed" };
        let event = self.event(number, self.tick, change);
        self.recent.push_back((number, event.clone()));
        if self.recent.len() > RECENT {
            self.recent.pop_front();
        }
        event
    }

    /// What nobody can use: half a text, or a country that does not exist.
    fn broken(&mut self) -> String {
        self.bad += 1;
        self.tick += 2;
        let number = self.dice.usize(0..self.things.len());
        let event = self.event(number, self.tick, "Changed");
        if self.bad.is_multiple_of(2) {
            event[..event.len() / 2].to_owned()
        } else {
            event.replace("\"partner.countryIso3\":\"", "\"partner.countryIso3\":\"Atlantis ")
        }
    }

    fn event(&self, number: usize, revision: u64, change: &str) -> String {
        let code = code(self.partition, number);
        let mut dice = Rng::with_seed(revision * 7_919 + number as u64);
        json!({
            "TimeStamp": moment(revision),
            "VersionChangeType": change,
            "Data": properties(&code, number, revision, &mut dice),
        })
        .to_string()
    }

    fn rows(&self) -> impl Iterator<Item = (String, u64)> {
        let there = |(_, thing): &(usize, &Thing)| thing.revision > 0 && !thing.gone;
        let things = self.things.iter().enumerate().filter(there);
        things.map(|(number, thing)| (code(self.partition, number), thing.revision))
    }
}

/// The number of a thing. By it, what goes to the target and to storage is known for its partition's.
fn code(partition: usize, number: usize) -> String {
    format!("cust{partition}x{number:07}")
}

/// The partition of the first number in a text.
#[allow(dead_code, reason = "only the load asks where a call came from")]
pub(crate) fn partition_of(text: &[u8]) -> Option<usize> {
    let at = text.windows(4).position(|window| window == b"cust")?;
    let digit = text.get(at + 4).filter(|digit| digit.is_ascii_digit())?;
    Some(usize::from(digit - b'0'))
}

/// Five milliseconds a revision.
fn moment(revision: u64) -> String {
    let millis = 1_772_323_200_000 + i64::try_from(revision).unwrap() * 5;
    jiff::Timestamp::from_millisecond(millis).unwrap().to_string()
}

/// What a thing looks like: twenty properties that are mapped, and some that are not.
fn properties(code: &str, number: usize, revision: u64, dice: &mut Rng) -> Value {
    let mut pick = |words: &[&str]| words[dice.usize(0..words.len())].to_owned();
    let town = pick(&["København", "Aarhus", "Odense", "Aalborg", "Göteborg", "Malmö", "Oslo"]);
    let kind = pick(&["A/S", "ApS", "AB", "Holding A/S", "& Søn"]);
    let street = pick(&["Havnegade", "Store  Kongensgade", "Nørrebrogade", "Vestergade"]);
    let name = format!("{} {} {kind}", pick(&["Nordisk", "Dansk", "Øresund", "Baltic"]), town);
    json!({
        "Id": uuid::Uuid::from_u128(0x4b0c_8c1e_6d0c_5f0a_9a53_0000_0000_0000 | number as u128),
        "EntityType": "/Partner",
        "Name": format!(" {name} "),
        "partner.legalName": format!("{name} af {}", 1900 + number % 120),
        "partner.countryIso3": pick(&["DNK", "SWE", "NOR", "DEU", "FIN"]),
        "partner.currency": pick(&["DKK", "SEK", "NOK", "EUR"]),
        "partner.language": pick(&["dan", "swe", "nor", "deu"]),
        "partner.segment": pick(&["Key", "Standard", "Small"]),
        "partner.creditLimit": format!("{}.50", 1_000 + revision % 90_000),
        "partner.balance": format!("-{}.25", revision % 10_000),
        "partner.employees": (number % 5_000).to_string(),
        "partner.active": pick(&["true", "false"]),
        "partner.openedOn": format!("20{:02}-{:02}-{:02}", number % 25, 1 + number % 12, 1 + number % 28),
        "partner.reviewedAt": moment(revision),
        "partner.email": format!("Info@{code}.example"),
        "partner.phone": format!("{} {:02} {:02}", 3312 + number % 80, number % 100, revision % 100),
        "partner.street": format!("{street} {}", 1 + number % 200),
        "partner.postalCode": format!("{:04}", 1_000 + number % 8_999),
        "partner.city": town,
        "partner.webPage": format!("https://www.{code}.example/da/om-os"),
        "partner.note": "Aftale \"B\" gælder; se bilag 3.\nKontakt før levering.",
        "partner.revision": revision.to_string(),
        "partner.sourceSystem": "SAP ECC 6.0",
        "partner.steward": "masterdata@acme.example",
        "partner.quality": "0.97",
        "partner.duns": format!("{:09}", 300_000_000 + number),
        "partner.vatNumber": format!("DK{:08}", 10_000_000 + number),
        "partner.industry": "Engroshandel med maskiner og udstyr",
        "partner.deliveryTerms": "DAP",
        "partner.paymentTerms": "Løbende måned + 30 dage",
        "partner.lastOrder": format!("2026-02-{:02}", 1 + revision % 28),
        "Codes": [format!("/Partner#SAP:{code}"), format!("/Partner#CluedIn:{number:016x}")],
    })
}
