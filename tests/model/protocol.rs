//! Writers, messages, a target and one ledger entry, as a transition system.

use std::collections::BTreeSet;
use std::sync::Arc;

use concord::ledger::decide::{self, Candidate, Decision, Settlement, Tending};
use concord::ledger::entry::{Claim, Entry, Version};
use stateright::{Model, Property};

use crate::world::{NOW, RUNNING, at, claim, row, shown, version_of};

/// What is explored.
#[derive(Clone, Debug, Default)]
pub(crate) struct Protocol {
    pub(crate) writers: usize,
    /// The versions delivered; a number twice is a duplicate.
    pub(crate) messages: Vec<u8>,
    /// How many crashes there may be.
    pub(crate) crashes: u8,
    /// How many target writes whose answer is lost and which land late or never.
    pub(crate) unknown: u8,
    /// How many answers of storage may be lost after it did what was asked.
    pub(crate) lost: u8,
    /// The version that the target refuses.
    pub(crate) refused: Option<u8>,
    pub(crate) mutant: Option<Mutant>,
}

/// A deliberate breakage of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Mutant {
    SkipClaim,
    IgnoreCondition,
    ForgetOvertaken,
    SettleBeforeWrite,
    NeverAssert,
    NeverSweep,
    KeepAbandonedIntent,
    AcknowledgeUnknown,
    AcknowledgeBusy,
    OutliveEverything,
    AssertWithoutCondition,
    AssertOnlyMine,
    SettleOverNewer,
    ForgetAssertion,
    TrustOwnWrite,
    AcknowledgeBeforeSettling,
    ForgetTouched,
}

impl Mutant {
    pub(crate) const ALL: &[Self] = &[
        Self::SkipClaim,
        Self::IgnoreCondition,
        Self::ForgetOvertaken,
        Self::SettleBeforeWrite,
        Self::NeverAssert,
        Self::NeverSweep,
        Self::KeepAbandonedIntent,
        Self::AcknowledgeUnknown,
        Self::AcknowledgeBusy,
        Self::OutliveEverything,
        Self::AssertWithoutCondition,
        Self::AssertOnlyMine,
        Self::SettleOverNewer,
        Self::ForgetAssertion,
        Self::TrustOwnWrite,
        Self::AcknowledgeBeforeSettling,
        Self::ForgetTouched,
    ];
}

/// Everything there is at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct State {
    entry: Entry,
    /// Stands for the etag.
    revision: u8,
    /// The version that the target holds; 0 before the first.
    target: u8,
    /// Late writes: whose, and of what.
    flying: BTreeSet<(Claim, u8)>,
    writers: Vec<Writer>,
    queue: Vec<u8>,
    next_claim: u8,
    crashes: u8,
    unknown: u8,
    lost: u8,
    /// Claims whose writer is gone.
    dead: BTreeSet<Claim>,
}

/// A writer and the message it has not acknowledged (0 for the sweep).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Writer {
    message: u8,
    phase: Phase,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Phase {
    Idle,
    Look {
        claim: Claim,
    },
    /// Decided; the entry is to be replaced if it has not changed since.
    Claim {
        claim: Claim,
        next: Entry,
        seen: u8,
        done: bool,
    },
    Write {
        claim: Claim,
        outlived: Vec<Claim>,
    },
    Settle {
        claim: Claim,
        outlived: Vec<Claim>,
        landed: bool,
    },
    Assert {
        claims: Vec<Claim>,
        version: u8,
        seen: u8,
        mine: u8,
    },
    Asserted {
        claims: Vec<Claim>,
        version: u8,
        seen: u8,
        mine: u8,
    },
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    Take(usize, u8),
    Crash(usize),
    Act(usize),
    /// Storage does what is asked, and its answer is lost.
    ActUnheard(usize),
    /// The target's answer is lost; the write lands late or never.
    Lose(usize),
    Sweep(usize),
    Land(Claim, u8),
    Die(Claim, u8),
}

impl Model for Protocol {
    type State = State;
    type Action = Step;

    fn init_states(&self) -> Vec<State> {
        let idle = Writer { message: 0, phase: Phase::Idle };
        vec![State {
            entry: Entry::default(),
            revision: 0,
            target: 0,
            flying: BTreeSet::new(),
            writers: vec![idle; self.writers],
            queue: self.messages.clone(),
            next_claim: 1,
            crashes: self.crashes,
            unknown: self.unknown,
            lost: self.lost,
            dead: BTreeSet::new(),
        }]
    }

