//! Rows that were on their way when they were looked at, looked at again before a repair is closed: live
//! work may just have claimed them, or the repair of another map wakes what waited for its rows.

use std::time::Duration;

use super::class::{Act, Class};
use super::join::Suspect;
use super::look::{Looked, is_due};
use super::report::{Done, Finding};
use super::run::{Found, Run, Step};
use crate::fault::Fault;

/// Before each further look.
const PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];

/// How long a step waits before it is done.
pub(super) fn pause(step: &Step) -> Duration {
    match step {
        Step::Again { round } => PAUSES.get(*round).copied().unwrap_or_default(),
        Step::Count
        | Step::Scan { .. }
        | Step::Match
        | Step::Look { .. }
        | Step::Remove
        | Step::Close => Duration::ZERO,
    }
}

/// Whether a difference may pass by itself within moments.
pub(super) fn is_passing(finding: &Finding) -> bool {
    match finding.done {
        Done::Sent(_) => true,
        Done::No => matches!(finding.class, Class::InFlight | Class::Parked),
        Done::Would(_) | Done::Mended | Done::Arrived | Done::Withheld(_) => false,
    }
}

impl Run<'_> {
    /// The step after `round` looks: another one while something is on its way, and then the end.
    pub(super) async fn settling(&self, round: usize) -> Result<Step, Fault> {
        let repairs = self.order.repair && !self.order.dry;
        let passing = repairs
            && round < PAUSES.len()
            && self.all_found().await?.iter().any(|found| !found.passing.is_empty());
        Ok(if passing { Step::Again { round } } else { Step::Close })
    }

    /// Looks once more at what was on its way.
    pub(super) async fn again(&self, round: usize) -> Result<Vec<Step>, Fault> {
        for (part, mut found) in (0_u32..).zip(self.all_found().await?) {
            if found.passing.is_empty() {
                continue;
            }
            let (places, suspects): (Vec<usize>, Vec<Suspect>) =
                std::mem::take(&mut found.passing).into_iter().unzip();
            let looked = self.ground.look(suspects, self.order).await?;
            let looked = self.ground.mend(looked, self.order, self.left()).await?;
            for (place, one) in places.into_iter().zip(looked) {
                found.update(place, one);
            }
            self.keep_found(part, &found).await?;
        }
        Ok(vec![self.settling(round + 1).await?])
    }
}

impl Found {
    /// What a further look says of the finding at `place`.
    fn update(&mut self, place: usize, looked: Looked) {
        let late = is_due(&looked, Act::Remove);
        let Some(known) = self.findings.get_mut(place) else { return };
        match looked.finding {
            None if matches!(known.done, Done::Sent(_)) => known.done = Done::Mended,
            None => known.done = Done::Arrived,
            Some(now) => *known = now,
        }
        if late {
            let why = "the source let go of it meanwhile; the next comparison removes it";
            known.done = Done::Withheld(why.to_owned());
        } else if is_passing(known) {
            self.passing.push((place, looked.suspect));
        }
    }
}
