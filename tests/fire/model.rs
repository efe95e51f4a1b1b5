//! What must be so when everything is quiet, computed from what was said and from nothing else.

use std::collections::{BTreeMap, BTreeSet};

use crate::plan::{Said, What};

/// The two tables, each with its map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Side {
    /// A removed thing leaves an inactive account.
    Account,
    /// A removed thing leaves nothing.
    Contact,
}

impl Side {
    pub(crate) const ALL: [Self; 2] = [Self::Account, Self::Contact];

    pub(crate) fn table(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Contact => "contact",
        }
    }

    pub(crate) fn map(self) -> &'static str {
        match self {
            Self::Account => "thing-account",
            Self::Contact => "thing-contact",
        }
    }

    fn key(self) -> &'static str {
        match self {
            Self::Account => "accountnumber",
            Self::Contact => "acme_number",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Account => "name",
            Self::Contact => "lastname",
        }
    }

    fn note(self) -> &'static str {
        match self {
            Self::Account => "description",
            Self::Contact => "jobtitle",
        }
    }

    /// What becomes of a change on this side.
    fn fate(self, what: What) -> Fate {
        match (self, what) {
            (_, What::Gone) => Fate::Gone,
            (_, What::Unreadable) => Fate::Unread,
            (_, What::Keyless | What::LongForBoth) | (Self::Contact, What::LongForContact) => {
                Fate::Unmapped
            }
            (Self::Account, What::RefusedAccount) | (Self::Contact, What::RefusedContact) => {
                Fate::Refused
            }
            (_, What::There)
            | (Self::Account, What::LongForContact | What::RefusedContact)
            | (Self::Contact, What::RefusedAccount) => Fate::There,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    There,
    Gone,
    Unread,
    Unmapped,
    Refused,
}

/// A row as the target shows it.
pub(crate) type Row = serde_json::Map<String, serde_json::Value>;
/// The rows of one table by the key of the map.
pub(crate) type Rows = BTreeMap<String, Row>;

/// The bodies that stand in quarantine, by partition of the poison store.
#[derive(Debug, Default)]
pub(crate) struct Poison {
    /// These do.
    pub(crate) certain: BTreeSet<(String, String)>,
    /// These may: the target would refuse them, but something newer came first.
    pub(crate) possible: BTreeSet<(String, String)>,
}

/// What was said, by key and in order.
fn by_key(said: &[Said]) -> BTreeMap<usize, Vec<&Said>> {
    let mut keys = BTreeMap::<usize, Vec<&Said>>::new();
    for one in said {
        keys.entry(one.key).or_default().push(one);
    }
    for changes in keys.values_mut() {
        changes.sort_by_key(|one| one.place);
    }
    keys
}

/// How many different accepted versions there are on a side: the most writes that are called for.
pub(crate) fn versions(said: &[Said], side: Side) -> usize {
    let accepted = |one: &&Said| matches!(side.fate(one.what), Fate::There | Fate::Gone);
    said.iter().filter(accepted).count()
}

/// How many keys of a side were there at least once.
pub(crate) fn keys(said: &[Said], side: Side) -> usize {
    let there = said.iter().filter(|one| side.fate(one.what) == Fate::There);
    there.map(|one| one.key).collect::<BTreeSet<_>>().len()
}

/// What is wrong with the rows of one side.
pub(crate) fn compare(said: &[Said], side: Side, mut rows: Rows) -> Vec<String> {
    let mut wrong = Vec::new();
    for (key, changes) in by_key(said) {
        let fate = |one: &Said| side.fate(one.what);
        let row = rows.remove(&format!("K{key:06}"));
        let mut accepted =
            changes.iter().rev().filter(|one| matches!(fate(one), Fate::There | Fate::Gone));
        let newest = accepted.next();
        let fine = match (newest, &row) {
            (None, row) => row.is_none(),
            (Some(newest), Some(row)) if fate(newest) == Fate::There => holds(side, row, newest),
            (Some(newest), None) => fate(newest) == Fate::Gone,
            // Inactive, with whatever it said last before the removal came.
            (Some(_), Some(row)) => {
                let earlier = changes.iter().any(|one| row[side.name()] == one.name);
                side == Side::Account && row["statecode"] == 1 && earlier
            }
        };
        if !fine {
            let told: Vec<_> = changes.iter().map(|one| (one.place, one.what)).collect();
            let table = side.table();
            wrong.push(format!("{table} K{key:06} is {row:?}; newest is {newest:?} of {told:?}"));
        }
    }
    wrong.extend(rows.keys().map(|key| format!("{} {key}: nobody said this", side.table())));
    wrong
}

fn holds(side: Side, row: &Row, said: &Said) -> bool {
    let note = row.get(side.note()).and_then(serde_json::Value::as_str);
    row[side.name()] == said.name && note == said.note.as_deref() && row["statecode"] == 0
}

/// The key of a row of the target.
pub(crate) fn key_of(side: Side, row: &Row) -> String {
    row.get(side.key()).and_then(|key| key.as_str()).unwrap_or("no key").to_owned()
}

/// What must and what may be in quarantine.
pub(crate) fn poison(said: &[Said]) -> Poison {
    let mut poison = Poison::default();
    for one in said.iter().filter(|one| one.what == What::Unreadable) {
        poison.certain.insert(("@mdm".to_owned(), one.body.clone()));
    }
    for side in Side::ALL {
        for changes in by_key(said).into_values() {
            let mut overtaken = false;
            for one in changes.into_iter().rev() {
                let entry = (side.map().to_owned(), one.body.clone());
                match side.fate(one.what) {
                    // The first refusal from above always shows, the ones below it need not.
                    Fate::Refused if overtaken => drop(poison.possible.insert(entry)),
                    Fate::Refused | Fate::Unmapped => drop(poison.certain.insert(entry)),
                    Fate::There | Fate::Gone => overtaken = true,
                    Fate::Unread => {}
                }
            }
        }
    }
    poison
}