    fn actions(&self, state: &State, steps: &mut Vec<Step>) {
        for (claim, version) in &state.flying {
            steps.push(Step::Land(*claim, *version));
            steps.push(Step::Die(*claim, *version));
        }
        for (index, writer) in state.writers.iter().enumerate() {
            if writer.phase == Phase::Idle {
                let versions: BTreeSet<u8> = state.queue.iter().copied().collect();
                steps.extend(versions.into_iter().map(|version| Step::Take(index, version)));
                if self.mutant != Some(Mutant::NeverSweep) && self.tending(state).is_some() {
                    steps.push(Step::Sweep(index));
                }
                continue;
            }
            steps.push(Step::Act(index));
            if state.crashes > 0 {
                steps.push(Step::Crash(index));
            }
            if state.lost > 0 && matches!(writer.phase, Phase::Claim { .. } | Phase::Settle { .. })
            {
                steps.push(Step::ActUnheard(index));
            }
            if state.unknown > 0
                && matches!(writer.phase, Phase::Write { .. } | Phase::Assert { .. })
            {
                steps.push(Step::Lose(index));
            }
        }
    }

    fn next_state(&self, last: &State, step: Step) -> Option<State> {
        let mut state = last.clone();
        match step {
            Step::Take(index, version) => {
                let at = state.queue.iter().position(|queued| *queued == version)?;
                state.queue.remove(at);
                let claim = state.new_claim();
                state.writers[index] = Writer { message: version, phase: Phase::Look { claim } };
            }
            Step::Crash(index) => {
                state.crashes -= 1;
                state.abandon(index);
            }
            Step::Act(index) => self.act(&mut state, index),
            Step::ActUnheard(index) => {
                state.lost -= 1;
                self.act_unheard(&mut state, index)?;
            }
            Step::Lose(index) => self.lose(&mut state, index),
            Step::Sweep(index) => self.sweep(&mut state, index),
            Step::Land(claim, version) => {
                state.flying.remove(&(claim, version));
                if self.refused != Some(version) {
                    state.target = version;
                }
            }
            Step::Die(claim, version) => {
                state.flying.remove(&(claim, version));
            }
        }
        state.forget_what_is_over();
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("what is quiet is right", |model: &Self, state: &State| {
                !model.is_quiet(state) || model.is_right(state)
            }),
            Property::always("no state is stuck", |model: &Self, state: &State| {
                let mut steps = Vec::new();
                model.actions(state, &mut steps);
                !steps.is_empty() || model.is_right(state)
            }),
        ]
    }
}

