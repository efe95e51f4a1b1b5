//! What goes wrong between a commit and its webhooks, on request and by seed: calls are lost, doubled,
//! held back so that later ones overtake them, or cut down as if they were too large.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Job;
use crate::chance::Chance;

/// How much goes wrong, each as a share of the calls between 0 and 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Shares {
    /// Never sent.
    pub lost: f64,
    /// Sent twice.
    pub doubled: f64,
    /// Held back for up to `late_seconds`.
    pub late: f64,
    /// Cut down to what a context over its size limit keeps.
    pub cut: f64,
    /// How long late ones are held back at most.
    pub late_seconds: f64,
}

/// How often it did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Told {
    /// Calls that steps caused.
    pub caused: u64,
    /// Calls made, second tries and doubles included.
    pub posted: u64,
    /// Answered with success.
    pub taken: u64,
    /// Given up.
    pub failed: u64,
    /// Never sent, on request.
    pub lost: u64,
    /// Sent twice, on request.
    pub doubled: u64,
    /// Held back, on request.
    pub late: u64,
    /// Cut down, on request or over the size limit.
    pub cut: u64,
    /// Synchronous calls that were refused.
    pub refused: u64,
    /// Not answered yet.
    pub waiting: u64,
}

/// The troubles of one environment.
#[derive(Clone, Debug)]
pub struct Trouble {
    /// How much.
    pub shares: Shares,
    /// How often so far.
    pub told: Told,
    chance: Chance,
}

impl Trouble {
    /// No trouble yet; draws by `chance`.
    pub fn new(shares: Shares, chance: Chance) -> Self {
        Self { shares, told: Told::default(), chance }
    }

    /// The jobs that are really sent for one.
    pub(super) fn spoil(&mut self, mut job: Job) -> Vec<Job> {
        self.told.caused += 1;
        self.told.cut += u64::from(job.cut);
        if self.hits(self.shares.lost) {
            self.told.lost += 1;
            return Vec::new();
        }
        if !job.cut
            && self.hits(self.shares.cut)
            && let Some(body) = super::context::cut_down(&job.body)
        {
            (job.body, job.cut) = (body, true);
            self.told.cut += 1;
        }
        if self.hits(self.shares.late) {
            self.told.late += 1;
            let most = Duration::try_from_secs_f64(self.shares.late_seconds).unwrap_or_default();
            job.delay = self.chance.jittered(most);
        }
        let doubled = self.hits(self.shares.doubled);
        self.told.doubled += u64::from(doubled);
        self.told.waiting += 1 + u64::from(doubled);
        if doubled { vec![job.clone(), job] } else { vec![job] }
    }

    fn hits(&self, share: f64) -> bool {
        // Always drawn, so that one share does not move what another one hits.
        let drawn = self.chance.below(1_000_000);
        let share = Duration::try_from_secs_f64(share.clamp(0.0, 1.0)).unwrap_or_default();
        u128::from(drawn) < share.as_micros()
    }
}
