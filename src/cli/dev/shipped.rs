//! The shipped input with everything that stands behind it, and the check that goes with it.

use std::collections::BTreeMap;

use super::Error;
use super::compare::compare;
use super::expected::{Consumer, model, unreadable};
use super::organisation::{self, Organisation};
use super::report::Check;
use super::stage::Stage;
use super::stream::{self, Stream};
use super::tally::Tally;
use crate::chance::Chance;

/// The organisations and what is sent about them.
#[derive(Debug)]
pub(super) struct Shipped {
    pub(super) organisations: Vec<Organisation>,
    pub(super) stream: Stream,
}

impl Shipped {
    /// At most `most` organisations, planned from a seed.
    pub(super) fn plan(most: usize, seed: u64) -> Self {
        let chance = Chance::seeded(seed);
        let organisations = organisation::all(most, &chance);
        let stream = stream::stream(&organisations, &chance);
        Self { organisations, stream }
    }

    /// The final rows of every consumer against the model of it.
    pub(super) async fn check(&self, stage: &Stage, tally: &Tally) -> Result<Check, Error> {
        let facts = &self.stream.facts;
        let mut refused = BTreeMap::from([("malformed-event", unreadable(facts))]);
        let mut consumers = BTreeMap::new();
        for consumer in Consumer::ALL {
            let Some(web) = stage.web(consumer.system()) else { continue };
            let model = model(consumer, &self.organisations, facts, &stage.countries);
            let found = web.held(consumer).await?;
            consumers.insert(consumer.system(), compare(&model.rows, &found));
            for (code, events) in model.refused {
                *refused.entry(code).or_default() += events;
            }
        }
        refused.retain(|_, events| *events > 0);
        Ok(Check::new(consumers, refused, tally))
    }
}

#[cfg(test)]
mod tests;