impl Protocol {
    fn is(&self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    fn is_quiet(&self, state: &State) -> bool {
        let idle = state.writers.iter().all(|writer| writer.phase == Phase::Idle);
        idle && state.queue.is_empty() && state.flying.is_empty() && self.tending(state).is_none()
    }

    /// The target holds the newest accepted version, the ledger says so, and nothing is left over.
    fn is_right(&self, state: &State) -> bool {
        let accepted = self.messages.iter().filter(|version| self.refused != Some(**version));
        let newest = accepted.max().copied().unwrap_or_default();
        let applied = state.entry.applied.as_ref();
        let applied = applied.map_or(0, |applied| version_of(&applied.version.order));
        shown(state.target) == shown(newest) && applied == newest && state.entry.is_quiet()
    }

    /// What the sweep would do now, if anything.
    fn tending(&self, state: &State) -> Option<Tending> {
        let mut seen = at(&state.entry, &state.over());
        if self.is(Mutant::KeepAbandonedIntent) {
            seen.intent.iter_mut().for_each(|intent| Arc::make_mut(intent).lease = RUNNING);
        }
        match decide::tend(&seen, claim(state.next_claim), RUNNING, NOW) {
            Tending::Rest | Tending::Wait => None,
            tending => Some(tending),
        }
    }

    fn sweep(&self, state: &mut State, index: usize) {
        let seen = state.revision + 1;
        let Some(tending) = self.tending(state) else { return };
        let claim = state.new_claim();
        let phase = match tending {
            Tending::Rest | Tending::Wait => return,
            Tending::Forget(mut next) => {
                next.touched &= !self.is(Mutant::ForgetTouched);
                state.replace(next);
                Phase::Idle
            }
            Tending::Resume(next, version) => {
                state.replace(next.clone());
                let outlived = self.outlived(state);
                state.writers[index].message = version_of(&version.order);
                Phase::Write { claim, outlived }
            }
            Tending::Assert(next, version, claims) => {
                state.replace(next);
                let version = version_of(&version.order);
                Phase::Assert { claims, version, seen, mine: 0 }
            }
        };
        state.writers[index].phase = phase;
    }

    fn outlived(&self, state: &State) -> Vec<Claim> {
        if self.is(Mutant::OutliveEverything) {
            return state.entry.loose.iter().map(|loose| loose.claim).collect();
        }
        decide::expired(&at(&state.entry, &state.over()), NOW)
    }

    /// The next step of a busy writer, with every answer heard.
    fn act(&self, state: &mut State, index: usize) {
        let Writer { message, phase } = state.writers[index].clone();
        match phase {
            Phase::Idle => {}
            Phase::Look { claim } => self.look(state, index, claim),
            Phase::Claim { claim, next, seen, done } => {
                if seen != state.revision && !self.is(Mutant::IgnoreCondition) {
                    state.writers[index].phase = Phase::Look { claim };
                } else {
                    if !self.is(Mutant::SkipClaim) {
                        state.replace(next);
                    }
                    if done {
                        state.acknowledge(index);
                    } else {
                        let outlived = self.outlived(state);
                        state.writers[index].phase = Phase::Write { claim, outlived };
                    }
                }
            }
            Phase::Write { claim, outlived } => {
                let landed = self.refused != Some(message);
                if self.is(Mutant::SettleBeforeWrite) && landed {
                    self.settle(state, index, (claim, &outlived));
                    state.writers[index] = Writer {
                        message,
                        phase: Phase::Assert { claims: vec![], version: message, seen: 0, mine: 0 },
                    };
                    return;
                }
                if landed {
                    state.target = message;
                }
                state.writers[index].phase = Phase::Settle { claim, outlived, landed };
            }
            Phase::Settle { claim, outlived, landed: true } => {
                self.settle(state, index, (claim, &outlived));
            }
            Phase::Settle { claim, landed: false, .. } => {
                // Refused: it is in quarantine, the claim is taken back, the message acknowledged.
                let next = decide::withdraw(&state.entry, claim);
                if next != state.entry {
                    state.replace(next);
                }
                state.acknowledge(index);
            }
            Phase::Assert { claims, version, seen, mine } => {
                if self.refused == Some(version) {
                    // Nothing is concluded: it stays loose, and the message comes again.
                    state.abandon(index);
                } else {
                    state.target = version;
                    let phase = Phase::Asserted { claims, version, seen, mine };
                    state.writers[index].phase = phase;
                    if self.is(Mutant::SettleBeforeWrite) && seen == 0 {
                        state.acknowledge(index);
                    }
                }
            }
            Phase::Asserted { claims, version, seen, mine } => {
                self.asserted(state, index, (claims, version, seen, mine));
            }
        }
    }

    fn look(&self, state: &mut State, index: usize, claim: Claim) {
        let message = state.writers[index].message;
        let seen = at(&state.entry, &state.over());
        let candidate = Candidate {
            row: row(message),
            hash: row(message).hash(),
            claim,
            lease: RUNNING,
            patient: false,
        };
        match decide::decide(&seen, &candidate, NOW) {
            Decision::Superseded | Decision::Unchanged => state.acknowledge(index),
            Decision::Busy if self.is(Mutant::AcknowledgeBusy) => state.acknowledge(index),
            Decision::Busy => state.hand_back(index),
            Decision::Mine => {
                let outlived = self.outlived(state);
                state.writers[index].phase = Phase::Write { claim, outlived };
            }
            Decision::Record(next, _) => {
                let seen = state.revision;
                state.writers[index].phase = Phase::Claim { claim, next, seen, done: true };
            }
            Decision::Claim(mut next) => {
                if self.is(Mutant::ForgetOvertaken) {
                    next.loose.clone_from(&seen.loose);
                }
                let seen = state.revision;
                state.writers[index].phase = Phase::Claim { claim, next, seen, done: false };
            }
        }
    }

    fn settle(&self, state: &mut State, index: usize, (claim, outlived): (Claim, &[Claim])) {
        let message = state.writers[index].message;
        let version = decide::version(row(message), row(message).hash());
        let mut entry = state.entry.clone();
        if self.is(Mutant::SettleOverNewer)
            && entry.intent.as_ref().is_some_and(|i| i.claim == claim)
        {
            entry.applied = None;
        }
        match decide::settle(&entry, (claim, &version), outlived, None, NOW) {
            Settlement::Applied(next) => {
                state.replace(next);
                state.acknowledge(index);
            }
            Settlement::Done => state.acknowledge(index),
            Settlement::Gone if self.is(Mutant::SkipClaim) => {
                let next = decide::asserted(&state.entry, &version, &[], None, NOW);
                state.replace(next);
                state.acknowledge(index);
            }
            Settlement::Gone => state.abandon(index),
            Settlement::Loosen(next) => {
                state.replace(next);
                self.overtaken(state, index, (claim, &version));
            }
            Settlement::Loose => self.overtaken(state, index, (claim, &version)),
        }
    }

    fn overtaken(&self, state: &mut State, index: usize, (claim, mine): (Claim, &Version)) {
        if self.is(Mutant::NeverAssert) {
            state.entry.loose.retain(|loose| loose.claim != claim);
            state.acknowledge(index);
            return;
        }
        let newest = decide::newest(&state.entry, Some(mine)).unwrap();
        let newest = if self.is(Mutant::AssertOnlyMine) { mine.clone() } else { newest };
        if self.is(Mutant::TrustOwnWrite) && newest == *mine {
            state.replace(decide::asserted(&state.entry, mine, &[claim], None, NOW));
            state.acknowledge(index);
            return;
        }
        if self.is(Mutant::AcknowledgeBeforeSettling) {
            state.acknowledge(index);
            return;
        }
        state.writers[index].phase = Phase::Assert {
            claims: vec![claim],
            version: version_of(&newest.order),
            seen: state.revision,
            mine: state.writers[index].message,
        };
    }

    fn asserted(
        &self,
        state: &mut State,
        index: usize,
        (claims, version, seen, mine): (Vec<Claim>, u8, u8, u8),
    ) {
        if seen == state.revision || self.is(Mutant::AssertWithoutCondition) {
            let version = decide::version(row(version), row(version).hash());
            let mut next = decide::asserted(&state.entry, &version, &claims, None, NOW);
            if self.is(Mutant::ForgetAssertion) {
                next.applied.clone_from(&state.entry.applied);
            }
            state.replace(next);
            state.acknowledge(index);
            return;
        }
        if !state.entry.loose.iter().any(|loose| claims.contains(&loose.claim)) {
            state.acknowledge(index);
            return;
        }
        let mine_version = (mine != 0).then(|| decide::version(row(mine), row(mine).hash()));
        let Some(newest) = decide::newest(&state.entry, mine_version.as_ref()) else { return };
        let version = version_of(&newest.order);
        let seen = state.revision;
        state.writers[index].phase = Phase::Assert { claims, version, seen, mine };
    }

    /// Storage does it, but the writer does not hear so and looks again.
    fn act_unheard(&self, state: &mut State, index: usize) -> Option<()> {
        let before = state.clone();
        let phase = state.writers[index].phase.clone();
        self.act(state, index);
        if state.entry == before.entry {
            return None;
        }
        let (claim, back) = match phase {
            Phase::Claim { claim, .. } => (claim, Phase::Look { claim }),
            Phase::Settle { claim, .. } => (claim, phase),
            _ => return None,
        };
        state.dead.remove(&claim);
        state.queue = before.queue;
        state.writers[index] = Writer { message: before.writers[index].message, phase: back };
        Some(())
    }

    fn lose(&self, state: &mut State, index: usize) {
        state.unknown -= 1;
        let Writer { message, phase } = state.writers[index].clone();
        match phase {
            Phase::Write { claim, .. } => state.flying.insert((claim, message)),
            Phase::Assert { claims, version, .. } => {
                claims.last().is_some_and(|claim| state.flying.insert((*claim, version)))
            }
            _ => false,
        };
        if self.is(Mutant::AcknowledgeUnknown) {
            if let Phase::Write { claim, .. } = state.writers[index].phase {
                state.entry.intent.take_if(|intent| intent.claim == claim);
            }
            state.acknowledge(index);
        } else {
            state.abandon(index);
        }
    }
}

impl State {
    fn new_claim(&mut self) -> Claim {
        self.next_claim += 1;
        claim(self.next_claim - 1)
    }

