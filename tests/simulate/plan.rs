//! What one run does, as data: a seed makes a plan, a plan can be made smaller, and its text replays it.

use std::collections::BTreeSet;

use concord::chance::Chance;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::world::{Mutant, REFUSED};

/// A run. Everything that is not said here is drawn from `dice` while it runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Plan {
    /// Seeds latencies and faults.
    pub(crate) dice: u64,
    /// How bad the faults are: parts in a thousand of each fault's own share.
    pub(crate) weather: u64,
    /// How many faults there may be; crashes are faults.
    pub(crate) faults: u64,
    /// Those of them that do not happen after all, by their number.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub(crate) spared: BTreeSet<u64>,
    pub(crate) instances: usize,
    /// How many systems get every change.
    #[serde(default = "one")]
    pub(crate) targets: usize,
    /// Attempts before the last one; none stands for a trigger without a retry policy.
    pub(crate) retries: u32,
    pub(crate) said: Vec<Said>,
    /// Partitions of batches of deliveries: which change, and its sequence number.
    pub(crate) partitions: Vec<Vec<Vec<(usize, i64)>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) mutant: Option<Mutant>,
}

/// What is said about one key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Said {
    pub(crate) id: usize,
    pub(crate) key: u64,
    /// When it was said, in seconds: decides which of two is newer.
    pub(crate) second: i64,
    pub(crate) what: What,
    /// Says the same as another change of the key that has the same number.
    pub(crate) told: u64,
    /// The key it refers to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) parent: Option<u64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum What {
    There,
    Gone,
    /// The map refuses it.
    Unmappable,
    /// The target refuses it.
    Refused,
}

/// Keys from here on are those that others refer to, and that refer to each other.
const PARENTS: u64 = 100;

impl Plan {
    /// A few keys with a few versions each, delivered at least once, in some order.
    pub(crate) fn of(seed: u64, mutant: Option<Mutant>) -> Self {
        let chance = Chance::seeded(seed);
        let weather = [0, 200, 1_000, 4_000][place(chance.below(4))];
        let said = everything_said(&chance);
        Self {
            dice: seed,
            weather,
            faults: u64::MAX,
            spared: BTreeSet::new(),
            instances: place(2 + chance.below(2)),
            retries: u32::try_from(chance.below(4)).unwrap(),
            partitions: partitions(&chance, &said),
            targets: [1, 1, 2, 3][place(chance.below(4))],
            said,
            mutant,
        }
    }

    pub(crate) fn change(&self, id: usize) -> &Said {
        self.said.iter().find(|said| said.id == id).unwrap()
    }

    /// The same with nothing that refers to what is never there: it would wait in vain, and rightly.
    pub(crate) fn complete(mut self) -> Self {
        let there = |said: &&Said| said.what == What::There;
        let there: BTreeSet<u64> = self.said.iter().filter(there).map(|said| said.key).collect();
        for said in &mut self.said {
            said.parent = said.parent.filter(|parent| there.contains(parent));
        }
        self
    }

    /// How much there is of it: what shrinking makes smaller.
    pub(crate) fn size(&self) -> usize {
        let sent = self.partitions.iter().flatten().map(|batch| 1 + batch.len()).sum::<usize>();
        let faults = usize::try_from(self.faults.min(1 << 20)).unwrap() - self.spared.len();
        let retries = usize::try_from(self.retries).unwrap();
        let parents = self.said.iter().filter(|said| said.parent.is_some()).count();
        self.said.len()
            + parents
            + sent
            + self.partitions.len()
            + self.instances
            + self.targets
            + retries
            + faults
    }
}

impl Said {
    /// The event.
    pub(crate) fn body(&self) -> String {
        let Self { key, second, parent, .. } = self;
        let name = match self.what {
            What::Refused => format!("{REFUSED} {key} {second}"),
            What::Unmappable => "far too long ".repeat(20) + &second.to_string(),
            What::There | What::Gone => self.name(),
        };
        json!({
            "TimeStamp": Timestamp::from_second(1_600_000_000 + second).unwrap().to_string(),
            "VersionChangeType": if self.what == What::Gone { "Removed" } else { "Changed" },
            "Data": {
                "Id": format!("id-{key}"),
                "EntityType": "/Thing",
                "Codes": [format!("/Thing#SAP:{key}")],
                "Name": name,
                "Parent": parent.map(|parent| parent.to_string()),
            },
        })
        .to_string()
    }

    /// What the row is called when it is there.
    pub(crate) fn name(&self) -> String {
        format!("name {} {}", self.key, self.told)
    }
}

fn everything_said(chance: &Chance) -> Vec<Said> {
    let mut said = Vec::new();
    let parents = chance.below(4);
    for key in (0..2 + chance.below(5)).chain(PARENTS..PARENTS + parents) {
        for version in 0..1 + chance.below(6) {
            let what = match chance.below(20) {
                // What others refer to is there in the end, from its first version on.
                _ if key >= PARENTS && version == 0 => What::There,
                0..3 if key >= PARENTS => What::There,
                0..3 => What::Gone,
                3 => What::Unmappable,
                4 => What::Refused,
                _ => What::There,
            };
            let (id, second) = (said.len(), i64::try_from(version).unwrap());
            // Now and then a version says what an earlier one said.
            let told = chance.below(version + 1);
            let parent = Some(chance.below(2 * parents + 1)).filter(|number| *number < parents);
            let parent = parent.map(|number| PARENTS + number);
            said.push(Said { id, key, second, what, told, parent });
        }
    }
    said
}

/// Some changes come twice, and any comes somewhat earlier or later than it was said.
fn partitions(chance: &Chance, said: &[Said]) -> Vec<Vec<Vec<(usize, i64)>>> {
    let mut sent = Vec::new();
    for said in said {
        for _ in 0..1 + chance.below(3) / 2 {
            sent.push((said.id as u64 * 4 + chance.below(40), said.id));
        }
    }
    sent.sort_unstable();
    let count = 1 + chance.below(3);
    let mut partitions: Vec<Vec<Vec<(usize, i64)>>> = vec![Vec::new(); place(count)];
    for (sequence, (_, id)) in (0..).zip(sent) {
        let batches = &mut partitions[place(chance.below(count))];
        match batches.last_mut() {
            Some(batch) if chance.below(4) > 0 => batch.push((id, sequence)),
            _ => batches.push(vec![(id, sequence)]),
        }
    }
    partitions
}

fn one() -> usize {
    1
}

fn place(number: u64) -> usize {
    usize::try_from(number).unwrap()
}
