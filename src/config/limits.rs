//! How much a call may hold and how long it may take: the section `[limits]`.

use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::mapping::problem::Problems;
use crate::trigger;

/// Limits of one call of the Functions host.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// How long a call may work before it is answered, in seconds. Must be below `functionTimeout` of
    /// `host.json`, because that one ends the process.
    pub deadline_seconds: Option<u64>,
    /// How long a webhook or a synchronous call may work before it is answered, in seconds. Dataverse
    /// waits for sixty and does not come again.
    pub waiting_seconds: Option<u64>,
    /// The longest body of a call, in MiB.
    pub body_mib: Option<usize>,
}

impl Limits {
    /// As the trigger takes them.
    pub(super) fn checked(self, problems: &mut Problems) -> trigger::Config {
        let mut config = trigger::Config::default();
        if let Some(seconds) = self.deadline_seconds {
            if !(5..=24 * 3600).contains(&seconds) {
                problems.error("limits/deadline_seconds", "range", "between 5 seconds and a day");
            }
            config.answer_within = Duration::from_secs(seconds);
        }
        if let Some(seconds) = self.waiting_seconds {
            if !(2..=40).contains(&seconds) {
                problems.error("limits/waiting_seconds", "range", "between 2 and 40 seconds");
            }
            config.waiting_within = Duration::from_secs(seconds);
        }
        if let Some(mebibytes) = self.body_mib {
            if !(1..=2048).contains(&mebibytes) {
                problems.error("limits/body_mib", "range", "between 1 and 2048 MiB");
            }
            config.body_limit = mebibytes.saturating_mul(1024 * 1024);
        }
        config
    }
}