    fn replace(&mut self, entry: Entry) {
        self.entry = at(&entry, &BTreeSet::new());
        self.revision += 1;
    }

    /// Claims whose writer is gone and whose writes have all landed or died: their lease may be over.
    fn over(&self) -> BTreeSet<Claim> {
        let flies = |claim: &Claim| self.flying.iter().any(|(flying, _)| flying == claim);
        self.dead.iter().copied().filter(|claim| !flies(claim)).collect()
    }

    fn acknowledge(&mut self, index: usize) {
        self.end_claims(index);
        self.writers[index] = Writer { message: 0, phase: Phase::Idle };
    }

    fn hand_back(&mut self, index: usize) {
        let message = self.writers[index].message;
        self.acknowledge(index);
        if message != 0 {
            self.queue.push(message);
            self.queue.sort_unstable();
        }
    }

    fn abandon(&mut self, index: usize) {
        self.hand_back(index);
    }

    fn end_claims(&mut self, index: usize) {
        match &self.writers[index].phase {
            Phase::Idle => {}
            Phase::Look { claim }
            | Phase::Claim { claim, .. }
            | Phase::Write { claim, .. }
            | Phase::Settle { claim, .. } => {
                self.dead.insert(*claim);
            }
            Phase::Assert { claims, .. } | Phase::Asserted { claims, .. } => {
                self.dead.extend(claims.iter().copied());
            }
        }
    }

    /// Claims that nothing refers to any more, and the counters behind them, only tell equal states
    /// apart: they are renumbered in the order in which they are met.
    fn forget_what_is_over(&mut self) {
        // Writers are alike: which of them does something does not matter.
        self.writers.sort_by_key(|writer| (writer.phase.rank(), writer.message));
        let mut used: Vec<Claim> = Vec::new();
        let mut note = |claim: Claim| {
            if !used.contains(&claim) {
                used.push(claim);
            }
        };
        self.entry.intent.iter().for_each(|intent| note(intent.claim));
        self.entry.loose.iter().for_each(|loose| note(loose.claim));
        for writer in &self.writers {
            writer.phase.claims().into_iter().for_each(&mut note);
        }
        self.flying.iter().for_each(|(claim, _)| note(*claim));
        let renamed = |old: &Claim| {
            used.iter()
                .position(|claim| claim == old)
                .map(|at| claim(u8::try_from(at).unwrap() + 1))
        };
        let rename = |old: &mut Claim| *old = renamed(old).unwrap_or(*old);
        self.entry.rename(&rename);
        for writer in &mut self.writers {
            writer.phase.rename(&rename, self.revision);
        }
        self.dead = self.dead.iter().filter_map(renamed).collect();
        self.flying = self.flying.iter().filter_map(|(c, v)| Some((renamed(c)?, *v))).collect();
        self.next_claim = u8::try_from(used.len()).unwrap() + 1;
        self.revision = 100;
    }
}

trait Rename {
    fn rename(&mut self, rename: &impl Fn(&mut Claim));
}

impl Rename for Entry {
    fn rename(&mut self, rename: &impl Fn(&mut Claim)) {
        self.intent.iter_mut().for_each(|intent| rename(&mut Arc::make_mut(intent).claim));
        self.loose.iter_mut().for_each(|loose| rename(&mut loose.claim));
    }
}

impl Phase {
    /// Where it stands on its way.
    fn rank(&self) -> u8 {
        match self {
            Self::Idle => 0,
            Self::Look { .. } => 1,
            Self::Claim { .. } => 2,
            Self::Write { .. } => 3,
            Self::Settle { .. } => 4,
            Self::Assert { .. } => 5,
            Self::Asserted { .. } => 6,
        }
    }

    fn claims(&self) -> Vec<Claim> {
        match self {
            Self::Idle => Vec::new(),
            Self::Look { claim } => vec![*claim],
            Self::Claim { claim, next, .. } => {
                let intent = next.intent.iter().map(|intent| intent.claim);
                let loose = next.loose.iter().map(|loose| loose.claim);
                std::iter::once(*claim).chain(intent).chain(loose).collect()
            }
            Self::Write { claim, outlived } | Self::Settle { claim, outlived, .. } => {
                std::iter::once(*claim).chain(outlived.iter().copied()).collect()
            }
            Self::Assert { claims, .. } | Self::Asserted { claims, .. } => claims.clone(),
        }
    }

    /// Renames claims, and reduces what was seen to whether it is still so.
    fn rename(&mut self, rename: &impl Fn(&mut Claim), revision: u8) {
        let still = |seen: &mut u8| *seen = if *seen == revision { 100 } else { 1 };
        match self {
            Self::Idle => {}
            Self::Look { claim } => rename(claim),
            Self::Claim { claim, next, seen, .. } => {
                rename(claim);
                next.rename(rename);
                still(seen);
            }
            Self::Write { claim, outlived } | Self::Settle { claim, outlived, .. } => {
                rename(claim);
                outlived.iter_mut().for_each(rename);
            }
            Self::Assert { claims, seen, .. } | Self::Asserted { claims, seen, .. } => {
                claims.iter_mut().for_each(rename);
                if *seen != 0 {
                    still(seen);
                }
            }
        }
    }
}
